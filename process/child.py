"""The child process that opens files which may be hostile: PDFs and pictures.

Such a file can make a library run without end or eat all memory. Here it may: this process is bounded in
memory by `RLIMIT_AS` and in time by `child_pool`, which kills it. It imports the library that a file
needs when the first such file comes, so that a fresh one is ready in a tenth of a second.

Requests come as JSON, one a line, on standard input; the end of the input ends the process. Each is
answered on standard output with one line of JSON and, after it, `bytes` bytes of payload.

    {"op": "open", "document": id, "kind", "path", …}      → {"ok", "pages", "renderer", …}
    {"op": "render", …the same…, "page", "max_pixels", …}  → {"ok", "width", "height", "bytes", …} + RGB rows
    {"op": "close", "document": id}                        → {"ok"}
    a failure                                              → {"ok": false, "reason", "detail"}

`kind` is `pdf` or `picture`; what else they are asked and answer is in `pdf_child` and `picture_child`.
Every request but `close` also holds `memory_mb` and `seconds`. `page` counts from 0. A `reason` is
`password`, `invalid`, `memory`, `page`, or `refused`, whose `detail` is an error of `airgap.core.errors`
with its `code`, `message` and `remedy`.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from airgap.core.errors import AirgapError

Pieces = Iterable[bytes | memoryview]
Answer = tuple[dict[str, Any], Pieces]


class Failure(Exception):
    """A request that cannot be met, with the reason as a word of the protocol."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Pages(Protocol):
    """A document opened by one of the libraries. `opened` are further fields of the answer to `open`."""

    renderer: str
    count: int
    opened: dict[str, Any]

    def render(self, request: dict[str, Any]) -> Answer:
        """Draw one page: the answer's fields, and its RGB rows in pieces.

        The pieces may lie in memory that is the library's, and are good until the next call.
        """
        ...

    def close(self) -> None: ...


def open_pages(request: dict[str, Any]) -> Pages:
    """Raises `Failure` or `AirgapError`."""
    if request["kind"] == "pdf":
        from process.pdf_child import open_document

        return open_document(request["path"], request["password"])
    from process.picture_child import Frames

    return Frames(request)


class Worker:
    """Answers requests; holds one document open from one to the next."""

    def __init__(self) -> None:
        self._held: str | None = None
        self._pages: Pages | None = None

    def answer(self, request: dict[str, Any]) -> Answer:
        """One request. Raises `Failure`, `AirgapError` or `MemoryError`."""
        if request["op"] == "close":
            if request["document"] == self._held:
                self._drop()
            return {}, []
        pages = self._document(request)
        if request["op"] == "open":
            return {"pages": pages.count, "renderer": pages.renderer, **pages.opened}, []
        try:
            answer, pieces = pages.render(request)
            return answer | {"bytes": answer["width"] * answer["height"] * 3}, pieces
        except (Failure, AirgapError, MemoryError):
            raise
        except Exception as error:
            raise Failure("page", f"{type(error).__name__}: {error}") from error

    def _document(self, request: dict[str, Any]) -> Pages:
        if self._pages is None or self._held != request["document"]:
            self._drop()
            self._pages = open_pages(request)
            self._held = request["document"]
        return self._pages

    def _drop(self) -> None:
        pages, self._pages, self._held = self._pages, None, None
        if pages is not None:
            pages.close()
            del pages
            _give_memory_back()


def _give_memory_back() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _bound(memory_mb: int, seconds: float) -> None:
    """Set the bounds of one request. The alarm kills a process that nobody is left to kill."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    signal.setitimer(signal.ITIMER_REAL, seconds + 5)


def _die_with_parent(wanted: bool) -> None:
    """Have the kernel send SIGIO, whose default is death, when the input's other end goes away.

    While a page is drawn no Python runs here, so the end of the input would go unseen. Nothing is
    written to the input meanwhile, so the signal can mean nothing else.
    """
    flags = fcntl.fcntl(0, fcntl.F_GETFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC if wanted else flags & ~os.O_ASYNC)


def end_before_the_server() -> None:
    """Where the machine's or the container's memory runs out, the kernel is to end this process first."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _failure(error: Failure | AirgapError | MemoryError) -> dict[str, Any]:
    if isinstance(error, AirgapError):
        detail = {"code": error.code, "message": error.message, "remedy": error.remedy}
        return {"ok": False, "reason": "refused", "detail": detail}
    failure = error if isinstance(error, Failure) else Failure("memory", str(error))
    if any(sign in failure.detail for sign in ("malloc", "calloc", "realloc", "out of memory")):
        failure.reason = "memory"
    return {"ok": False, "reason": failure.reason, "detail": failure.detail[:500]}


def serve(answer: Callable[[dict[str, Any]], Answer], requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the requests end."""
    for line in requests:
        request = json.loads(line)
        if request["op"] != "close":
            _bound(request["memory_mb"], request["seconds"])
        _die_with_parent(True)
        try:
            fields, payload = answer(request)
            fields = {"bytes": 0, **fields, "ok": True}
        except (Failure, AirgapError, MemoryError) as error:
            fields, payload = _failure(error), []
        _die_with_parent(False)
        answers.write(json.dumps(fields).encode() + b"\n")
        for piece in payload:
            answers.write(piece)
        answers.flush()
        del fields, payload
        signal.setitimer(signal.ITIMER_REAL, 0)


def serve_alone(answer: Callable[[dict[str, Any]], Answer], file_bytes: int) -> None:
    """Serve on standard input and output, where nothing else may write; no file larger than `file_bytes`."""
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)  # the libraries print; only answers may go out
    os.dup2(null, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    end_before_the_server()
    serve(answer, sys.stdin.buffer, answers)


def main() -> None:
    serve_alone(Worker().answer, file_bytes=0)
