"""The flow: source.render (threads, child processes) → engine.read → Page … → Document.

Pages go in and come out in order, a bounded few in flight, none kept here once it was handed on.
One page's failure is that page's. This module knows no HTTP, no file format and no output format.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace

from PIL.Image import Image

from airgap.core.document import Document, Mode, Page, ReadOptions, reading_counts
from airgap.core.engine import Capabilities, Engine, Events, PageRead, check_capabilities, ignored
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
from airgap.layout.whole_document import as_one
from airgap.monitoring import metrics, trace
from deepseek_ocr import with_ngram_rule
from process.accounting import Accountant
from process.defaults import Defaults
from process.in_order import in_order
from process.second_reader import SecondReader
from process.source import FROM_TEXT_LAYER, LAYER_NOT_SOUND, PageImage, Source, may_be_text
from process.turns import Turns, who
from process.work import Work, briefly

log = logging.getLogger(__name__)

OnDelta = Callable[[str], None]

BLANK_PAGE = "The page is blank: nothing was read and nothing invented."
LOOP_CUT = "The engine repeated itself in every mode tried; the loop was cut out and text may be missing."
NO_SECOND_ENGINE = "The page was not cross-checked: there is no second engine here."
RENDER_AHEAD = 2

_FILE_ERRORS = frozenset({InvalidImage.code, ImageTooLarge.code, UnsupportedMedia.code})


class Reader:
    """One engine and the bounds within which requests use it.

    `max_concurrency` pages are in the engine at once, over all requests; unset, as many as the engine says.
    `max_queue` requests are in work or waiting, and one more raises `EngineBusy`. `page_timeout` is in
    seconds, from the moment a page enters the engine. `second` reads the pages of requests with
    `crosscheck` too, and the places that a model left out. `work` is the server's budget; without one
    there is one for this reader alone.
    """

    def __init__(
        self,
        engine: Engine,
        defaults: Defaults,
        *,
        max_concurrency: int | None,
        max_queue: int,
        page_timeout: float,
        second: SecondReader | None = None,
        work: Work | None = None,
    ) -> None:
        self.engine = engine
        self.defaults = defaults
        self._places = max_concurrency
        self.max_queue = max_queue
        self.page_timeout = page_timeout
        self.second = second
        self._accountant = Accountant(engine, defaults.prompt, second, self._drain)
        self.requests = 0
        self.work = work or Work(workers=RENDER_AHEAD, pages=self.max_concurrency + RENDER_AHEAD)
        self._slots = Turns(self.max_concurrency)

    @property
    def max_concurrency(self) -> int:
        """Pages in the engine at once: as the site says, else as the engine does."""
        return self._places or self.engine.max_concurrency

    def engine_started(self) -> None:
        """An engine may know only then how many pages it takes at once."""
        self._slots.resize(self.max_concurrency)
        self.work.pages = self.max_concurrency + RENDER_AHEAD

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
        self, source: Source, options: ReadOptions, on_page: Callable[[Page], None] | None = None
    ) -> Document:
        """Read all pages of `source`. `on_page` is called with each by itself, in order, for progress.

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
        whole = self.document(await briefly(as_one, pages), options)
        return replace(whole, notes=source.notes, left_out=source.left_out, filename=source.filename)

    def document(self, pages: Sequence[Page], options: ReadOptions) -> Document:
        """Sign pages with what read them."""
        modes = dict.fromkeys(page.mode for page in pages if page.mode)
        engines = dict.fromkeys(page.engine for page in pages if page.engine)
        models = dict.fromkeys(page.model for page in pages if page.model)
        return Document(
            tuple(pages),
            ", ".join(engines) or self.engine.name,
            ", ".join(models) or self.engine.model,
            next(iter(modes), None if engines else self._mode(self.engine.capabilities, options)),
            options.language,
        )

    async def pages(self, source: Source, options: ReadOptions) -> AsyncGenerator[Page, None]:
        """Yield every page of `source`, in order. Leaving the loop early stops the pages in flight."""
        check_capabilities(self.engine.capabilities, 1, options)
        await trace.promise_pages(len(source.numbers))
        read = functools.partial(self.page, source, options)
        async with aclosing(in_order(source.numbers, read, self.max_concurrency + RENDER_AHEAD)) as pages:
            async for page in pages:
                yield page

    async def page(
        self, source: Source, options: ReadOptions, number: int, on_delta: OnDelta | None = None
    ) -> Page:
        """Read one page of `source`; whatever goes wrong is written on it."""
        options = with_ngram_rule(options, source.kind)
        width = height = 0
        try:
            async with self.work.hold(source.pixels(number)) as held:
                rendered = await held.draw(source.render, number)
                width, height = rendered.image.size
                held.resize(width * height)
                page = await self._read_rendered(rendered, options, on_delta)
            return replace(
                page,
                width_pt=rendered.width_pt,
                height_pt=rendered.height_pt,
                furniture=options.furniture,
            )
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
        if rendered.blank and await self._accountant.is_blank(image, options):
            trace.note_page(self.engine.name, "ok")
            return Page(number, *image.size, warnings=(*warnings, BLANK_PAGE), coverage=1.0)
        if rendered.text_lines is not None:
            page = await self._from_text_layer(rendered, options)
            if page is not None:
                return page
            warnings = tuple(LAYER_NOT_SOUND if said == FROM_TEXT_LAYER else said for said in warnings)
        page = await self._read([image], options, number, on_delta)
        page = await self._checked(page, image, options)
        page = await self._accountant.account(page, image, options)
        status = "degraded" if rendered.damaged and page.status == "ok" else page.status
        trace.note_page(page.engine or self.engine.name, status)
        return replace(page, status=status, warnings=(*warnings, *page.warnings))

    async def _from_text_layer(self, rendered: PageImage, options: ReadOptions) -> Page | None:
        """The page as its PDF has it; None where its pixels show something else."""
        image = rendered.image
        blocks = await briefly(blocks_of, rendered.text_lines or ())
        borne_out = await self._accountant.borne_out(blocks, image, options)
        if borne_out is None:
            return None
        page = await self._accountant.account(
            Page(rendered.number, *image.size, blocks=borne_out), image, options
        )
        trace.note_page(self.engine.name, page.status)
        return replace(page, warnings=(*rendered.warnings, *page.warnings))

    async def _checked(self, page: Page, image: Image, options: ReadOptions) -> Page:
        """The page as a second engine reads it too, where the request asks for that."""
        if not options.crosscheck:
            return page
        if self.second is None:
            return replace(page, warnings=(*page.warnings, NO_SECOND_ENGINE))
        return await self.second.checked(page, self.engine.name, image, options)

    async def together(self, sources: Sequence[Source], options: ReadOptions) -> Page:
        """Read what one request shows at once, drawn within the budget, and count it.

        Raises as the engine; a page that may be its own text is read as a document's, and may have failed.
        """
        if may_be_text(sources):
            return await self.page(sources[0], options, sources[0].numbers[0])
        try:
            async with self.pictures(sources) as images:
                return await self.read_page(images, options)
        except Exception:
            trace.note_page(self.engine.name, "failed")
            raise

    async def read_page(self, images: Sequence[Image], options: ReadOptions) -> Page:
        """Read what one request shows, guarded, and count it; see `_read`.

        One picture is compared with its ink, and nothing put into the answer, which is the engine's own.
        """
        page = await self._read(images, options)
        if len(images) == 1:
            page = await self._accountant.account(page, images[0], replace(options, fill="off"))
        trace.note_page(page.engine or self.engine.name, page.status)
        return page

    async def _read(
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
        warnings = (*self._ignored(read, options), *read.warnings)
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
            mode=self._mode(read.capabilities or self.engine.capabilities, options),
            furniture=options.furniture,
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
        kept = (*self._ignored(first, options), *first.warnings)
        if not (retry and images and self.engine.capabilities.supports_modes):
            return first, (*kept, LOOP_CUT)
        mode = self.defaults.complete(options).mode or self.defaults.mode
        other: Mode = "base" if mode != "base" else "gundam"
        second = await self._drain(images, replace(options, mode=other))
        usage = first.usage + second.usage
        if second.finish_reason == "repetition":
            return replace(first, usage=usage), (*kept, LOOP_CUT)
        note = f"The engine repeated itself in mode {mode}; this was read in mode {other}."
        return replace(second, usage=usage), (*self._ignored(second, options), *second.warnings, note)

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
        """The engine's own events for one page, as they come; the last says what of one picture is unread."""
        events = self._bounded(images, replace(options, live=True))
        return self._accountant.streamed(events, images[0], options) if len(images) == 1 else events

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
                        prompt = self.defaults.complete(options).prompt
                        counts = reading_counts(prompt, event.blocks, event.usage)
                        trace.note_read(event.engine or self.engine.name, seconds, counts)
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
            async with aclosing(self.engine.read(images, self.defaults.complete(options))) as stream:
                async for event in stream:
                    yield event
        except AirgapError:
            raise
        except Exception as error:
            log.exception("the engine %s broke while reading a page", self.engine.name)
            raise EngineFailed(
                "The engine broke while reading this page; the server's log says how."
            ) from error

    def _ignored(self, read: PageRead, options: ReadOptions) -> tuple[str, ...]:
        """Say which of the request's wishes the engine that read had no use for."""
        name = read.engine or self.engine.name
        return ignored(name, read.capabilities or self.engine.capabilities, options)

    def _mode(self, capabilities: Capabilities, options: ReadOptions) -> Mode | None:
        """The mode in which an engine reads; None where it has none."""
        return self.defaults.complete(options).mode if capabilities.supports_modes else None
