"""Files of jobs, kept open between the pages that are read from them.

A PDF of 3,000 pages is read in hundreds of runs; opening it anew for each would cost more than drawing
a page. Lives on one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from airgap.core.opening import Opening
from process.pages import Limits, Source, open_source
from process.work import Work, briefly

_KEPT_OPEN = 8
_IDLE_SECONDS = 30.0


@dataclass(slots=True)
class _Entry:
    opening: asyncio.Task[Source]
    users: int = 0
    used: float = 0.0


class OpenSources:
    """Opens each file once while it is in use, and keeps a few that have more pages a little longer."""

    def __init__(self, limits: Limits, work: Work) -> None:
        self._limits = limits
        self._work = work
        self._entries: OrderedDict[Path, _Entry] = OrderedDict()

    @asynccontextmanager
    async def borrow(self, path: Path, name: str, opening: Opening) -> AsyncIterator[Source]:
        """The file at `path`, open. Raises as `open_source`."""
        entry = self._entries.get(path)
        if entry is None:
            work = self._work.open(open_source, path, name=name, limits=self._limits, opening=opening)
            entry = self._entries[path] = _Entry(asyncio.create_task(work))
        entry.users += 1
        try:
            yield await asyncio.shield(entry.opening)
        finally:
            entry.users -= 1
            entry.used = time.monotonic()
            await self._tidy(path, entry)

    async def _tidy(self, path: Path, entry: _Entry) -> None:
        """Close what nobody uses: a picture at once, a document when there are newer ones."""
        done = entry.opening.done()
        broken = done and (entry.opening.cancelled() or entry.opening.exception() is not None)
        single = done and not broken and entry.opening.result().page_count == 1
        if not entry.users and (broken or single):
            await self._close(path, entry)
        elif path in self._entries:
            self._entries.move_to_end(path)
        idle = [(key, other) for key, other in self._entries.items() if not other.users]
        for key, other in idle[: max(0, len(idle) - _KEPT_OPEN)]:
            await self._close(key, other)

    async def close_idle(self) -> None:
        """Close what nobody has asked for lately: its job may be done, or erased by another server."""
        latest = time.monotonic() - _IDLE_SECONDS
        for path, entry in list(self._entries.items()):
            if not entry.users and entry.used < latest:
                await self._close(path, entry)

    async def forget(self, folder: Path) -> None:
        """Close the files of a job that nobody uses."""
        for path, entry in list(self._entries.items()):
            if not entry.users and folder in path.parents:
                await self._close(path, entry)

    async def close(self) -> None:
        for path, entry in list(self._entries.items()):
            await self._close(path, entry)

    async def _close(self, path: Path, entry: _Entry) -> None:
        self._entries.pop(path, None)
        (opened,) = await asyncio.gather(entry.opening, return_exceptions=True)
        if isinstance(opened, Source):
            await briefly(opened.close)
