"""What tables are: as the code that asks them knows them, and as they were made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, UniqueConstraint, create_engine, inspect


def column(found: Any) -> tuple[str, str, int | None, bool]:
    """Name, kind and length of a column, and whether it may be empty."""
    return (
        found["name"],
        type(found["type"].as_generic()).__name__,
        getattr(found["type"], "length", None),
        bool(found["nullable"]),
    )


def known(metadata: MetaData) -> dict[str, Any]:
    return {
        table.name: {
            "columns": [
                column({"name": c.name, "type": c.type, "nullable": c.nullable}) for c in table.columns
            ],
            "key": [c.name for c in table.primary_key.columns],
            "indexes": sorted(c.name for index in table.indexes for c in index.columns),
            "unique": sorted(
                [c.name for c in one.columns]
                for one in table.constraints
                if isinstance(one, UniqueConstraint)
            ),
            "foreign": sorted(str(key.target_fullname) for key in table.foreign_keys),
        }
        for table in metadata.tables.values()
    }


def made(path: Path, names: set[str]) -> dict[str, Any]:
    engine = create_engine(f"sqlite:///{path}")
    looked = inspect(engine)
    found = {
        name: {
            "columns": [column(c) for c in looked.get_columns(name)],
            "key": looked.get_pk_constraint(name)["constrained_columns"],
            "indexes": sorted(str(c) for index in looked.get_indexes(name) for c in index["column_names"]),
            "unique": sorted(one["column_names"] for one in looked.get_unique_constraints(name)),
            "foreign": [f"{key['referred_table']}.id" for key in looked.get_foreign_keys(name)],
        }
        for name in names
    }
    engine.dispose()
    return found
