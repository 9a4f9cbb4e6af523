"""INSERT that says what happens where the row is there already: each dialect of SQLAlchemy has its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(engine: Engine, table: Table) -> Any:
    """An INSERT with `on_conflict_do_update` and `on_conflict_do_nothing`, for SQLite or PostgreSQL."""
    return (sqlite if engine.dialect.name == "sqlite" else postgresql).insert(table)
