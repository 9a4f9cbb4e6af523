"""A process tree, watched: memory, open handles and threads, and how quickly its server answers a probe.

It watches from a process of its own. Whoever attacks or loads a server makes large files and holds Python's
lock for seconds: a probe on one of its threads would stand still and be counted as the server's silence.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx

from benchmarks.health_under_load import ROOT
from benchmarks.memory import _pss, _tree

PROBE_SECONDS = 0.05
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` in seconds of the machine's monotonic clock; memory is the proportional set size in MiB.

    `handles` and `threads` are those of the server's own process; its children come and go.
    """

    at: float
    memory: float
    handles: int
    threads: int
    children: int


@dataclass
class Watch:
    """Samples every so many seconds until the block ends, which then hold.

    `answering` holds ms of `/healthz` at `url`, `resting` those at `control`, a server that has nothing to
    do, asked at the same time; infinite for no answer.
    """

    pid: int
    url: str = ""
    every: float = 1.0
    control: str = ""
    samples: list[Sample] = field(default_factory=list)
    answering: list[float] = field(default_factory=list)
    resting: list[float] = field(default_factory=list)

    def __enter__(self) -> Watch:
        command = [sys.executable, "-m", "benchmarks.watch", f"{self.pid}", f"--every={self.every}"]
        self._process = subprocess.Popen(
            [*command, f"--url={self.url}", f"--control={self.control}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError(f"the watch ended with {self._process.wait()}")
        return self

    def __exit__(self, *_: object) -> None:
        found = json.loads(self._process.communicate()[0])
        self.samples = [Sample(**sample) for sample in found["samples"]]
        self.answering, self.resting = found["answering"], found["resting"]

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


def main() -> None:
    """The other process: watch until the input ends, then say what was seen, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("pid", type=int)
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--url", default="")
    parser.add_argument("--control", default="")
    options = parser.parse_args()
    seen, done = Watch(options.pid), threading.Event()
    threads = [threading.Thread(target=_sample, args=(options.pid, options.every, seen.samples, done))]
    for url, answers in ((options.url, seen.answering), (options.control, seen.resting)):
        if url:
            threads.append(threading.Thread(target=_probe, args=(url, answers, done)))
    for thread in threads:
        thread.start()
    print(flush=True)
    sys.stdin.read()
    done.set()
    for thread in threads:
        thread.join()
    samples = [asdict(sample) for sample in seen.samples]
    print(json.dumps({"samples": samples, "answering": seen.answering, "resting": seen.resting}))


def _sample(pid: int, every: float, samples: list[Sample], done: threading.Event) -> None:
    while True:
        with suppress(OSError):  # the server is gone, which its own end tells
            tree = _tree(pid)
            samples.append(
                Sample(
                    time.monotonic(),
                    sum(_pss(one) for one in tree) / MIB,
                    len(list(Path(f"/proc/{pid}/fd").iterdir())),
                    len(list(Path(f"/proc/{pid}/task").iterdir())),
                    len(tree) - 1,
                )
            )
        if done.wait(every):
            return


def _probe(url: str, answers: list[float], done: threading.Event) -> None:
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        while not done.wait(PROBE_SECONDS):
            began = time.perf_counter()
            try:
                client.get("/healthz").raise_for_status()
                answers.append(1000 * (time.perf_counter() - began))
            except httpx.HTTPError:
                answers.append(float("inf"))


if __name__ == "__main__":
    main()
