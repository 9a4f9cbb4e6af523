"""How a job ends once its pages are read: its result is written, its state settled, the lost read anew."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

from airgap.core.errors import StorageFull
from airgap.jobs.auditing import JobAudit
from airgap.jobs.plan import Plan, Status
from airgap.jobs.reading import DISK_FULL, JobReading, Threads
from airgap.jobs.results import Results
from airgap.jobs.store import JobFolder, JobStore
from airgap.jobs.tables import Job, Tables

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """Ends jobs of one server."""

    tables: Tables
    store: JobStore
    threads: Threads
    reading: JobReading
    results: Results
    audit: JobAudit

    async def close(self, job_id: str, generation: int) -> bool:
        """Make the result and end the job. True when pages are missing and it has to be opened again."""
        tables, folder = self.tables, self.store.folder(job_id)
        job = await self.threads(tables.job, job_id)
        if job is None or job.generation != generation or job.status != "running":
            # The first try may have been cut short between starting the next generation and saying so.
            return job is not None and job.status == "queued" and job.generation == generation + 1
        try:
            plan = await self.threads(folder.plan)
            lost = await self.threads(_missing_runs, folder, plan)
            if lost:
                log.error("job %s: pages that were read are gone; reading %d runs again", job_id, len(lost))
                return await self.threads(tables.restart, job, forget=lost)
            job = replace(job, finished_at=time.time())
            unwritten = await self.results.unwritten(job)
        except FileNotFoundError:  # erased meanwhile
            return False
        except StorageFull:
            await self.threads(tables.change, job_id, ("running",), status="paused", reason=DISK_FULL)
            return False
        await self._settle(job, unwritten)
        return False

    async def _settle(self, job: Job, unwritten: str | None) -> None:
        counts = await self.threads(self.tables.counts, job.id)
        reason = unwritten if counts.ok + counts.degraded else "no page could be read"
        status: Status = "failed" if reason else "done"
        end = {"status": status, "finished_at": job.finished_at}
        if await self.threads(self.tables.change, job.id, ("running",), reason=reason, **end):
            await self.threads(self.audit.ended, job, status, counts)
        await self.reading.stop(job.id)


def _missing_runs(folder: JobFolder, plan: Plan) -> list[int]:
    return sorted({plan.run_of(index) for index in range(plan.pages) if not folder.has_page(index)})
