"""Whose page is read next: round robin between callers, and between each caller's jobs.

Lives on one event loop. Knows no pages, only who waits.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

Waiting = deque[asyncio.Future[None]]


class Turns:
    """At most `places` turns are taken at once; those who wait get theirs in rotation."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._callers: OrderedDict[str, OrderedDict[str, Waiting]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, caller: str, job: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it."""
        await self._take(caller, job)
        try:
            yield
        finally:
            self._free += 1
            self._grant()

    async def _take(self, caller: str, job: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._callers.setdefault(caller, OrderedDict()).setdefault(job, deque()).append(turn)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # granted and cancelled in one breath
                self._free += 1
                self._grant()
            raise

    def _grant(self) -> None:
        while self._free and (turn := self._next()):
            self._free -= 1
            turn.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        """The next who still waits; whoever was served goes to the back of both lines."""
        while self._callers:
            caller, jobs = self._callers.popitem(last=False)
            job, waiting = jobs.popitem(last=False)
            turn = waiting.popleft()
            if waiting:
                jobs[job] = waiting
            if jobs:
                self._callers[caller] = jobs
            if not turn.done():
                return turn
        return None
