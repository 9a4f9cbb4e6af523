"""Logging: lines for people or JSON for machines, each with the id of the request it belongs to.

No line holds a document's text, a prompt or a file's name: what is logged about a page is its number
and an error's code. What others send, such as the path of a request, can end no line and begin none.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

from airgap.monitoring import trace

TEXT_FORMAT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s%(request)s"


class _Context(logging.Filter):
    """Put the request's id on every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        current = trace.current()
        record.request_id = current.request_id if current else None
        record.request = f" [{current.request_id}]" if current else ""
        return True


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_CONTROLS |= {code: f"\\u{code:04x}" for code in (0x2028, 0x2029)}


class TextFormatter(logging.Formatter):
    """One line a record. What follows it, the trace of an error, is set in and so no record's beginning."""

    def format(self, record: logging.LogRecord) -> str:
        plain = logging.makeLogRecord(record.__dict__ | {"args": None, "msg": one_line(record.getMessage())})
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
    """One JSON object per line: time (UTC), level, logger, message, request_id, and `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", None):
            entry["request_id"] = request_id
        entry |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            entry["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure(level: str, form: str) -> None:
    """Set up the root logger; `form` is `text` or `json`."""
    handler = logging.StreamHandler()
    handler.addFilter(_Context())
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter(TEXT_FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
