"""The durable workflows of jobs, on DBOS.

    open_job → read_run → read_run → … → close_job
               read_run → read_run → …

A job is a small family of workflows: one counts its pages and starts as many chains as its share of the
queue allows; each link of a chain is one run of pages, a step; the chain that ends last has the result
made. No workflow waits for another, so that no server that dies holds a job up; and whichever server is
free takes the next link. Ids are `<job>:<generation>:<what>`, so that starting one twice starts it once.

Workflows are replayed after a crash: their bodies only pass on what steps answered. What DBOS stores is
ids and numbers. This is the only module that imports DBOS, and it is imported when jobs are started.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID
from dbos._error import DBOSAwaitedWorkflowCancelledError, DBOSNonExistentWorkflowError

from airgap.db.away import AWAY, said_by
from airgap.jobs.reading import Opened, RunRead
from airgap.jobs.tables import Tables

T = TypeVar("T")
log = logging.getLogger(__name__)

FORMAT = "jobs-1"
"""The version of what workflows pass on. DBOS recovers workflows of its own version alone; the version of
the code would strand running jobs whenever a site edits a file."""

_OPEN, _PAGES, _CLOSE = "ocr-open", "ocr-pages", "ocr-close"
_RECOVERIES = 1000
_PATIENT: dict[str, Any] = {
    "retries_allowed": True,
    "interval_seconds": 1.0,
    "backoff_rate": 2.0,
    "max_attempts": 8,
}
"""A database or a shared folder that is away for a minute costs no job its run."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What the steps do, each a coroutine function for the server's event loop."""

    open: Callable[[str, int], Coroutine[Any, Any, Opened]]
    read: Callable[[str, int, int], Coroutine[Any, Any, RunRead]]
    close: Callable[[str, int], Coroutine[Any, Any, bool]]


@dataclass(frozen=True, slots=True)
class _Server:
    loop: asyncio.AbstractEventLoop
    steps: Steps


_server: _Server | None = None


class _Quieter(logging.Filter):
    """Keeps out the complaint of a workflow whose job was stopped or erased while it was ending.

    Of a database that is away, what it said is enough: where in DBOS it was called tells nobody anything.
    """

    _MEANT = (DBOSAwaitedWorkflowCancelledError, DBOSNonExistentWorkflowError)

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, AWAY):
            record.msg, record.args = f"{record.getMessage()} {said_by(error)}", None
            record.exc_info = record.exc_text = None
        return not isinstance(error, self._MEANT)


_quieter = _Quieter()


def _log_as_we_do() -> None:
    """What DBOS says goes where our own lines go, in their form: its own handler writes what it is given."""
    logger = logging.getLogger("dbos")
    logger.handlers.clear()
    logger.propagate = True
    logger.addFilter(_quieter)


async def _on_server(step: Callable[[Steps], Coroutine[Any, Any, T]]) -> T:
    """Run a step on the server's event loop, where its reader lives; DBOS has a loop of its own."""
    assert _server is not None
    submit = asyncio.run_coroutine_threadsafe
    # In a fresh context: what the server does is not part of a DBOS step.
    future = contextvars.Context().run(submit, step(_server.steps), _server.loop)
    return await asyncio.wrap_future(future)


@DBOS.step(**_PATIENT)
async def _open(job_id: str, generation: int) -> tuple[str, list[int], bool]:
    opened = await _on_server(lambda steps: steps.open(job_id, generation))
    return opened.lane, list(opened.first), opened.complete


@DBOS.step(preemptible=True, **_PATIENT)
async def _read(job_id: str, generation: int, run: int) -> tuple[int | None, bool]:
    read = await _on_server(lambda steps: steps.read(job_id, generation, run))
    return read.next, read.complete


@DBOS.step(**_PATIENT)
async def _close(job_id: str, generation: int) -> bool:
    return await _on_server(lambda steps: steps.close(job_id, generation))


@DBOS.workflow(max_recovery_attempts=_RECOVERIES)
async def open_job(job_id: str, generation: int) -> None:
    lane, first, complete = await _open(job_id, generation)
    for run in first:
        await _enqueue(
            _PAGES, f"{job_id}:{generation}:{run}", read_run, job_id, generation, run, lane, lane=lane
        )
    if complete:
        await _enqueue(_CLOSE, f"{job_id}:{generation}:close", close_job, job_id, generation)


