"""Answers that grow while pages are read, whatever their format.

The engine never waits for a client: what it reads is kept until the client takes it, and how much can
pile up is bounded by the pages begun, not by slowing the engine down for everybody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from airgap.core.document import Page, ReadOptions
from airgap.http.service import ServiceDep
from process.pages import Source
from process.pipeline import RENDER_AHEAD, Reader

STALLED_SECONDS = 300.0
"""A client that takes nothing for this long has vanished without a word."""


async def admitted(service: ServiceDep) -> AsyncIterator[None]:
    """Hold a place among the requests until the answer was sent. Raises `EngineBusy`."""
    async with service.reader.admit():
        yield


Admitted = Annotated[None, Depends(admitted)]


@dataclass(frozen=True, slots=True)
class PageStarted:
    number: int


@dataclass(frozen=True, slots=True)
class PageDelta:
    """Raw text read on a page since its last delta."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class PageDone:
    """The last event of a page, whatever became of it."""

    page: Page


PageEvent = PageStarted | PageDelta | PageDone


async def page_events(
    reader: Reader, source: Source, options: ReadOptions
) -> AsyncGenerator[PageEvent, None]:
    """Read all pages of `source` in parallel and yield their events as they happen.

    The events of one page are in order; the last of each is `PageDone`. At most a few pages more than
    the engine holds are begun and not yet taken. Leaving the loop early stops everything.
    """
    queue: asyncio.Queue[PageEvent | None] = asyncio.Queue()
    ahead = asyncio.Semaphore(reader.max_concurrency + RENDER_AHEAD)
    feeder = asyncio.create_task(_feed(reader, source, options, queue, ahead))
    feeder.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
            if isinstance(event, PageDone):
                ahead.release()
        feeder.result()
    finally:
        feeder.cancel()
        await asyncio.gather(feeder, return_exceptions=True)


async def _feed(
    reader: Reader,
    source: Source,
    options: ReadOptions,
    queue: asyncio.Queue[PageEvent | None],
    ahead: asyncio.Semaphore,
) -> None:
    tasks: set[asyncio.Task[None]] = set()
    try:
        for number in source.numbers:
            await ahead.acquire()
            tasks = {task for task in tasks if not task.done()}
            tasks.add(asyncio.create_task(_read(reader, source, options, queue, number)))
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(
    reader: Reader,
    source: Source,
    options: ReadOptions,
    queue: asyncio.Queue[PageEvent | None],
    number: int,
) -> None:
    queue.put_nowait(PageStarted(number))
    page = await reader.page(source, options, number, lambda text: queue.put_nowait(PageDelta(number, text)))
    queue.put_nowait(PageDone(page))


class LiveResponse(StreamingResponse):
    """A streamed answer that stops its work when the client goes, says nothing, or takes nothing."""

    def __init__(self, content: AsyncGenerator[str, None], media_type: str) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(content, headers=headers, media_type=media_type)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bounded_send(message: Message) -> None:
            async with asyncio.timeout(STALLED_SECONDS):
                await send(message)

        async with aclosing(self._content):
            await super().__call__(scope, receive, bounded_send)
