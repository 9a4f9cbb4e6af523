"""What the flow writes on a page besides its text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from PIL import Image

from airgap.core.document import Box, Ledger, Line, Mode, Page, ReadOptions
from airgap.core.engine import Capabilities, Delta, Events, PageRead
from airgap.core.errors import (
    EngineFailed,
    InvalidImage,
    PageRenderFailed,
)
from airgap.engines.fake import FakeEngine
from airgap.monitoring import trace
from process.pipeline import BLANK_PAGE, LOOP_CUT, NO_SECOND_ENGINE
from tests.process.one_page import ASK, LOOPED, SIZE, Engine, OnePage, answer, counted, read, reader_of


async def test_a_page_is_signed_with_what_is_known_of_it() -> None:
    engine = Engine(answer(warnings=("of the engine",)))
    page = await read(engine, OnePage(warnings=("of the file",)), ReadOptions(prompt="ask", furniture="drop"))
    assert (page.number, page.width, page.height) == (3, *SIZE)
    assert (page.width_pt, page.height_pt) == (144.0, 72.0)
    assert (page.status, page.finish_reason, page.raw) == ("ok", "stop", "words")
    assert page.warnings == ("of the file", "of the engine")
    assert (page.engine, page.model, page.mode, page.furniture) == (None, None, "gundam", "drop")
    assert (page.usage.prompt_tokens, page.usage.completion_tokens, page.usage.image_tokens) == (7, 5, 3)
    assert 0 < page.usage.seconds < 20


async def test_an_engine_without_modes_signs_none_and_ignores_the_wish_aloud() -> None:
    page = await read(Engine(answer(), modes=False), None, ReadOptions(prompt="ask", mode="tiny"))
    assert page.mode is None
    assert page.warnings == ("The engine fake has no use for `mode`; it was ignored.",)


async def test_another_engine_that_read_signs_the_page() -> None:
    other = Capabilities(supports_prompt=False, supports_modes=False)
    page = await read(Engine(answer(engine="other", model="m2", capabilities=other)), None, ASK)
    assert (page.engine, page.model, page.mode) == ("other", "m2", None)
    assert page.warnings == ("The engine other has no use for `prompt`; it was ignored.",)


async def test_a_damaged_page_is_degraded_and_a_worse_one_stays_as_it_is() -> None:
    damaged = OnePage(warnings=("The page's data are damaged; parts of it may be missing.",))
    assert (await read(Engine(answer()), damaged, ASK)).status == "degraded"
    assert (await read(Engine(answer(status="degraded")), damaged, ASK)).status == "degraded"
    assert (await read(Engine(answer(status="failed")), damaged, ASK)).status == "failed"
    assert (await read(Engine(answer(status="degraded")), None, ASK)).status == "degraded"


async def test_a_loop_is_read_in_the_other_mode_and_both_are_paid_for() -> None:
    ways: tuple[tuple[Mode | None, Mode, Mode], ...] = (
        ("gundam", "gundam", "base"),
        (None, "gundam", "base"),
        ("base", "base", "gundam"),
    )
    for asked, mode, other in ways:
        engine = Engine(LOOPED, answer("second", warnings=("of the second",)))
        before = counted('ocr_loops_total{engine="fake",outcome="recovered"}')
        page = await read(engine, None, ReadOptions(prompt="ask", mode=asked))
        assert [call.mode for call in engine.calls] == [mode, other]
        assert (page.raw, page.status, page.finish_reason) == ("second", "ok", "stop")
        assert page.warnings == (
            "of the second",
            f"The engine repeated itself in mode {mode}; this was read in mode {other}.",
        )
        assert (page.usage.prompt_tokens, page.usage.completion_tokens) == (14, 10)
        assert counted('ocr_loops_total{engine="fake",outcome="recovered"}') == before + 1


async def test_a_loop_in_both_modes_keeps_the_first_and_says_so() -> None:
    engine = Engine(LOOPED, answer("worse", finish_reason="repetition"))
    before = counted('ocr_loops_total{engine="fake",outcome="cut"}')
    page = await read(engine, None, ASK)
    assert (page.raw, page.status, page.warnings) == ("again", "degraded", ("looped", LOOP_CUT))
    assert page.usage.completion_tokens == 10
    assert counted('ocr_loops_total{engine="fake",outcome="cut"}') == before + 1


async def test_without_modes_or_with_a_listener_a_loop_is_not_read_again() -> None:
    engine = Engine(LOOPED, modes=False)
    page = await read(engine, None, ReadOptions(prompt="ask", mode="tiny"))
    ignored = "The engine fake has no use for `mode`; it was ignored."
    assert (page.status, page.warnings, len(engine.calls)) == ("degraded", (ignored, "looped", LOOP_CUT), 1)
    engine, heard = Engine(LOOPED), list[str]()
    page = await reader_of(engine).page(OnePage(), ASK, 3, heard.append)
    assert (page.status, page.warnings, len(engine.calls)) == ("degraded", ("looped", LOOP_CUT), 1)


async def test_a_loop_without_a_picture_is_not_read_again() -> None:
    engine = Engine(LOOPED)
    engine.capabilities = Capabilities(text_only=True)
    page = await reader_of(engine).read_page([], ASK)
    assert (page.width, page.height, page.status, len(engine.calls)) == (0, 0, "degraded", 1)


async def test_a_cut_answer_says_what_to_raise() -> None:
    page = await read(Engine(answer(finish_reason="length", warnings=("first",))), None, ASK)
    assert (page.status, page.finish_reason) == ("degraded", "length")
    assert page.warnings[0] == "first"
    assert "`max_tokens`" in page.warnings[1]


async def test_a_first_reading_that_broke_off_is_told() -> None:
    broken = EngineFailed("It died.")
    broken.read_again = True
    engine = Engine(broken, answer(warnings=("of the second",)))
    page = await read(engine, None, ASK)
    assert page.warnings == ("A first reading broke off (It died.).", "of the second")
    assert (page.status, len(engine.calls)) == ("ok", 2)


async def test_an_error_that_says_nothing_of_reading_again_is_not() -> None:
    engine = Engine(EngineFailed("It died."))
    page = await read(engine, None, ASK)
    assert page.error == EngineFailed("It died.").as_page_error()
    assert (page.status, page.finish_reason, len(engine.calls)) == ("failed", "error", 1)
    assert (page.number, page.width, page.height) == (3, *SIZE)


async def test_what_is_wrong_with_an_engine_stays_in_the_log() -> None:
    page = await read(Engine(RuntimeError("a secret")), None, ASK)
    assert page.error is not None
    assert page.error.code == "engine_failed"
    assert "secret" not in page.error.message + page.error.remedy
    page = await read(Engine(answer()), OnePage(error=ValueError("a secret")))
    assert page.error is not None
    assert (page.error.code, page.width, page.height) == ("engine_failed", 0, 0)
    assert "secret" not in page.error.message


async def test_an_engine_that_ends_without_a_page_failed() -> None:
    class Silent(FakeEngine):
        async def _read(self, images: Sequence[Image.Image], options: ReadOptions) -> Events:
            yield Delta("some")

    page = await read(Silent(), None, ASK)
    assert page.error is not None
    assert "without a result" in page.error.message


async def test_pages_are_counted_by_what_became_of_them() -> None:
    for source, engine, status in (
        (OnePage(), Engine(answer()), "ok"),
        (OnePage(), Engine(answer(status="degraded")), "degraded"),
        (OnePage(error=PageRenderFailed("broken")), Engine(answer()), "failed"),
        (OnePage(), Engine(answer(engine="other")), "ok"),
        (OnePage(blank=True), Engine(answer()), "ok"),
        (OnePage(text_lines=(Line("words", Box(5, 10, 45, 30)),)), Engine(answer()), "ok"),
    ):
        name = "other" if isinstance(engine.answers[0], PageRead) and engine.answers[0].engine else "fake"
        sample = f'ocr_pages_total{{engine="{name}",status="{status}"}}'
        before, trace_ = counted(sample), trace.Trace("id")
        trace.begin(trace_)
        await read(engine, source, ASK)
        assert counted(sample) == before + 1
        assert trace_.pages == {status: 1}


async def test_tokens_and_seconds_of_a_read_are_counted() -> None:
    names = ("prompt_tokens_total", "completion_tokens_total", 'ocr_page_seconds_count{engine="fake"}')
    before = [counted(name) for name in names]
    await read(Engine(answer()), None, ASK)
    assert [counted(name) - old for name, old in zip(names, before, strict=True)] == [7, 5, 1]


async def test_a_blank_page_is_not_read() -> None:
    engine = Engine(answer())
    page = await read(engine, OnePage(blank=True, warnings=("of the file",)), ReadOptions(furniture="drop"))
    assert (page.warnings, page.coverage, page.blocks) == (("of the file", BLANK_PAGE), 1.0, ())
    assert (page.width, page.height, page.status, page.furniture) == (*SIZE, "ok", "drop")
    assert engine.calls == []


async def test_a_page_with_text_of_its_own_is_not_read() -> None:
    engine = Engine(answer())
    lines = (Line("embedded words", Box(5, 10, 45, 30)),)
    page = await read(engine, OnePage(text_lines=lines, warnings=("of the file",)))
    assert [block.text for block in page.blocks] == ["embedded words"]
    assert (page.warnings, page.coverage, page.width) == (("of the file",), 1.0, SIZE[0])
    assert engine.calls == []


class Second:
    """Takes the place of a second reader; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ReadOptions]] = []

    async def checked(self, page: Page, engine: str, image: Image.Image, options: ReadOptions) -> Page:
        self.asked.append((engine, options))
        return Page(page.number, *image.size, blocks=page.blocks, disagreements=())


