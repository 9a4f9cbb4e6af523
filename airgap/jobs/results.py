"""The results of jobs: each written by a process of its own, once for all who ask.

Lives on the server's event loop; what is in a result is `closing`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from airgap.core.errors import Conflict, ExportFailed, ExportTooLarge, NotFound
from airgap.jobs.store import JobStore
from airgap.jobs.tables import Job
from process.pages import Limits
from process.tasks import Tasks
from process.turns import acting_for
from process.work import briefly

log = logging.getLogger(__name__)


class Results:
    """Writes results into the jobs' folders, or beside them while a job goes on."""

    def __init__(self, tasks: Tasks, store: JobStore, limits: Limits) -> None:
        self._tasks = tasks
        self._store = store
        self._limits = limits
        self._writing: dict[str, asyncio.Lock] = {}

    async def result(self, job: Job, beside: Callable[[], Path]) -> tuple[Path, bool]:
        """The ZIP, and whether it is to be deleted once it was sent: that of a job that is not done is.

        `beside` names a file to write such a one to. Raises `Conflict` before the pages are counted.
        """
        folder = self._store.folder(job.id)
        if job.pages is None:
            raise Conflict("The job has not begun.", "Ask again in a few seconds.", retry_after=2)
        async with self._one_at_a_time(job.id):
            if job.finished and await briefly(folder.result.exists):
                return folder.result, False
            path = folder.result if job.finished else await briefly(beside)
            try:
                await self._write_result(job, path)
            except FileNotFoundError as error:
                raise NotFound("There is no such job.") from error
            except BaseException:
                if not job.finished:
                    path.unlink(missing_ok=True)
                raise
        return path, not job.finished

    async def unwritten(self, job: Job) -> str | None:
        """Write the result of a job that ends. Returns why it cannot be, for what lies in its documents.

        Raises `FileNotFoundError` for one that was erased meanwhile, and `StorageFull`.
        """
        try:
            await self._write_result(job, self._store.folder(job.id).result)
        except (ExportTooLarge, ExportFailed) as error:
            log.error("the result of job %s cannot be written: %s", job.id, error.message)
            return f"the result could not be written: {error.message}"
        return None

    @asynccontextmanager
    async def _one_at_a_time(self, job_id: str) -> AsyncIterator[None]:
        """However many ask for the result of a job, one process writes it."""
        lock = self._writing.setdefault(job_id, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._writing.pop(job_id, None)

    async def _write_result(self, job: Job, path: Path) -> None:
        with acting_for(job.caller, job.id):
            await self._tasks.run(
                "airgap.jobs.closing:write",
                pages=job.pages or 1,
                folder=str(self._store.folder(job.id).path),
                limits=asdict(self._limits),
                times=_times(job),
                target=str(path),
            )


def _times(job: Job) -> dict[str, Any]:
    return {
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }
