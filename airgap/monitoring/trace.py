"""What is known about the request being answered: its id, its caller, its files, its pages.

A `Trace` rides in a context variable, which tasks and threads inherit, so that whoever opens a file or
finishes a page can note it without knowing who asked. It holds digests, sizes and counts: never names,
never text. A leaf beside `metrics`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from airgap.monitoring import metrics

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Input:
    """One file that was sent: its size in bytes, and its SHA-256 where an audit log asks for it."""

    size: int
    sha256: str | None


Take = Callable[[int], Awaitable[None]]


@dataclass(slots=True)
class Trace:
    """One request, from its first byte to its answer's last. `kind` is empty where nothing is read.

    `read` sums up what the engine was given and gave, in tokens and characters.
    `take` takes so many pages from the caller's quota, where there is one, or raises; `taken` have been,
    and `promised` are going to be read.
    """

    request_id: str
    kind: str = ""
    caller: str = "anonymous"
    digests: bool = False
    inputs: list[Input] = field(default_factory=list)
    pages: Counter[str] = field(default_factory=Counter)
    job: str | None = None
    take: Take | None = None
    taken: int = 0
    promised: int = 0
    read: Counter[str] = field(default_factory=Counter)


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace | None:
    """The trace of the request that this code runs for; None outside of one."""
    return _current.get()


def begin(trace: Trace) -> None:
    """Make `trace` the one of this context and of all that it starts."""
    _current.set(trace)


def note_input(data: bytes | Path) -> None:
    """Note a file that is going to be read. Blocks, as it may read the file for its digest."""
    trace = _current.get()
    size = data.stat().st_size if isinstance(data, Path) else len(data)
    metrics.input_received(trace.kind if trace and trace.kind else "other", size)
    if trace is not None:
        trace.inputs.append(Input(size, _sha256(data) if trace.digests else None))


async def promise_pages(count: int) -> None:
    """Before pages are read, take them from the caller's quota. Raises `QuotaExceeded`."""
    trace = _current.get()
    if trace is None or trace.take is None:
        return
    trace.promised += count
    missing = trace.promised - trace.taken
    if missing > 0:
        await trace.take(missing)
        trace.taken += missing


def note_job(job_id: str) -> None:
    """Note the job that a request made, in which its files will be read."""
    trace = _current.get()
    if trace is not None:
        trace.job = job_id


def note_page(engine: str, status: str) -> None:
    """Note what became of a page: ok, degraded or failed."""
    metrics.page(engine, status)
    trace = _current.get()
    if trace is not None:
        trace.pages[status] += 1


def note_read(engine: str, seconds: float, counts: Mapping[str, int]) -> None:
    """Note one pass of the engine over a page: what it was asked and gave, in tokens and characters."""
    metrics.read(engine, seconds, counts["prompt_tokens"], counts["completion_tokens"])
    trace = _current.get()
    if trace is not None:
        trace.read.update(counts)


def note_exported(pages: int) -> None:
    """Note pages that were written in another format for this request, and not read for it."""
    trace = _current.get()
    if trace is not None:
        trace.pages["exported"] += pages


def _sha256(data: bytes | Path) -> str:
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    digest = hashlib.sha256()
    with data.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
