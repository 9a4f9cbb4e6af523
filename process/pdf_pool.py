"""The parent's side of `pdf_child`: a few child processes, bounded in time and memory.

A child that hangs, dies or answers nonsense is killed and costs the request it was on, nothing else.
This module knows no PDF library and no pages beyond their pixels.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_CHILD = Path(__file__).with_name("pdf_child.py")
_MAX_ANSWER = 64 * 2**20
_SPAWN_SECONDS = 20.0
"""Longest time a fresh child may take to be ready; on top of the first request's own time."""


class ChildLost(Exception):
    """The child died, or gave no proper answer."""


class ChildLate(ChildLost):
    """The child did not answer in time."""


class ChildRefused(Exception):
    """The child answered that it cannot: `reason` is `password`, `invalid`, `memory` or `page`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one request: wall-clock seconds and MiB of address space."""

    seconds: float
    memory_mb: int


class Child:
    """One child process. Not thread-safe: `ChildPool.child` lends it to one thread at a time."""

    def __init__(self) -> None:
        # Secrets in the environment are no business of a process that reads hostile files.
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"LC_ALL": "C.UTF-8", **kept},
            start_new_session=True,
            bufsize=0,
        )
        self._fresh = True
        self._buffer = bytearray()
        self.document: str | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], bounds: Bounds) -> tuple[dict[str, Any], bytearray]:
        """Send a request and wait for its answer and payload.

        Raises `ChildRefused`, or `ChildLost`/`ChildLate`, after which the child is dead.
        """
        try:
            return self._ask(request, bounds)
        except ChildRefused as refusal:
            if refusal.reason == "memory":  # what MuPDF left behind after that is anyone's guess
                self.kill()
            raise
        except BaseException:
            self.kill()
            raise

    def _ask(self, request: dict[str, Any], bounds: Bounds) -> tuple[dict[str, Any], bytearray]:
        deadline = time.monotonic() + bounds.seconds + (_SPAWN_SECONDS if self._fresh else 0)
        message = {**request, "memory_mb": bounds.memory_mb, "seconds": bounds.seconds}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise ChildLost("it was dead") from error
        answer = self._answer(deadline)
        self._fresh = False
        self.document = request["document"] if request["op"] != "close" else None
        if not answer.get("ok"):
            self.document = None
            raise ChildRefused(str(answer.get("reason")), str(answer.get("detail")))
        size = answer["bytes"]
        if request["op"] == "render":
            self._check(answer, request)
        payload = bytearray(size)
        self._read_into(memoryview(payload), deadline)
        return answer, payload

    @staticmethod
    def _check(answer: dict[str, Any], request: dict[str, Any]) -> None:
        """Believe no size that was not asked for: a hostile file may own the child."""
        width, height = answer["width"], answer["height"]
        if not (0 < width * height <= request["max_pixels"] and answer["bytes"] == width * height * 3):
            raise ChildLost("it answered with an impossible size")

    def _answer(self, deadline: float) -> dict[str, Any]:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MAX_ANSWER:
                raise ChildLost("its answer has no end")
            piece = bytearray(65536)
            self._buffer += piece[: self._read(piece, deadline)]
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise ChildLost("its answer is no JSON") from error
        if not isinstance(answer, dict):
            raise ChildLost("its answer is no object")
        return answer

    def _read_into(self, target: memoryview, deadline: float) -> None:
        at = min(len(self._buffer), len(target))
        target[:at] = self._buffer[:at]
        del self._buffer[:at]
        while at < len(target):
            at += self._read(target[at:], deadline)

    def _read(self, target: memoryview | bytearray, deadline: float) -> int:
        """Fill some of `target`: the number of bytes read, at least one."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise ChildLate("it did not answer in time")
        count = os.readv(descriptor, [target])
        if not count:
            raise ChildLost("it died")
        return count

    def kill(self) -> None:
        """End the process now. May be called twice."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


class ChildPool:
    """At most `size` children at work at once; as many are kept for the next request."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._places = threading.Semaphore(size)
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._busy: set[Child] = set()

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the living children."""
        with self._lock:
            return tuple(child.pid for child in (*self._idle, *self._busy))

    @contextmanager
    def child(self, document: str) -> Iterator[Child]:
        """A child for one request, rather one that has this document open. Waits for a free one."""
        with self._places:
            child = self._take(document)
            try:
                yield child
            finally:
                self._keep(child)

    def _take(self, document: str) -> Child:
        with self._lock:
            for dead in [child for child in self._idle if not child.alive]:
                self._idle.remove(dead)
                dead.kill()
            known = [child for child in self._idle if child.document == document]
            free = known or [child for child in self._idle if child.document is None] or self._idle
            child = free[-1] if free else None
            if child is not None:
                self._idle.remove(child)
        child = child or Child()
        with self._lock:
            self._busy.add(child)
        return child

    def forget(self, document: str, bounds: Bounds) -> None:
        """Have idle children close a document and give its memory back."""
        with self._lock:
            holding = [child for child in self._idle if child.document == document]
            self._idle = [child for child in self._idle if child not in holding]
            self._busy.update(holding)
        for child in holding:
            try:
                child.ask({"op": "close", "document": document}, bounds)
            except (ChildLost, ChildRefused) as error:
                log.info("a PDF process did not close its document: %s", error)
            self._keep(child)

    def _keep(self, child: Child) -> None:
        """Have a child wait for the next request, unless others took its place while it closed a document."""
        with self._lock:
            self._busy.discard(child)
            wanted = child.alive and len(self._idle) + len(self._busy) < self._size
            if wanted:
                self._idle.append(child)
        if not wanted:
            child.kill()

    def close(self) -> None:
        """Kill all children. The pool can be used again and starts fresh ones."""
        with self._lock:
            children = [*self._idle, *self._busy]
            self._idle.clear()
        for child in children:
            child.kill()


@cache
def shared_pool(size: int) -> ChildPool:
    """The process-wide pool of this size; its children end with the process."""
    pool = ChildPool(size)
    atexit.register(pool.close)
    return pool
