"""Whose turn is next: round robin between callers, and between each caller's requests or jobs.

Lives on one event loop. Knows no pages, only who waits.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

from airgap.monitoring import trace

Who = tuple[str, str]
"""A caller, and one of the caller's requests or jobs."""

W = TypeVar("W")

_who: ContextVar[Who | None] = ContextVar("who", default=None)


def who() -> Who:
    """For whom this code runs: as `acting_for` said, else as the request's trace says."""
    said, request = _who.get(), trace.current()
    return said or ((request.caller, request.request_id) if request else ("", ""))


@contextmanager
def acting_for(caller: str, request: str) -> Iterator[None]:
    """What runs within the block, and the tasks that it starts, queue up as this caller's."""
    token = _who.set((caller, request))
    try:
        yield
    finally:
        _who.reset(token)


class Rotation(Generic[W]):
    """Those who wait, each until it is served or removed."""

    def __init__(self) -> None:
        self._callers: OrderedDict[str, OrderedDict[str, deque[W]]] = OrderedDict()

    def add(self, who: Who, waiter: W) -> None:
        caller, request = who
        self._callers.setdefault(caller, OrderedDict()).setdefault(request, deque()).append(waiter)

    def remove(self, who: Who, waiter: W) -> None:
        """Have somebody wait no longer; nothing happens if it was served."""
        caller, request = who
        waiting = self._callers.get(caller, OrderedDict()).get(request)
        if waiting is not None and waiter in waiting:
            waiting.remove(waiter)
            self._tidy(caller, request)

    def first(self) -> W | None:
        """Who is next."""
        for requests in self._callers.values():
            for waiting in requests.values():
                return waiting[0]
        return None

    def serve(self) -> None:
        """Take the first away; its caller and its request go to the back of both lines."""
        caller, requests = next(iter(self._callers.items()))
        request, waiting = next(iter(requests.items()))
        waiting.popleft()
        self._callers.move_to_end(caller)
        requests.move_to_end(request)
        self._tidy(caller, request)

    def _tidy(self, caller: str, request: str) -> None:
        requests = self._callers[caller]
        if not requests[request]:
            del requests[request]
        if not requests:
            del self._callers[caller]


class Turns:
    """At most `places` turns are taken at once; those who wait get theirs in rotation."""

    def __init__(self, places: int) -> None:
        self._places = self._free = places
        self._waiting: Rotation[asyncio.Future[None]] = Rotation()

    def resize(self, places: int) -> None:
        """Have so many places from now on; turns that are taken already are not cut short."""
        self._free += places - self._places
        self._places = places
        self._grant()

    @asynccontextmanager
    async def turn(self, caller: str, request: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it."""
        await self._take((caller, request))
        try:
            yield
        finally:
            self._free += 1
            self._grant()

    async def _take(self, who: Who) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(who, turn)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.remove(who, turn)
            if turn.done() and not turn.cancelled():  # granted and cancelled in one breath
                self._free += 1
            self._grant()
            raise

    def _grant(self) -> None:
        while self._free > 0 and (turn := self._waiting.first()) is not None:
            self._waiting.serve()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)
