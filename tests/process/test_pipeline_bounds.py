"""The bounds that the flow keeps, and how a document is signed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import pytest
from PIL import Image

from airgap.core.document import Box, Line, Page, ReadOptions
from airgap.core.engine import Capabilities, Delta, Events, PageRead
from airgap.core.errors import (
    EngineBusy,
    EngineFailed,
    UnsupportedOption,
)
from airgap.engines.fake import FakeEngine
from airgap.monitoring import trace
from process.pipeline import RENDER_AHEAD
from tests.process.one_page import ASK, SIZE, Engine, OnePage, answer, counted, reader_of


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
    tasks = [asyncio.ensure_future(reader.page(OnePage(), ReadOptions(prompt="hang"), 3)) for _ in range(2)]
    for _ in range(500):
        await asyncio.sleep(0.01)
        if counted("ocr_queue_depth") and counted("ocr_pages_reading"):
            break
    seen = [counted("ocr_queue_depth"), counted("ocr_pages_reading")]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert seen == [1, 1]
    assert [counted("ocr_queue_depth"), counted("ocr_pages_reading")] == [0, 0]


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


async def test_what_one_request_shows_is_read_at_once() -> None:
    reader = reader_of(Engine(answer()))
    page = await reader.together([OnePage(), OnePage(blank=True)], ASK)
    assert (page.number, page.width_pt, page.raw) == (1, None, "words")
    alone = OnePage(text_lines=(Line("embedded", Box(5, 10, 45, 30)),))
    page = await reader.together([alone], ASK)
    assert (page.number, page.raw) == (1, "words"), "whose text nobody asked for"
    alone.takes_text, alone.numbers = True, (3, 4)
    page = await reader.together([alone], ASK)
    assert (page.number, page.width_pt) == (3, 144.0)
    engine = Engine(EngineFailed("It died."))
    before = counted('ocr_pages_total{engine="fake",status="failed"}')
    with pytest.raises(EngineFailed, match="It died"):
        await reader_of(engine).together([OnePage()], ASK)
    assert counted('ocr_pages_total{engine="fake",status="failed"}') == before + 1


async def test_a_page_of_several_pictures_has_the_size_of_the_first() -> None:
    pictures = [Image.new("RGB", (9, 8)), Image.new("RGB", (7, 6))]
    page = await reader_of(Engine(answer())).read_page(pictures, ASK)
    assert (page.number, page.width, page.height) == (1, 9, 8)
