"""A job's files kept open, its events and its end, without a server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airgap.core.document import Page
from airgap.core.errors import InvalidPdf, StorageFull
from airgap.core.opening import WHOLE
from airgap.jobs import events as events_module
from airgap.jobs import sources as sources_module
from airgap.jobs.auditing import JobAudit
from airgap.jobs.ending import Ending
from airgap.jobs.events import Follower, JobEvent
from airgap.jobs.reading import DISK_FULL
from airgap.jobs.sources import OpenSources
from airgap.jobs.store import StoredPage
from airgap.jobs.tables import Job
from process.pages import Limits
from tests.jobs.helpers import pdf, picture
from tests.jobs.in_process.parts import House
from tests.jobs.in_process.test_rows import job

JOB = job(1).id


# --- files kept open -----------------------------------------------------------------------------


class Files:
    """Files of a few pages each, opened through one place."""

    def __init__(self, house: House, folder: Path) -> None:
        self.opened = OpenSources(Limits(), house.reader.work)
        self.folder = folder

    def path(self, number: int, data: bytes | None = None) -> Path:
        path = self.folder / f"{number}.pdf"
        path.write_bytes(pdf(2) if data is None else data)
        return path

    async def use(self, path: Path) -> Any:
        async with self.opened.borrow(path, path.name, WHOLE) as source:
            return source

    @property
    def kept(self) -> list[str]:
        return [path.stem for path in self.opened._entries]


@pytest.fixture
def files(house: House, tmp_path: Path) -> Files:
    return Files(house, tmp_path)


async def test_a_document_is_kept_open_and_a_picture_is_not(files: Files) -> None:
    document = files.path(1)
    first = await files.use(document)
    assert await files.use(document) is first
    assert (files.kept, first.filename) == (["1"], "1.pdf")
    await files.use(files.path(2, picture()))
    await files.use(files.path(3, pdf(1)))
    assert files.kept == ["1"]
    await files.opened.close()
    assert files.kept == []


async def test_a_file_in_use_is_opened_once_and_closed_by_the_last(files: Files) -> None:
    path = files.path(1, picture())
    async with files.opened.borrow(path, "a", WHOLE) as one:
        async with files.opened.borrow(path, "a", WHOLE) as two:
            assert one is two
        assert files.kept == ["1"]
    assert files.kept == []


async def test_eight_documents_are_kept_the_latest_ones(files: Files) -> None:
    paths = [files.path(number) for number in range(10)]
    for path in paths[:8]:
        await files.use(path)
    await files.use(paths[0])
    assert files.kept == [*"12345670"]
    await files.use(paths[8])
    assert files.kept == [*"23456708"]
    async with files.opened.borrow(paths[2], "a", WHOLE):
        await files.use(paths[9])
    assert sorted(files.kept) == [*"02456789"]
    await files.opened.close()


async def test_a_file_that_cannot_be_opened_is_not_kept(files: Files) -> None:
    path = files.path(1, b"%PDF-1.7 nothing")
    for _ in range(2):
        with pytest.raises(InvalidPdf):
            await files.use(path)
        assert files.kept == []


async def test_what_nobody_asks_for_is_closed_after_half_a_minute(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(sources_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    old, used = files.path(1), files.path(2)
    await files.use(old)
    async with files.opened.borrow(used, "a", WHOLE):
        for clock[0], kept in ((130.0, ["1", "2"]), (130.1, ["2"])):
            await files.opened.close_idle()
            assert sorted(files.kept) == kept
    await files.opened.close_idle()
    assert files.kept == ["2"]
    await files.opened.close()


async def test_a_job_that_is_forgotten_keeps_what_is_in_use(files: Files, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    mine = tmp_path / "sub" / "3.pdf"
    mine.write_bytes(pdf(2))
    await files.use(mine)
    other, used = files.path(1), tmp_path / "sub" / "4.pdf"
    await files.use(other)
    used.write_bytes(pdf(2))
    async with files.opened.borrow(used, "a", WHOLE):
        await files.opened.forget(tmp_path / "sub")
        assert sorted(files.kept) == ["1", "4"]
    await files.opened.close()


# --- events --------------------------------------------------------------------------------------


def follower(house: House) -> Follower:
    return Follower(house.folder(), house.tables, house.threads, house.reading)


def stored(number: int) -> StoredPage:
    return StoredPage(Page(number, 1, 1, "ok"), "e", "m", None)


async def started(house: House, *files: bytes) -> Job:
    house.add(1, files)
    await house.reading.open(JOB, 0)
    return house.row()


async def test_pages_are_told_in_order_and_once(house: House) -> None:
    row = await started(house, pdf(2), pdf(2))
    stream = follower(house).events(row, 0)
    assert (await anext(stream)).kind == "state"
    for index in (3, 1):
        house.folder().publish(index, stored(index + 1))
    told = [await anext(stream)]
    house.folder().publish(2, stored(1))
    told += [await anext(stream), await anext(stream)]
    assert [(event.kind, event.index, event.position, event.name) for event in told] == [
        ("page", 1, 0, "0.pdf"),
        ("page", 2, 1, "1.pdf"),
        ("page", 3, 1, "1.pdf"),
    ]
    assert [event.stored and event.stored.page.number for event in told] == [2, 1, 4]
    house.tables.change(JOB, ("running",), status="done")
    assert [(event.kind, event.job.status) async for event in stream] == [("state", "done"), ("end", "done")]


async def test_pages_that_were_never_read_are_left_out_of_a_job_that_ended(house: House) -> None:
    row = await started(house, pdf(3))
    for index in (0, 2):
        house.folder().publish(index, stored(index + 1))
    house.tables.change(JOB, ("running",), status="cancelled")
    told = [event async for event in follower(house).events(row, -1)]
    assert [(event.kind, event.index) for event in told] == [
        ("state", None),
        ("page", 0),
        ("page", 2),
        ("end", None),
    ]


async def test_an_erased_job_ends(house: House) -> None:
    row = await started(house, pdf(1))
    stream = follower(house).events(row, -1)
    await anext(stream)
    house.tables.erase(JOB)
    [end] = [event async for event in stream]
    assert (end.kind, end.job.status, end.job.reason) == ("end", "cancelled", "erased")
    house.tables.add(replace(row, status="done"))
    house.folder().publish(0, stored(1))
    (house.folder().path / "plan.json").unlink()
    assert [event.kind async for event in follower(house).events(row, -1)] == ["state", "end"]


async def test_a_quiet_job_says_that_it_is_still_there(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (events_module._NEWS_SECONDS, events_module._PING_SECONDS) == (0.5, 15.0)
    clock = [100.0]
    monkeypatch.setattr(events_module, "_NEWS_SECONDS", 0.001)
    monkeypatch.setattr(events_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    row = await started(house, pdf(2))
    stream = follower(house).events(row, -1)
    kinds = []
    for clock[0] in (100.0, 115.1, 130.2):
        kinds.append((await asyncio.wait_for(anext(stream), 20)).kind)
    assert kinds == ["state", "ping", "ping"]
    clock[0] = 140.0
    house.folder().publish(0, stored(1))
    assert (await anext(stream)).kind == "page"
    waiting = asyncio.ensure_future(anext(stream))
    clock[0] = 155.0
    for _ in range(20):
        await asyncio.sleep(0.002)
    assert not waiting.done()
    clock[0] = 155.1
    assert (await waiting).kind == "ping"
    assert JobEvent("state", row) == JobEvent("state", row, None, None, "", None)


# --- how a job ends ------------------------------------------------------------------------------


class Written:
    """Stands for the results: says what a test says."""

    def __init__(self, says: str | Exception | None = None) -> None:
        self.says = says
        self.jobs: list[Job] = []

    async def unwritten(self, job: Job) -> str | None:
        self.jobs.append(job)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


def ending(house: House, says: str | Exception | None = None) -> tuple[Ending, Written, list[Any]]:
    noted: list[Any] = []
    results = Written(says)
    audit = JobAudit(house.engine, lambda *entry: noted.append(entry))
    return Ending(house.tables, house.store, house.threads, house.reading, results, audit), results, noted  # type: ignore[arg-type]


async def read(house: House, *files: bytes) -> None:
    row = await started(house, *files)
    for run in range(row.runs or 0):
        await house.reading.read_run(JOB, 0, run)


async def test_a_job_that_was_read_is_done(house: House) -> None:
    await read(house, pdf(2))
    end, results, noted = ending(house)
    assert await end.close(JOB, 0) is False
    row = house.row()
    assert (row.status, row.reason) == ("done", None)
    assert results.jobs[0].finished_at == row.finished_at is not None
    [(event, who, details)] = noted
    assert (event, who, details["outcome"], details["pages"]) == ("job_ended", "me", "done", {"ok": 2})
    assert house.reading._known == {}
    assert await end.close(JOB, 0) is False
    assert len(noted) == 1


async def test_a_job_whose_result_cannot_be_written_or_that_read_nothing_failed(house: House) -> None:
    await read(house, pdf(1))
    end, _, _ = ending(house, "the reason")
    await end.close(JOB, 0)
    assert (house.row().status, house.row().reason) == ("failed", "the reason")
    house.tables.erase(JOB)
    house.store.erase(JOB)
    await read(house, b"%PDF-1.7 nothing")
    end, _, _ = ending(house)
    await end.close(JOB, 0)
    assert (house.row().status, house.row().reason) == ("failed", "no page could be read")


async def test_pages_that_were_lost_are_read_again(house: House) -> None:
    await read(house, pdf(3))
    house.folder().page_path(1).unlink()
    end, results, noted = ending(house)
    assert await end.close(JOB, 0) is True
    row = house.row()
    assert (row.status, row.generation, results.jobs, noted) == ("queued", 1, [], [])
    assert house.tables.runs_done(JOB) == {0: 1, 2: 1}
    assert await end.close(JOB, 0) is True, "the first try was cut short before it said so"
    assert await end.close(JOB, 1) is False
    assert await end.close("nobody", 0) is False
    house.tables.change(JOB, ("queued",), status="running")
    assert await end.close(JOB, 0) is False


async def test_a_full_disk_pauses_the_end_and_an_erased_job_has_none(house: House) -> None:
    await read(house, pdf(1))
    assert await ending(house, StorageFull("full"))[0].close(JOB, 0) is False
    assert (house.row().status, house.row().reason) == ("paused", DISK_FULL)
    house.tables.change(JOB, ("paused",), status="running")
    assert await ending(house, FileNotFoundError())[0].close(JOB, 0) is False
    assert house.row().status == "running"
