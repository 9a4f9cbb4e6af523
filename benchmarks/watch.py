"""A process tree, watched: memory, open handles and threads, and how quickly its server answers a probe."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx

from benchmarks.memory import _pss, _tree

PROBE_SECONDS = 0.05
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` in seconds since the watch began; memory is the proportional set size in MiB.

    `handles` and `threads` are those of the server's own process; its children come and go.
    """

    at: float
    memory: float
    handles: int
    threads: int
    children: int


@dataclass
class Watch:
    """Samples on a thread, every so many seconds. `answering` holds ms of `/healthz`; infinite for none."""

    pid: int
    url: str = ""
    every: float = 1.0
    samples: list[Sample] = field(default_factory=list)
    answering: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._done = threading.Event()
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._sample, daemon=True)]
        if self.url:
            self._threads.append(threading.Thread(target=self._probe, daemon=True))

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _sample(self) -> None:
        while True:
            with suppress(OSError):  # the server is gone, which its own end tells
                tree = _tree(self.pid)
                self.samples.append(
                    Sample(
                        time.monotonic() - self._began,
                        sum(_pss(pid) for pid in tree) / MIB,
                        len(list(Path(f"/proc/{self.pid}/fd").iterdir())),
                        len(list(Path(f"/proc/{self.pid}/task").iterdir())),
                        len(tree) - 1,
                    )
                )
            if self._done.wait(self.every):
                return

    def _probe(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as client:
            while not self._done.wait(PROBE_SECONDS):
                began = time.perf_counter()
                try:
                    client.get("/healthz").raise_for_status()
                    self.answering.append(1000 * (time.perf_counter() - began))
                except httpx.HTTPError:
                    self.answering.append(float("inf"))

    def peak(self) -> float:
        """MiB."""
        return max(sample.memory for sample in self.samples)

    def quarters(self, of: Callable[[Sample], float]) -> list[float]:
        """The medians of the four quarters of the time, in order."""
        count = len(self.samples)
        cuts = [count * quarter // 4 for quarter in range(5)]
        return [
            statistics.median([of(sample) for sample in self.samples[start : max(end, start + 1)]])
            for start, end in pairwise(cuts)
        ]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line through the points with the least squares."""
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope
