"""What is logged again and again, word for word, is said once a minute, and how often it came."""

from __future__ import annotations

import io
import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from airgap.monitoring import logs, trace
from tests.monitoring.test_metrics import captured

__all__ = ["captured"]
log = logging.getLogger("x")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of the log, whose `now` is set by hand."""
    found = SimpleNamespace(now=100.0)
    monkeypatch.setattr(logs, "time", SimpleNamespace(monotonic=lambda: found.now))
    return found


def lines(captured: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.getvalue().splitlines()]


def broke(why: str) -> None:
    try:
        raise OSError(why)
    except OSError:
        log.exception("broke")


def test_the_same_is_said_once_a_minute_and_counted(captured: io.StringIO, clock: SimpleNamespace) -> None:
    for _ in range(120):
        broke("no room")
        clock.now += 1
    first, second = lines(captured)
    assert "repeated" not in first
    assert second["repeated"] == 59
    assert "OSError: no room" in second["exception"]


def test_what_differs_is_said(captured: io.StringIO, clock: SimpleNamespace) -> None:
    for why in ("no room", "no folder", "no room"):
        broke(why)
    for number in (1, 2, 1):
        log.warning("job %d", number)
        log.info("job %d", number)
    for request in ("a", "b", "a"):
        trace.begin(trace.Trace(request))
        log.warning("a file was not read")
    found = lines(captured)
    assert sum(line["message"] == "broke" for line in found) == 2
    assert [line["message"] for line in found if line["level"] == "warning"] == [
        *("job 1", "job 2"), *["a file was not read"] * 2
    ]  # fmt: skip
    assert sum(line["level"] == "info" for line in found) == 3


def test_a_line_for_people_says_how_often(clock: SimpleNamespace) -> None:
    handler = logging.StreamHandler(io.StringIO())
    repeats = logs._Repeats()
    handler.setFormatter(logs.TextFormatter(logs.TEXT_FORMAT))
    record = logging.makeLogRecord({"name": "x", "levelno": logging.ERROR, "msg": "no room", "request": ""})
    assert [repeats.filter(record) for _ in range(4)] == [True, False, False, False]
    clock.now += logs.REPEAT_SECONDS
    assert repeats.filter(record)
    assert handler.format(record).endswith("x: no room (3 times more since it was said last)")


def test_little_is_remembered(clock: SimpleNamespace) -> None:
    repeats = logs._Repeats()
    for number in range(2 * logs.REPEATS_KNOWN):
        clock.now += 0.01
        assert repeats.filter(logging.makeLogRecord({"levelno": logging.ERROR, "msg": f"{number}"}))
    assert len(repeats._said) == logs.REPEATS_KNOWN
