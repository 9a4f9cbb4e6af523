"""An entry of the audit log field by field, and the command that checks a log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from airgap.accounts.audit import AuditLog, entry_hash
from airgap.accounts.audit_cli import app


def test_an_entry_field_by_field(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit", None)
    log.append("read", "user:1", outcome=200)
    log.append("login", "user:2")
    first, second = (json.loads(line) for line in log.path.read_text().splitlines())
    assert first.keys() == {"v", "seq", "time", "event", "who", "outcome", "key", "prev", "hash"}
    assert (first["v"], first["seq"], first["event"], first["who"], first["outcome"]) == (
        2,
        1,
        "read",
        "user:1",
        200,
    )
    assert (first["key"], first["prev"], first["hash"]) == ("", "0" * 64, entry_hash(first, None))
    assert (second["seq"], second["prev"]) == (2, first["hash"])
    head = json.loads((tmp_path / "audit/audit.head").read_text())
    assert (head["seq"], head["hash"], head["key"]) == (2, second["hash"], "")
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_the_command_says_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("SECRET_KEY", raising=False)
    run = CliRunner().invoke
    nothing = run(app, ["verify"])
    assert (nothing.exit_code, "There is no audit log" in nothing.stderr, nothing.stdout) == (2, True, "")
    log = AuditLog(tmp_path / "audit", None)
    entry = log.append("read", "user:1")
    fine = run(app, ["verify", "--anchor", f"1:{entry['hash']}"])
    assert (fine.exit_code, fine.stdout.strip()) == (0, f"{log.path}: 1 entries, all as they were written")
    for anchor in ("x:" + "0" * 64, "1:" + "0" * 63, "1"):
        assert run(app, ["verify", "--anchor", anchor]).exit_code == 2
    elsewhere = run(app, ["verify", "--folder", str(tmp_path / "audit"), "--anchor", "1:" + "0" * 64])
    assert (elsewhere.exit_code, "the log: the log does not hold entry 1" in elsewhere.stderr) == (1, True)
    log.path.write_text(log.path.read_text().replace("user:1", "user:9"))
    broken = run(app, ["verify"])
    assert (broken.exit_code, "line 1: was changed" in broken.stderr, broken.stdout) == (1, True, "")
    monkeypatch.setenv("SECRET_KEY", "short")
    assert run(app, ["verify"]).exit_code == 2
