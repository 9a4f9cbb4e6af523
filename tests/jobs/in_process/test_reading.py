"""Planning a job and reading its runs, on the fake engine: what is taken, what is skipped, what pauses."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from airgap.core.document import Page, ReadOptions
from airgap.core.engine import Events
from airgap.core.errors import EngineBusy, EngineUnavailable, QuotaExceeded, StorageFull
from airgap.engines.fake import FakeEngine
from airgap.jobs import reading as module
from airgap.jobs.plan import Plan, PlannedInput, Spec
from airgap.jobs.quota import Quota
from airgap.jobs.reading import DISK_FULL, Opened, RunRead
from airgap.jobs.store import StoredPage
from airgap.jobs.tables import Job, Server
from process.pipeline import RENDER_AHEAD
from tests.jobs.helpers import pdf, picture
from tests.jobs.in_process.parts import House
from tests.jobs.in_process.test_rows import job

JOB = job(1).id


def stored(number: int, status: Any = "ok") -> StoredPage:
    return StoredPage(Page(number, 1, 1, status), "e", "m", None)


# --- planning ------------------------------------------------------------------------------------


async def test_a_job_that_is_opened_is_counted_and_begun(house: House) -> None:
    house.add(1, [pdf(3), picture(), b"%PDF-1.7 nothing"])
    opened = await house.reading.open(JOB, 0)
    assert opened == Opened("me/small", (0, 1, 2, 3, 4))
    row = house.row()
    assert (row.status, row.pages, row.runs, row.width) == ("running", 5, 5, 5)
    assert row.started_at is not None
    plan = house.folder().plan()
    assert [(entry.first, entry.count, entry.kind) for entry in plan.inputs] == [
        (1, 3, "pdf"),
        (1, 1, "image"),
        (1, 1, "image"),
    ]
    assert [entry.error.code if entry.error else None for entry in plan.inputs] == [None, None, "invalid_pdf"]
    assert await house.reading.open(JOB, 0) == opened, "it may be repeated"
    assert house.row() == row


async def test_only_its_generation_opens_a_job_and_only_while_it_goes_on(house: House) -> None:
    house.add(1, [pdf(1)])
    assert await house.reading.open(JOB, 1) == Opened("")
    assert await house.reading.open("nobody", 0) == Opened("")
    for number, status in enumerate(("paused", "done", "failed", "cancelled"), 2):
        house.add(number, [pdf(1)], status=status)
        assert await house.reading.open(job(number).id, 0) == Opened("")
        assert house.row(number).status == status


async def test_a_jobs_share_is_of_the_places_of_all_servers(house: House) -> None:
    """Two pages at once and two drawn ahead; of 40 runs those go on that its share allows."""
    assert house.reading.places == 4
    pages = pdf(160)

    async def width(servers: int, jobs: int, priority: str = "normal") -> int:
        for n in range(1, 9):
            house.tables.erase(job(n).id)
            house.tables.forget_server(f"s{n}")
        for n in range(servers):
            house.tables.beat(Server(f"s{n + 1}", "m", 1))
        for n in range(2, 1 + jobs):
            house.tables.add(job(n))
        house.store.erase(JOB)
        house.add(1, [pages], priority=priority)
        opened = await house.reading.open(JOB, 0)
        assert (len(opened.first), house.row().runs) == (house.row().width, 40)
        return house.row().width

    assert [await width(servers, 1) for servers in (0, 1, 2)] == [8, 8, 16]
    assert [await width(1, jobs) for jobs in (2, 4)] == [4, 2]
    assert [await width(1, 1, priority) for priority in ("low", "high")] == [4, 16]


def test_how_many_runs_a_server_wants_to_hold(tmp_path: Path) -> None:
    house = House(tmp_path)
    ahead = RENDER_AHEAD
    found = {}
    for concurrency in (1, 6, 7, 8, 100):
        house.reader._places = concurrency
        found[concurrency] = house.reading.places
    assert found == {c: max(4, -(-(c + ahead) // 2)) for c in found}
    assert found[1] == 4
    house.close()


class Refusing:
    """Accounts whose quota is used up."""

    async def take(self, *_: Any, **__: Any) -> None:
        raise QuotaExceeded("w" * 300)


async def test_a_job_that_costs_too_much_fails_with_its_reason(tmp_path: Path) -> None:
    house = House(tmp_path, Quota(lambda: Refusing()))  # type: ignore[arg-type, return-value]
    house.add(1, [pdf(1)], spec={"pages_per_day": 5})
    assert await house.reading.open(JOB, 0) == Opened("")
    row = house.row()
    assert (row.status, row.reason, row.pages) == ("failed", "w" * 200, None)
    assert row.finished_at is not None
    house.close()


async def test_a_job_of_too_many_pages_fails(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (module.MAX_PAGES, module.TOO_MANY_PAGES) == (200_000, "more than 200000 pages")
    monkeypatch.setattr(module, "MAX_PAGES", 3)
    house.add(1, [pdf(2), pdf(1)])
    assert len((await house.reading.open(JOB, 0)).first) == 3
    house.add(2, [pdf(2), pdf(2)])
    assert await house.reading.open(job(2).id, 0) == Opened("")
    assert (house.row(2).status, house.row(2).reason) == ("failed", "more than 200000 pages")


async def test_a_job_that_was_erased_meanwhile_is_let_be(house: House) -> None:
    house.add(1, [pdf(1)])
    house.store.erase(JOB)
    assert await house.reading.open(JOB, 0) == Opened("")
    assert await house.reading.read_run(JOB, 0, 0) == RunRead()
    house.tables.change(JOB, ("queued",), status="running")
    assert await house.reading.read_run(JOB, 0, 0) == RunRead()


async def test_a_disk_that_is_full_pauses_the_job(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.add(1, [pdf(2)])

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr("airgap.jobs.store.JobFolder.write_plan", full)
        assert await house.reading.open(JOB, 0) == Opened("")
    assert (house.row().status, house.row().reason) == ("paused", DISK_FULL)
    house.tables.restart(house.row(), expected=("paused",))
    await house.reading.open(JOB, 1)
    assert house.row().status == "running"
    with monkeypatch.context() as patch:
        patch.setattr(house.store, "require_room", lambda: (_ for _ in ()).throw(StorageFull("full")))
        assert await house.reading.read_run(JOB, 1, 0) == RunRead()
    assert (house.row().status, house.row().reason) == ("paused", DISK_FULL)


async def test_another_fault_of_the_disk_is_one(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.add(1, [pdf(1)])

    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("airgap.jobs.store.JobFolder.write_plan", broken)
    with pytest.raises(OSError, match="broken"):
        await house.reading.open(JOB, 0)
    assert house.row().status == "queued"


# --- runs ----------------------------------------------------------------------------------------


async def opened(house: House, *files: bytes, number: int = 1, **values: Any) -> Job:
    house.add(number, files, **values)
    await house.reading.open(job(number).id, 0)
    return house.row(number)


async def test_runs_are_read_one_after_the_other_until_all_are(house: House) -> None:
    await opened(house, pdf(3))
    house.tables.change(JOB, ("running",), status="running", width=2)
    assert await house.reading.read_run(JOB, 0, 0) == RunRead(next=2)
    assert await house.reading.read_run(JOB, 0, 2) == RunRead()
    assert await house.reading.read_run(JOB, 0, 1) == RunRead(complete=True)
    found = [house.folder().page(index) for index in range(3)]
    assert [page.page.number for page in found if page] == [1, 2, 3]
    assert {(page.engine, page.model, page.mode) for page in found if page} == {("fake", "fake", "gundam")}
    assert house.tables.runs_done(JOB) == {0: 1, 1: 1, 2: 1}
    assert house.tables.counts(JOB).done == 3
    assert list(house.folder().path.rglob("*.tries")) == []


async def test_what_is_there_is_not_read_again(house: House) -> None:
    await opened(house, pdf(40))
    for index in (0, 2):
        house.folder().publish(index, stored(index + 1, "degraded"))
    house.engine.calls.clear()
    await house.reading.read_run(JOB, 0, 0)
    assert len(house.engine.calls) == 2
    assert house.tables.counts(JOB).degraded == 2
    assert house.tables.counts(JOB).ok == 2
    await house.reading.read_run(JOB, 0, 0)
    assert len(house.engine.calls) == 2


async def test_a_later_generation_leaves_out_the_runs_that_are_done(house: House) -> None:
    await opened(house, pdf(4))
    house.tables.change(JOB, ("running",), status="running", width=1)
    for run in range(4):
        await house.reading.read_run(JOB, 0, run)
    assert house.tables.restart(house.row(), forget=[1, 3])
    house.folder().forget([1, 3])
    again = await house.reading.open(JOB, 1)
    house.tables.change(JOB, ("running",), status="running", width=1)
    assert again.first == (1, 3)
    assert await house.reading.read_run(JOB, 1, 1) == RunRead(next=3)
    assert await house.reading.read_run(JOB, 1, 3) == RunRead(complete=True)
    assert house.tables.restart(house.row())
    assert await house.reading.open(JOB, 2) == Opened("me/small", (), complete=True)


async def test_a_page_that_took_servers_down_is_given_up(house: House) -> None:
    await opened(house, pdf(2))
    for index, tries in ((0, 4), (1, 5)):
        for _ in range(tries):
            house.folder().note_try(index)
    for run in (0, 1):
        await house.reading.read_run(JOB, 0, run)
    kept, lost = (house.folder().page(index) for index in (0, 1))
    assert kept is not None
    assert kept.page.status == "ok"
    assert lost is not None
    assert (lost.page.status, lost.page.number, lost.page.finish_reason) == ("failed", 2, "error")
    assert (lost.page.width, lost.page.height, lost.engine) == (0, 0, "fake")
    assert lost.page.error is not None
    assert (lost.page.error.code, "5 times" in lost.page.error.message) == ("engine_failed", True)
    assert house.tables.counts(JOB).failed == 1


async def test_a_file_that_could_not_be_opened_is_a_page_that_failed(house: House) -> None:
    await opened(house, pdf(1), b"%PDF-1.7 nothing")
    assert await house.reading.read_run(JOB, 0, 1) == RunRead()
    found = house.folder().page(1)
    assert found is not None
    assert (found.page.number, found.page.width, found.page.height, found.page.status) == (1, 0, 0, "failed")
    assert (found.page.finish_reason, found.page.error and found.page.error.code) == ("error", "invalid_pdf")
    assert house.engine.calls == []


class Sometimes(FakeEngine):
    """Is away for as many pages as it is told, and then reads."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)

    async def _read(self, images: Sequence[Any], options: ReadOptions) -> Events:
        if self.errors:
            raise self.errors.pop(0)
        async for event in super()._read(images, options):
            yield event


