"""The audit log: what was changed is named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest

from airgap.accounts.audit import AuditLog, Finding, entry_hash, key_id
from airgap.accounts.credentials import derived_key
from tests.conftest import ROOT

SECRET = "s" * 40
KEY = derived_key(SECRET, "audit")


@pytest.fixture(params=[KEY, None], ids=["with a key", "without"])
def audit(request: pytest.FixtureRequest, tmp_path: Path) -> AuditLog:
    log = AuditLog(tmp_path / "audit", request.param)
    for n in range(1, 7):
        log.append("read", f"user:{n}", inputs=[{"sha256": "a" * 64, "bytes": n}], outcome=200)
    return log


def edit(log: AuditLog, change: Callable[[list[str]], list[str]]) -> list[Finding]:
    log.path.write_text("".join(change(log.path.read_text().splitlines(keepends=True))))
    return log.verify()[1]


def test_what_was_not_touched_is_in_order(audit: AuditLog) -> None:
    assert audit.verify() == (6, [])
    entries = [json.loads(line) for line in audit.path.read_text().splitlines()]
    assert [entry["seq"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry["prev"] for entry in entries[1:]] == [entry["hash"] for entry in entries[:-1]]


def test_an_edited_line_is_named(audit: AuditLog) -> None:
    def change(lines: list[str]) -> list[str]:
        lines[2] = lines[2].replace("user:3", "user:9")
        return lines

    assert edit(audit, change) == [Finding(3, "was changed")]


def test_a_line_taken_out_is_named(audit: AuditLog) -> None:
    findings = edit(audit, lambda lines: lines[:2] + lines[3:])
    assert findings[0].line == 3


def test_lines_that_changed_places_are_named(audit: AuditLog) -> None:
    assert edit(audit, lambda x: [x[0], x[2], x[1], *x[3:]])[0].line == 2


def test_a_line_twice_is_named(audit: AuditLog) -> None:
    assert edit(audit, lambda x: [*x[:3], x[2], *x[3:]])[0].line == 4


def test_nonsense_is_named(audit: AuditLog) -> None:
    assert edit(audit, lambda x: [*x[:3], "nonsense\n", *x[4:]])[0] == Finding(4, "is not an entry")


def test_a_cut_tail_shows(audit: AuditLog) -> None:
    (finding,) = edit(audit, lambda lines: lines[:4])
    assert finding.line == 0
    assert "entry 6" in finding.why


def test_a_missing_head_shows(audit: AuditLog) -> None:
    audit.path.with_name("audit.head").unlink()
    assert audit.verify()[1] == [Finding(0, "the file audit.head is missing")]


def test_who_has_not_the_key_cannot_write_a_chain_that_fits(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, KEY)
    for n in range(3):
        log.append("read", f"user:{n}")
    entries = [json.loads(line) for line in log.path.read_text().splitlines()]
    entries[1]["who"] = "user:9"
    for before, entry in zip([None, *entries], entries, strict=False):
        entry["prev"] = before["hash"] if before else "0" * 64
        entry["hash"] = entry_hash(entry, None)
    log.path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert [finding.line for finding in log.verify()[1]][:3] == [1, 2, 3]
    for entry in entries:
        entry["key"] = ""
    log.path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert [finding.line for finding in log.verify()[1]][:3] == [1, 2, 3]


def test_another_key_cannot_check(audit: AuditLog) -> None:
    other = AuditLog(audit.path.parent, derived_key("t" * 40, "audit"))
    assert "another SECRET_KEY" in other.verify()[1][0].why


def test_half_a_line_from_a_crash_is_taken_off(audit: AuditLog) -> None:
    with audit.path.open("a") as file:
        file.write('{"seq": 7, "time"')
    audit.append("read", "user:7")
    assert audit.verify() == (7, [])


def cut(log: AuditLog, keep: int) -> None:
    log.path.write_text("".join(log.path.read_text().splitlines(keepends=True)[:keep]))


def forge_head(log: AuditLog, *, signed: bool) -> None:
    """Write the head of the last entry that is left, as whoever has no key can."""
    last = json.loads(log.path.read_text().splitlines()[-1])
    head = {"seq": last["seq"], "hash": last["hash"]}
    if signed:
        head |= {"key": last["key"], "mac": "0" * 64}
    log.path.with_name("audit.head").write_text(json.dumps(head))


@pytest.mark.parametrize("again", [False, True], ids=["same server", "next server"])
def test_a_cut_tail_does_not_heal_itself(audit: AuditLog, again: bool) -> None:
    cut(audit, 3)
    log = AuditLog(audit.path.parent, audit._key) if again else audit
    for n in range(3):
        log.append("read", f"user:{n}")
    count, findings = log.verify()
    assert (count, len(findings)) == (7, 1)
    assert (findings[0].line, "gap" in findings[0].why) == (4, True)
    gap = json.loads(log.path.read_text().splitlines()[3])
    assert (gap["event"], gap["found"]["seq"], gap["expected"]["seq"], gap["seq"]) == ("gap", 3, 6, 7)


def test_a_cut_tail_and_a_head_to_fit_show_where_there_is_a_key(tmp_path: Path) -> None:
    for signed in (False, True):
        log = AuditLog(tmp_path / str(signed), KEY)
        for n in range(6):
            log.append("read", f"user:{n}")
        cut(log, 4)
        forge_head(log, signed=signed)
        assert log.verify()[1] == [Finding(0, "the file audit.head was changed")]
        AuditLog(log.path.parent, KEY).append("read", "user:7")
        assert ["gap" in finding.why for finding in log.verify()[1]] == [True]


def test_the_server_that_wrote_them_misses_entries_even_without_a_key(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, None)
    for n in range(6):
        log.append("read", f"user:{n}")
    cut(log, 4)
    last = json.loads(log.path.read_text().splitlines()[-1])
    log._write_head(last)
    assert log.verify()[1] == []
    log.append("read", "user:7")
    (finding,) = log.verify()[1]
    assert "are gone" in finding.why


def test_an_anchor_shows_a_log_that_was_put_back_as_a_whole(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, KEY)
    log.append("read", "user:1")
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    entry = log.append("read", "user:2")
    assert log.verify((2, entry["hash"]))[1] == []
    for path, data in kept.items():
        path.write_bytes(data)
    assert log.verify()[1] == []
    assert "the anchor" in log.verify((2, entry["hash"]))[1][0].why


def test_how_far_the_log_is_goes_to_the_servers_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = AuditLog(tmp_path, KEY)
    with caplog.at_level("INFO"):
        entries = [log.append("read", f"user:{n}") for n in range(202)]
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"the audit log is at {e['seq']}:{e['hash']}" for e in entries if e["seq"] in (1, 101, 201)
    ]


def test_a_log_of_0_1_0_goes_on(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, KEY)
    entry = {"seq": 1, "time": "t", "event": "read", "who": "user:1", "key": key_id(KEY), "prev": "0" * 64}
    entry["hash"] = entry_hash(entry, KEY)
    log.path.write_text(json.dumps(entry, sort_keys=True, separators=(",", ":")) + "\n")
    log.path.with_name("audit.head").write_text(json.dumps({"seq": 1, "hash": entry["hash"]}))
    assert log.verify() == (1, [])
    log.append("read", "user:2")
    assert log.verify() == (2, [])


def test_another_key_is_no_gap(audit: AuditLog) -> None:
    other = AuditLog(audit.path.parent, derived_key("t" * 40, "audit"))
    other.append("read", "user:7")
    assert {"another SECRET_KEY" in finding.why for finding in other.verify()[1]} == {True}


def test_the_power_went_between_an_entry_and_its_head(audit: AuditLog) -> None:
    head = audit.path.with_name("audit.head").read_bytes()
    audit.append("read", "user:7")
    audit.path.with_name("audit.head").write_bytes(head)
    AuditLog(audit.path.parent, audit._key).append("read", "user:8")
    assert audit.verify() == (8, [])


def append_many(folder: Path) -> None:
    log = AuditLog(folder, KEY)
    for n in range(40):
        log.append("read", f"user:{n}")


def test_servers_that_share_a_log_do_not_break_the_chain(tmp_path: Path) -> None:
    context = get_context("spawn")
    processes = [context.Process(target=append_many, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert AuditLog(tmp_path, KEY).verify() == (120, [])


@pytest.mark.slow
def test_the_command_names_the_line(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit", KEY)
    for n in range(3):
        log.append("read", f"user:{n}")

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "airgap.client", "audit", "verify", *options],
            cwd=ROOT,
            env={"DATA_DIR": str(tmp_path), "SECRET_KEY": SECRET, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    fine = run()
    assert (fine.returncode, fine.stderr) == (0, "")
    assert "3 entries" in fine.stdout
    assert run("--anchor", f"3:{'0' * 64}").returncode == 1
    assert run("--anchor", "nonsense").returncode == 2
    log.path.write_text(log.path.read_text().replace("user:1", "user:8"))
    broken = run()
    assert broken.returncode == 1
    assert "line 2: was changed" in broken.stderr
    log.path.unlink()
    assert run().returncode == 2
