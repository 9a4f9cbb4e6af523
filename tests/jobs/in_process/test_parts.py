"""The parts of jobs that need no server: archives, what is told, whose server lives."""

from __future__ import annotations

import fcntl
import time
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airgap.core import document
from airgap.core.document import Block, Box, Line, Page, PageError, ReadOptions
from airgap.core.errors import BadRequest, EmptyFile, TooLarge
from airgap.core.opening import Opening
from airgap.engines.fake import FakeEngine
from airgap.jobs import unpack
from airgap.jobs.auditing import JobAudit
from airgap.jobs.closing import NOT_READ, joined, without_times
from airgap.jobs.description import describe
from airgap.jobs.keeping import Presence
from airgap.jobs.plan import Plan, PlannedInput, Spec, lane, pages_of_a_run, width
from airgap.jobs.quota import Quota
from airgap.jobs.store import StoredPage
from airgap.jobs.tables import Counts, Server
from tests.jobs.in_process.test_rows import job

JOB = "a" * 32
Usage = namedtuple("Usage", "total used free")


def page(number: int = 1, status: Any = "ok", **fields: Any) -> StoredPage:
    return StoredPage(Page(number, 10, 20, status, **fields), "engine", "model", "base")


# --- what was asked, and how it is cut -----------------------------------------------------------


def test_what_nobody_said_of_a_job_is_empty() -> None:
    spec = Spec("id", "me", ())
    assert (spec.options, spec.opening, spec.outputs) == (ReadOptions(), Opening(), ())
    assert spec.priority == "normal"
    assert (spec.pages_per_day, spec.account) == (None, "")
    assert (PlannedInput(1, 2).kind, PlannedInput(1, 2).error) == ("image", None)


def test_pages_are_cut_into_runs() -> None:
    plan = Plan(
        (PlannedInput(5, 3), PlannedInput(1, 1, error=PageError("c", "m", "r")), PlannedInput(2, 5)), 4
    )
    assert (plan.pages, plan.runs) == (9, 3)
    assert [list(plan.run(n)) for n in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert [plan.run_of(n) for n in (0, 3, 4, 8)] == [0, 0, 1, 2]
    assert [list(plan.indexes(n)) for n in range(3)] == [[0, 1, 2], [3], [4, 5, 6, 7, 8]]
    assert [plan.locate(n) for n in (0, 2, 3, 4, 8)] == [(0, 5), (0, 7), (1, 1), (2, 2), (2, 6)]
    assert Plan((), 4).pages == Plan((), 4).runs == 0


def test_shares() -> None:
    sizes = (1, 32, 33, 1024, 1025, 200_000)
    assert [pages_of_a_run(pages) for pages in sizes] == [1, 1, 4, 4, 8, 8]
    assert [lane("me", pages) for pages in (32, 33)] == ["me/small", "me"]
    assert width(100, 10, "low", 1) == 5
    assert width(100, 10, "normal", 0) == width(100, 10, "normal", 1) == 10
    assert width(100, 10, "high", 4) == 5
    assert width(100, 1, "low", 9) == 1
    assert width(3, 10, "normal", 1) == 3
    assert width(0, 10, "normal", 1) == 1


def test_a_job_is_described_as_it_stands() -> None:
    running = job(status="running", pages=10, started_at=1002.5, reason="why", inputs=3)
    told = describe(running, Counts(3, 2, 1, 0.5), ["a.pdf"])
    assert told == {
        "id": running.id,
        "owner": "me",
        "status": "running",
        "reason": "why",
        "priority": "normal",
        "files": 3,
        "filenames": ["a.pdf"],
        "created_at": "1970-01-01T00:16:41.000+00:00",
        "started_at": "1970-01-01T00:16:42.500+00:00",
        "finished_at": None,
        "ledger": {"expected": 10, "ok": 3, "degraded": 2, "failed": 1, "pending": 4},
        "pages_per_second": 0.5,
        "seconds_left": 8.0,
    }
    uncounted = describe(job(status="running"), Counts(0, 0, 0, 0.5), [])
    assert (uncounted["ledger"]["expected"], uncounted["ledger"]["pending"]) == (None, None)
    assert (uncounted["seconds_left"], uncounted["started_at"]) == (None, None)
    ended = describe(replace(running, status="done", finished_at=1003.0), Counts(11, 0, 0, 0.12345), [])
    assert (ended["ledger"]["pending"], ended["pages_per_second"], ended["seconds_left"]) == (0, 0.0, None)
    assert ended["finished_at"] == "1970-01-01T00:16:43.000+00:00"
    odd = describe(running, Counts(3, 2, 1, 0.123456), [])
    assert (odd["pages_per_second"], odd["seconds_left"]) == (0.123, 32.4)


# --- archives ------------------------------------------------------------------------------------


def archive(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return path


def test_the_files_of_an_archive_get_names_of_our_own(tmp_path: Path) -> None:
    files = {
        "a/": b"", "a/b.pdf": b"12", "../../etc/passwd": b"3", "__MACOSX/a/b.pdf": b"x", "x/.DS_Store": b"x",
        "Thumbs.db": b"x", "c\\d.png": b"4567",
    }  # fmt: skip
    inputs, size = unpack.unpack(archive(tmp_path / "a.zip", files), tmp_path, 7, 7)
    assert [entry.file for entry in inputs] == ["000007", "000008", "000009"]
    assert [entry.name for entry in inputs] == ["a/b.pdf", "etc/passwd", "c/d.png"]
    assert [(tmp_path / entry.file).read_bytes() for entry in inputs] == [b"12", b"3", b"4567"]
    assert size == 7
    with pytest.raises(TooLarge, match="once unpacked"):
        unpack.unpack(tmp_path / "a.zip", tmp_path, 7, 6)


def test_files_are_counted_over_the_whole_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert unpack.MAX_FILES == 10_000
    monkeypatch.setattr(unpack, "MAX_FILES", 5)
    packed = archive(tmp_path / "a.zip", {"a": b"1", "b": b"2"})
    assert len(unpack.unpack(packed, tmp_path, 3, 10)[0]) == 2
    with pytest.raises(TooLarge, match="more than 5 files"):
        unpack.unpack(packed, tmp_path, 4, 10)


def test_an_archive_that_cannot_be_read(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"a": b"1" * 100})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BadRequest, match="damaged"):
        unpack.unpack(path, tmp_path, 0, 1000)
    with pytest.raises(EmptyFile):
        unpack.unpack(archive(path, {"a/": b""}), tmp_path, 0, 1000)
    broken = bytearray(archive(path, {"a": b"1" * 100}).read_bytes())
    broken[40] ^= 1
    path.write_bytes(broken)
    with pytest.raises(BadRequest):
        unpack.unpack(path, tmp_path, 0, 1000)


