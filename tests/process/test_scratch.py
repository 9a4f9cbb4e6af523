"""The folder for files in work is gone with its server, also with one that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from process.scratch import Scratch, remove_orphans

ROOT = Path(__file__).resolve().parents[2]


def test_it_is_made_when_needed_and_removed_at_the_end(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "uploads")
    assert not (tmp_path / "uploads").exists()
    (scratch.path / "secret").write_text("canary")
    scratch.close()
    scratch.close()
    assert list((tmp_path / "uploads").iterdir()) == []


def test_the_living_keep_theirs(tmp_path: Path) -> None:
    mine, other = Scratch(tmp_path), Scratch(tmp_path)
    (mine.path / "file").write_text("x")
    assert other.path != mine.path
    assert remove_orphans(tmp_path) == []
    assert (mine.path / "file").exists()
    mine.close()
    other.close()


def test_where_everybody_may_write_only_its_users_own_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server-a").mkdir()
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    tmp_path.chmod(0o1777)
    assert remove_orphans(tmp_path) == []
    tmp_path.chmod(0o755)  # a folder of the server's own, where a file server may name another owner
    assert remove_orphans(tmp_path) == [tmp_path / "server-a"]


def test_what_a_killed_server_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from process.scratch import Scratch\n"
        "s = Scratch(pathlib.Path(sys.argv[1])); (s.path / 'secret').write_text('canary')\n"
        "os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    assert killed.returncode == -9
    assert len(list(tmp_path.glob("server-*/secret"))) == 1
    scratch = Scratch(tmp_path)
    assert scratch.path.is_dir()
    assert list(tmp_path.glob("server-*/secret")) == []
    scratch.close()
