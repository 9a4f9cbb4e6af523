"""Schemas from 0.1.0 to now, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, MetaData, inspect, text

from airgap.accounts import migrations as accounts_steps
from airgap.accounts import page_counts, usage
from airgap.accounts import store as accounts_store
from airgap.accounts.store import Store
from airgap.core.errors import ConfigurationError
from airgap.db.migrations import statements, upgrade, version
from airgap.db.opening import open_database
from airgap.jobs import migrations as jobs_steps
from airgap.jobs import tables as jobs_tables
from airgap.jobs.tables import Tables
from tests.conftest import ROOT

RELEASED = ROOT / "tests" / "data" / "upgrade"
_accounts = MetaData()
for _tables in (accounts_store._metadata, page_counts.metadata, usage.metadata):
    for _table in _tables.sorted_tables:
        _table.to_metadata(_accounts)
ROOMS = {
    "accounts": (accounts_steps.STEPS, _accounts),
    "jobs": (jobs_steps.STEPS, jobs_tables._metadata),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("database") if request.param == "postgresql" else None


@pytest.fixture
def engine(url: str | None, tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(url, tmp_path / "some.sqlite")
    yield opened
    opened.dispose()


def make_0_1_0(engine: Engine, room: str) -> None:
    """The tables as release 0.1.0 made them."""
    sql = (RELEASED / f"{room}-0.1.0.{engine.dialect.name}.sql").read_text()
    with engine.begin() as connection:
        for statement in sql.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def shape(engine: Engine, tables: MetaData) -> dict[str, object]:
    """Columns, keys and indexes of the tables, as the database tells them."""
    found = inspect(engine)
    return {
        name: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)],
            found.get_pk_constraint(name)["constrained_columns"],
            sorted(tuple(u["column_names"]) for u in found.get_unique_constraints(name)),
            sorted(tuple(i["column_names"]) for i in found.get_indexes(name) if not i["unique"]),
            [(k["constrained_columns"], k["referred_table"]) for k in found.get_foreign_keys(name)],
        )
        for name in sorted(tables.tables)
    }


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("earlier", ["nothing", "0.1.0"])
def test_the_steps_end_in_the_tables_that_the_code_uses(
    engine: Engine, url: str | None, tmp_path: Path, room: str, earlier: str
) -> None:
    steps, tables = ROOMS[room]
    if earlier == "0.1.0":
        make_0_1_0(engine, room)
    assert upgrade(engine, room, steps) == 0
    stepped = shape(engine, tables)
    tables.drop_all(engine)
    tables.create_all(engine)
    assert stepped == shape(engine, tables)


def test_a_step_runs_once(engine: Engine) -> None:
    steps = [statements("CREATE TABLE a (n INTEGER)"), statements("INSERT INTO a VALUES (1)")]
    assert upgrade(engine, "x", steps[:1]) == 0
    assert upgrade(engine, "x", steps) == 1
    assert upgrade(engine, "x", steps) == 2
    with engine.connect() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM a")).scalar_one() == 1
        assert (version(connection, "x"), version(connection, "other")) == (2, 0)


def test_a_step_that_fails_leaves_nothing_behind(engine: Engine) -> None:
    def breaks(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (n INTEGER)")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        upgrade(engine, "x", [statements("CREATE TABLE a (n INTEGER)"), breaks])
    assert not {"a", "half"} & set(inspect(engine).get_table_names())
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        assert "schema_versions" not in tables or version(connection, "x") == 0


def test_a_database_of_a_later_release_is_left_alone(engine: Engine) -> None:
    upgrade(engine, "x", [statements(), statements()])
    with pytest.raises(ConfigurationError, match="version 2, and this release knows 1"):
        upgrade(engine, "x", [statements()])


def test_servers_that_start_together_upgrade_once(url: str | None, tmp_path: Path) -> None:
    def start(_: int) -> int:
        engine = open_database(url, tmp_path / "some.sqlite")
        try:
            return upgrade(engine, "x", [statements("CREATE TABLE once (n INTEGER)")])
        finally:
            engine.dispose()

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(start, range(6))) == [0, 1, 1, 1, 1, 1]


def test_accounts_of_0_1_0_keep_their_users_keys_and_counts(url: str | None, tmp_path: Path) -> None:
    """Pages of keys under the site's quota become their user's; a key's own stay the key's."""
    engine = open_database(url, tmp_path / "accounts.sqlite")
    make_0_1_0(engine, "accounts")
    now = "'2026-02-03 10:00:00+00'" if url else "'2026-02-03 10:00:00.000000'"
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO users (name, password_hash, role, active, token_version, created_at)"
                f" VALUES ('alice', 'h', 'user', true, 3, {now})"
            )
        )
        for key, quota in (("a" * 16, "NULL"), ("b" * 16, "NULL"), ("c" * 16, "9")):
            connection.execute(
                text(f"INSERT INTO api_keys VALUES ('{key}', 1, 'k', 'ff', NULL, {quota}, {now}, NULL)")
            )
            connection.execute(text(f"INSERT INTO page_counts VALUES ('key:{key}', '2026-02-03', 5)"))
    engine.dispose()
    store = Store(url, tmp_path)
    user, day = store.user_named("alice"), date(2026, 2, 3)
    assert user is not None
    assert (user.id, user.token_version) == (1, 3)
    assert store.key_with_user("c" * 16) is not None
    counted = [store.counts.used(name, day) for name in ("user:1", f"key:{'a' * 16}", f"key:{'c' * 16}")]
    assert counted == [10, 0, 5]
    store.close()


def test_jobs_of_0_1_0_are_still_there(url: str | None, tmp_path: Path) -> None:
    engine = open_database(url, tmp_path / "jobs.sqlite")
    make_0_1_0(engine, "jobs")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO ocr_jobs VALUES ('j', 'user:1', 'done', NULL, 'normal', 1, 2, 2, 1, 0,"
                " 1.5, 1.5, 2.5, 2.5, NULL, NULL)"
            )
        )
        connection.execute(text("INSERT INTO ocr_job_runs VALUES ('j', 0, 'od', 'here', 2.5)"))
    engine.dispose()
    tables = Tables(url, tmp_path)
    job = tables.job("j")
    assert job is not None
    assert (job.status, job.pages, tables.counts("j").done) == ("done", 2, 2)
    tables.close()