async def test_a_page_waits_for_an_engine_that_is_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (module._RETRY_SECONDS, module.MAX_TRIES) == (2.0, 5)
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.001)
    await opened(house, pdf(1))
    engine = Sometimes(EngineUnavailable("away"), EngineBusy("busy"))
    monkeypatch.setattr(house.reader, "engine", engine)
    monkeypatch.setattr(house.reader._accountant, "engine", engine, raising=False)
    await house.reading.read_run(JOB, 0, 0)
    found = house.folder().page(0)
    assert found is not None
    assert found.page.status == "ok"
    assert len(engine.calls) == 3


# --- stopping ------------------------------------------------------------------------------------


async def until(holds: Any) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


async def test_a_job_that_is_stopped_lets_go_of_its_pages_and_counts_no_try(house: House) -> None:
    await opened(house, pdf(40), spec={"options": ReadOptions(prompt="hang")})
    running = asyncio.create_task(house.reading.read_run(JOB, 0, 0))
    await until(lambda: house.engine.running == 2)
    told = asyncio.create_task(house.reading.news(20))
    await asyncio.sleep(0)
    await house.reading.stop(JOB)
    assert await running == RunRead()
    await asyncio.wait_for(told, 5)
    assert house.engine.running == 0
    assert house.reading._working == {}
    assert list(house.folder().path.rglob("*.tries")) == []
    assert house.tables.runs_done(JOB) == {0: 0}
    await house.reading.stop("nobody")


