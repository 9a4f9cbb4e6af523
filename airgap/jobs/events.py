"""What happens to a job, told from its folder and its row as it happens."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Literal

from airgap.jobs.plan import Plan, Spec
from airgap.jobs.reading import JobReading, Threads
from airgap.jobs.store import JobFolder, StoredPage
from airgap.jobs.tables import Job, Tables

_NEWS_SECONDS = 0.5
_PING_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job: its state changed, a page was read, or it ended.

    Only pages have an `index`; their order is always that of the document, so that whoever comes back
    with the last index gets the rest. `stored` is the page, of the input at `position`. `ping` means that
    nothing happened.
    """

    kind: Literal["state", "page", "end", "ping"]
    job: Job
    index: int | None = None
    position: int | None = None
    name: str = ""
    stored: StoredPage | None = None


@dataclass(frozen=True, slots=True)
class Follower:
    """Follows one job from its `folder` and its row in `tables`."""

    folder: JobFolder
    tables: Tables
    threads: Threads
    reading: JobReading

    async def events(self, job: Job, after: int) -> AsyncGenerator[JobEvent, None]:
        """Pages from index `after + 1` on, as they come, and changes of state, until the job ends.

        Pages that a cancelled job never read are left out; `end` says what became of the job.
        """
        reported: Job | None = None
        quiet_since = time.monotonic()
        index = after + 1
        while True:
            current = await self.threads(self.tables.job, job.id)
            if current is None:
                yield JobEvent("end", replace(job, status="cancelled", reason="erased"))
                return
            if reported is None or (reported.status, reported.pages) != (current.status, current.pages):
                reported = current
                yield JobEvent("state", current)
            async for event in self._pages(current, index):
                index = (event.index or 0) + 1
                quiet_since = time.monotonic()
                yield event
            if current.finished:
                yield JobEvent("end", current)
                return
            if time.monotonic() - quiet_since > _PING_SECONDS:
                quiet_since = time.monotonic()
                yield JobEvent("ping", current)
            await self.reading.news(_NEWS_SECONDS)

    async def _pages(self, job: Job, index: int) -> AsyncGenerator[JobEvent, None]:
        """The pages from `index` on that are there, up to the first that is still to come."""
        known: tuple[Spec, Plan] | None = None
        for at in range(index, job.pages or 0):
            stored = await self.threads(self.folder.page, at)
            if stored is None:
                if not job.finished:
                    return
                continue
            try:
                known = known or (
                    await self.threads(self.folder.spec),
                    await self.threads(self.folder.plan),
                )
            except FileNotFoundError:  # erased meanwhile
                return
            spec, plan = known
            position = plan.locate(at)[0]
            yield JobEvent("page", job, at, position, spec.inputs[position].name, stored)
