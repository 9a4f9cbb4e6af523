"""The audit log line by line: what is found, what a gap says, and in which order things reach the disk."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airgap.accounts import login_audit
from airgap.accounts.audit import AuditLog, Finding, entry_hash
from airgap.accounts.login_audit import LoginAudit
from airgap.core.errors import QuotaExceeded, Unauthorized

KEY = b"k" * 32
FOLLOWS = "does not follow the entry before it"
FOREIGN = "was written under another SECRET_KEY, and cannot be checked"


@pytest.fixture(params=[KEY, None], ids=["with a key", "without"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> AuditLog:
    made = AuditLog(tmp_path / "a" / "audit", request.param)
    for n in range(1, 7):
        made.append("read", f"user:{n}")
    return made


def entries(log: AuditLog) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.path.read_text().splitlines()]


def head(log: AuditLog) -> Path:
    return log.path.with_name("audit.head")


def found(log: AuditLog, change: Callable[[list[str]], list[str]]) -> list[tuple[int, str]]:
    log.path.write_text("".join(change(log.path.read_text().splitlines(keepends=True))))
    return [(finding.line, finding.why) for finding in log.verify()[1]]


# --- what is found -------------------------------------------------------------------------------


def test_each_line_is_judged_by_the_one_before_it(log: AuditLog) -> None:
    lines = log.path.read_text().splitlines(keepends=True)

    def findings(*changed: str) -> list[tuple[int, str]]:
        return found(log, lambda _: list(changed))

    assert findings(*lines[:3], "nonsense\n", *lines[3:]) == [(4, "is not an entry"), (5, FOLLOWS)]
    assert findings(*lines[:3], "nonsense\n", *lines[4:]) == [(4, "is not an entry"), (5, FOLLOWS)]
    assert findings(*lines[:3], "[1]\n", *lines[3:]) == [(4, "is not an entry"), (5, FOLLOWS)]
    assert findings(*lines[:3], '{"seq": 3}\n', *lines[3:]) == [(4, FOREIGN)]
    assert findings(*lines[:2], *lines[3:]) == [(3, FOLLOWS)]
    assert findings(*lines[:3], *lines[2:]) == [(4, FOLLOWS)]
    assert findings(*lines) == []


def test_an_entry_without_number_or_hash_counts_as_the_next_one(log: AuditLog) -> None:
    lines = log.path.read_text().splitlines(keepends=True)
    bare = json.dumps({"key": "other"}) + "\n"
    assert found(log, lambda _: [*lines[:3], bare, *lines[3:]]) == [(4, FOREIGN), (5, FOLLOWS)]
    third = entries(log)[2]
    kept = json.dumps({"key": "other", "seq": 3}) + "\n"
    assert found(log, lambda _: [*lines[:3], kept, *lines[3:]])[:1] == [(4, FOREIGN)]
    same = json.dumps({"key": "other", "seq": 3, "hash": third["hash"]}) + "\n"
    assert found(log, lambda _: [*lines[:3], same, *lines[3:]]) == [(4, FOREIGN)]
    text = json.dumps({"key": "other", "seq": "3", "hash": third["hash"]}) + "\n"
    assert found(log, lambda _: [*lines[:3], text, *lines[3:]]) == [(4, FOREIGN), (5, FOLLOWS)]


def test_a_line_that_is_no_entry_counts_as_one(log: AuditLog) -> None:
    third, _, fifth, *_ = entries(log)[2:]
    fifth["prev"] = third["hash"]
    fifth["hash"] = entry_hash(fifth, log._key)
    line = json.dumps(fifth, sort_keys=True, separators=(",", ":")) + "\n"
    told = found(log, lambda lines: [*lines[:3], "nonsense\n", line])
    assert told == [(4, "is not an entry"), (0, "the log does not hold entry 6 as audit.head knows it")]


def test_an_entry_has_to_follow_by_number_and_by_hash(log: AuditLog) -> None:
    made = entries(log)

    def rewritten(**values: Any) -> list[tuple[int, str]]:
        entry = made[5] | values
        entry["hash"] = entry_hash(entry, log._key)
        line = json.dumps(entry, sort_keys=True, separators=(",", ":")) + "\n"
        return found(log, lambda lines: [*lines[:5], line])[:1]

    assert rewritten(seq=8) == [(6, FOLLOWS)]
    assert rewritten(prev="f" * 64) == [(6, FOLLOWS)]
    gap = rewritten(event="gap", reason="r", prev="f" * 64)
    assert gap == [(6, "before this entry the server found a gap: r")]
    assert rewritten(who="user:9") == [(0, "the log does not hold entry 6 as audit.head knows it")]


def test_an_anchor_is_any_entry_of_the_log(log: AuditLog) -> None:
    for entry in entries(log):
        assert log.verify((entry["seq"], entry["hash"])) == (6, [])
    for anchor in ((3, entries(log)[3]["hash"]), (7, entries(log)[5]["hash"])):
        why = f"the log does not hold entry {anchor[0]} as the anchor knows it"
        assert log.verify(anchor) == (6, [Finding(0, why)])


def test_an_empty_log_is_in_order_and_a_head_alone_is_not(tmp_path: Path) -> None:
    empty = AuditLog(tmp_path, KEY)
    assert empty.verify() == (0, [])
    empty.append("read", "user:1")
    empty.path.write_text("")
    assert [finding.why for finding in empty.verify()[1]] == [
        "the log does not hold entry 1 as audit.head knows it"
    ]


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}", '{"seq": "x", "hash": ""}', '{"seq": 6}'])
def test_a_head_that_is_none_was_changed(log: AuditLog, text: str) -> None:
    head(log).write_text(text)
    assert Finding(0, "the file audit.head was changed") in log.verify()[1]
    assert log.append("read", "user:7")["seq"] == 8
    gap = entries(log)[6]
    assert (gap["reason"], gap["expected"]) == ("audit.head was changed", {"seq": -1, "hash": ""})


def test_a_heads_signature_covers_its_number_and_hash(log: AuditLog) -> None:
    signed = json.loads(head(log).read_text())
    for change in ({"seq": 5}, {"hash": "f" * 64}, {"mac": "f" * 64}, {"mac": None}):
        head(log).write_text(json.dumps(signed | change))
        assert Finding(0, "the file audit.head was changed") in log.verify()[1], change
    head(log).write_text(json.dumps(signed))
    assert log.verify() == (6, [])


# --- gaps ----------------------------------------------------------------------------------------


def reopened(log: AuditLog) -> AuditLog:
    return AuditLog(log.path.parent, log._key)


def test_a_gap_says_what_was_found_and_what_was_expected(log: AuditLog) -> None:
    made = entries(log)
    found(log, lambda lines: lines[:3])
    reopened(log).append("read", "user:7")
    gap, last = entries(log)[3:]
    assert gap["reason"] == "the log does not end where audit.head says"
    assert gap["found"] == {"seq": 3, "hash": made[2]["hash"]}
    assert gap["expected"] == {"seq": 6, "hash": made[5]["hash"]}
    assert (gap["event"], gap["who"], gap["seq"], gap["prev"]) == ("gap", "server", 7, made[2]["hash"])
    assert (last["seq"], last["prev"]) == (8, gap["hash"])


def test_a_missing_head_is_a_gap_but_not_of_an_empty_log(log: AuditLog) -> None:
    head(log).unlink()
    assert reopened(log).append("read", "user:7")["seq"] == 8
    gap = entries(log)[6]
    assert (gap["reason"], gap["expected"], gap["seq"]) == ("audit.head is missing", None, 7)
    fresh = AuditLog(log.path.parent / "fresh", log._key)
    assert fresh.append("read", "user:1")["seq"] == 1


def test_a_head_that_nobody_signed_says_no_number(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, KEY)
    log.append("read", "user:1")
    head(log).write_text(json.dumps({"seq": 99, "hash": "f" * 64, "key": "", "mac": ""}))
    reopened(log).append("read", "user:2")
    assert [entry["seq"] for entry in entries(log)] == [1, 2, 3]
    head(log).write_text(json.dumps({"seq": 99, "hash": "f" * 64}))
    reopened(log).append("read", "user:3")
    assert [entry["seq"] for entry in entries(log)] == [1, 2, 3, 4, 5]


def test_the_server_that_wrote_them_knows_their_number(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, KEY)
    for n in range(5):
        log.append("read", f"user:{n}")
    log.path.unlink()
    head(log).unlink()
    assert log.append("read", "user:9")["seq"] == 7
    gap = entries(log)[0]
    assert (gap["reason"], gap["seq"]) == ("entries that this server wrote are gone", 6)
    assert gap["found"] == {"seq": 0, "hash": "0" * 64}


def test_the_head_may_be_one_entry_behind(log: AuditLog) -> None:
    before = head(log).read_bytes()
    log.append("read", "user:7")
    head(log).write_bytes(before)
    assert reopened(log).append("read", "user:8")["seq"] == 8
    head(log).write_bytes(before)
    assert reopened(log).append("read", "user:9")["seq"] == 10, "two are a gap"


def test_a_last_line_that_is_nonsense_is_a_gap(log: AuditLog) -> None:
    for nonsense in ("nonsense\n", "[]\n", "{}\n", '{"seq": "x", "hash": ""}\n'):
        with log.path.open("a") as file:
            file.write(nonsense)
        before = len(entries_of(log))
        reopened(log).append("read", "user:7")
        gap = entries_of(log)[before]
        assert (gap["event"], gap["found"]) == ("gap", {"seq": 0, "hash": "0" * 64})


def entries_of(log: AuditLog) -> list[dict[str, Any]]:
    lines = [line for line in log.path.read_text().splitlines() if '"hash"' in line and '"prev"' in line]
    return [json.loads(line) for line in lines]


# --- on the disk ---------------------------------------------------------------------------------


def test_an_entry_is_on_the_disk_before_the_head_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(tmp_path, None)
    seen: list[tuple[int, bool]] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        seen.append((log.path.read_text().count("\n"), head(log).exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    log.append("read", "user:1")
    assert seen == [(1, False)]
    assert not head(log).with_suffix(".part").exists()


def test_a_long_log_is_read_from_its_end(log: AuditLog) -> None:
    for n in range(5):
        log.append("read", f"user:{n}", what="x" * 300_000)
    with log.path.open("a") as file:
        file.write("half an entry")
    log.append("read", "user:9")
    assert log.verify() == (12, [])


def test_files_are_closed_and_nobody_elses(log: AuditLog) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    log.append("read", "user:7")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert log.path.parent.stat().st_mode & 0o777 == 0o700
    assert log.path.stat().st_mode & 0o777 == 0o600


async def test_a_log_that_cannot_be_written_is_said_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "audit").write_text("no folder")
    await AuditLog(tmp_path / "audit", None).note("read", "user:1")
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == ("CRITICAL", "the audit log cannot be written")
    assert record.exc_info is not None


async def test_a_note_has_its_details(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, None)
    await log.note("read", "user:1", outcome=200)
    [entry] = entries(log)
    assert (entry["event"], entry["who"], entry["outcome"]) == ("read", "user:1", 200)


# --- logins --------------------------------------------------------------------------------------


@dataclass
class Labels:
    """Stands for accounts: what a name is called in the log."""

    async def label(self, name: str) -> str:
        return f"the label of {name}"


@dataclass
class Account:
    id: int
    name: str


def logins(log: AuditLog | None) -> LoginAudit:
    return LoginAudit(log, Labels())  # type: ignore[arg-type]


TOO_MANY = QuotaExceeded("too many", retry_after=5)


def told(log: AuditLog) -> list[dict[str, Any]]:
    left_out = {"v", "seq", "time", "key", "prev", "hash"}
    return [{k: v for k, v in entry.items() if k not in left_out} for entry in entries(log)]


async def test_how_logins_ended(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, None)
    audit = logins(log)
    await audit.prepare()
    await audit.start()
    assert audit.trouble() is None
    await audit.succeeded("login", Account(7, "alice"), "10.0.0.1")  # type: ignore[arg-type]
    await audit.failed("login", "bob", "10.0.0.2", Unauthorized("no"))
    await audit.close()
    assert told(log) == [
        {"event": "login", "who": "user:7 alice", "client": "10.0.0.1", "outcome": "ok"},
        {
            "event": "login",
            "who": "anonymous",
            "account": "the label of bob",
            "client": "10.0.0.2",
            "outcome": Unauthorized("no").code,
        },
    ]
    silent = logins(None)
    await silent.succeeded("login", Account(7, "alice"), "10.0.0.1")  # type: ignore[arg-type]
    await silent.failed("login", "bob", "10.0.0.2", TOO_MANY)
    await silent.close()


async def test_tries_that_were_refused_unread_are_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_audit, "MAX_SUMS", 2)
    log = AuditLog(tmp_path, None)
    audit = logins(log)
    for name, client in (("a", "1"), ("a", "1"), ("a", "2"), ("b", "1"), ("c", "1"), ("a", "2")):
        await audit.failed("login", name, client, TOO_MANY)
    assert not log.path.exists()
    await audit.close()
    assert told(log) == [
        {
            "event": "login_throttled",
            "who": "anonymous",
            "account": account,
            "client": client,
            "tries": tries,
        }
        for account, client, tries in (
            ("the label of a", "1", 2),
            ("the label of a", "2", 2),
            ("others", "others", 2),
        )
    ]
    await audit.write_sums()
    assert len(told(log)) == 3


async def test_a_sum_is_written_after_its_time_and_the_next_one_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (login_audit.SUMMED_SECONDS, login_audit.MAX_SUMS) == (60.0, 1000)
    monkeypatch.setattr(login_audit, "SUMMED_SECONDS", 0.01)
    log = AuditLog(tmp_path, None)
    audit = logins(log)
    for expected in (1, 2):
        await audit.failed("login", "a", "1", TOO_MANY)
        async with asyncio.timeout(10):
            while not log.path.exists() or len(entries(log)) < expected:
                await asyncio.sleep(0.005)
    assert [entry["tries"] for entry in told(log)] == [1, 1]
    await audit.close()