async def test_a_run_that_is_cancelled_takes_its_pages_along(house: House) -> None:
    await opened(house, pdf(1), spec={"options": ReadOptions(prompt="hang")})
    running = asyncio.create_task(house.reading.read_run(JOB, 0, 0))
    await until(lambda: house.engine.running == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (house.engine.running, house.reading._working) == (0, {})


async def test_closing_stops_everything(house: House) -> None:
    for number in (1, 2):
        await opened(house, pdf(1), number=number, spec={"options": ReadOptions(prompt="hang")})
    running = [asyncio.create_task(house.reading.read_run(job(n).id, 0, 0)) for n in (1, 2)]
    await until(lambda: house.engine.running == 2)
    await house.reading.close()
    assert await asyncio.gather(*running) == [RunRead(), RunRead()]


async def test_news_is_not_waited_for_without_end(house: House) -> None:
    await asyncio.wait_for(house.reading.news(0.001), 10)


async def test_specs_and_plans_are_remembered_for_a_while(house: House) -> None:
    for number in range(1, 67):
        house.folder(number).path.mkdir()
        house.folder(number).write_spec(Spec(job(number).id, "me", ()))
        house.folder(number).write_plan(Plan((PlannedInput(1, 1),), 1))
        await house.reading._load(job(number).id)
    assert list(house.reading._known) == [job(number).id for number in range(3, 67)]
    house.store.erase(job(66).id)
    spec, _ = await house.reading._load(job(66).id)
    assert spec.id == job(66).id


# --- pictures ------------------------------------------------------------------------------------


async def test_a_page_is_drawn_for_whoever_asks(house: House) -> None:
    await opened(house, pdf(2), picture())
    sizes = [await house.reading.picture(JOB, index, lambda image: image.size) for index in (0, 1, 2)]
    assert sizes[0] == sizes[1] != sizes[2]
    for index in (-1, 3):
        with pytest.raises(FileNotFoundError):
            await house.reading.picture(JOB, index, lambda image: image.size)
