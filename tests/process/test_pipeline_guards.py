"""What the flow writes on a page besides its text, and the bounds that it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest
from PIL import Image, ImageDraw

from airgap.core.document import Block, Box, Ledger, Line, Page, ReadOptions, Usage
from airgap.core.engine import Capabilities, Delta, Events, PageRead
from airgap.core.errors import (
    EngineBusy,
    EngineFailed,
    InvalidImage,
    PageRenderFailed,
    UnsupportedOption,
)
from airgap.engines.fake import FakeEngine
from airgap.monitoring import metrics, trace
from process.defaults import Defaults
from process.pipeline import BLANK_PAGE, LOOP_CUT, NO_SECOND_ENGINE, RENDER_AHEAD, Reader
from process.source import PageImage

SIZE = (400, 60)


class Engine(FakeEngine):
    """Answers with what the test says, one `PageRead` after the other, each after its deltas."""

    def __init__(
        self, *answers: PageRead | Exception, modes: bool = True, deltas: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self.answers = list(answers)
        self.deltas = deltas
        self.capabilities = Capabilities(supports_modes=modes, max_images=3)

    async def _read(self, images: Sequence[Image.Image], options: ReadOptions) -> Events:
        for text in self.deltas:
            yield Delta(text)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        yield answer


class _OnePage:
    """A source of one page that is drawn as the test says."""

    kind = "pdf"
    notes: tuple[str, ...] = ("a note",)
    page_count = 1
    left_out = 0
    takes_text = False
    numbers = (3,)

    def __init__(self, error: Exception | None = None, **drawn: Any) -> None:
        self.error = error
        self.drawn = drawn

    def pixels(self, number: int) -> int:
        return SIZE[0] * SIZE[1]

    def render(self, number: int) -> PageImage:
        if self.error:
            raise self.error
        image = Image.new("RGB", SIZE, "white")
        if not self.drawn.get("blank"):
            ImageDraw.Draw(image).rectangle((5, 10, 44, 29), fill="black")
        return PageImage(number, image, 144.0, 72.0, **self.drawn)

    def image(self, number: int) -> Image.Image:
        return self.render(number).image


OnePage: Any = _OnePage


def answer(text: str = "words", **fields: Any) -> PageRead:
    given = {
        "blocks": (Block("text", text, (Box(5, 10, 45, 30),)),),
        "raw": text,
        "usage": Usage(7, 5, 3, 0.0),
    }
    return PageRead(**{"status": "ok", "finish_reason": "stop", **given, **fields})


def reader_of(engine: FakeEngine, **bounds: Any) -> Reader:
    limits = {"max_concurrency": 2, "max_queue": 2, "page_timeout": 20.0} | bounds
    return Reader(engine, Defaults(None, "gundam"), **limits)


async def read(engine: FakeEngine, source: Any = None, options: ReadOptions | None = None) -> Page:
    return await reader_of(engine).page(source or OnePage(), options or ReadOptions(), 3)


def counted(text: str) -> float:
    """The sum of the samples whose line of the metrics begins so."""
    lines = metrics.exposition().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(text))


LOOPED = answer("again", finish_reason="repetition", warnings=("looped",))
ASK = ReadOptions(prompt="ask")


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
    for asked, mode, other in (
        ("gundam", "gundam", "base"),
        (None, "gundam", "base"),
        ("base", "base", "gundam"),
    ):
        engine = Engine(LOOPED, answer("second", warnings=("of the second",)))
        before = counted('ocr_loops_total{engine="fake",outcome="recovered"}')
        page = await read(engine, None, ReadOptions(prompt="ask", mode=asked))  # type: ignore[arg-type]
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


async def test_a_document_is_signed_by_its_pages_or_by_the_engine() -> None:
    reader, heard = reader_of(Engine(answer())), list[int]()
    options = ReadOptions(prompt="ask", language="en")
    document = await reader.recognize(OnePage(), options, lambda page: heard.append(page.number))
    assert heard == [3]
    assert (document.engine, document.model, document.mode) == ("fake", "fake", "gundam")
    assert (document.language, document.notes) == ("en", ("a note",))
    pages = [
        Page(1, 1, 1, engine="a", model="m"),
        Page(2, 1, 1, engine="b", model="n", mode="tiny"),
        Page(3, 1, 1, engine="a"),
    ]
    document = reader.document(pages, options)
    assert (document.engine, document.model, document.mode, document.notes) == ("a, b", "m, n", "tiny", ())
    assert reader.document(pages[:1], options).mode is None
    assert reader.document([Page(1, 1, 1)], options).mode == "gundam"


async def test_pages_are_promised_before_any_is_read() -> None:
    taken: list[int] = []

    async def take(count: int) -> None:
        taken.append(count)

    trace.begin(trace.Trace("id", take=take))
    await reader_of(Engine(answer())).recognize(OnePage(), ASK)
    assert taken == [1]


async def test_what_the_engine_cannot_do_is_refused_before_a_page_is_drawn() -> None:
    engine = Engine(answer())
    engine.capabilities = Capabilities(languages=("en",))
    reader = reader_of(engine)
    with pytest.raises(UnsupportedOption):
        await reader.recognize(OnePage(error=AssertionError("drawn")), ReadOptions(language="ru"))
    with pytest.raises(UnsupportedOption, match="2 were sent"):
        await reader.read_page([Image.new("RGB", SIZE)] * 2, ASK)
    async with aclosing(reader.stream([], ASK)) as events:
        with pytest.raises(UnsupportedOption, match="without an image"):
            await anext(events)


async def test_the_queue_holds_as_many_as_it_says() -> None:
    reader = reader_of(Engine(answer()), max_queue=2)
    async with reader.admit(), reader.admit():
        assert reader.requests == 2
        with pytest.raises(EngineBusy, match="2 requests") as caught:
            await reader.admit().__aenter__()
        assert caught.value.retry_after == 10
    assert reader.requests == 0


async def test_a_budget_is_the_readers_own_where_none_is_given() -> None:
    reader = reader_of(Engine(answer()), max_concurrency=None)
    assert reader.max_concurrency == 4
    assert reader.work.pages == 4 + RENDER_AHEAD == 6
    assert reader_of(Engine(answer()), max_concurrency=9).max_concurrency == 9
    shared = reader_of(Engine(answer()), work=reader.work)
    assert shared.work is reader.work


async def test_pictures_of_one_request_are_drawn_together() -> None:
    reader = reader_of(Engine(answer()))
    async with reader.pictures([]) as none:
        assert none == []
    async with reader.pictures([OnePage(), OnePage(blank=True)]) as both:
        assert [image.size for image in both] == [SIZE, SIZE]
        assert both[0].getpixel((10, 15)) == (0, 0, 0)


async def test_a_page_in_time_is_read_and_one_too_late_is_not() -> None:
    class Slow(Engine):
        async def _read(self, images: Sequence[Image.Image], options: ReadOptions) -> Events:
            await asyncio.sleep(0.2)
            async for event in super()._read(images, options):
                yield event

    late = await reader_of(Slow(answer()), page_timeout=0.05).page(OnePage(), ASK, 3)
    assert late.error is not None
    assert (late.error.code, "0.05 s" in late.error.message) == ("page_timeout", True)
    assert (await reader_of(Slow(answer()), page_timeout=10).page(OnePage(), ASK, 3)).status == "ok"


async def test_waiting_and_reading_are_shown_apart() -> None:
    reader = reader_of(FakeEngine(), max_concurrency=1)
    hanging = ReadOptions(prompt="hang")
    tasks = [asyncio.ensure_future(reader.page(OnePage(), hanging, 3)) for _ in range(2)]

    def shown() -> tuple[float, float]:
        return counted("ocr_queue_depth"), counted("ocr_pages_reading")

    for _ in range(500):
        await asyncio.sleep(0.01)
        if all(shown()):
            break
    seen = shown()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (seen, shown()) == ((1, 1), (0, 0))


async def test_events_come_as_the_engine_gives_them() -> None:
    engine = Engine(answer("ab"), deltas=("a", "b"))
    async with aclosing(reader_of(engine).stream([Image.new("RGB", SIZE)], ASK)) as stream:
        events = [event async for event in stream]
    assert [event.text for event in events if isinstance(event, Delta)] == ["a", "b"]
    assert isinstance(events[-1], PageRead)
    assert events[-1].usage.seconds > 0
    heard: list[str] = []
    await reader_of(engine).page(OnePage(), ASK, 3, heard.append)
    assert heard == ["a", "b"]


async def test_a_page_of_several_pictures_has_the_size_of_the_first() -> None:
    page = await reader_of(Engine(answer())).read_page(
        [Image.new("RGB", (9, 8)), Image.new("RGB", (7, 6))], ASK
    )
    assert (page.number, page.width, page.height) == (1, 9, 8)


async def test_what_one_request_shows_is_read_at_once() -> None:
    reader = reader_of(Engine(answer()))
    page = await reader.together([OnePage(), OnePage(blank=True)], ASK)
    assert (page.number, page.width_pt, page.raw) == (1, None, "words")
    alone = OnePage(text_lines=(Line("embedded", Box(5, 10, 45, 30)),))
    page = await reader.together([alone], ASK)
    assert (page.number, page.raw) == (1, "words"), "whose text nobody asked for"
    alone.takes_text, alone.numbers = True, (3, 4)
    page = await reader.together([alone], ASK)
    assert (page.number, page.width_pt, page.raw) == (3, 144.0, "")
    assert [block.text for block in page.blocks] == ["embedded"]
    page = await reader.together([alone, OnePage()], ASK)
    assert page.raw == "words"
    engine = Engine(EngineFailed("It died."))
    before = counted('ocr_pages_total{engine="fake",status="failed"}')
    with pytest.raises(EngineFailed, match="It died"):
        await reader_of(engine).together([OnePage()], ASK)
    assert counted('ocr_pages_total{engine="fake",status="failed"}') == before + 1
