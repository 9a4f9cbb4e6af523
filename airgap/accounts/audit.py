"""The audit log: one JSON line per event, each bound to the one before by a hash.

An entry says who did what and when, the SHA-256 of what was sent, the engine and its model, how many
pages came out and how it ended; never a text, a prompt or a file's name. Each entry's `hash` covers the
entry and its predecessor's hash, under a key derived from SECRET_KEY where there is one: then nobody
without the key can write a chain that fits. A second file, `audit.head`, keeps the newest hash, signed
with that key, so that a cut tail shows. Where the two do not fit, the log is not continued as if nothing
were: an entry `gap` says what was found and what was expected, and `verify` names it ever after. The
newest hash also goes to the server's log from time to time; whoever keeps that elsewhere can tell
that even both files together were put back to an earlier day.

Several servers may share a log: each append holds a lock on the file.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import hmac
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

FOLDER = "audit"
GAP = "gap"
GENESIS = "0" * 64
VERSION = 2
"""Of an entry: from 2 on, the head that follows it is signed where there is a key."""

_TAIL_BYTES = 1 << 20
_EXPORT_EVERY = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a log: the line (counted from 1; 0 for the log as a whole), and why."""

    line: int
    why: str


class AuditLog:
    """Appends to `folder`/audit.jsonl. `key` is None where there is no SECRET_KEY."""

    def __init__(self, folder: Path, key: bytes | None) -> None:
        self.path = folder / "audit.jsonl"
        self._head = folder / "audit.head"
        self._key = key
        self._newest = 0
        self._exported = 0

    async def note(self, event: str, who: str, **details: Any) -> None:
        """Append an event. A log that cannot be written is said loudly and stops no answer."""
        await asyncio.shield(asyncio.to_thread(self.note_now, event, who, details))

    def note_now(self, event: str, who: str, details: Mapping[str, Any]) -> None:
        """As `note`, for those on a thread. Blocks until it is on the disk."""
        try:
            self.append(event, who, **details)
        except OSError:
            log.critical("the audit log cannot be written", exc_info=True)

    def append(self, event: str, who: str, **details: Any) -> dict[str, Any]:
        """Append an event and return its entry. Blocks until it is on the disk. Raises `OSError`."""
        with self._locked() as descriptor:
            last = self._last(descriptor)
            head = self._read_head()
            if reason := self._gap(last, head):
                last = self._write_gap(descriptor, last, head, reason)
            return self._write(descriptor, int(last["seq"]), str(last["hash"]), event, who, details)

    def _write(
        self, descriptor: int, seq: int, previous: str, event: str, who: str, details: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write the entry after number `seq`, whose hash is `previous`."""
        entry = {
            "v": VERSION,
            "seq": seq + 1,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "who": who,
            **details,
            "key": key_id(self._key),
            "prev": previous,
        }
        entry["hash"] = entry_hash(entry, self._key)
        os.write(descriptor, (_canonical(entry) + "\n").encode())
        os.fsync(descriptor)
        self._write_head(entry)
        self._newest = seq + 1
        self._export(entry)
        return entry

    def _gap(self, last: dict[str, Any], head: dict[str, Any] | None) -> str:
        """Why the log cannot be continued as it is; empty where it can."""
        if last["seq"] < self._newest:
            return "entries that this server wrote are gone"
        if head is None:
            return "audit.head is missing" if last["seq"] else ""
        if not self._is_signed(head, last):
            return "audit.head was changed"
        if (last["seq"], last["hash"]) == (head["seq"], head["hash"]):
            return ""
        if last["seq"] == head["seq"] + 1 and last.get("prev") == head["hash"]:
            return ""  # the power went between the entry and its head
        return "the log does not end where audit.head says"

    def _write_gap(
        self, descriptor: int, last: dict[str, Any], head: dict[str, Any] | None, reason: str
    ) -> dict[str, Any]:
        log.critical("the audit log was tampered with: %s", reason)
        trusted = head is not None and self._is_signed(head, last)
        seq = max(last["seq"], self._newest, head["seq"] if head and trusted else 0)
        details = {
            "reason": reason,
            "found": {"seq": last["seq"], "hash": last["hash"]},
            "expected": {"seq": head["seq"], "hash": head["hash"]} if head else None,
        }
        return self._write(descriptor, seq, str(last["hash"]), GAP, "server", details)

    def _is_signed(self, head: dict[str, Any], last: dict[str, Any]) -> bool:
        """Whether the head is of ours; one of release 0.1.0 or of another key as far as can be told."""
        if head["key"] is None:
            return "v" not in last and head["seq"] >= 0
        if head["key"] != key_id(self._key):
            return bool(last.get("key") == head["key"])
        return hmac.compare_digest(str(head["mac"]), _head_mac(head, self._key))

    def _export(self, entry: dict[str, Any]) -> None:
        """Say in the server's log how far this one is, which whoever cuts this one cannot undo."""
        if not self._exported or entry["seq"] >= self._exported + _EXPORT_EVERY:
            self._exported = entry["seq"]
            log.info("the audit log is at %d:%s", entry["seq"], entry["hash"])

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _last(self, descriptor: int) -> dict[str, Any]:
        """The last entry. Half a line, which a crash may leave, was never an entry and is taken off."""
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        whole = tail.rfind(b"\n") + 1
        if whole < len(tail):
            log.warning("the audit log ended in half an entry, which was taken off")
            os.ftruncate(descriptor, size - (len(tail) - whole))
        lines = tail[:whole].splitlines()
        try:
            last: dict[str, Any] = json.loads(lines[-1]) if lines else {"seq": 0, "hash": GENESIS}
            return last | {"seq": int(last["seq"]), "hash": str(last["hash"])}
        except (ValueError, KeyError, TypeError):  # somebody was at it; `verify` will name the line
            return {"seq": 0, "hash": GENESIS}

    def _write_head(self, entry: dict[str, Any]) -> None:
        head = {"seq": entry["seq"], "hash": entry["hash"], "key": key_id(self._key)}
        head["mac"] = _head_mac(head, self._key)
        partial = self._head.with_suffix(".part")
        partial.write_text(json.dumps(head))
        partial.replace(self._head)

    def verify(self, anchor: tuple[int, str] | None = None) -> tuple[int, list[Finding]]:
        """How many entries there are, and everything that is wrong with them.

        `anchor` is the number and hash of an entry as the server's log had them.
        """
        head = self._read_head()
        marks = {name: mark for name, mark in (("audit.head", _mark(head)), ("the anchor", anchor)) if mark}
        seen: dict[str, Any] = {"seq": 0, "hash": GENESIS}
        count, findings, last = 0, list[Finding](), seen
        for number, line in enumerate(self._lines(), 1):
            count = number
            entry, why = self._checked(line, seen)
            if why:
                findings.append(Finding(number, why))
            last = entry or last
            seen = {"seq": _seq(entry, seen["seq"] + 1), "hash": (entry or seen).get("hash", seen["hash"])}
            marks = {name: mark for name, mark in marks.items() if mark != (seen["seq"], seen["hash"])}
        if head is None and count:
            findings.append(Finding(0, "the file audit.head is missing"))
        if head is not None and not self._is_signed(head, last):
            findings.append(Finding(0, "the file audit.head was changed"))
        findings += [
            Finding(0, f"the log does not hold entry {mark[0]} as {name} knows it")
            for name, mark in marks.items()
        ]
        return count, findings

    def _lines(self) -> Iterator[bytes]:
        if self.path.exists():
            with self.path.open("rb") as file:
                yield from file

    def _checked(self, line: bytes, before: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
        try:
            entry = json.loads(line)
        except ValueError:
            return None, "is not an entry"
        if not isinstance(entry, dict):
            return None, "is not an entry"
        if entry.get("key") != key_id(self._key):
            return entry, "was written under another SECRET_KEY, and cannot be checked"
        if not hmac.compare_digest(str(entry.get("hash")), entry_hash(entry, self._key)):
            return entry, "was changed"
        if entry.get("event") == GAP:
            return entry, f"before this entry the server found a gap: {entry.get('reason')}"
        if entry.get("prev") != before["hash"] or entry.get("seq") != before["seq"] + 1:
            return entry, "does not follow the entry before it"
        return entry, ""

    def _read_head(self) -> dict[str, Any] | None:
        try:
            head = json.loads(self._head.read_text())
            signed = {"key": head.get("key"), "mac": head.get("mac")}
            return {"seq": int(head["seq"]), "hash": str(head["hash"]), **signed}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            return {"seq": -1, "hash": "", "key": None, "mac": None}


def _mark(head: dict[str, Any] | None) -> tuple[int, str] | None:
    return (head["seq"], head["hash"]) if head else None


def _seq(entry: dict[str, Any] | None, expected: int) -> int:
    found = entry.get("seq") if entry else None
    return found if isinstance(found, int) else expected


def _head_mac(head: Mapping[str, Any], key: bytes | None) -> str:
    """The signature of a head; without a key a checksum, which anybody can make."""
    body = f"head {head['seq']} {head['hash']}".encode()
    return hmac.new(key, body, "sha256").hexdigest() if key else hashlib.sha256(body).hexdigest()


def key_id(key: bytes | None) -> str:
    """A short name of the key, which tells nothing about it; empty for none."""
    return hashlib.sha256(b"key id" + key).hexdigest()[:8] if key else ""


def entry_hash(entry: dict[str, Any], key: bytes | None) -> str:
    """The hash over everything in the entry but the hash itself."""
    body = _canonical({name: value for name, value in entry.items() if name != "hash"}).encode()
    return hmac.new(key, body, "sha256").hexdigest() if key else hashlib.sha256(body).hexdigest()


def _canonical(entry: dict[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
