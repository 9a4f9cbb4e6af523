"""What the server does for jobs by itself: once a tick, for the dead, the stalled, the paused and the old."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airgap.jobs import keeping
from airgap.jobs.keeping import Keeper, Presence, erase
from airgap.jobs.reading import DISK_FULL
from airgap.jobs.tables import Job, Server
from tests.jobs.in_process.parts import Flow, House
from tests.jobs.in_process.test_rows import job
from tests.process.one_page import counted

NOW = 10_000.0


class Kept(House):
    """A house and who keeps it: unfinished jobs stall after 100 seconds, finished ones live for 1,000."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(path)
        self.flow = Flow()
        self.presence = Presence(self.store.root)
        self.presence.enter()
        self.erased: list[Job] = []
        self.tidied = 0
        self.room: list[float] = []
        self.has_room = True
        patch.setattr(self.store, "has_room", self._room)
        patch.setattr(time, "time", lambda: NOW)
        self.keeper = self.another()

    def _room(self, wanted: int = 0, *, factor: float = 1.0) -> bool:
        self.room.append(factor)
        return self.has_room

    def another(self, ttl: float = 1000) -> Keeper:
        async def tidy() -> None:
            self.tidied += 1

        return Keeper(
            presence=self.presence,
            tables=self.tables,
            store=self.store,
            threads=self.threads,
            flow=self.flow,  # type: ignore[arg-type]
            ttl_seconds=ttl,
            stall_seconds=100,
            tidy=tidy,
            erased=self.erased.append,
        )

    def looked_after(self, **values: Any) -> list[tuple[Any, ...]]:
        """What is done about a job with this row."""
        self.flow.told.clear()
        self.tables.erase(job(1).id)
        self.tables.add(job(1, generation=2, **values))
        self.keeper._look()
        return self.flow.told


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    made = Kept(tmp_path, monkeypatch)
    yield made
    made.presence.leave()
    made.close()


# --- jobs that do not go on ----------------------------------------------------------------------


def test_a_queued_job_that_nobody_took_is_given_out_again(kept: Kept) -> None:
    assert kept.looked_after(status="queued", changed_at=NOW - 15) == []
    assert kept.looked_after(status="queued", changed_at=NOW - 16) == [("open", 1, 2)]
    assert kept.row().generation == 2
    assert kept.looked_after(status="queued", changed_at=NOW - 100) == [("open", 1, 2)]
    assert kept.looked_after(status="queued", changed_at=NOW - 101) == [("open", 1, 2), ("open", 1, 3)]
    assert (kept.row().generation, kept.row().status) == (3, "queued")


def test_a_running_job_that_has_stopped_is_started_again(kept: Kept) -> None:
    assert kept.looked_after(status="running", changed_at=NOW - 100) == []
    assert kept.looked_after(status="running", changed_at=NOW - 101) == [("open", 1, 3)]
    assert (kept.row().generation, kept.row().status) == (3, "queued")


