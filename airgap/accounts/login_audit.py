"""What the audit log holds of logins: who, from where, and how it ended.

A name that is no account's may be a password that slipped into the wrong field; such a name is noted by a
keyed digest, so that tries of one name are still seen as one. Tries that were refused unread, which an
attacker can make by the thousand, are summed up.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from airgap.accounts.audit import AuditLog
from airgap.accounts.service import Accounts
from airgap.accounts.store import User
from airgap.core.errors import AirgapError, QuotaExceeded

SUMMED_SECONDS = 60.0
MAX_SUMS = 1000
"""Pairs of account and client that are summed up apart; what is more is one sum."""


class LoginAudit:
    """Notes how logins ended. A part of the server: what was summed up is written when it closes."""

    def __init__(self, audit: AuditLog | None, accounts: Accounts) -> None:
        self._audit = audit
        self._accounts = accounts
        self._refused: Counter[tuple[str, str]] = Counter()
        self._summing: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Nothing to do."""

    async def start(self) -> None:
        """Nothing to do: sums begin with the first refusal."""

    def trouble(self) -> str | None:
        return None

    async def close(self) -> None:
        if self._summing is not None:
            self._summing.cancel()
            await asyncio.gather(self._summing, return_exceptions=True)
            await self.write_sums()

    async def succeeded(self, event: str, user: User, client: str) -> None:
        if self._audit is not None:
            who = f"user:{user.id} {user.name}"
            await self._audit.note(event, who, client=client, outcome="ok")

    async def failed(self, event: str, name: str, client: str, error: AirgapError) -> None:
        """Note a try for the account `name`, known or not."""
        if self._audit is None:
            return
        account = await self._accounts.label(name)
        if not isinstance(error, QuotaExceeded):
            details = {"account": account, "client": client, "outcome": error.code}
            await self._audit.note(event, "anonymous", **details)
            return
        pair = (account, client)
        if pair not in self._refused and len(self._refused) >= MAX_SUMS:
            pair = ("others", "others")
        self._refused[pair] += 1
        if self._summing is None:
            self._summing = asyncio.create_task(self._sum_up())

    async def _sum_up(self) -> None:
        await asyncio.sleep(SUMMED_SECONDS)
        self._summing = None
        await self.write_sums()

    async def write_sums(self) -> None:
        """One entry for each account and client that were refused since the last one."""
        refused, self._refused = self._refused, Counter()
        for (account, client), tries in refused.items():
            assert self._audit is not None
            details = {"account": account, "client": client, "tries": tries}
            await self._audit.note("login_throttled", "anonymous", **details)
