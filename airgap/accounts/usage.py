"""What an account has had read: one row a request, and one a job, which grows with its pages.

A row holds counts alone, never a text, a prompt or a file's name. Rows go after `USAGE_DAYS`, and with the
account. They bound nothing: quotas are `page_counts`. Calls block but for those of `Usage`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    select,
)

from airgap.db.away import AWAY
from airgap.db.upsert import insert_into

log = logging.getLogger(__name__)

COUNTS = (
    "prompt_chars",
    "completion_chars",
    "prompt_tokens",
    "completion_tokens",
    "input_bytes",
    "pages",
)
RECENT = 200
"""Most events that are listed."""

metadata = MetaData()
_events = Table(
    "usage_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("caller", String(120), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in COUNTS),
    Column("job", String(64), unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True),
)


@dataclass(frozen=True, slots=True)
class Event:
    """One request that had something read, or one job."""

    id: int
    caller: str
    kind: str
    prompt_chars: int
    completion_chars: int
    prompt_tokens: int
    completion_tokens: int
    input_bytes: int
    pages: int
    job: str | None
    created_at: datetime


class UsageEvents:
    """The rows of all accounts in one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, caller: str, kind: str, counts: Mapping[str, int], job: str | None, now: datetime) -> None:
        """Add a row, or add the counts to the row of its job."""
        row = {name: counts.get(name, 0) for name in COUNTS}
        entry = insert_into(self._engine, _events).values(
            caller=caller, kind=kind, job=job, created_at=now, **row
        )
        summed = {name: _events.c[name] + entry.excluded[name] for name in COUNTS}
        with self._engine.begin() as connection:
            connection.execute(entry.on_conflict_do_update(index_elements=[_events.c.job], set_=summed))

    def recent(self, callers: Sequence[str]) -> list[Event]:
        """The newest rows of these callers, the newest first."""
        query = select(_events).where(_events.c.caller.in_(callers))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(_events.c.id.desc()).limit(RECENT))
            return [Event(**row._mapping) for row in rows]

    def totals(self, callers: Sequence[str]) -> dict[str, int]:
        """How many rows there are of these callers, as `events`, and the sums of their counts."""
        sums = [func.coalesce(func.sum(_events.c[name]), 0).label(name) for name in COUNTS]
        query = select(func.count().label("events"), *sums).where(_events.c.caller.in_(callers))
        with self._engine.connect() as connection:
            return {name: int(value) for name, value in connection.execute(query).one()._mapping.items()}

    def erase(self, callers: Sequence[str]) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(_events).where(_events.c.caller.in_(callers)))

    def forget(self, before: datetime) -> None:
        """Drop the rows of longer ago."""
        with self._engine.begin() as connection:
            connection.execute(delete(_events).where(_events.c.created_at < before))


class Usage:
    """The rows for the event loop. With `days` 0 none are kept."""

    def __init__(self, events: UsageEvents, days: int) -> None:
        self._events = events
        self.days = days
        self._tidied: date | None = None

    async def note(self, caller: str, kind: str, counts: Mapping[str, int], job: str | None = None) -> None:
        """Count what was read. A database that is away is said in the log and stops no answer."""
        if self.days:
            try:
                await asyncio.to_thread(self._note, caller, kind, counts, job)
            except AWAY:
                log.warning("the usage of %s was not counted: the database is away", caller)

    def _note(self, caller: str, kind: str, counts: Mapping[str, int], job: str | None) -> None:
        now = datetime.now(UTC)
        if self._tidied != now.date():
            self._events.forget(now - timedelta(days=self.days))
            self._tidied = now.date()
        self._events.add(caller, kind, counts, job, now)

    async def recent(self, callers: Sequence[str]) -> list[Event]:
        return await asyncio.to_thread(self._events.recent, callers)

    async def totals(self, callers: Sequence[str]) -> dict[str, int]:
        return await asyncio.to_thread(self._events.totals, callers)
