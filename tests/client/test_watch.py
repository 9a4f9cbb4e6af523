"""The watched folder: whole files are read once, results appear whole, originals go where they belong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from airgap.client.app import app
from airgap.client.watched_folder import Inbox, Outbox
from airgap.core.errors import Conflict
from tests.conftest import ROOT
from tests.jobs.helpers import pdf, picture


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def watch(entrance: Path, out: Path, data: Path) -> int:
    settings = {"BACKEND": "fake", "DATA_DIR": str(data)}
    result = CliRunner().invoke(
        app, ["watch", str(entrance), str(out), "--once", "--settle", "0.1"], env=settings
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code


def test_files_are_read_and_moved_and_results_appear(tmp_path: Path) -> None:
    entrance, out = tmp_path / "in", tmp_path / "out"
    entrance.mkdir()
    (entrance / "a.pdf").write_bytes(pdf(2))
    (entrance / "b.png").write_bytes(picture())
    (entrance / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    (entrance / "notes.txt").write_text("not for us")
    assert watch(entrance, out, tmp_path) == 0
    assert names(out) == {"a/a.md", "a/a.json", "b/b.md", "b/b.json"}
    assert names(entrance) == {
        ".ocr-watch",
        "notes.txt",
        "done/a.pdf",
        "done/b.png",
        "failed/broken.pdf",
        "failed/broken.pdf.txt",
    }
    assert "invalid_pdf" in (entrance / "failed/broken.pdf.txt").read_text()

    (entrance / "a.pdf").write_bytes(pdf(1))
    assert watch(entrance, out, tmp_path) == 0
    assert {"a/a.md", "a_2/a_2.md"} <= names(out)
    assert {"done/a.pdf", "done/a_2.pdf"} <= names(entrance)


def test_a_file_that_still_grows_has_not_arrived(tmp_path: Path) -> None:
    now = 0.0
    inbox = Inbox(tmp_path, settle=2, clock=lambda: now)
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"one")
    assert inbox.arrived() == []
    now = 1.9
    file.write_bytes(b"one and two")
    assert inbox.arrived() == []
    now = 3.8
    assert inbox.arrived() == []
    assert not inbox.empty
    now = 3.9
    assert inbox.arrived() == [file]


def test_two_do_not_watch_one_folder(tmp_path: Path) -> None:
    with Inbox(tmp_path, 1).alone(), pytest.raises(Conflict), Inbox(tmp_path, 1).alone():
        pass


def test_results_of_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    first, second = outbox.begin("a.pdf"), outbox.begin("../a.png")
    assert {first.name, second.name} == {"a", "a_2"}
    first.mkdir()
    outbox.finish(first)
    outbox.finish(second)  # of which nothing could be written
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == ["a"]


def test_a_killed_watcher_leaves_the_original_for_the_next(tmp_path: Path) -> None:
    entrance, out = tmp_path / "in", tmp_path / "out"
    entrance.mkdir()
    (entrance / "a.pdf").write_bytes(pdf(3))
    environment = os.environ | {"BACKEND": "fake", "DATA_DIR": str(tmp_path), "FAKE_SECONDS_PER_PAGE": "600"}
    command = [sys.executable, "-m", "airgap.client", "watch", str(entrance), str(out), "--settle", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"Watching" in process.stderr.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
    assert names(entrance) == {".ocr-watch", "a.pdf"}
    assert watch(entrance, out, tmp_path) == 0
    assert "a/a.md" in names(out)
