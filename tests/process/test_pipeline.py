"""The flow, on the fake engine and sources made here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Set
from contextlib import aclosing
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from airgap.core.document import Ledger, Page, ReadOptions
from airgap.core.engine import Delta, Events
from airgap.core.errors import EngineBusy, EngineFailed, PageRenderFailed, PageTimeout
from airgap.engines.fake import FakeEngine
from process.defaults import Defaults
from process.in_order import in_order
from process.pipeline import BLANK_PAGE, LOOP_CUT, RENDER_AHEAD, Reader
from process.source import PageImage, Source


class Pages(Source):
    """Pages that each hold one rectangle as wide as ten times their number."""

    kind: Literal["image", "pdf"] = "image"

    def __init__(self, count: int, broken: Set[int] = frozenset(), blank: Set[int] = frozenset()) -> None:
        super().__init__(b"", "pages.png", "image/png", count, range(1, count + 1))
        self.broken = broken
        self.blank = blank
        self.rendered: list[int] = []

    def close(self) -> None:
        """Nothing is open."""

    def pixels(self, number: int) -> int:
        return 400 * 60

    def render(self, number: int) -> PageImage:
        self.rendered.append(number)
        if number in self.broken:
            raise PageRenderFailed(f"Page {number} is broken.")
        image = Image.new("RGB", (400, 60), "white")
        if number not in self.blank:
            ImageDraw.Draw(image).rectangle((5, 10, 4 + number, 29), fill="black")
        return PageImage(number, image, 144.0, 72.0, blank=number in self.blank)

    def image(self, number: int) -> Image.Image:
        return self.render(number).image


def reader_of(engine: FakeEngine, **bounds: float | None) -> Reader:
    limits = {"max_concurrency": 4, "max_queue": 8, "page_timeout": 20.0} | bounds
    return Reader(engine, Defaults(None, "gundam"), **limits)  # type: ignore[arg-type]


async def test_every_page_is_there_in_order_whatever_happens() -> None:
    reader = reader_of(FakeEngine(seconds_per_page=0.001))
    document = await reader.recognize(Pages(30, broken={3, 17}, blank={5}), ReadOptions())
    assert [page.number for page in document.pages] == list(range(1, 31))
    assert document.ledger == Ledger(expected=30, ok=28, degraded=0, failed=2)
    assert document.pages[2].error is not None
    assert document.pages[2].error.code == "page_render_failed"
    assert document.pages[4].warnings == (BLANK_PAGE,)
    assert document.pages[6].blocks[0].text == "5 10 12 30"
    assert (document.pages[6].width_pt, document.pages[6].height_pt) == (144.0, 72.0)


async def test_pages_are_rendered_a_bounded_few_ahead() -> None:
    reader = reader_of(FakeEngine(), max_concurrency=2)
    source = Pages(50)
    async with aclosing(reader.pages(source, ReadOptions())) as pages:
        await anext(pages)
        await asyncio.sleep(0.1)
        assert len(source.rendered) <= 2 + RENDER_AHEAD + 1


async def test_leaving_early_stops_what_runs() -> None:
    engine = FakeEngine()
    reader = reader_of(engine)
    async with aclosing(reader.pages(Pages(10), ReadOptions(prompt="hang"))) as pages:
        waiting = asyncio.ensure_future(anext(pages))
        while engine.running < 4:
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert engine.running == 0


async def test_a_page_that_never_ends_is_one_failed_page() -> None:
    document = await reader_of(FakeEngine(), page_timeout=0.05).recognize(
        Pages(2), ReadOptions(prompt="hang")
    )
    assert {page.error.code for page in document.pages if page.error} == {PageTimeout.code}


async def test_an_engine_that_breaks_is_a_failed_page() -> None:
    document = await reader_of(FakeEngine()).recognize(Pages(2), ReadOptions(prompt="fail"))
    assert document.ledger == Ledger(expected=2, ok=0, degraded=0, failed=2)


async def test_a_loop_is_tried_once_more_in_another_mode() -> None:
    engine = FakeEngine()
    document = await reader_of(engine).recognize(Pages(1), ReadOptions(prompt="loop gundam"))
    page = document.pages[0]
    assert page.status == "ok"
    assert [call.mode for call in engine.calls] == ["gundam", "base"]
    assert any("repeated itself in mode gundam" in warning for warning in page.warnings)


async def test_a_loop_in_every_mode_is_degraded() -> None:
    engine = FakeEngine()
    page = (await reader_of(engine).recognize(Pages(1), ReadOptions(prompt="loop"))).pages[0]
    assert (page.status, page.finish_reason) == ("degraded", "repetition")
    assert LOOP_CUT in page.warnings
    assert len(engine.calls) == 2


async def test_a_cut_answer_is_degraded() -> None:
    page = (await reader_of(FakeEngine()).recognize(Pages(1), ReadOptions(prompt="truncate"))).pages[0]
    assert (page.status, page.finish_reason) == ("degraded", "length")


class BreaksOnce(FakeEngine):
    """Breaks in its first reading, after `words` deltas, and says that another engine could read the page."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.words = words

    async def _read(self, images: Sequence[Image.Image], options: ReadOptions) -> Events:
        for _ in range(self.words if len(self.calls) == 1 else 0):
            yield Delta("begun")
        if len(self.calls) == 1:
            error = EngineFailed("The engine died while it was reading this page.")
            error.read_again = True
            raise error
        async for event in super()._read(images, options):
            yield event


