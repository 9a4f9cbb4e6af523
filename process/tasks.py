"""Functions of ours, run in child processes that are bounded in time and memory and can be killed.

What writes results works on documents that may be hostile, takes its time and holds Python's lock. In a
process of its own it keeps no page from being read and no probe from being answered, and it ends with
whoever asked for it. A few run at once, in rotation between callers.
"""

from __future__ import annotations

import logging
import tempfile
import weakref
from typing import Any

from airgap.core.document import PageError
from airgap.core.errors import ExportFailed, ExportTooLarge, StorageFull, from_page_error
from process.child_pool import Bounds, ChildLate, ChildLost, ChildPool, ChildRefused
from process.turns import Turns, who
from process.work import Threads

log = logging.getLogger(__name__)

SECONDS_PER_PAGE = 5.0


class Tasks:
    """`workers` processes; `seconds` are for one task, and `SECONDS_PER_PAGE` more for each page of it."""

    def __init__(self, *, workers: int, seconds: float, memory_mb: int) -> None:
        self._seconds = seconds
        self._memory_mb = memory_mb
        self._children = ChildPool(workers, "process.task_child")
        self._threads = Threads(workers, "task")
        self._turns = Turns(workers)
        weakref.finalize(self, self._children.close)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the living children."""
        return self._children.pids

    async def run(self, call: str, *, pages: int = 1, **arguments: Any) -> Any:
        """What `call` (`"module:function"`) returns for `arguments`; both are values of JSON.

        Raises the function's own `AirgapError`, `FileNotFoundError`, `StorageFull`, `ExportTooLarge` past
        the bounds, or `ExportFailed`. Whoever is cancelled takes the child along.
        """
        bounds = Bounds(self._seconds + SECONDS_PER_PAGE * pages, self._memory_mb)
        async with self._turns.turn(*who()):
            return await self._threads(self._run, call, arguments, bounds)

    def _run(self, call: str, arguments: dict[str, Any], bounds: Bounds) -> Any:
        request = {"op": "run", "document": None, "call": call, "arguments": arguments}
        try:
            with (
                tempfile.TemporaryDirectory(prefix="task-", ignore_cleanup_errors=True) as folder,
                self._children.child("") as child,
            ):
                return child.ask({**request, "folder": folder}, bounds)["result"]
        except ChildRefused as refusal:
            raise self._error(refusal) from refusal
        except ChildLate as late:
            raise ExportTooLarge(f"The result was not written within {bounds.seconds:g} s.") from late
        except ChildLost as lost:
            log.error("the process that wrote a result broke: %s", lost)
            raise ExportFailed("The process that writes results broke down on this document.") from lost

    def _error(self, refusal: ChildRefused) -> Exception:
        detail = refusal.detail
        if refusal.reason == "refused" and isinstance(detail, dict):
            code, message, remedy = (str(detail[key])[:2000] for key in ("code", "message", "remedy"))
            return from_page_error(PageError(code, message, remedy))
        if refusal.reason == "memory":
            return ExportTooLarge(f"Writing the result takes more than {self._memory_mb} MB of memory.")
        if refusal.reason == "missing":
            return FileNotFoundError(str(detail))
        if refusal.reason == "full":
            return StorageFull("There is no room on the server's disk.", retry_after=60)
        log.error("a result was not written: %s", refusal)
        return ExportFailed("The result could not be written, for a reason that is in the server's log.")

    def close(self) -> None:
        self._children.close()
        self._threads.close()
