"""The flow: a source's pages through the engine, into a `Document`.

    source.render (threads, child processes) → engine.read → Page … → Document

Pages go in and come out in order, a bounded few in flight, none kept here once it was handed on.
One page's failure is that page's. This module knows no HTTP, no file format and no output format.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

from PIL.Image import Image

from airgap.core.document import MODES, Document, Mode, Page, ReadOptions
from airgap.core.engine import Engine, Events, PageRead, check_capabilities
from airgap.core.errors import (
    AirgapError,
    EngineBusy,
    EngineFailed,
    ImageTooLarge,
    InvalidImage,
    PageTimeout,
    UnsupportedMedia,
    from_page_error,
)
from airgap.layout.known_text import blocks_of
from airgap.monitoring import metrics, trace
from process.second_reader import SecondReader
from process.source import PageImage, Source
from process.turns import Turns, who
from process.work import Work, briefly

log = logging.getLogger(__name__)

OnDelta = Callable[[str], None]

Item = TypeVar("Item")
Result = TypeVar("Result")

BLANK_PAGE = "The page is blank: nothing was read and nothing invented."
LOOP_CUT = "The engine repeated itself in every mode tried; the loop was cut out and text may be missing."
NO_SECOND_ENGINE = "The page was not cross-checked: there is no second engine here."
RENDER_AHEAD = 2

_FILE_ERRORS = frozenset({InvalidImage.code, ImageTooLarge.code, UnsupportedMedia.code})


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a request that is silent gets, and the bounds of one that is not."""

    prompt: str | None
    mode: Mode
    max_tokens: int