@pytest.mark.parametrize(
    ("head", "zipped"),
    [(b"PK\3\4x", True), (b"PK\5\6", True), (b"PK\3\5", False), (b"%PDF", False)],
)
def test_how_an_archive_begins(tmp_path: Path, head: bytes, zipped: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(head)
    assert unpack.is_zip(path) is zipped
    path.write_bytes(b"")
    with pytest.raises(EmptyFile):
        unpack.is_zip(path)


def test_an_empty_file_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    with pytest.raises(EmptyFile):
        unpack.is_zip(path)


# --- results, quota, audit -----------------------------------------------------------------------


def test_pages_of_several_engines_are_one_document() -> None:
    pages = [page(1), replace(page(2), engine="other", mode=None), replace(page(3), model="")]
    document = joined(pages)
    assert [entry.number for entry in document.pages] == [1, 2, 3]
    assert (document.engine, document.model, document.mode) == ("engine, other", "model", "base")
    empty = joined([])
    assert (empty.engine, empty.model, empty.mode) == ("", "", None)
    timed = replace(page().page, usage=replace(page().page.usage, seconds=2.0, prompt_tokens=3))
    bare = without_times(joined([StoredPage(timed, "e", "m", None)]))
    assert (bare.usage.seconds, bare.usage.prompt_tokens) == (0.0, 3)
    assert NOT_READ.code == "not_read"


def test_headings_agree_over_the_pages_of_a_job() -> None:
    box = Box(1, 1, 90, 21)
    blocks = [Block("title", text, (box,), lines=(Line("x", box),)) for text in ("# 1 Part", "# 1.1 Part")]
    pages = [
        StoredPage(Page(n, 100, 100, blocks=(block,)), "", "", None) for n, block in enumerate(blocks, 1)
    ]
    found = joined(pages)
    assert [entry.blocks[0].text for entry in found.pages] == ["# 1 Part", "## 1.1 Part"]


class Charges:
    """Notes what is asked of accounts."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    async def take(self, *what: Any, **how: Any) -> None:
        self.asked.append(("take", *what, how))

    async def take_again(self, *what: Any) -> None:
        self.asked.append(("again", *what))

    async def give_back(self, *what: Any) -> None:
        self.asked.append(("back", *what))

    async def note_usage(self, *what: Any) -> None:
        self.asked.append(("usage", *what))


async def test_a_job_is_one_charge_of_its_account() -> None:
    charges = Charges()
    quota = Quota(lambda: charges)
    spec = Spec("id", "me", (), pages_per_day=9)
    await quota.admit(spec, 5)
    await quota.admit_again(replace(spec, account="user:1"), 2)
    await quota.admit(replace(spec, account="user:1"), 5)
    await quota.give_back("id", 1)
    await quota.give_back("id", 0)
    await quota.give_back("id", -1)
    await quota.admit_again(spec, 3)
    assert charges.asked == [
        ("take", "job:id", "me", 9, 5, {"in_all": True}),
        ("again", "job:id", "user:1", 9, 2),
        ("take", "job:id", "user:1", 9, 5, {"in_all": True}),
        ("back", "job:id", 1),
        ("again", "job:id", "me", 9, 3),
    ]
    await Quota().admit(spec, 5)
    await Quota().admit_again(spec, 5)
    await Quota().give_back("id", 5)


async def test_a_page_of_a_job_is_counted_for_its_caller() -> None:
    charges = Charges()
    spec = Spec("id", "me", (), ReadOptions(prompt="Read."))
    page = Page(1, 9, 9, blocks=(Block("text", "four"), Block("text", "five5")), usage=document.Usage(3, 7))
    await Quota(lambda: charges).note_page(spec, page)
    counts = {
        "prompt_chars": 5,
        "completion_chars": 9,
        "prompt_tokens": 3,
        "completion_tokens": 7,
        "pages": 1,
    }
    assert charges.asked == [("usage", "me", "job", counts, "id")]
    await Quota().note_page(spec, page)


def test_what_is_noted_of_jobs() -> None:
    noted: list[tuple[str, str, dict[str, Any]]] = []
    audit = JobAudit(FakeEngine(), lambda *entry: noted.append(entry))
    asked = job()
    audit.ended(asked, "done", Counts(3, 0, 1, 0.0))
    audit.erased(asked)
    audit.erased(asked, "user:1")
    audit.administrator("job_seen", "user:1", asked)
    audit.administrator("jobs_listed", "user:1", None)
    engine = {"engine": "fake", "model": "fake", "model_digest": None}
    assert noted == [
        ("job_ended", "me", {"job": asked.id, **engine, "pages": {"ok": 3, "failed": 1}, "outcome": "done"}),
        ("job_erased", "server", {"job": asked.id}),
        ("job_erased", "user:1", {"job": asked.id}),
        ("job_seen", "user:1", {"job": asked.id, "owner": "me"}),
        ("jobs_listed", "user:1", {}),
    ]
    silent = JobAudit(FakeEngine(), None)
    silent.ended(asked, "failed", Counts(0, 0, 0, 0.0))
    silent.administrator("jobs_listed", "user:1", None)
    silent.erased(asked)


# --- whose server lives --------------------------------------------------------------------------


def test_a_server_that_let_its_lock_go_is_dead_at_once(tmp_path: Path) -> None:
    here, there = Presence(tmp_path), Presence(tmp_path)
    here.enter()
    there.enter()
    assert here.id != there.id
    assert here.dead([here.next_beat(), there.next_beat()]) == []
    there.leave()
    there.leave()
    assert here.dead([here.next_beat(), there.next_beat()]) == [there.id]
    here.forget(there.id)
    here.forget(there.id)
    assert sorted(path.name for path in (tmp_path / "servers").iterdir()) == [here.id]
    with (tmp_path / "servers" / here.id).open("r+b") as file, pytest.raises(OSError, match="unavailable"):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    here.leave()


def test_a_server_of_another_machine_is_dead_when_it_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    here = Presence(tmp_path)
    here.enter()
    far = Server("far", "another machine", 5)
    assert here.dead([far]) == []
    now = 130.0
    assert here.dead([far]) == []
    now = 130.1
    assert here.dead([far, replace(here.next_beat(), beat=1)]) == ["far"]
    assert here.dead([replace(far, beat=6)]) == []
    now = 161.0
    assert here.dead([replace(far, beat=6)]) == ["far"]
    here.forget("far")
    assert here.dead([replace(far, beat=6)]) == []
    assert [here.next_beat().beat for _ in range(2)] == [2, 3]
    assert here.next_beat().machine == here.machine != far.machine
    here.leave()