@DBOS.workflow(max_recovery_attempts=_RECOVERIES)
async def read_run(job_id: str, generation: int, run: int, lane: str) -> None:
    following, complete = await _read(job_id, generation, run)
    if following is not None:
        workflow_id = f"{job_id}:{generation}:{following}"
        await _enqueue(_PAGES, workflow_id, read_run, job_id, generation, following, lane, lane=lane)
    if complete:
        await _enqueue(_CLOSE, f"{job_id}:{generation}:close", close_job, job_id, generation)


@DBOS.workflow(max_recovery_attempts=_RECOVERIES)
async def close_job(job_id: str, generation: int) -> None:
    again = await _close(job_id, generation)
    if again:
        await _enqueue(_OPEN, f"{job_id}:{generation + 1}:open", open_job, job_id, generation + 1)


async def _enqueue(
    queue: str,
    workflow_id: str,
    workflow: Callable[..., Awaitable[None]],
    *arguments: Any,
    lane: str | None = None,
) -> None:
    with SetWorkflowID(workflow_id), SetEnqueueOptions(queue_partition_key=lane):
        await DBOS.enqueue_workflow_async(queue, workflow, *arguments)  # type: ignore[arg-type]


# --- what the rest of the room calls; all of it blocks, and none of it on an event loop -------------------


def start(tables: Tables, server_id: str, loop: asyncio.AbstractEventLoop, steps: Steps, places: int) -> None:
    """Take part in the queue: at most `places` runs of one lane at once, and sixteen times that in all."""
    global _server
    _server = _Server(loop, steps)
    on_postgresql = tables.engine.dialect.name == "postgresql"
    config = DBOSConfig(
        name="airgap-ocr",
        system_database_url=tables.url,
        system_database_engine=tables.engine,
        application_version=FORMAT,
        executor_id=server_id,
        log_level="WARNING",
        max_executor_threads=32,
        enable_otlp=False,
    )
    DBOS(config=config)
    _log_as_we_do()
    DBOS.launch()
    seconds = 0.5 if on_postgresql else 0.2
    DBOS.register_queue(_OPEN, worker_concurrency=4, polling_interval_sec=seconds)
    DBOS.register_queue(
        _PAGES,
        worker_concurrency=16 * places,
        partition_worker_concurrency=places,
        polling_interval_sec=seconds,
    )
    DBOS.register_queue(_CLOSE, worker_concurrency=2, polling_interval_sec=seconds)


def stop() -> None:
    """Leave the queue. What is under way is taken up by the next server that finds this one gone."""
    logging.getLogger("dbos").setLevel(logging.CRITICAL)  # that tasks end unfinished is meant
    DBOS.destroy()


def enqueue_open(job_id: str, generation: int) -> None:
    """Have a job opened by whichever server is free. Twice is once."""
    with SetWorkflowID(f"{job_id}:{generation}:open"):
        DBOS.enqueue_workflow(_OPEN, open_job, job_id, generation)


def cancel(job_id: str) -> None:
    """End all workflows of a job; on other servers, the run under way within about a second."""
    ids = _ids(job_id, unfinished=True)
    if ids:
        DBOS.cancel_workflows(ids)


def erase(job_id: str) -> None:
    """Remove all that DBOS knows of a job."""
    ids = _ids(job_id)
    if ids:
        DBOS.delete_workflows(ids)


def is_alive(job_id: str) -> bool:
    """Whether any workflow of a job still waits or runs."""
    return bool(_ids(job_id, unfinished=True))


def reclaim(server_id: str) -> int:
    """Put the work of a dead server back into the queue. Safe when several servers do so."""
    return len(DBOS._recover_pending_workflows([server_id]))


def _ids(job_id: str, *, unfinished: bool = False) -> list[str]:
    found = DBOS.list_workflows(
        workflow_id_prefix=f"{job_id}:",
        status=["ENQUEUED", "PENDING"] if unfinished else None,
        load_input=False,
        load_output=False,
    )
    return [workflow.workflow_id for workflow in found]