async def test_a_cross_check_is_made_where_it_is_asked_for() -> None:
    second, options = Second(), ReadOptions(prompt="ask", crosscheck=True)
    reader = reader_of(Engine(answer()), second=second)
    assert (await reader.page(OnePage(), options, 3)).disagreements == ()
    assert [engine for engine, _ in second.asked] == ["fake"]
    assert second.asked[0][1].crosscheck
    assert (await reader.page(OnePage(), ASK, 3)).disagreements is None
    assert len(second.asked) == 1
    alone = await read(Engine(answer(warnings=("of the engine",))), None, options)
    assert (alone.warnings, alone.disagreements) == (("of the engine", NO_SECOND_ENGINE), None)


async def test_what_is_wrong_with_a_lone_picture_is_wrong_with_the_file() -> None:
    reader = reader_of(Engine(answer()))
    with pytest.raises(InvalidImage, match="damaged"):
        await reader.recognize(OnePage(error=InvalidImage("It is damaged.")), ASK)
    several = OnePage(error=InvalidImage("It is damaged."))
    several.page_count = 2
    document = await reader.recognize(several, ASK)
    assert document.ledger == Ledger(1, 0, 0, 1)
    other = await reader.recognize(OnePage(error=PageRenderFailed("no")), ASK)
    assert other.ledger.failed == 1