class Reader:
    """One engine and the bounds within which requests use it.

    `max_concurrency` pages are in the engine at once, over all requests; `max_queue` requests are in
    work or waiting, and one more raises `EngineBusy`. `page_timeout` is in seconds, from the moment
    a page enters the engine. `second` reads the pages of requests with `crosscheck` too. `work` is the
    server's budget; without one there is one for this reader alone.
    """

    def __init__(
        self,
        engine: Engine,
        defaults: Defaults,
        *,
        max_concurrency: int,
        max_queue: int,
        page_timeout: float,
        second: SecondReader | None = None,
        work: Work | None = None,
    ) -> None:
        self.engine = engine
        self.defaults = defaults
        self.max_concurrency = max_concurrency
        self.max_queue = max_queue
        self.page_timeout = page_timeout
        self.second = second
        self.requests = 0
        self.work = work or Work(workers=RENDER_AHEAD, pages=max_concurrency + RENDER_AHEAD)
        self._slots = Turns(max_concurrency)

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """Hold one of the `max_queue` places of requests. Raises `EngineBusy` when none is free."""
        if self.requests >= self.max_queue:
            raise EngineBusy(f"{self.requests} requests are in work or waiting.", retry_after=10)
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    async def recognize(
        self,
        source: Source,
        options: ReadOptions,
        on_page: Callable[[Page], None] | None = None,
    ) -> Document:
        """Read all pages of `source`. `on_page` is called with each, in order, for progress.

        Raises what is wrong with a picture that stands alone, for it is wrong with the whole file.
        """
        pages = []
        async with aclosing(self.pages(source, options)) as stream:
            async for page in stream:
                if page.error and page.error.code in _FILE_ERRORS and source.page_count == 1:
                    raise from_page_error(page.error)
                pages.append(page)
                if on_page:
                    on_page(page)
        return self.document(pages, options, source.notes)

    def document(self, pages: Sequence[Page], options: ReadOptions, notes: tuple[str, ...] = ()) -> Document:
        """Sign pages with what read them."""
        modes = self.engine.capabilities.supports_modes
        mode = self._complete(options).mode if modes else None
        engines = dict.fromkeys(page.engine for page in pages if page.engine)
        models = dict.fromkeys(page.model for page in pages if page.model)
        return Document(
            tuple(pages),
            ", ".join(engines) or self.engine.name,
            ", ".join(models) or self.engine.model,
            mode,
            options.language,
            notes,
        )

    async def pages(self, source: Source, options: ReadOptions) -> AsyncGenerator[Page, None]:
        """Yield every page of `source`, in order. Leaving the loop early stops the pages in flight."""
        check_capabilities(self.engine.capabilities, 1, options)
        read = functools.partial(self.page, source, options)
        async with aclosing(in_order(source.numbers, read, self.max_concurrency + RENDER_AHEAD)) as pages:
            async for page in pages:
                yield page

    async def page(
        self, source: Source, options: ReadOptions, number: int, on_delta: OnDelta | None = None
    ) -> Page:
        """Read one page of `source`; whatever goes wrong is written on it."""
        width = height = 0
        try:
            async with self.work.hold(source.pixels(number)) as held:
                rendered = await held.draw(source.render, number)
                width, height = rendered.image.size
                held.resize(width * height)
                page = await self._read_rendered(rendered, options, on_delta)
            return replace(page, width_pt=rendered.width_pt, height_pt=rendered.height_pt)
        except AirgapError as error:
            log.warning("page %d failed: %s %s", number, error.code, error.message)
            # Not the exception itself: its traceback would hold this frame, and with it the picture.
            failure = error.as_page_error()
        except Exception:
            log.exception("page %d failed", number)
            failure = EngineFailed(
                "The page could not be read, for a reason that is in the server's log."
            ).as_page_error()
        trace.note_page(self.engine.name, "failed")
        return Page(number, width, height, "failed", finish_reason="error", error=failure)

    async def _read_rendered(
        self, rendered: PageImage, options: ReadOptions, on_delta: OnDelta | None
    ) -> Page:
        number, image, warnings = rendered.number, rendered.image, rendered.warnings
        if rendered.blank:
            trace.note_page(self.engine.name, "ok")
            return Page(number, *image.size, warnings=(*warnings, BLANK_PAGE))
        if rendered.text_lines is not None:
            trace.note_page(self.engine.name, "ok")
            blocks = await briefly(blocks_of, rendered.text_lines)
            return Page(number, *image.size, blocks=blocks, warnings=warnings)
        page = await self._checked(await self.read_page([image], options, number, on_delta), image, options)
        status = "degraded" if rendered.damaged and page.status == "ok" else page.status
        return replace(page, status=status, warnings=(*warnings, *page.warnings))

    async def _checked(self, page: Page, image: Image, options: ReadOptions) -> Page:
        """The page as a second engine reads it too, where the request asks for that."""
        if not options.crosscheck:
            return page
        if self.second is None:
            return replace(page, warnings=(*page.warnings, NO_SECOND_ENGINE))
        return await self.second.checked(page, self.engine.name, image, options)

    async def read_page(
        self,
        images: Sequence[Image],
        options: ReadOptions,
        number: int = 1,
        on_delta: OnDelta | None = None,
    ) -> Page:
        """Read one page, guarded: bounded in time, and tried once more in another mode when it loops.

        `on_delta` is called with each piece of raw text as it is read. What was handed out cannot be
        taken back, so a page that loops is then not tried again.
        """
        read = await self._drain(images, options, on_delta)
        warnings = (*self._ignored(options), *read.warnings)
        status = read.status
        if read.finish_reason == "repetition":
            read, warnings = await self._retry(images, options, read, retry=on_delta is None)
            cut = read.finish_reason == "repetition"
            status = "degraded" if cut else read.status
            metrics.loop(read.engine or self.engine.name, "cut" if cut else "recovered")
        elif read.finish_reason == "length":
            status = "degraded"
            warnings = (*warnings, "The answer reached `max_tokens` and was cut; raise it to get the rest.")
        width, height = images[0].size if images else (0, 0)
        trace.note_page(read.engine or self.engine.name, status)
        return Page(
            number,
            width,
            height,
            status,
            read.blocks,
            read.raw,
            read.finish_reason,
            read.usage,
            warnings,
            engine=read.engine,
            model=read.model,
        )

    @asynccontextmanager
    async def pictures(self, sources: Sequence[Source]) -> AsyncIterator[list[Image]]:
        """The first page of each source, drawn within the budget, to be read at once."""
        if not sources:
            yield []
            return
        async with self.work.hold(sum(source.pixels(source.numbers[0]) for source in sources)) as held:
            images = await held.draw(lambda: [source.image(source.numbers[0]) for source in sources])
            held.resize(sum(image.width * image.height for image in images))
            yield images

    async def _retry(
        self, images: Sequence[Image], options: ReadOptions, first: PageRead, *, retry: bool
    ) -> tuple[PageRead, tuple[str, ...]]:
        """The loop guard's second try; the usage of both is paid."""
        kept = (*self._ignored(options), *first.warnings)
        if not (retry and images and self.engine.capabilities.supports_modes):
            return first, (*kept, LOOP_CUT)
        mode = self._complete(options).mode or self.defaults.mode
        other: Mode = "base" if mode != "base" else "gundam"
        second = await self._drain(images, replace(options, mode=other))
        usage = first.usage + second.usage
        if second.finish_reason == "repetition":
            return replace(first, usage=usage), (*kept, LOOP_CUT)
        note = f"The engine repeated itself in mode {mode}; this was read in mode {other}."
        return replace(second, usage=usage), (*self._ignored(options), *second.warnings, note)

    async def _drain(
        self, images: Sequence[Image], options: ReadOptions, on_delta: OnDelta | None = None
    ) -> PageRead:
        """Read to the end; once more where an engine broke in the middle and nothing was handed out."""
        handed_out = False

        def hand_out(text: str) -> None:
            nonlocal handed_out
            if on_delta is not None:
                handed_out = True
                on_delta(text)

        options = replace(options, live=on_delta is not None)
        try:
            return await self._drain_once(images, options, hand_out)
        except AirgapError as error:
            if not error.read_again or handed_out:
                raise
            log.warning("a page is read again: %s", error.message)
            failure = error
        read = await self._drain_once(images, options, hand_out)
        return replace(read, warnings=(f"A first reading broke off ({failure.message}).", *read.warnings))

    async def _drain_once(self, images: Sequence[Image], options: ReadOptions, hand_out: OnDelta) -> PageRead:
        async with aclosing(self._bounded(images, options)) as events:
            async for event in events:
                if isinstance(event, PageRead):
                    return event
                hand_out(event.text)
        raise EngineFailed("The engine ended without a result.")

    def stream(self, images: Sequence[Image], options: ReadOptions) -> Events:
        """The engine's own events for one page, as they come, within the bounds of this reader."""
        return self._bounded(images, replace(options, live=True))

    async def _bounded(self, images: Sequence[Image], options: ReadOptions) -> Events:
        check_capabilities(self.engine.capabilities, len(images), options)
        async with self._slot():
            started = time.monotonic()
            deadline = asyncio.get_running_loop().time() + self.page_timeout
            async with aclosing(self._events(images, options)) as events:
                while True:
                    # The scope must not span a `yield`: what the consumer does is not the page's time.
                    try:
                        async with asyncio.timeout_at(deadline):
                            event = await anext(events, None)
                    except TimeoutError as error:
                        raise PageTimeout(f"The page was not read within {self.page_timeout:g} s.") from error
                    if event is None:
                        return
                    if isinstance(event, PageRead):
                        seconds = time.monotonic() - started
                        event = replace(event, usage=replace(event.usage, seconds=seconds))
                        usage = event.usage
                        name = event.engine or self.engine.name
                        metrics.read(name, seconds, usage.prompt_tokens, usage.completion_tokens)
                    yield event

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Hold one of the `max_concurrency` places in the engine."""
        async with AsyncExitStack() as stack:
            with metrics.PAGES_WAITING.track_inprogress():
                await stack.enter_async_context(self._slots.turn(*who()))
            with metrics.PAGES_READING.track_inprogress():
                yield

    async def _events(self, images: Sequence[Image], options: ReadOptions) -> Events:
        """The engine's events; an error of its own making becomes `EngineFailed`."""
        try:
            async with aclosing(self.engine.read(images, self._complete(options))) as stream:
                async for event in stream:
                    yield event
        except AirgapError:
            raise
        except Exception as error:
            log.exception("the engine %s broke while reading a page", self.engine.name)
            raise EngineFailed(
                "The engine broke while reading this page; the server's log says how."
            ) from error

    def _complete(self, options: ReadOptions) -> ReadOptions:
        """Fill in the defaults."""
        return replace(
            options,
            prompt=options.prompt or self.defaults.prompt,
            mode=options.mode or self.defaults.mode,
            max_tokens=options.max_tokens or self.defaults.max_tokens,
        )

    def _ignored(self, options: ReadOptions) -> tuple[str, ...]:
        """Say which of the request's wishes this engine has no use for."""
        capabilities = self.engine.capabilities
        ignored = []
        if options.prompt and not capabilities.supports_prompt:
            ignored.append("prompt")
        if options.mode in MODES and not capabilities.supports_modes:
            ignored.append("mode")
        return tuple(
            f"The engine {self.engine.name} has no use for `{name}`; it was ignored." for name in ignored
        )


async def in_order(
    items: Iterable[Item], work: Callable[[Item], Coroutine[Any, Any, Result]], ahead: int
) -> AsyncGenerator[Result, None]:
    """Yield `work(item)` for each item, in order, with at most `ahead` of them under way.

    Leaving the loop early cancels what is under way and waits until it has stopped.
    """
    remaining = iter(items)
    flight: deque[asyncio.Task[Result]] = deque()
    try:
        while True:
            flight.extend(asyncio.create_task(work(item)) for item in islice(remaining, ahead - len(flight)))
            if not flight:
                return
            result = await flight[0]
            flight.popleft()
            yield result
    finally:
        for task in flight:
            task.cancel()
        await asyncio.gather(*flight, return_exceptions=True)
