"""Opening a database: a file under the data folder, or a PostgreSQL server by its address."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from airgap.core.errors import ConfigurationError

_SQLITE = ("foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON")
_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg")
_ANOTHER = "Name a new file, and register the accounts again: another server's passwords are not taken over."


def open_database(url: str | None, path: Path) -> Engine:
    """The PostgreSQL server at `url`, or the SQLite file at `path` where that is None.

    Raises `ConfigurationError` for an address that is none. Nothing is connected yet.
    """
    return _postgresql(url) if url else _sqlite(path)


def require_own_file(path: Path) -> None:
    """Raise `ConfigurationError` for an SQLite file that another program keeps its tables in."""
    if not path.exists() or not path.stat().st_size:
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise ConfigurationError(
            f"DATABASE_URL names {path}, which cannot be opened: {error}.", _ANOTHER
        ) from error
    if tables and "schema_versions" not in tables:
        raise ConfigurationError(f"DATABASE_URL names {path}, which another program made.", _ANOTHER)


def _sqlite(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():  # a second handle, once closed, would drop the locks of SQLite's own
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = "IMMEDIATE"  # writers queue up instead of failing; DBOS asks for it
        for pragma in ("busy_timeout=30000", *_SQLITE):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _postgresql(url: str) -> Engine:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ConfigurationError(
            "DATABASE_URL is not a PostgreSQL address.",
            "Write postgresql://user:password@host:5432/name, or unset it for SQLite.",
        )
    try:
        return create_engine(
            f"postgresql+psycopg://{rest}", pool_pre_ping=True, pool_size=10, max_overflow=10
        )
    except (SQLAlchemyError, ValueError) as error:
        raise ConfigurationError("DATABASE_URL cannot be understood.") from error
