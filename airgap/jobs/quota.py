"""A job's pages and its caller's account: taken once they are counted, given back where they were not read.

It knows accounts by these calls alone. With accounts off there is no quota.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from airgap.core.document import Page, reading_counts
from airgap.jobs.plan import Spec


class Accounts(Protocol):
    """What counts pages; see `airgap.accounts.service`."""

    async def take(
        self, charge: str, account: str, limit: int | None, pages: int, *, in_all: bool = False
    ) -> None: ...

    async def take_again(self, charge: str, account: str, limit: int | None, pages: int) -> None: ...

    async def give_back(self, charge: str, pages: int) -> None: ...

    async def note_usage(
        self, caller: str, kind: str, counts: Mapping[str, int], job: str | None
    ) -> None: ...


class Quota:
    """One charge a job, under the job's id, so that a step that is repeated takes nothing twice."""

    def __init__(self, accounts: Callable[[], Accounts | None] = lambda: None) -> None:
        """`accounts` is asked when there is something to take: jobs are there before accounts are."""
        self._accounts = accounts

    async def admit(self, spec: Spec, pages: int) -> None:
        """Take all of a job's pages, or raise `QuotaExceeded` and take none."""
        if accounts := self._accounts():
            account = spec.account or spec.caller
            await accounts.take(_charge(spec.id), account, spec.pages_per_day, pages, in_all=True)

    async def admit_again(self, spec: Spec, pages: int) -> None:
        """Take pages of a job that were read before. Raises `QuotaExceeded`."""
        if accounts := self._accounts():
            account = spec.account or spec.caller
            await accounts.take_again(_charge(spec.id), account, spec.pages_per_day, pages)

    async def give_back(self, job_id: str, pages: int) -> None:
        """Pages of a job that ended before they were read."""
        if pages > 0 and (accounts := self._accounts()):
            await accounts.give_back(_charge(job_id), pages)

    async def note_page(self, spec: Spec, page: Page) -> None:
        """Count a page that was read in what is told to its caller."""
        if accounts := self._accounts():
            counts = reading_counts(spec.options.prompt, page.blocks, page.usage)
            await accounts.note_usage(spec.caller, "job", {**counts, "pages": 1}, spec.id)


def _charge(job_id: str) -> str:
    return f"job:{job_id}"
