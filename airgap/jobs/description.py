"""A job as answers show it, JSON-ready. Knows nothing of requests or routes."""

from __future__ import annotations

from datetime import UTC, datetime

from typing_extensions import TypedDict

from airgap.jobs.plan import Priority, Status
from airgap.jobs.tables import Counts, Job


class JobLedger(TypedDict):
    """What became of a job's pages; `expected` and `pending` are null until they are counted."""

    expected: int | None
    ok: int
    degraded: int
    failed: int
    pending: int | None


class JobAnswer(TypedDict):
    """A job as it stands, and whose it is. Times are ISO 8601, in UTC.

    `filenames` are those of its first files; an administrator is told none of another's.
    """

    id: str
    owner: str
    status: Status
    reason: str | None
    priority: Priority
    files: int
    filenames: list[str]
    created_at: str
    started_at: str | None
    finished_at: str | None
    ledger: JobLedger
    pages_per_second: float
    seconds_left: float | None


def describe(job: Job, counts: Counts, filenames: list[str]) -> JobAnswer:
    """A job as answers show it. The ledger's `pending` pages are still to be read."""
    pages = job.pages
    pending = None if pages is None else max(0, pages - counts.done)
    speed = counts.pages_per_second if job.status == "running" else 0.0
    return {
        "id": job.id,
        "owner": job.caller,
        "status": job.status,
        "reason": job.reason,
        "priority": job.priority,
        "files": job.inputs,
        "filenames": filenames,
        "created_at": _iso(job.created_at),
        "started_at": None if job.started_at is None else _iso(job.started_at),
        "finished_at": None if job.finished_at is None else _iso(job.finished_at),
        "ledger": {
            "expected": pages,
            "ok": counts.ok,
            "degraded": counts.degraded,
            "failed": counts.failed,
            "pending": pending,
        },
        "pages_per_second": round(speed, 3),
        "seconds_left": round(pending / speed, 1) if speed and pending is not None else None,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
