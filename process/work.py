"""The server's one budget: which page may be drawn or decoded now, and on which threads work is done.

A page holds its share from before it is drawn until it was read. At most `workers` pages are drawn at
once; the pages held are at most `pages`, and their pixels together at most `pixels`. A page larger than
all of that is let in alone. Who waits is served in rotation between callers and their requests, so that
a small picture does not wait for the long document in front of it.

Threads are of four kinds, each with a bounded pool of its own: those that draw, which the budget hands
out; `in_turn`, for what looks at pages that were read; `at_length`, for what writes answers; `briefly`,
for what takes a moment: files, JSON, base64. Whole formats are written in processes of their own, see
`process.tasks`.

Lives on one event loop. Knows no file format, no engine and no HTTP.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from process.memory import memory_bytes
from process.turns import Rotation, Turns, who

P = ParamSpec("P")
T = TypeVar("T")

BYTES_PER_PIXEL = 4
"""What Pillow keeps of an RGB picture."""

SHARE_OF_MEMORY = 8
"""An eighth of the memory is for pages that are held, where the site sets nothing."""

BRIEF_THREADS = 8
LONG_THREADS = 4
_CORES = len(os.sched_getaffinity(0))

abandoned: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("abandoned", default=None)
"""In a thread of `Threads`: set once nobody waits for what it does."""


def default_pixels() -> int:
    """How many pixels the pages held may have together, by the memory there is."""
    return memory_bytes() // SHARE_OF_MEMORY // BYTES_PER_PIXEL


class Threads:
    """A bounded pool for one kind of work: `await threads(function, *args)`.

    The context variables go along. Whoever is cancelled does not wait; `abandoned` is then set for the
    function, and what had not begun never does.
    """

    def __init__(self, size: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.begin(functools.partial(function, *args, **kwargs))[1]

    def begin(self, function: Callable[[], T]) -> tuple[Future[T], asyncio.Future[T]]:
        """Start what is to be awaited; also as the thread's own future."""
        gone = threading.Event()
        context = contextvars.copy_context()
        context.run(abandoned.set, gone)
        begun = self._pool.submit(context.run, function)
        awaited = asyncio.wrap_future(begun)
        awaited.add_done_callback(lambda future: gone.set() if future.cancelled() else None)
        return begun, awaited

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


@functools.cache
def _brief_threads() -> Threads:
    return Threads(BRIEF_THREADS, "brief")


async def briefly(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run on a thread what blocks for a moment. Nothing that draws, decodes or writes results."""
    return await _brief_threads()(function, *args, **kwargs)


@functools.cache
def _long_threads() -> Threads:
    return Threads(LONG_THREADS, "write")


async def at_length(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run on a thread what takes its time and is no drawing: an answer's JSON, with its pictures."""
    return await _long_threads()(function, *args, **kwargs)


@functools.cache
def _looking_threads() -> Threads:
    return Threads(_CORES, "look")


_looking: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


async def in_turn(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run on a thread what looks at a page that was read, in rotation as pages are drawn.

    A hundred pages of one document that an engine ends at once are not before somebody else's.
    """
    turns = _looking.setdefault(asyncio.get_running_loop(), Turns(_CORES))
    async with turns.turn(*who()):
        return await _looking_threads()(function, *args, **kwargs)


class Abandoned(Exception):
    """Nobody waits for this any more."""


def stop_if_abandoned() -> None:
    """Raise `Abandoned` on a thread whose work nobody waits for."""
    gone = abandoned.get()
    if gone is not None and gone.is_set():
        raise Abandoned


@dataclass(slots=True, eq=False)
class _Waiter:
    pixels: int
    pages: int
    granted: asyncio.Future[None]


class Held:
    """One page's share of the budget."""

    def __init__(self, work: Work, pixels: int, pages: int = 1) -> None:
        self._work = work
        self._pixels = pixels
        self._pages = pages
        self._drawing = True

    async def draw(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what draws or decodes this page on a thread for that. Once only."""
        begun, awaited = self._work.threads.begin(functools.partial(function, *args, **kwargs))
        self._drawing = False
        loop = asyncio.get_running_loop()
        # The place is free when the thread is, which outlives whoever is cancelled.
        begun.add_done_callback(lambda _: _from_thread(loop, self._work.drawn))
        return await awaited

    def resize(self, pixels: int) -> None:
        """Say how large the page really is. Never waits; others wait the longer."""
        self._work.give_back(self._pixels - pixels)
        self._pixels = pixels

    def release(self) -> None:
        if self._drawing:
            self._drawing = False
            self._work.drawn()
        self._work.give_back(self._pixels, self._pages)
        self._pixels = 0


def _from_thread(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)


class Work:
    """The budget; see the module docstring."""

    def __init__(self, *, workers: int, pages: int, pixels: int | None = None) -> None:
        self.threads = Threads(workers, "draw")
        self.pixels = default_pixels() if pixels is None else pixels
        self.pages = pages
        self._workers = workers
        self._drawing = 0
        self._held_pages = 0
        self._held_pixels = 0
        # Files to be opened and pages to be drawn wait apart: an engine that has all the pages it can
        # hold is no reason not to say that a file cannot be opened.
        self._waiting: deque[Rotation[_Waiter]] = deque((Rotation(), Rotation()))
        self._to_open, self._to_draw = self._waiting

    @property
    def held(self) -> tuple[int, int]:
        """How many pages are held now, and their pixels."""
        return self._held_pages, self._held_pixels

    @asynccontextmanager
    async def hold(self, pixels: int) -> AsyncIterator[Held]:
        """Wait until a page of this size may be drawn, and hold its share until the block ends.

        The size is what is known before; `Held.resize` says it once it is known better.
        """
        held = await self._take(self._to_draw, max(1, pixels), pages=1)
        try:
            yield held
        finally:
            held.release()

    async def open(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what opens a file and reads its headers, in its turn, on a thread that draws."""
        held = await self._take(self._to_open, 0, pages=0)
        try:
            return await held.draw(function, *args, **kwargs)
        finally:
            held.release()

    async def _take(self, waiting: Rotation[_Waiter], pixels: int, pages: int) -> Held:
        waiter = _Waiter(pixels, pages, asyncio.get_running_loop().create_future())
        queue = who()
        waiting.add(queue, waiter)
        self._grant()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            waiting.remove(queue, waiter)
            if waiter.granted.done() and not waiter.granted.cancelled():
                Held(self, pixels, pages).release()
            self._grant()
            raise
        return Held(self, pixels, pages)

    def _grant(self) -> None:
        while (waiting := next(filter(self._may_serve, self._waiting), None)) is not None:
            first = waiting.first()
            assert first is not None
            waiting.serve()
            if waiting is self._waiting[0]:
                self._waiting.rotate()
            if not first.granted.done():
                self._drawing += 1
                self._held_pages += first.pages
                self._held_pixels += first.pixels
                first.granted.set_result(None)

    def _may_serve(self, waiting: Rotation[_Waiter]) -> bool:
        first = waiting.first()
        if first is None or self._drawing >= self._workers:
            return False
        if not first.pages or not self._held_pages:
            return True
        return self._held_pages < self.pages and self._held_pixels + first.pixels <= self.pixels

    def drawn(self) -> None:
        """A thread has done with its page."""
        self._drawing -= 1
        self._grant()

    def give_back(self, pixels: int, pages: int = 0) -> None:
        """Part of a share, or all of it."""
        self._held_pixels -= pixels
        self._held_pages -= pages
        self._grant()

    def close(self) -> None:
        self.threads.close()
