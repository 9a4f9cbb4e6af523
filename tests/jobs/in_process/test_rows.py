"""A job's row, its runs' rows and the servers' rows, one question after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from airgap.jobs import tables as module
from airgap.jobs.tables import Counts, Job, Server, Tables, Wanted
from tests.db.schema import known, made


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Tables]:
    opened = Tables(None, tmp_path)
    yield opened
    opened.close()


def job(number: int = 1, caller: str = "me", **values: Any) -> Job:
    return replace(
        Job(
            id=f"{number:032d}",
            caller=caller,
            status="queued",
            reason=None,
            priority="normal",
            inputs=1,
            pages=None,
            runs=None,
            width=1,
            generation=0,
            created_at=1000.0 + number,
            started_at=None,
            finished_at=None,
            changed_at=1000.0,
        ),
        **values,
    )


def test_the_migrations_make_the_tables_that_are_asked(tables: Tables, tmp_path: Path) -> None:
    assert (tables.jobs_of(Wanted("me")), tables.runs_done("x"), tables.servers()) == ([], {}, [])
    assert tables.agree("name", "value") == "value"
    assert tables.unfinished() == tables.expired(0) == []
    expected = known(module._metadata)
    assert made(tmp_path / "jobs.sqlite", set(expected)) == expected


def test_a_run_that_ends_while_its_job_is_erased_leaves_nothing(tables: Tables) -> None:
    tables.add(job(1))

    @event.listens_for(tables.engine, "before_cursor_execute")
    def erase(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO ocr_job_runs") and tables.job(job(1).id):
            tables.erase(job(1).id)

    tables.note_run(job(1).id, 0, ("ok",), "s")
    assert tables.job(job(1).id) is None
    assert tables.runs_done(job(1).id) == {}


def test_closed_tables_hold_no_connection(tmp_path: Path) -> None:
    opened = Tables(None, tmp_path)
    assert opened.servers() == []
    pool = opened.engine.pool
    assert pool.checkedin() == 1  # type: ignore[attr-defined]
    opened.close()
    assert pool.checkedin() == 0  # type: ignore[attr-defined]


def test_what_was_added_is_there(tables: Tables) -> None:
    asked = job(reason="r", pages=2, runs=3, width=4, generation=5, started_at=6.0, finished_at=7.0)
    assert tables.add(asked) is None
    assert tables.job(asked.id) == asked
    assert tables.job("another") is None
    assert tables.url.endswith("/jobs.sqlite")


def test_a_key_is_one_job_of_its_caller(tables: Tables) -> None:
    first = job(1, idempotency_key="k", fingerprint="f")
    assert tables.add(first) is None
    assert tables.add(job(2, idempotency_key="k")) == first
    assert tables.job(job(2).id) is None
    assert tables.add(job(3, "you", idempotency_key="k")) is None
    assert tables.of_key("me", "k") == first
    assert tables.of_key("me", "other") is None
    assert tables.of_key("me", None) is None
    for number in (4, 5):
        assert tables.add(job(number)) is None, "no key is no key"
    with pytest.raises(IntegrityError):
        tables.add(job(5))


def ids(found: list[Job]) -> list[int]:
    return [int(entry.id) for entry in found]


def test_jobs_are_listed_the_newest_first_and_as_they_are_wanted(tables: Tables) -> None:
    for number in range(1, 5):
        tables.add(job(number, status="done" if number == 2 else "queued"))
    tables.add(job(5, "you", created_at=1003.0))
    assert ids(tables.jobs_of(Wanted("me"))) == [4, 3, 2, 1]
    assert ids(tables.jobs_of(Wanted(None))) == [4, 5, 3, 2, 1]
    assert ids(tables.jobs_of(Wanted("me", "done"))) == [2]
    assert ids(tables.jobs_of(Wanted("me", limit=2))) == [4, 3]
    assert ids(tables.jobs_of(Wanted(None, before=(1003.0, job(5).id)))) == [3, 2, 1]
    assert ids(tables.jobs_of(Wanted(None, before=(1003.0, job(3).id)))) == [2, 1]
    assert ids(tables.jobs_of(Wanted(None, ids=(job(1).id, job(5).id)))) == [5, 1]
    assert ids(tables.jobs_of(Wanted("me", ids=(job(1).id, job(5).id)))) == [1]
    assert ids(tables.jobs_of(Wanted("me", ids=()))) == []
    for number in range(10, 40):
        tables.add(job(number))
    assert len(tables.jobs_of(Wanted("me"))) == 20


def test_what_has_not_ended_and_what_ended_long_ago(tables: Tables) -> None:
    for number, status in enumerate(("running", "queued", "paused", "done", "failed", "cancelled"), 1):
        tables.add(job(10 - number, status=status, finished_at=100.0 + number))
    assert ids(tables.unfinished()) == [7, 8, 9]
    assert tables.count_unfinished() == tables.count_unfinished("me") == 3
    assert tables.count_unfinished("you") == 0
    assert sorted(ids(tables.expired(105.5))) == [5, 6]
    assert ids(tables.expired(104.0)) == []
    assert [job(status=status).finished for status in ("running", "done", "failed")] == [False, True, True]


def test_a_row_is_changed_only_from_where_it_is_expected(tables: Tables) -> None:
    tables.add(job(1))
    tables.add(job(2))
    before = time.time()
    assert not tables.change(job(1).id, ("running",), status="done")
    assert tables.change(job(1).id, ("queued", "running"), status="running", pages=7)
    found = tables.job(job(1).id)
    assert found is not None
    assert (found.status, found.pages) == ("running", 7)
    assert before <= found.changed_at <= time.time()
    assert tables.job(job(2).id) == job(2)
    assert not tables.change("nobody", ("queued",), status="done")


def test_of_several_that_start_a_job_again_one_does(tables: Tables) -> None:
    asked = job(1, status="running", reason="r", finished_at=5.0)
    tables.add(asked)
    for run in range(3):
        tables.note_run(asked.id, run, ("ok",), "s")
    assert tables.restart(asked, forget=(0, 2))
    assert not tables.restart(asked)
    found = tables.job(asked.id)
    assert found is not None
    assert (found.generation, found.status, found.reason, found.finished_at) == (1, "queued", None, None)
    assert found.changed_at > 1000.0
    assert tables.runs_done(asked.id) == {1: 1}
    ended = job(2, status="done")
    tables.add(ended)
    assert not tables.restart(ended)
    assert tables.restart(ended, expected=("done",))


def test_runs_are_counted_as_they_come_and_once(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        tables.add(job(number))
    now = 5000.0
    monkeypatch.setattr(time, "time", lambda: now)
    tables.note_run(job(1).id, 0, ("ok", "failed"), "s")
    now = 5050.0
    tables.note_run(job(1).id, 1, ("ok", "degraded", "ok"), "s")
    tables.note_run(job(1).id, 1, ("ok", "degraded"), "t")
    tables.note_run("erased meanwhile", 0, ("ok",), "s")
    assert tables.runs_done(job(1).id) == {0: 2, 1: 2}
    assert tables.runs_done("erased meanwhile") == {}
    found = tables.job(job(1).id)
    assert found is not None
    assert found.changed_at == 5050.0
    now = 5054.0
    counts = tables.counts_of([job(1).id, job(2).id])
    assert counts == {job(1).id: Counts(2, 1, 1, 4 / 54), job(2).id: Counts(0, 0, 0, 0.0)}
    assert counts[job(1).id].done == 4
    now = 5060.0
    assert tables.counts(job(1).id).pages_per_second == 2 / 10, "those of the last minute"
    now = 5050.5
    assert tables.counts(job(1).id).pages_per_second == 4 / 50.5
    tables.note_run(job(2).id, 0, ("ok",) * 8, "s")
    assert tables.counts(job(2).id).pages_per_second == 8.0, "of a second at least"
    with tables.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT server, statuses FROM ocr_job_runs ORDER BY run, server")
        ).all()
    assert ("t", "od") in [tuple(row) for row in rows]


def test_an_erased_job_leaves_no_row_and_others_theirs(tables: Tables, tmp_path: Path) -> None:
    for number in (1, 2):
        tables.add(job(number))
        tables.note_run(job(number).id, 0, ("ok",), "s")
    tables.erase(job(1).id)
    assert tables.job(job(1).id) is None
    assert tables.runs_done(job(1).id) == {}
    assert tables.runs_done(job(2).id) == {0: 1}
    assert (tmp_path / "jobs.sqlite-wal").stat().st_size == 0, "nor in the log of the database"


def test_servers_say_that_they_live(tables: Tables) -> None:
    for beat in (1, 2):
        tables.beat(Server("a", "m", beat))
    tables.beat(Server("b", "n", 9))
    assert sorted(tables.servers(), key=lambda server: server.id) == [
        Server("a", "m", 2),
        Server("b", "n", 9),
    ]
    tables.forget_server("a")
    assert tables.servers() == [Server("b", "n", 9)]


def test_all_servers_go_by_the_first_ones_word(tables: Tables) -> None:
    assert tables.agree("store", "first") == "first"
    assert tables.agree("store", "second") == "first"
    assert tables.agree("other", "second") == "second"
