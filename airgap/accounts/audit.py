"""The audit log: one JSON line per event, each bound to the one before by a hash.

An entry says who did what and when, the SHA-256 of what was sent, the engine and its model, how many
pages came out and how it ended; never a text, a prompt or a file's name. Each entry's `hash` covers the
entry and its predecessor's hash, under a key derived from SECRET_KEY where there is one: then nobody
without the key can write a chain that fits. A second file keeps the newest hash, so that a cut tail
shows; keep copies of it elsewhere to be safe from whoever can write both.

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
GENESIS = "0" * 64
_TAIL_BYTES = 1 << 20


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
            previous = self._last(descriptor)
            entry = {
                "seq": previous["seq"] + 1,
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "event": event,
                "who": who,
                **details,
                "key": key_id(self._key),
                "prev": previous["hash"],
            }
            entry["hash"] = entry_hash(entry, self._key)
            os.write(descriptor, (_canonical(entry) + "\n").encode())
            os.fsync(descriptor)
            self._write_head(entry)
        return entry

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
            return {"seq": int(last["seq"]), "hash": str(last["hash"])}
        except (ValueError, KeyError, TypeError):  # somebody was at it; `verify` will name the line
            return {"seq": 0, "hash": GENESIS}

    def _write_head(self, entry: dict[str, Any]) -> None:
        partial = self._head.with_suffix(".part")
        partial.write_text(json.dumps({"seq": entry["seq"], "hash": entry["hash"]}))
        partial.replace(self._head)

    def verify(self) -> tuple[int, list[Finding]]:
        """How many entries there are, and everything that is wrong with them."""
        count, findings, seen = 0, [], GENESIS
        head = self._read_head()
        head_found = head is None
        for number, line in enumerate(self._lines(), 1):
            count = number
            entry, why = self._checked(line, number, seen)
            if why:
                findings.append(Finding(number, why))
            seen = str(entry.get("hash", seen)) if entry else seen
            if head and number == head["seq"]:
                head_found = seen == head["hash"]
        if head is None and count:
            findings.append(Finding(0, "the file audit.head is missing"))
        if head and not head_found:
            findings.append(Finding(0, f"the log does not hold entry {head['seq']} as audit.head knows it"))
        return count, findings

    def _lines(self) -> Iterator[bytes]:
        if self.path.exists():
            with self.path.open("rb") as file:
                yield from file

    def _checked(self, line: bytes, number: int, previous: str) -> tuple[dict[str, Any] | None, str]:
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
        if entry.get("prev") != previous or entry.get("seq") != number:
            return entry, "does not follow the entry before it"
        return entry, ""

    def _read_head(self) -> dict[str, Any] | None:
        try:
            head = json.loads(self._head.read_text())
            return {"seq": int(head["seq"]), "hash": str(head["hash"])}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return {"seq": -1, "hash": ""}


def key_id(key: bytes | None) -> str:
    """A short name of the key, which tells nothing about it; empty for none."""
    return hashlib.sha256(b"key id" + key).hexdigest()[:8] if key else ""


def entry_hash(entry: dict[str, Any], key: bytes | None) -> str:
    """The hash over everything in the entry but the hash itself."""
    body = _canonical({name: value for name, value in entry.items() if name != "hash"}).encode()
    return hmac.new(key, body, "sha256").hexdigest() if key else hashlib.sha256(body).hexdigest()


def _canonical(entry: dict[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
