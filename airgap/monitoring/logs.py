"""Logging: lines for people or JSON for machines, each with the id of the request it belongs to.

No line holds a document's text, a prompt or a file's name: what is logged about a page is its number
and an error's code. What others send, such as the path of a request, can end no line and begin none.
A warning that comes again and again, word for word, is said once a minute with how often it came.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from datetime import UTC, datetime
from typing import Any

from airgap.monitoring import trace

TEXT_FORMAT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s%(again)s%(request)s"

REPEAT_SECONDS = 60.0
REPEATS_KNOWN = 200
"""So many different warnings are remembered; the one that was said longest ago is forgotten."""


class _Context(logging.Filter):
    """Put the request's id on every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        current = trace.current()
        record.request_id = current.request_id if current else None
        record.request = f" [{current.request_id}]" if current else ""
        return True


class _Repeats(logging.Filter):
    """Let a warning through that was not said word for word within the last minute.

    Those of different requests are different. Which comes again after that says on `again` how many were
    kept back.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        record.again, record.repeated = "", 0
        if record.levelno < logging.WARNING:
            return True
        error = record.exc_info[1] if record.exc_info else None
        key = (record.name, record.getMessage(), repr(error), getattr(record, "request_id", None))
        now = time.monotonic()
        since, kept_back = self._said.pop(key, (now - REPEAT_SECONDS, 0))
        if now - since < REPEAT_SECONDS:
            self._said[key] = (since, kept_back + 1)
            return False
        self._said[key] = (now, 0)
        if len(self._said) > REPEATS_KNOWN:
            del self._said[min(self._said, key=lambda known: self._said[known][0])]
        if kept_back:
            record.again, record.repeated = f" ({kept_back} times more since it was said last)", kept_back
        return True


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_CONTROLS |= {code: f"\\u{code:04x}" for code in (0x2028, 0x2029)}


class TextFormatter(logging.Formatter):
    """One line a record. What follows it, the trace of an error, is set in and so no record's beginning."""

    def format(self, record: logging.LogRecord) -> str:
        said = {"args": None, "msg": one_line(record.getMessage())}
        plain = logging.makeLogRecord({"again": "", "request": "", **record.__dict__, **said})
        return super().format(plain)

    def formatException(self, ei: Any) -> str:
        return _set_in(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return _set_in(super().formatStack(stack_info))


def one_line(text: str) -> str:
    """The text with every control character and line separator written out: `\\x0a` for a new line."""
    return text.translate(_CONTROLS)


def _set_in(text: str) -> str:
    return "\n".join(f"    | {one_line(line)}" for line in text.splitlines())


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time (UTC), level, logger, message, request_id, `repeated`, and `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", None):
            entry["request_id"] = request_id
        if repeated := getattr(record, "repeated", 0):
            entry["repeated"] = repeated
        entry |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            entry["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure(level: str, form: str) -> None:
    """Set up the root logger; `form` is `text` or `json`."""
    handler = logging.StreamHandler()
    handler.addFilter(_Context())
    handler.addFilter(_Repeats())
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter(TEXT_FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