def test_a_job_of_before_the_clock_was_set_back_is_watched_all_the_same(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, day = 500.0, NOW + 86_400
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert kept.looked_after(status="running", changed_at=day) == []
    now += 99
    assert kept.looked_after(status="running", changed_at=day) == []
    assert kept.looked_after(status="running", changed_at=day + 1) == []  # it went on
    now += 100
    assert kept.looked_after(status="running", changed_at=day + 1) == []
    now += 1
    assert kept.looked_after(status="running", changed_at=day + 1) == [("open", 1, 3)]
    assert kept.looked_after(status="running", changed_at=NOW) == []
    assert kept.keeper._ahead == {}


def test_a_job_with_a_workflow_is_left_alone(kept: Kept) -> None:
    kept.flow.alive = {job(1).id}
    for status in ("queued", "running"):
        assert kept.looked_after(status=status, changed_at=0) == []


def test_a_paused_job_goes_on_once_there_is_room_twice_over(kept: Kept) -> None:
    kept.has_room = False
    assert kept.looked_after(status="paused", reason=DISK_FULL, changed_at=0) == []
    assert kept.room == [2]
    kept.has_room = True
    assert kept.looked_after(status="paused", reason="another", changed_at=0) == []
    assert kept.looked_after(status="paused", reason=DISK_FULL, changed_at=NOW) == [("open", 1, 3)]
    assert (kept.row().status, kept.row().reason) == ("queued", None)


def test_how_many_jobs_wait_and_for_how_long_is_measured(kept: Kept) -> None:
    for number, status in ((2, "queued"), (3, "queued"), (4, "running"), (5, "done")):
        kept.tables.add(job(number, status=status, created_at=NOW - 10 * number, changed_at=NOW))
    kept.keeper._look()
    found = {status: counted(f'ocr_jobs{{status="{status}"}}') for status in ("queued", "running", "paused")}
    assert found == {"queued": 2, "running": 1, "paused": 0}
    assert counted("ocr_oldest_job_age_seconds") == 40
    for number in (2, 3, 4):
        kept.tables.erase(job(number).id)
    kept.keeper._look()
    assert counted("ocr_oldest_job_age_seconds") == 0
    kept.tables.add(job(6, created_at=NOW + 50, changed_at=NOW))
    kept.keeper._look()
    assert (counted("ocr_oldest_job_age_seconds"), counted('ocr_jobs{status="queued"}')) == (0, 1)


# --- what has outlived its time ------------------------------------------------------------------


def test_a_job_that_has_outlived_its_time_is_erased_and_told(kept: Kept) -> None:
    for number, finished in ((1, NOW - 1001), (2, NOW - 999)):
        kept.add(number, [b"x"], status="done", finished_at=finished)
    kept.keeper._clean()
    assert [found.id for found in kept.erased] == [job(1).id]
    assert kept.flow.told == [("cancel", 1), ("erase", 1)]
    assert (kept.tables.job(job(1).id), kept.folder(1).exists()) == (None, False)
    assert kept.row(2).status == "done"
    assert kept.folder(2).exists()


def test_a_clock_that_is_set_forward_ends_no_jobs_life(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = kept.another()
    kept.tables.add(job(1, status="done", finished_at=NOW - 10))
    keeper._tick()
    monkeypatch.setattr(time, "time", lambda: NOW + 86_400)
    keeper._tick()
    keeper._clean()
    assert [row.id for row in kept.erased] == []
    assert kept.tables.job(job(1).id) is not None


def test_folders_without_a_job_go_after_an_hour(kept: Kept) -> None:
    for number, age in ((1, 3601), (2, 3599), (3, 3601)):
        kept.add(number, [b"x"])
        os.utime(kept.folder(number).path, (NOW - age,) * 2)
    for number in (1, 2):
        kept.tables.erase(job(number).id)
    (kept.store.root / ".erased-left").mkdir()
    kept.keeper._clean()
    assert [kept.folder(number).exists() for number in (1, 2, 3)] == [False, True, True]
    assert not (kept.store.root / ".erased-left").exists()
    assert kept.erased == []


def test_an_erased_job_is_stopped_before_it_is_gone(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.add(1, [b"x"], status="running")
    seen: list[Job] = []
    monkeypatch.setattr(kept.flow, "cancel", lambda _: seen.append(kept.row()))
    erase(job(1).id, kept.tables, kept.store, kept.flow)  # type: ignore[arg-type]
    assert [(found.status, found.finished_at) for found in seen] == [("cancelled", NOW)]
    assert kept.flow.told == [("erase", 1)]
    assert kept.tables.job(job(1).id) is None
    assert not kept.folder().exists()


# --- a tick --------------------------------------------------------------------------------------


def test_a_tick_says_that_the_server_lives_and_takes_over_from_the_dead(kept: Kept) -> None:
    dead = Presence(kept.store.root)
    dead.enter()
    kept.tables.beat(dead.next_beat())
    dead.leave()
    kept.keeper._tick()
    assert kept.flow.told == [("reclaim", dead.id)]
    assert [server.id for server in kept.tables.servers()] == [kept.presence.id]
    assert [path.name for path in (kept.store.root / "servers").iterdir()] == [kept.presence.id]
    kept.keeper.beat()
    assert [server.beat for server in kept.tables.servers()] == [2]


def test_jobs_are_looked_after_at_each_third_tick(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr(kept.keeper, "_look", lambda: looks.append(1))
    so_far = []
    for _ in range(8):
        kept.keeper._tick()
        so_far.append(len(looks))
    assert so_far == [1, 1, 1, 2, 2, 2, 3, 3]


@pytest.mark.parametrize(("ttl", "every"), [(1000.0, 60.0), (20.0, 10.0)])
def test_the_house_is_cleaned_each_minute_or_twice_in_a_jobs_life(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, ttl: float, every: float
) -> None:
    clock, cleaned = [5000.0], list[float]()
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    keeper = kept.another(ttl)
    monkeypatch.setattr(keeper, "_clean", lambda: cleaned.append(clock[0]))
    for clock[0] in (5000.0, 5000.0 + every, 5001.0 + every, 5001.0 + 2 * every, 5002.0 + 2 * every):
        keeper._tick()
    assert cleaned == [5000.0, 5001.0 + every, 5002.0 + 2 * every]


async def test_what_fails_is_tried_again_and_is_trouble_once_it_lasts(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (keeping.TICK_SECONDS, keeping.DEAD_AFTER_SECONDS) == (1.0, 30.0)
    monkeypatch.setattr(keeping, "TICK_SECONDS", 0.001)
    now, fails, ticks = 100.0, True, 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if fails:
            raise OSError("no database")

    monkeypatch.setattr(kept.keeper, "_tick", tick)
    monkeypatch.setattr(keeping, "time", SimpleNamespace(monotonic=lambda: now))  # the loop's own goes on

    async def some() -> None:
        until = ticks + 3
        while ticks < until:
            await asyncio.sleep(0.001)

    running = asyncio.create_task(kept.keeper.run())
    await some()
    assert kept.keeper.trouble is None
    now = 114.9
    assert kept.keeper.trouble is None
    now = 115.0
    await some()
    assert str(kept.keeper.trouble) == "the jobs' database cannot be used"
    assert kept.tidied == 0
    fails = False
    await some()
    assert kept.keeper.trouble is None
    assert kept.tidied > 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


# --- who lives -----------------------------------------------------------------------------------


def test_a_silent_server_is_dead_after_half_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    here = Presence(tmp_path)
    seen = [Server("far", "another", beat) for beat in (-1, 0)]
    assert here.dead([seen[0]]) == []
    now = 130.5
    assert here.dead([seen[0]]) == ["far"], "a beat of any number is one"
    assert here.dead([seen[1]]) == []
    assert here.dead([Server(here.id, "another", 0)]) == []
    now = 200.0
    assert here.dead([Server(here.id, "another", 0)]) == [], "nobody is dead to themselves"


def test_a_server_of_this_machine_whose_lock_is_not_there_is_not_dead(tmp_path: Path) -> None:
    here, there = Presence(tmp_path), Presence(tmp_path)
    here.enter()
    assert here.dead([there.next_beat()]) == []
    assert there.next_beat().beat == 2
    assert there.machine == here.machine
    here.leave()


def test_an_id_names_host_and_process(tmp_path: Path) -> None:
    host, process, rest = Presence(tmp_path).id.rsplit("-", 2)
    assert (host, process, len(rest)) == (os.uname().nodename[:80], str(os.getpid()), 8)