@pytest.mark.parametrize(("words", "streamed"), [(0, False), (1, False), (0, True)])
async def test_what_was_not_handed_out_is_read_again(words: int, streamed: bool) -> None:
    engine, heard = BreaksOnce(words), list[str]()
    page = await reader_of(engine).page(Pages(1), ReadOptions(), 1, heard.append if streamed else None)
    assert page.status == "ok"
    assert any("broke off" in warning for warning in page.warnings)
    assert "".join(heard) == (page.raw if streamed else "")
    assert [call.live for call in engine.calls] == [streamed] * 2


async def test_what_was_handed_out_is_not_read_again() -> None:
    engine, heard = BreaksOnce(1), list[str]()
    page = await reader_of(engine).page(Pages(1), ReadOptions(), 1, heard.append)
    assert page.status == "failed"
    assert heard == ["begun"]
    assert len(engine.calls) == 1


async def test_the_engine_is_told_whether_somebody_listens() -> None:
    engine = FakeEngine()
    reader = reader_of(engine)
    await reader.recognize(Pages(1), ReadOptions())
    await reader.page(Pages(1), ReadOptions(), 1, lambda text: None)
    async with aclosing(reader.stream([], ReadOptions(prompt="words"))) as events:
        assert [event async for event in events]
    assert [call.live for call in engine.calls] == [False, True, True]


async def test_one_request_too_many_is_refused() -> None:
    reader = reader_of(FakeEngine(), max_queue=1)
    async with reader.admit():
        with pytest.raises(EngineBusy) as caught:
            async with reader.admit():
                pass
    assert caught.value.retry_after
    assert reader.requests == 0


async def test_the_engine_sees_no_more_pages_than_it_takes() -> None:
    engine = FakeEngine(seconds_per_page=0.01)
    reader = reader_of(engine, max_concurrency=2)
    peak = 0

    def watch(page: Page) -> None:
        nonlocal peak
        peak = max(peak, engine.running)

    await asyncio.gather(*(reader.recognize(Pages(8), ReadOptions(), watch) for _ in range(4)))
    assert 1 <= peak <= 2


@given(st.lists(st.integers(0, 3), max_size=20), st.integers(1, 6))
def test_in_order_keeps_order_and_bound(delays: list[int], ahead: int) -> None:
    running = peak = 0

    async def work(item: tuple[int, int]) -> int:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        for _ in range(item[1]):
            await asyncio.sleep(0)
        running -= 1
        return item[0]

    async def collect() -> list[int]:
        return [result async for result in in_order(list(enumerate(delays)), work, ahead)]

    assert asyncio.run(collect()) == list(range(len(delays)))
    assert peak <= ahead


async def test_an_engine_may_know_only_once_started_how_many_pages_it_takes() -> None:
    engine = FakeEngine(seconds_per_page=0.01)
    engine.max_concurrency = 1
    reader = reader_of(engine, max_concurrency=None)
    engine.max_concurrency = 5
    reader.engine_started()
    peak = 0

    def watch(page: Page) -> None:
        nonlocal peak
        peak = max(peak, engine.running)

    await asyncio.gather(*(reader.recognize(Pages(8), ReadOptions(), watch) for _ in range(4)))
    assert 1 < peak <= 5
    assert (reader.max_concurrency, reader.work.pages) == (5, 5 + RENDER_AHEAD)


@pytest.mark.parametrize(("kind", "rule"), [("image", (30, 90)), ("pdf", (20, 50))])
async def test_the_kind_of_document_decides_the_no_repeat_rule(
    kind: Literal["image", "pdf"], rule: tuple[int, int]
) -> None:
    """Whatever route or dialect the pages came by; and a rule that a request sets stands."""
    engine, pages = FakeEngine(), Pages(1)
    pages.kind = kind
    await reader_of(engine).recognize(pages, ReadOptions())
    await reader_of(engine).recognize(pages, ReadOptions(ngram_size=7, window_size=8))
    asked = [(call.ngram_size, call.window_size) for call in engine.calls]
    assert asked == [rule, (7, 8)]


async def test_a_request_that_sets_no_limit_gets_none_here() -> None:
    engine = FakeEngine()
    await reader_of(engine).recognize(Pages(1), ReadOptions())
    await reader_of(engine).recognize(Pages(1), ReadOptions(max_tokens=7))
    assert [call.max_tokens for call in engine.calls] == [None, 7]
