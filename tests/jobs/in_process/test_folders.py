"""The folders of jobs: what lies where, what is published, what is swept, what is kept free."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections import namedtuple
from pathlib import Path

import pytest

from airgap.core.errors import StorageFull
from airgap.jobs.plan import Input, Plan, PlannedInput, Spec
from airgap.jobs.store import JobFolder, JobStore, is_disk_full
from tests.jobs.in_process.test_parts import page

JOB = "a" * 32
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def jobs(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "jobs")


@pytest.fixture
def folder(jobs: JobStore) -> JobFolder:
    jobs.root.mkdir()
    with jobs.staging() as staging:
        staging.input("000000").write_bytes(b"one")
        staging.write_spec(Spec(JOB, "me", tuple(Input(f"{n:06d}", f"{n}.pdf") for n in range(30))))
        jobs.adopt(staging, JOB)
    made = jobs.folder(JOB)
    made.write_plan(Plan((PlannedInput(1, 2001),), 4))
    return made


def test_a_folder_has_its_places(folder: JobFolder) -> None:
    assert folder.exists()
    assert folder.input("000000").read_bytes() == b"one"
    assert folder.page_path(1999) == folder.path / "pages/001/001999.json"
    assert folder.page_path(2000) == folder.path / "pages/002/002000.json"
    assert sorted(path.name for path in (folder.path / "pages").iterdir()) == ["000", "001", "002"]
    assert folder.result == folder.path / "result.zip"
    assert folder.plan() == Plan((PlannedInput(1, 2001),), 4)
    data = json.loads((folder.path / "job.json").read_text())
    assert (data["schema_version"], data["caller"]) == (1, "me")
    (folder.path / "job.json").write_text(
        json.dumps({k: v for k, v in data.items() if k != "schema_version"})
    )
    assert folder.spec().id == JOB


def test_pages_are_published_found_and_forgotten(folder: JobFolder) -> None:
    assert (folder.has_page(3), folder.page(3)) == (False, None)
    stored = page(4, raw="é", warnings=("w",))
    assert folder.publish(3, stored)
    assert (folder.has_page(3), folder.page(3)) == (True, stored)
    assert json.loads(folder.page_path(3).read_bytes())["mode"] == "base"
    assert "é".encode() in folder.page_path(3).read_bytes()
    folder.publish(5, page(6, "failed"))
    folder.publish(6, page(7, "degraded"))
    small = Plan((PlannedInput(1, 8),), 4)
    assert folder.unread(small) == [0, 1, 2, 4, 5, 7]
    folder.forget([3, 3, 4])
    assert folder.unread(small) == [0, 1, 2, 3, 4, 5, 7]
    assert [path.name for path in folder.path.rglob(".new-*")] == []


def test_tries_are_counted_until_the_page_is_there(folder: JobFolder) -> None:
    assert [folder.note_try(3), folder.note_try(3), folder.note_try(4)] == [1, 2, 1]
    folder.forget_tries(3)
    folder.forget_tries(3)
    assert folder.note_try(3) == 1
    folder.publish(4, page(5))
    assert not folder.page_path(4).with_suffix(".tries").exists()


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EMLINK])
def test_where_there_are_no_hard_links(folder: JobFolder, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(code, "no")))
    assert folder.publish(0, page(1))
    assert not folder.publish(0, page(2))
    assert folder.page(0) == page(1)


def test_a_disk_that_is_full_is_no_missing_link(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        folder.publish(0, page(1))
    assert not folder.has_page(0)
    assert [path.name for path in folder.path.rglob(".new-*")] == []


def test_what_says_that_a_disk_is_full() -> None:
    assert is_disk_full(OSError(errno.ENOSPC, "x"))
    assert is_disk_full(OSError(errno.EDQUOT, "x"))
    assert is_disk_full(StorageFull("x"))
    assert not is_disk_full(OSError(errno.EACCES, "x"))
    assert not is_disk_full(ValueError("x"))


def test_the_names_of_the_first_files_are_remembered(jobs: JobStore, folder: JobFolder) -> None:
    names = [f"{n}.pdf" for n in range(20)]
    assert jobs.filenames(JOB) == names
    (folder.path / "job.json").write_text("nonsense")
    assert jobs.filenames(JOB) == names
    assert jobs.filenames("b" * 32) == []
    assert JobStore(jobs.root).filenames(JOB) == []
    jobs.erase(JOB)
    assert jobs.filenames(JOB) == []


def test_what_is_not_adopted_is_removed(jobs: JobStore) -> None:
    jobs.root.mkdir()
    with jobs.staging() as staging:
        assert (staging.path / "inputs").is_dir()
        assert staging.path.name.startswith(".incoming-")
    assert list(jobs.root.iterdir()) == []


def test_an_erased_job_is_gone_and_others_stay(jobs: JobStore, folder: JobFolder) -> None:
    shutil.copytree(folder.path, jobs.root / ("b" * 32))
    for _ in range(2):
        jobs.erase(JOB)
    assert [path.name for path in jobs.root.iterdir()] == ["b" * 32]


def test_what_was_left_behind_is_swept_after_an_hour(jobs: JobStore) -> None:
    jobs.root.mkdir()
    ages = {".incoming-new": 3500, ".incoming-old": 3700, ".erased-x": 0, "c" * 32: 9999}
    for name, age in ages.items():
        (jobs.root / name).mkdir()
        os.utime(jobs.root / name, (time.time() - age,) * 2)
    jobs.sweep()
    assert {path.name for path in jobs.root.iterdir()} == {".incoming-new", "c" * 32}


def test_what_cannot_be_swept_does_not_keep_the_rest(jobs: JobStore) -> None:
    jobs.root.mkdir()
    for name in (".erased-file", ".incoming-file"):
        (jobs.root / name).write_text("no folder")
        os.utime(jobs.root / name, (0, 0))
    (jobs.root / ".erased-x").mkdir()
    (jobs.root / ".incoming-x").mkdir()
    os.utime(jobs.root / ".incoming-x", (0, 0))
    jobs.sweep()
    assert {path.name for path in jobs.root.iterdir()} == {".erased-file", ".incoming-file"}


def test_the_jobs_that_lie_there(jobs: JobStore) -> None:
    jobs.root.mkdir()
    for name, age in (("a" * 32, 100), ("b" * 32, 10), ("c" * 31, 100), ("d" * 33, 100)):
        (jobs.root / name).mkdir()
        os.utime(jobs.root / name, (time.time() - age,) * 2)
    (jobs.root / ("e" * 32)).write_text("no folder")
    os.utime(jobs.root / ("e" * 32), (0, 0))
    assert jobs.ids(older_than=50) == ["a" * 32]
    assert sorted(jobs.ids(older_than=0)) == ["a" * 32, "b" * 32]


@pytest.mark.parametrize(
    ("total", "free", "wanted", "factor", "room"),
    [
        (1 << 40, 256 << 20, 0, 1, True),
        (1 << 40, (256 << 20) - 1, 0, 1, False),
        (1 << 40, (256 << 20) + 5, 5, 1, True),
        (1 << 40, (256 << 20) + 4, 5, 1, False),
        (1 << 40, 512 << 20, 0, 2, True),
        (1 << 40, (512 << 20) - 1, 0, 2, False),
        (1000, 50, 0, 1, True),
        (1000, 49, 0, 1, False),
    ],
)
def test_a_reserve_is_kept_on_the_disk(
    jobs: JobStore,
    monkeypatch: pytest.MonkeyPatch,
    total: int,
    free: int,
    wanted: int,
    factor: float,
    room: bool,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(total, total - free, free))
    assert jobs.has_room(wanted, factor=factor) is room
    if factor == 1 and not room:
        with pytest.raises(StorageFull) as caught:
            jobs.require_room(wanted)
        assert caught.value.retry_after == 60
    elif factor == 1:
        jobs.require_room(wanted)


def test_a_root_has_one_identity(jobs: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs.root.mkdir()
    first = jobs.identity()
    assert first == JobStore(jobs.root).identity()
    assert len(first) == 32
    (jobs.root / ".store").unlink()
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no")))
    assert jobs.identity() == jobs.identity() != first
    assert [path.name for path in jobs.root.iterdir()] == [".store"]
