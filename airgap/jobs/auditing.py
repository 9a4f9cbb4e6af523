"""What is noted of jobs where the site keeps an audit log: how they ended, and that they were erased.

It knows jobs and their counts, never a file's name or text. Where a log is kept is its owner's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airgap.core.engine import Engine, who_reads
from airgap.jobs.plan import Status
from airgap.jobs.tables import Counts, Job
from airgap.monitoring import metrics

Note = Callable[[str, str, dict[str, Any]], None]
"""Takes an event, who brought it about, and what else there is to say. Blocks."""

THE_SERVER = "server"


class JobAudit:
    """Tells of jobs; without `note`, only the metrics. Blocks."""

    def __init__(self, engine: Engine, note: Note | None) -> None:
        self._engine = engine
        self._note = note

    def ended(self, job: Job, status: Status, counts: Counts) -> None:
        """A job is done, failed or cancelled, with so many pages read."""
        metrics.job_ended(status)
        pages = {"ok": counts.ok, "degraded": counts.degraded, "failed": counts.failed}
        read = {name: count for name, count in pages.items() if count}
        self._tell("job_ended", job.caller, job, **who_reads(self._engine), pages=read, outcome=status)

    def erased(self, job: Job, by: str = THE_SERVER) -> None:
        """Nothing is left of a job; without `by` because its time was over."""
        self._tell("job_erased", by, job)

    def administrator(self, event: str, admin: str, job: Job | None) -> None:
        """An administrator looked at the jobs of others, or at one, or stopped it."""
        if job is not None:
            self._tell(event, admin, job, owner=job.caller)
        elif self._note is not None:
            self._note(event, admin, {})

    def _tell(self, event: str, who: str, job: Job, **details: Any) -> None:
        if self._note is not None:
            self._note(event, who, {"job": job.id, **details})
