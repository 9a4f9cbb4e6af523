"""The parent's side of `process.child`: a few child processes, bounded in time and memory.

A child that hangs, dies or answers nonsense is killed and costs the request it was on, nothing else.
This module knows no file format and no pages beyond their pixels.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from process.allocator import KEPT_BYTES, MAPPED_FROM_BYTES
from process.work import abandoned

T = TypeVar("T")
log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[1]
_START = "import sys; sys.path.insert(0, sys.argv[1]); from {} import main; main()"
_PIPE_BYTES = 1 << 20
_STRIP_PIXELS = 4_000_000
_LOOK_SECONDS = 0.25
"""How often a wait is broken to see whether anybody still wants the answer."""

_MAX_ANSWER = 64 * 2**20
_SPAWN_SECONDS = 20.0
"""Longest time a fresh child may take to be ready; on top of the first request's own time."""


class ChildLost(Exception):
    """The child died, or gave no proper answer."""


class ChildLate(ChildLost):
    """The child did not answer in time."""


class ChildRefused(Exception):
    """The child answered that it cannot; `reason` and `detail` as in `process.child`."""

    def __init__(self, reason: str, detail: Any) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one request: wall-clock seconds and MiB of address space."""

    seconds: float
    memory_mb: int


class Child:
    """One child process. Not thread-safe: `ChildPool.child` lends it to one thread at a time."""

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START.format(program), str(_ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=clean_environment(),
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdout is not None
        with suppress(OSError):  # a few large reads instead of many small ones
            fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._fresh = True
        self._buffer = bytearray()
        self.document: str | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], bounds: Bounds) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises `ChildRefused`, or `ChildLost`/`ChildLate`, after which the child is dead.
        """
        return self._guarded(lambda: self._ask(request, self._deadline(bounds), bounds))

    def picture(self, request: dict[str, Any], bounds: Bounds) -> tuple[dict[str, Any], Image.Image]:
        """As `ask`, for an answer with RGB rows, of at most the request's `max_pixels`."""

        def read() -> tuple[dict[str, Any], Image.Image]:
            deadline = self._deadline(bounds)
            answer = self._ask(request, deadline, bounds)
            return answer, self._rows(*_checked_size(answer, request["max_pixels"]), deadline)

        return self._guarded(read)

    def _deadline(self, bounds: Bounds) -> float:
        return time.monotonic() + bounds.seconds + (_SPAWN_SECONDS if self._fresh else 0)

    def _guarded(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except ChildRefused as refusal:
            if refusal.reason == "memory":  # what a library left behind after that is anyone's guess
                self.kill()
            raise
        except BaseException:
            self.kill()
            raise

    def _ask(self, request: dict[str, Any], deadline: float, bounds: Bounds) -> dict[str, Any]:
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
            raise ChildRefused(str(answer.get("reason")), answer.get("detail"))
        return answer

    def _rows(self, width: int, height: int, deadline: float) -> Image.Image:
        """The payload, strip by strip, so that a large picture is not in memory twice."""
        rows = max(1, _STRIP_PIXELS // width)
        image = Image.new("RGB", (width, height)) if rows < height else None
        for top in range(0, height, rows):
            size = (width, min(rows, height - top))
            payload = bytearray(size[0] * size[1] * 3)
            self._read_into(memoryview(payload), deadline)
            strip = Image.frombuffer("RGB", size, payload, "raw", "RGB", 0, 1)
            if image is None:
                return strip
            image.paste(strip, (0, top))
        assert image is not None
        return image

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
        nobody_waits = abandoned.get()
        while not poll.poll(max(0.0, min(_LOOK_SECONDS, deadline - time.monotonic())) * 1000):
            if time.monotonic() >= deadline:
                raise ChildLate("it did not answer in time")
            if nobody_waits is not None and nobody_waits.is_set():
                raise ChildLost("nobody waits for its answer")
        count = os.readv(descriptor, [target])
        if not count:
            raise self._died()
        return count

    def _died(self) -> ChildLost:
        try:
            by_its_alarm = self._process.wait(1) == -signal.SIGALRM
        except subprocess.TimeoutExpired:
            by_its_alarm = False
        return ChildLate("it ended itself in time") if by_its_alarm else ChildLost("it died")

    def kill(self) -> None:
        """End the process now. May be called twice."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def clean_environment() -> dict[str, str]:
    """What a child is given: secrets are no business of a process that reads hostile files.

    Libraries for sums start no threads of their own, whose stacks would count as memory. What a picture
    leaves goes back at once: glibc else keeps blocks of the size of those that were freed, 500 MB a child.
    """
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_THREAD_LIMIT"), "1")
    memory = {
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": f"{MAPPED_FROM_BYTES}",
        "MALLOC_TRIM_THRESHOLD_": f"{KEPT_BYTES}",
    }
    return {"LC_ALL": "C.UTF-8", **memory, **alone, **kept}


def _checked_size(answer: dict[str, Any], max_pixels: int) -> tuple[int, int]:
    """Believe no size that was not asked for: a hostile file may own the child."""
    width, height = answer["width"], answer["height"]
    if not (width > 0 and height > 0 and width * height <= max_pixels):
        raise ChildLost("it answered with an impossible size")
    if answer["bytes"] != width * height * 3:
        raise ChildLost("it answered with an impossible length")
    return width, height


class ChildPool:
    """At most `size` children at work at once; as many are kept for the next request.

    `program` is the module whose `main` they run.
    """

    def __init__(self, size: int, program: str = "process.child") -> None:
        self._size = size
        self._program = program
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
            free = [child for child in self._idle if child.document is None]
            # Else the one that was idle the longest: what the others hold is rather asked for again.
            found = known or free or self._idle[:1]
            child = found[-1] if found else None
            if child is not None:
                self._idle.remove(child)
        child = child or Child(self._program)
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
