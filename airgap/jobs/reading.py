"""Planning a job, and reading one run of its pages through the server's one reader.

What was read is known by the files that hold it: a page with a file is never read again, and a run
that is begun a second time reads what is missing. Lives on the server's event loop; knows no workflow.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar

from PIL.Image import Image

from airgap.core.document import Page, PageStatus, ReadOptions
from airgap.core.errors import (
    AirgapError,
    EngineBusy,
    EngineFailed,
    EngineUnavailable,
    QuotaExceeded,
    StorageFull,
    TooManyPages,
)
from airgap.jobs.plan import Plan, PlannedInput, Spec, lane, pages_of_a_run, width
from airgap.jobs.quota import Quota
from airgap.jobs.sources import OpenSources
from airgap.jobs.store import JobFolder, JobStore, StoredPage, is_disk_full
from airgap.jobs.tables import Job, Tables
from process.pages import Limits, survey
from process.pipeline import RENDER_AHEAD, Reader
from process.turns import Turns, acting_for

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)

MAX_TRIES = 5
"""How many servers a page may take down with it before it is given up."""

MAX_PAGES = 200_000
"""Most pages of one job. Its folder and its rows are to stay within what a person can look through."""

DISK_FULL = "disk_full"
TOO_MANY_PAGES = f"more than {MAX_PAGES} pages"
_RETRY_SECONDS = 2.0
_TRANSIENT = {EngineUnavailable.code, EngineBusy.code}


@dataclass(frozen=True, slots=True)
class Opened:
    """What follows the planning: these runs are read first; `complete` when no page is missing."""

    lane: str
    first: tuple[int, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class RunRead:
    """What follows a run: another run, or the result when `complete`, or nothing."""

    next: int | None = None
    complete: bool = False


class Threads:
    """A few threads of the jobs' own, so that no rendering of pages keeps a heartbeat waiting."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(6, thread_name_prefix="jobs")

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        work = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class JobReading:
    """Reads runs of pages. A job's pages are taken from its `quota` before the first of them is read."""

    def __init__(
        self,
        *,
        server: str,
        reader: Reader,
        limits: Limits,
        tables: Tables,
        store: JobStore,
        threads: Threads,
        quota: Quota,
    ) -> None:
        self._server = server
        self._reader = reader
        self._limits = limits
        self._tables = tables
        self._store = store
        self._threads = threads
        self._quota = quota
        self._turns = Turns(reader.max_concurrency + RENDER_AHEAD)
        self._sources = OpenSources(limits, reader.work)
        self._known: dict[str, tuple[Spec, Plan]] = {}
        self._working: defaultdict[str, set[asyncio.Task[PageStatus]]] = defaultdict(set)
        self._news = asyncio.Condition()

    @property
    def places(self) -> int:
        """How many runs this server wants to hold, so that its engine never waits for the queue."""
        return max(4, -(-2 * (self._reader.max_concurrency + RENDER_AHEAD) // 4))

    async def news(self, seconds: float) -> None:
        """Wait until a page was read here, or for `seconds`: other servers read too."""
        async with self._news:
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                return

    async def tell(self) -> None:
        """Wake up those who wait for news."""
        async with self._news:
            self._news.notify_all()

    async def stop(self, job_id: str) -> None:
        """Abort what is being read of a job on this server, and return when the engine let go of it."""
        tasks = list(self._working.get(job_id, ()))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._known.pop(job_id, None)
        await self._sources.forget(self._store.folder(job_id).path)
        await self.tell()

    async def tidy(self) -> None:
        """Let go of files that nobody asks for."""
        await self._sources.close_idle()

    async def close(self) -> None:
        for job_id in list(self._working):
            await self.stop(job_id)
        await self._sources.close()

    # --- planning --------------------------------------------------------------------------------

    async def open(self, job_id: str, generation: int) -> Opened:
        """Count the pages of a job's files, and say which runs are read first. May be repeated."""
        job = await self._current(job_id, generation, ("queued", "running"))
        if job is None:
            return Opened("")
        folder = self._store.folder(job_id)
        try:
            spec = await self._threads(folder.spec)
            plan = await self._planned(folder, spec)
            if job.status == "queued":
                await self._quota.admit(spec, plan.pages)
        except FileNotFoundError:
            return Opened("")
        except (TooManyPages, QuotaExceeded) as error:
            reason = TOO_MANY_PAGES if isinstance(error, TooManyPages) else error.message[:200]
            end: dict[str, Any] = {"status": "failed", "reason": reason, "finished_at": time.time()}
            await self._threads(self._tables.change, job_id, ("queued",), **end)
            return Opened("")
        except OSError as error:
            await self._pause(job_id, error)
            return Opened("")
        if job.status == "queued":
            job = await self._begin(job, plan)
        done = await self._threads(self._tables.runs_done, job_id)
        heads = (self._next(job, plan, done, start) for start in range(job.width))
        first = tuple(run for run in heads if run is not None)
        return Opened(lane(job.caller, plan.pages), first, complete=not first)

    async def _begin(self, job: Job, plan: Plan) -> Job:
        servers = await self._threads(self._tables.servers)
        others = await self._threads(self._tables.count_unfinished, job.caller)
        places = 2 * self.places * max(1, len(servers))
        values: dict[str, Any] = {
            "pages": plan.pages,
            "runs": plan.runs,
            "width": width(plan.runs, places, job.priority, others),
            "started_at": job.started_at or time.time(),
        }
        await self._threads(self._tables.change, job.id, ("queued",), status="running", **values)
        return replace(job, **values)

    async def _planned(self, folder: JobFolder, spec: Spec) -> Plan:
        try:
            return await self._threads(folder.plan)
        except FileNotFoundError:
            inputs = tuple([await self._survey(folder, spec, entry.file) for entry in spec.inputs])
        pages = sum(entry.count for entry in inputs)
        if pages > MAX_PAGES:
            raise TooManyPages(f"The job has {pages} pages.")
        plan = Plan(inputs, pages_of_a_run(pages))
        await self._threads(folder.write_plan, plan)
        return plan

    async def _survey(self, folder: JobFolder, spec: Spec, file: str) -> PlannedInput:
        try:
            with acting_for(spec.caller, spec.id):
                path = folder.input(file)
                kind, numbers = await self._reader.work.open(
                    survey, path, limits=self._limits, opening=spec.opening
                )
        except AirgapError as error:
            return PlannedInput(1, 1, error=error.as_page_error())
        return PlannedInput(numbers.start, len(numbers), kind)

    # --- reading ---------------------------------------------------------------------------------

    async def read_run(self, job_id: str, generation: int, run: int) -> RunRead:
        """Read what is missing of a run, and say what follows. May be repeated."""
        job = await self._current(job_id, generation, ("running",))
        if job is None:
            return RunRead()
        try:
            spec, plan = await self._load(job_id)
            finished = await self._read_missing(spec, plan, run)
        except FileNotFoundError:  # erased meanwhile
            return RunRead()
        except OSError as error:
            await self._pause(job_id, error)
            return RunRead()
        except StorageFull as error:
            await self._pause(job_id, error)
            return RunRead()
        if not finished:
            return RunRead()
        done = await self._threads(self._tables.runs_done, job_id) if generation else {}
        following = self._next(job, plan, done, run + job.width)
        if following is not None:
            return RunRead(following)
        counts = await self._threads(self._tables.counts, job_id)
        return RunRead(complete=counts.done == plan.pages)

    async def _read_missing(self, spec: Spec, plan: Plan, run: int) -> bool:
        """Whether all pages of the run are there at the end; False when it was stopped."""
        folder = self._store.folder(spec.id)
        indexes = plan.run(run)
        statuses: dict[int, PageStatus] = {}
        for index in indexes:
            stored = await self._threads(folder.page, index)
            if stored is not None:
                statuses[index] = stored.page.status
        working = self._working[spec.id]
        tasks = {
            index: asyncio.create_task(self._take_turn(spec, plan, index))
            for index in indexes
            if index not in statuses
        }
        working.update(tasks.values())
        try:
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            working.difference_update(tasks.values())
            if not working:
                self._working.pop(spec.id, None)
        good = {i: task for i, task in tasks.items() if not task.cancelled() and not task.exception()}
        statuses |= {index: task.result() for index, task in good.items()}
        ordered = [statuses[index] for index in indexes if index in statuses]
        await self._threads(self._tables.note_run, spec.id, run, ordered, self._server)
        for task in tasks.values():
            if not task.cancelled():
                task.result()  # raises what went wrong with the disk
        return len(ordered) == len(indexes)

    async def _take_turn(self, spec: Spec, plan: Plan, index: int) -> PageStatus:
        """Read one page when it is the job's turn, and put it into the job's folder."""
        folder = self._store.folder(spec.id)
        async with self._turns.turn(spec.caller, spec.id):
            await self._threads(self._store.require_room)
            tries = await self._threads(folder.note_try, index)
            try:
                if tries > MAX_TRIES:
                    stored = self._given_up(plan, index)
                else:
                    stored = await self._read(spec, plan, index)
            except asyncio.CancelledError:
                folder.forget_tries(index)
                raise
            await self._threads(folder.publish, index, stored)
        await self._quota.note_page(spec, stored.page)
        await self.tell()
        return stored.page.status

    async def _read(self, spec: Spec, plan: Plan, index: int) -> StoredPage:
        position, number = plan.locate(index)
        planned, entry = plan.inputs[position], spec.inputs[position]
        options = spec.options
        if planned.error is not None:
            page = Page(number, 0, 0, "failed", finish_reason="error", error=planned.error)
            return self._signed(page, options)
        path = self._store.folder(spec.id).input(entry.file)
        while True:
            try:
                with acting_for(spec.caller, spec.id):
                    async with self._sources.borrow(path, entry.name, spec.opening) as source:
                        page = await self._reader.page(source, options, number)
            except AirgapError as error:
                failure = error.as_page_error()
                page = Page(number, 0, 0, "failed", finish_reason="error", error=failure)
            if page.error is None or page.error.code not in _TRANSIENT:
                return self._signed(page, options)
            log.info("the engine is not available; a page of job %s waits for it", spec.id)
            await asyncio.sleep(_RETRY_SECONDS)

    async def picture(self, job_id: str, index: int, use: Callable[[Image], T]) -> T:
        """What `use` makes of the pixels of a page.

        Raises `FileNotFoundError` where there is none, and as `open_source`.
        """
        spec, plan = await self._load(job_id)
        if not 0 <= index < plan.pages:
            raise FileNotFoundError(index)
        position, number = plan.locate(index)
        entry = spec.inputs[position]
        path = self._store.folder(job_id).input(entry.file)
        async with (
            self._sources.borrow(path, entry.name, spec.opening) as source,
            self._reader.work.hold(source.pixels(number)) as held,
        ):
            return await held.draw(lambda: use(source.image(number)))

    def _given_up(self, plan: Plan, index: int) -> StoredPage:
        log.error("page %d of a job was begun %d times and never finished: given up", index, MAX_TRIES)
        error = EngineFailed(f"The server died {MAX_TRIES} times while it read this page.").as_page_error()
        page = Page(plan.locate(index)[1], 0, 0, "failed", finish_reason="error", error=error)
        return self._signed(page, ReadOptions())

    def _signed(self, page: Page, options: ReadOptions) -> StoredPage:
        document = self._reader.document([page], options)
        return StoredPage(page, document.engine, document.model, document.mode)

    # --- shared ----------------------------------------------------------------------------------

    async def _current(self, job_id: str, generation: int, statuses: tuple[str, ...]) -> Job | None:
        """The job, if it is still in one of `statuses` and of this generation."""
        job = await self._threads(self._tables.job, job_id)
        current = job is not None and job.generation == generation and job.status in statuses
        return job if current else None

    async def _load(self, job_id: str) -> tuple[Spec, Plan]:
        if job_id not in self._known:
            folder = self._store.folder(job_id)
            loaded = await self._threads(folder.spec), await self._threads(folder.plan)
            self._known[job_id] = loaded
            while len(self._known) > 64:
                self._known.pop(next(iter(self._known)))
            return loaded
        return self._known[job_id]

    async def _pause(self, job_id: str, error: Exception) -> None:
        if not is_disk_full(error):
            raise error
        log.warning("job %s is paused: the disk is full", job_id)
        await self._threads(
            self._tables.change, job_id, ("queued", "running"), status="paused", reason=DISK_FULL
        )
        await self.stop(job_id)

    @staticmethod
    def _next(job: Job, plan: Plan, done: dict[int, int], start: int) -> int | None:
        """The first run from `start` on, in the job's stride, that is not read."""
        for run in range(start, plan.runs, job.width):
            if done.get(run) != len(plan.run(run)):
                return run
        return None
