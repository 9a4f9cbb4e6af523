"""What the routes call: take a job in, tell how it goes, stop it, erase it.

Nothing is started and no database opened before there is something to do: a server that never sees a
job carries none of this. Lives on the server's event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from PIL.Image import Image

from airgap.core.engine import check_capabilities
from airgap.core.errors import (
    AirgapError,
    ConfigurationError,
    Conflict,
    JobsUnavailable,
    NotFound,
    QuotaExceeded,
    TooManyJobs,
)
from airgap.jobs import keeping
from airgap.jobs.auditing import JobAudit, Note
from airgap.jobs.ending import Ending
from airgap.jobs.events import Follower, JobEvent
from airgap.jobs.plan import FINISHED, UNFINISHED, Spec
from airgap.jobs.quota import Quota
from airgap.jobs.reading import JobReading, Threads
from airgap.jobs.results import Results
from airgap.jobs.store import JobFolder, JobStore
from airgap.jobs.tables import Counts, Job, Tables, Wanted
from config import Settings
from process.pages import Limits
from process.pipeline import Reader
from process.tasks import Tasks
from process.work import briefly

T = TypeVar("T")
log = logging.getLogger(__name__)

_RETRY_SECONDS = 30
_LOOK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Running:
    """All that there is once jobs have been started."""

    tables: Tables
    presence: keeping.Presence
    reading: JobReading
    flow: ModuleType
    keeper: keeping.Keeper
    keeping: asyncio.Task[None]


class Jobs:
    """The durable jobs of one server."""

    def __init__(
        self,
        settings: Settings,
        reader: Reader,
        limits: Limits,
        tasks: Tasks,
        quota: Quota | None = None,
        note: Note | None = None,
    ) -> None:
        self._settings = settings
        self._reader = reader
        self.limits = limits
        self._quota = quota or Quota()
        self._audit = JobAudit(reader.engine, note)
        self._url = settings.database_server
        self.store = JobStore(settings.data_dir / "jobs")
        self._threads = Threads()
        self._results = Results(tasks, self.store, limits)
        self._running: _Running | None = None
        self._starting = asyncio.Lock()
        self._closed = False

    # --- life ------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Look whether the database can be used, where there is one. Raises `JobsUnavailable`."""
        if self._url is None and not await self._threads(self._was_used):
            return
        try:
            tables = await self._threads(Tables, self._url, self.store.root)
        except ConfigurationError:
            raise
        except Exception as error:
            log.exception("the jobs' database cannot be opened")
            raise JobsUnavailable(
                "The jobs' database cannot be opened.",
                "Make the database of DATABASE_URL, or jobs.sqlite under DATA_DIR, usable; the log says why.",
            ) from error
        await self._threads(tables.close)

    def trouble(self) -> str | None:
        """What keeps the house from being kept."""
        return self._running.keeper.trouble if self._running else None

    async def start(self) -> None:
        """Go on with what is there, as soon as there is something: a job of earlier, or another server's."""
        while True:
            if self._url is not None or await self._threads(self._was_used):
                with contextlib.suppress(AirgapError):
                    await self._get()
                    return
            await asyncio.sleep(_LOOK_SECONDS)

    def _was_used(self) -> bool:
        return (self.store.root / "jobs.sqlite").exists()

    async def close(self) -> None:
        """Stop. Jobs under way go on with the next server, or with this one once it is back."""
        self._closed = True
        async with self._starting:
            running, self._running = self._running, None
            if running is not None:
                running.keeping.cancel()
                await asyncio.gather(running.keeping, return_exceptions=True)
                await briefly(running.flow.stop)
                await running.reading.close()
                running.presence.leave()
                await briefly(running.tables.close)
        self._threads.close()

    async def _get(self) -> _Running:
        """Start on first use. Raises `JobsUnavailable`."""
        async with self._starting:
            if self._closed:
                raise JobsUnavailable("The server is stopping.")
            if self._running is None:
                try:
                    self._running = await self._start()
                except AirgapError:
                    raise
                except Exception as error:
                    log.exception("jobs cannot be started")
                    raise JobsUnavailable(
                        "The jobs' database or folder cannot be used.", retry_after=_RETRY_SECONDS
                    ) from error
            return self._running

    async def _start(self) -> _Running:
        await self._threads(self.store.root.mkdir, parents=True, exist_ok=True, mode=0o700)
        flow = await self._threads(importlib.import_module, "airgap.jobs.flow")
        tables = await self._threads(Tables, self._url, self.store.root)
        identity = await self._threads(self.store.identity)
        if await self._threads(tables.agree, "store", identity) != identity:
            tables.close()
            raise JobsUnavailable(
                "This server's DATA_DIR is not the folder that the other servers of this database share.",
                "Mount one shared folder as DATA_DIR on all servers, or give each a database of its own.",
            )
        presence = keeping.Presence(self.store.root)
        reading = JobReading(
            server=presence.id,
            reader=self._reader,
            limits=self.limits,
            tables=tables,
            store=self.store,
            threads=self._threads,
            quota=self._quota,
        )
        keeper = keeping.Keeper(
            presence=presence,
            tables=tables,
            store=self.store,
            threads=self._threads,
            flow=flow,
            ttl_seconds=self._settings.result_ttl_hours * 3600,
            stall_seconds=2 * self._settings.page_timeout_seconds + 60,
            tidy=reading.tidy,
            erased=self._audit.erased,
        )
        await self._threads(presence.enter)
        await self._threads(keeper.beat)
        ending = Ending(tables, self.store, self._threads, reading, self._results, self._audit)
        steps = flow.Steps(reading.open, reading.read_run, ending.close)
        loop = asyncio.get_running_loop()
        # A thread without an event loop: DBOS would take this one for its own, threads included.
        await self._threads(flow.start, tables, presence.id, loop, steps, reading.places)
        log.info("jobs: taking part in the queue as %s", presence.id)
        return _Running(tables, presence, reading, flow, keeper, asyncio.create_task(keeper.run()))

    # --- taking in -------------------------------------------------------------------------------

    async def require_place(self, caller: str, size: int) -> None:
        """Raise `TooManyJobs`, `QuotaExceeded` or `StorageFull` unless one more job can be taken."""
        tables = (await self._get()).tables
        settings = self._settings
        if await self._threads(tables.count_unfinished) >= settings.max_jobs:
            raise TooManyJobs("The server has as many jobs as it takes.", retry_after=60)
        if await self._threads(tables.count_unfinished, caller) >= settings.max_jobs_per_caller:
            raise QuotaExceeded(
                "You have as many unfinished jobs as one caller may.",
                "Wait for one to end, or cancel one.",
                retry_after=60,
            )
        await self._threads(self.store.require_room, size)

    async def submit(
        self, spec: Spec, staging: JobFolder, key: str | None = None, fingerprint: str | None = None
    ) -> tuple[Job, bool]:
        """Take a job in from a folder with its inputs. Returns it, and whether it is new.

        With `key`, a job of the same caller and key is returned instead of a second one. Raises
        `Conflict` when that was another job, by its `fingerprint`.
        """
        check_capabilities(self._reader.engine.capabilities, 1, spec.options)
        running = await self._get()
        earlier = await self._threads(running.tables.of_key, spec.caller, key)
        if earlier is None:
            spec = replace(spec, id=uuid.uuid4().hex)
            job = _new_job(spec, key, fingerprint)
            await self._threads(staging.write_spec, spec)
            await self._threads(self.store.adopt, staging, spec.id)
            earlier = await self._threads(running.tables.add, job)
            if earlier is None:
                await self._threads(running.flow.enqueue_open, job.id, job.generation)
                return job, True
            await self._threads(self.store.erase, spec.id)
        if earlier.fingerprint != fingerprint:
            raise Conflict("This idempotency key was used for another job.", "Choose another key.")
        return earlier, False

    # --- telling ---------------------------------------------------------------------------------

    async def job(self, caller: str | None, job_id: str) -> Job:
        """The caller's job; anybody's, for None. Raises `NotFound`, also for somebody else's."""
        running = await self._get()
        job = await self._threads(running.tables.job, job_id)
        if job is None or caller not in (None, job.caller):
            raise NotFound("There is no such job.")
        return job

    async def jobs(self, wanted: Wanted) -> list[Job]:
        running = await self._get()
        return await self._threads(running.tables.jobs_of, wanted)

    async def note_administrator(self, event: str, admin: str, job: Job | None) -> None:
        """Put into the audit log that an administrator looked at, or stopped, what is not theirs."""
        await self._threads(self._audit.administrator, event, admin, job)

    async def filenames(self, jobs: list[Job]) -> dict[str, list[str]]:
        """The names of each job's first files, by the job's id; none where its folder is gone."""
        return {job.id: await self._threads(self.store.filenames, job.id) for job in jobs}

    async def counts(self, jobs: list[Job]) -> dict[str, Counts]:
        running = await self._get()
        return await self._threads(running.tables.counts_of, [job.id for job in jobs])

    async def events(self, job: Job, after: int) -> AsyncGenerator[JobEvent, None]:
        """See `Follower.events`."""
        running = await self._get()
        follower = Follower(self.store.folder(job.id), running.tables, self._threads, running.reading)
        async with contextlib.aclosing(follower.events(job, after)) as events:
            async for event in events:
                yield event

    # --- ending ----------------------------------------------------------------------------------

    async def result(self, job: Job, beside: Callable[[], Path]) -> tuple[Path, bool]:
        """See `Results.result`."""
        return await self._results.result(job, beside)

    async def cancel(self, job: Job) -> Job:
        """Stop a job. On this server the engine lets go of its pages before this returns."""
        running = await self._get()
        values = {"status": "cancelled", "reason": None, "finished_at": time.time()}
        ended = await self._threads(running.tables.change, job.id, UNFINISHED, **values)
        await running.reading.stop(job.id)
        await self._threads(running.flow.cancel, job.id)
        if ended:
            counts = await self._threads(running.tables.counts, job.id)
            await self._quota.give_back(job.id, (job.pages or 0) - counts.done)
            await self._threads(self._audit.ended, job, "cancelled", counts)
        return await self._threads(running.tables.job, job.id) or job

    async def retry(self, job: Job) -> Job:
        """Read again what failed of a job that has ended, and what was not read of a cancelled one.

        Raises `Conflict` while the job has not ended, and `QuotaExceeded`.
        """
        if not job.finished:
            raise Conflict("The job has not ended.", "Wait until it has, or cancel it.")
        running = await self._get()
        folder = self.store.folder(job.id)
        try:
            plan = await self._threads(folder.plan)
            wanted = await self._threads(folder.unread, plan)
            await self._quota.admit_again(await self._threads(folder.spec), len(wanted))
            await self._threads(folder.forget, wanted)
        except FileNotFoundError:  # cancelled before its pages were counted
            runs: list[int] = []
        else:
            if not wanted:
                return job
            runs = sorted({plan.run_of(index) for index in wanted})
        await self._threads(folder.result.unlink, missing_ok=True)
        if await self._threads(running.tables.restart, job, forget=runs, expected=FINISHED):
            await self._threads(running.flow.enqueue_open, job.id, job.generation + 1)
        return await self._threads(running.tables.job, job.id) or job

    async def picture(self, job: Job, index: int, use: Callable[[Image], T]) -> T:
        """What `use` makes of a page's pixels, read or not. Raises `NotFound` where there is no page."""
        running = await self._get()
        try:
            return await running.reading.picture(job.id, index, use)
        except FileNotFoundError as error:
            raise NotFound("There is no such page.") from error

    async def original(self, job: Job, position: int) -> tuple[Path, str]:
        """The file at `position` as it was sent, and the client's name for it. Raises `NotFound`."""
        folder = self.store.folder(job.id)
        try:
            inputs = (await self._threads(folder.spec)).inputs
        except FileNotFoundError:
            inputs = ()
        if position >= len(inputs):
            raise NotFound("There is no such file.")
        return folder.input(inputs[position].file), inputs[position].name

    async def erase(self, job: Job, by: str) -> None:
        """Stop a job and leave nothing of it: files, workflows, rows."""
        running = await self._get()
        await self.cancel(job)
        await self._threads(keeping.erase, job.id, running.tables, self.store, running.flow)
        await self._threads(self._audit.erased, job, by)


def _new_job(spec: Spec, key: str | None, fingerprint: str | None) -> Job:
    now = time.time()
    return Job(
        id=spec.id,
        caller=spec.caller,
        status="queued",
        reason=None,
        priority=spec.priority,
        inputs=len(spec.inputs),
        pages=None,
        runs=None,
        width=1,
        generation=0,
        created_at=now,
        started_at=None,
        finished_at=None,
        changed_at=now,
        idempotency_key=key,
        fingerprint=fingerprint,
    )
