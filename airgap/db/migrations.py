"""Numbered steps from one version of a schema to the next.

The table `schema_versions` holds, for each room that keeps rows, the number of its last step. A step
runs once, inside one transaction with its number, while other servers that start wait for their turn.
Step 1 of a room is the schema of release 0.1.0, which kept no numbers: it makes only what is missing,
so that a new database and one of that release go the same way.

A step is never changed once it was released; a change of the schema is one more step.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    text,
)

from airgap.core.errors import ConfigurationError

Step = Callable[[Connection], None]

_LOCK = 0x41697267  # any number that only this program takes

_TYPES = {
    "sqlite": {"serial": "INTEGER NOT NULL", "timestamp": "DATETIME"},
    "postgresql": {"serial": "SERIAL NOT NULL", "timestamp": "TIMESTAMP WITH TIME ZONE"},
}

_metadata = MetaData()
_versions = Table(
    "schema_versions",
    _metadata,
    Column("room", String(32), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)


def upgrade(engine: Engine, room: str, steps: Sequence[Step]) -> int:
    """Bring a room's tables to the version of its last step. Returns the version they had.

    Raises `ConfigurationError` when they are of a later release, and SQLAlchemy's errors.
    """
    with _turn(engine), engine.connect() as connection:
        _begin(connection)
        _metadata.create_all(connection)
        had = version(connection, room)
        if had > len(steps):
            raise ConfigurationError(
                f"The database's {room} are of version {had}, and this release knows {len(steps)}.",
                "Start the release that wrote them, or a later one; or restore the backup of before.",
            )
        for step in steps[had:]:
            step(connection)
        if had < len(steps):
            _note(connection, room, len(steps))
        connection.commit()
    return had


def version(connection: Connection, room: str) -> int:
    """The number of the room's last step; 0 for none."""
    query = select(_versions.c.version).where(_versions.c.room == room)
    return connection.execute(query).scalar_one_or_none() or 0


def _begin(connection: Connection) -> None:
    """Open the transaction, and wait for the others that start."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins none for a change of tables
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def statements(*texts: str) -> Step:
    """A step of plain SQL. `{serial}` and `{timestamp}` stand for what each database calls them."""

    def step(connection: Connection) -> None:
        types = _TYPES[connection.dialect.name]
        for sql in texts:
            connection.exec_driver_sql(sql.format_map(types))

    return step


def _note(connection: Connection, room: str, number: int) -> None:
    connection.execute(delete(_versions).where(_versions.c.room == room))
    row = {"room": room, "version": number, "changed_at": datetime.now(UTC)}
    connection.execute(insert(_versions).values(row))


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    """Of the processes that open one SQLite file, one at a time: it is not yet in its journal's mode."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        yield
        return
    with Path(engine.url.database).with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
