"""A job's row, its runs' rows and the servers' rows: SQLite in the data folder, or PostgreSQL.

Rows hold ids, states and counts, never a name, a text or an option of a document. Calls block: use
threads. DBOS keeps its own tables in the same database, through the same engine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from airgap.core.document import PageStatus
from airgap.db.migrations import upgrade
from airgap.db.opening import open_database
from airgap.db.upsert import insert_into
from airgap.jobs.migrations import STEPS
from airgap.jobs.plan import FINISHED, UNFINISHED, Priority, Status

_metadata = MetaData()
_jobs = Table(
    "ocr_jobs",
    _metadata,
    Column("id", String(32), primary_key=True),
    Column("caller", String(120), nullable=False),
    Column("status", String(12), nullable=False, index=True),
    Column("reason", String(200)),
    Column("priority", String(8), nullable=False),
    Column("inputs", Integer, nullable=False),
    Column("pages", Integer),
    Column("runs", Integer),
    Column("width", Integer, nullable=False, default=1),
    Column("generation", Integer, nullable=False, default=0),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("changed_at", Float, nullable=False),
    Column("idempotency_key", String(64)),
    Column("fingerprint", String(64)),
    UniqueConstraint("caller", "idempotency_key"),
)
Index("ocr_jobs_of_a_caller", _jobs.c.caller, _jobs.c.created_at)
_runs = Table(
    "ocr_job_runs",
    _metadata,
    Column("job_id", String(32), primary_key=True),
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("statuses", Text, nullable=False),
    Column("server", String(200), nullable=False),
    Column("finished_at", Float, nullable=False),
)
_servers = Table(
    "ocr_servers",
    _metadata,
    Column("id", String(200), primary_key=True),
    Column("machine", String(64), nullable=False),
    Column("beat", Integer, nullable=False),
)
_facts = Table(
    "ocr_job_facts",
    _metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(64), nullable=False),
)

_LETTERS: dict[PageStatus, str] = {"ok": "o", "degraded": "d", "failed": "f"}
_SPEED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """A job's row. Times are seconds since 1970. `pages` and `runs` are None until it was planned."""

    id: str
    caller: str
    status: Status
    reason: str | None
    priority: Priority
    inputs: int
    pages: int | None
    runs: int | None
    width: int
    generation: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    changed_at: float
    idempotency_key: str | None = None
    fingerprint: str | None = None

    @property
    def finished(self) -> bool:
        return self.status in FINISHED


@dataclass(frozen=True, slots=True)
class Counts:
    """Pages accounted for so far, and those of them of the last minute, per second."""

    ok: int
    degraded: int
    failed: int
    pages_per_second: float

    @property
    def done(self) -> int:
        return self.ok + self.degraded + self.failed


@dataclass(frozen=True, slots=True)
class Server:
    """A server that takes jobs. `machine` is the same for processes under one kernel."""

    id: str
    machine: str
    beat: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs are asked for: of a caller (any, for None), of these ids (all, for None), after the one
    made at `before` (time, id).
    """

    caller: str | None
    status: Status | None = None
    before: tuple[float, str] | None = None
    limit: int = 20
    ids: tuple[str, ...] | None = None


class Tables:
    """The tables, made or upgraded. Raises `ConfigurationError`, and SQLAlchemy's errors."""

    def __init__(self, url: str | None, root: Path) -> None:
        self.engine = open_database(url, root / "jobs.sqlite")
        upgrade(self.engine, "jobs", STEPS)

    @property
    def url(self) -> str:
        return self.engine.url.render_as_string(hide_password=False)

    @property
    def _is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def close(self) -> None:
        self.engine.dispose()

    # --- jobs ------------------------------------------------------------------------------------

    def add(self, job: Job) -> Job | None:
        """Add a job, unless there is one of the same caller and idempotency key: then return that."""
        try:
            with self.engine.begin() as connection:
                connection.execute(insert(_jobs).values({name: getattr(job, name) for name in Job.__slots__}))
        except IntegrityError:
            earlier = self.of_key(job.caller, job.idempotency_key)
            if earlier is None:
                raise
            return earlier
        return None

    def of_key(self, caller: str, key: str | None) -> Job | None:
        """The caller's job of this idempotency key."""
        if key is None:
            return None
        return self._one(_jobs.c.caller == caller, _jobs.c.idempotency_key == key)

    def job(self, job_id: str) -> Job | None:
        return self._one(_jobs.c.id == job_id)

    def jobs_of(self, wanted: Wanted) -> list[Job]:
        """The jobs that are wanted, the newest first."""
        query, status, before, limit = select(_jobs), wanted.status, wanted.before, wanted.limit
        if wanted.caller is not None:
            query = query.where(_jobs.c.caller == wanted.caller)
        if wanted.ids is not None:
            query = query.where(_jobs.c.id.in_(wanted.ids))
        if status:
            query = query.where(_jobs.c.status == status)
        if before:
            created, job_id = before
            same = (_jobs.c.created_at == created) & (_jobs.c.id < job_id)
            query = query.where(or_(_jobs.c.created_at < created, same))
        query = query.order_by(_jobs.c.created_at.desc(), _jobs.c.id.desc()).limit(limit)
        return self._all(query)

    def unfinished(self) -> list[Job]:
        return self._all(select(_jobs).where(_jobs.c.status.in_(UNFINISHED)).order_by(_jobs.c.created_at))

    def expired(self, finished_before: float) -> list[Job]:
        query = select(_jobs).where(_jobs.c.status.in_(FINISHED), _jobs.c.finished_at < finished_before)
        return self._all(query)

    def count_unfinished(self, caller: str | None = None) -> int:
        query = select(func.count()).select_from(_jobs).where(_jobs.c.status.in_(UNFINISHED))
        if caller is not None:
            query = query.where(_jobs.c.caller == caller)
        with self.engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def change(self, job_id: str, expected: Sequence[Status], **values: Any) -> bool:
        """Change a job's row if its status is one of `expected`. Whether it was."""
        change = update(_jobs).where(_jobs.c.id == job_id, _jobs.c.status.in_(expected))
        with self.engine.begin() as connection:
            return connection.execute(change.values(changed_at=time.time(), **values)).rowcount == 1

    def restart(
        self, job: Job, *, forget: Sequence[int] = (), expected: Sequence[Status] = UNFINISHED
    ) -> bool:
        """Begin a new generation of a job's workflows; the runs `forget` are to be read again.

        Only of a job whose status is one of `expected`. Whether this server is the one to start them: of
        several that try, one is.
        """
        change = update(_jobs).where(
            _jobs.c.id == job.id, _jobs.c.generation == job.generation, _jobs.c.status.in_(expected)
        )
        values: dict[str, Any] = {"generation": job.generation + 1, "status": "queued", "reason": None}
        values["finished_at"] = None
        with self.engine.begin() as connection:
            if connection.execute(change.values(changed_at=time.time(), **values)).rowcount != 1:
                return False
            if forget:
                connection.execute(delete(_runs).where(_runs.c.job_id == job.id, _runs.c.run.in_(forget)))
        return True

    def erase(self, job_id: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(delete(_jobs).where(_jobs.c.id == job_id))  # first, or a run comes between
            connection.execute(delete(_runs).where(_runs.c.job_id == job_id))
        if self._is_sqlite:
            with self.engine.connect() as connection:  # what was deleted is not to stay in the log either
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))

    # --- runs ------------------------------------------------------------------------------------

    def note_run(self, job_id: str, run: int, statuses: Sequence[PageStatus], server: str) -> None:
        """Write down what became of the pages of a run so far, if the job is still there.

        A later call replaces an earlier one.
        """
        row = {
            "statuses": "".join(_LETTERS[status] for status in statuses),
            "server": server,
            "finished_at": time.time(),
        }
        job = select(_jobs.c.id).where(_jobs.c.id == job_id)
        values = select(*map(literal, (job_id, run, *row.values()))).where(job.exists())
        change = insert_into(self.engine, _runs)
        change = change.from_select(["job_id", "run", *row], values)
        change = change.on_conflict_do_update(index_elements=[_runs.c.job_id, _runs.c.run], set_=row)
        with self.engine.begin() as connection:
            # In one statement, for SQLite begins no transaction with a question; PostgreSQL holds the job.
            connection.execute(job.with_for_update(read=True))
            connection.execute(change)
            connection.execute(update(_jobs).where(_jobs.c.id == job_id).values(changed_at=time.time()))

    def runs_done(self, job_id: str) -> dict[int, int]:
        """Run → how many of its pages are accounted for."""
        query = select(_runs.c.run, func.length(_runs.c.statuses)).where(_runs.c.job_id == job_id)
        with self.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def counts(self, job_id: str) -> Counts:
        """The ledger so far."""
        return self.counts_of([job_id])[job_id]

    def counts_of(self, job_ids: Sequence[str]) -> dict[str, Counts]:
        """The ledgers of several jobs."""
        now = time.time()
        totals = {job_id: {"o": 0, "d": 0, "f": 0} for job_id in job_ids}
        recent = dict.fromkeys(job_ids, 0)
        since = dict.fromkeys(job_ids, now)
        query = select(_runs.c.job_id, _runs.c.statuses, _runs.c.finished_at)
        query = query.where(_runs.c.job_id.in_(job_ids))
        with self.engine.connect() as connection:
            for job_id, statuses, finished_at in connection.execute(query):
                for letter, count in totals[job_id].items():
                    totals[job_id][letter] = count + statuses.count(letter)
                if finished_at > now - _SPEED_SECONDS:
                    recent[job_id] += len(statuses)
                    since[job_id] = min(since[job_id], finished_at)
        return {
            job_id: Counts(total["o"], total["d"], total["f"], recent[job_id] / max(1.0, now - since[job_id]))
            for job_id, total in totals.items()
        }

    # --- servers ---------------------------------------------------------------------------------

    def beat(self, server: Server) -> None:
        """Say that this server lives."""
        change = insert_into(self.engine, _servers)
        change = change.values(id=server.id, machine=server.machine, beat=server.beat)
        change = change.on_conflict_do_update(index_elements=[_servers.c.id], set_={"beat": server.beat})
        with self.engine.begin() as connection:
            connection.execute(change)

    def servers(self) -> list[Server]:
        with self.engine.connect() as connection:
            return [Server(*row) for row in connection.execute(select(_servers))]

    def forget_server(self, server_id: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(delete(_servers).where(_servers.c.id == server_id))

    def agree(self, name: str, value: str) -> str:
        """The value all servers go by: the first one's."""
        with self.engine.begin() as connection:
            change = insert_into(self.engine, _facts)
            connection.execute(change.values(name=name, value=value).on_conflict_do_nothing())
            return self._fact(connection, name)

    @staticmethod
    def _fact(connection: Connection, name: str) -> str:
        return str(connection.execute(select(_facts.c.value).where(_facts.c.name == name)).scalar_one())

    def _one(self, *conditions: Any) -> Job | None:
        found = self._all(select(_jobs).where(*conditions))
        return found[0] if found else None

    def _all(self, query: Any) -> list[Job]:
        with self.engine.connect() as connection:
            return [Job(**cast(dict[str, Any], dict(row._mapping))) for row in connection.execute(query)]
