"""Many pages at once through an engine, and what they cost: time, waits, processors, the GPU."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import psutil

from airgap.core.document import ReadOptions
from airgap.core.engine import Delta
from benchmarks.gpu.checkpoint import pages

FIELDS = "utilization.gpu,utilization.memory,memory.used,power.draw,clocks.sm"
NAMES = ("gpu_util", "mem_util", "mem_mib", "watts", "mhz")


@dataclass
class Counts:
    """When tokens came, `(seconds, how many)`, and how long each page took to prepare."""

    tokens: list[tuple[float, int]] = field(default_factory=list)
    prepared: list[float] = field(default_factory=list)


class Gpu(threading.Thread):
    """nvidia-smi's readings, twice a second; none where it is not there."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.rows: list[tuple[float, list[float]]] = []
        self.start()

    def run(self) -> None:
        command = ["nvidia-smi", f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits", "-lms", "500"]
        try:
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                for line in process.stdout or ():
                    cells = [cell.strip() for cell in line.split(",")]
                    numbers = [float(cell) if cell.replace(".", "").isdigit() else 0.0 for cell in cells]
                    self.rows.append((time.monotonic(), numbers))
        except OSError:
            return

    def between(self, begin: float, end: float) -> dict[str, float]:
        rows = [numbers for at, numbers in self.rows if begin <= at <= end and len(numbers) == len(NAMES)]
        if not rows:
            return {}
        means = (round(statistics.fmean(column), 1) for column in zip(*rows, strict=True))
        return dict(zip(NAMES, means, strict=True))


class Load:
    """Processor seconds of this process and of its children since the start, and the event loop's delays."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self._mine, self._theirs = time.process_time(), _children()
        self._lags: list[float] = []
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self._lags.append(time.monotonic() - before - 0.01)

    def ended(self, done: int) -> dict[str, float]:
        self._watcher.cancel()
        wall = time.monotonic() - self.begin
        mine, theirs = time.process_time() - self._mine, _children() - self._theirs
        return {
            "api_cpu_s_per_page": round(mine / max(1, done), 4),
            "engine_cpu_s_per_page": round(theirs / max(1, done), 4),
            "api_cpu_cores": round(mine / wall, 2),
            "engine_cpu_cores": round(theirs / wall, 2),
            "loop_lag_ms_max": round(1000 * max(self._lags, default=0), 1),
        }


def _children() -> float:
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
            total += times.user + times.system
        except psutil.Error:
            pass
    return total


@dataclass
class Pages:
    """What became of the pages: seconds to the first token and to the end, and what failed."""

    firsts: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def read(self, engine: Any, image: Any, options: ReadOptions) -> None:
        begin, first = time.monotonic(), 0.0
        async with aclosing(engine.read([image], options)) as events:
            async for event in events:
                if not first and isinstance(event, Delta):
                    first = time.monotonic() - begin
        self.firsts.append(first)
        self.whole.append(time.monotonic() - begin)


async def measured(
    engine: Any, options: ReadOptions, concurrency: int, total: int, seconds: float, counts: Counts, gpu: Gpu
) -> dict[str, Any]:
    """`total` pages, `concurrency` at once; none is begun after `seconds`."""
    images, found = pages(), Pages()
    numbers = iter(range(total))
    counts.tokens.clear()
    counts.prepared.clear()
    load = Load()

    async def lane(numbers: Iterator[int]) -> None:
        for number in numbers:
            if time.monotonic() - load.begin > seconds or len(found.failures) > 3:
                return
            try:
                await found.read(engine, images[number % len(images)], options)
            except Exception as error:
                found.failures.append(f"{type(error).__name__}: {error}"[:200])

    await asyncio.gather(*(lane(numbers) for _ in range(concurrency)))
    end = time.monotonic()
    spent = load.ended(len(found.whole))
    speeds = speed(found, counts, load.begin, end)
    return {"concurrency": concurrency, **speeds, **spent, **gpu.between(load.begin, end)}


def speed(found: Pages, counts: Counts, begin: float, end: float) -> dict[str, Any]:
    wall = end - begin
    # the middle of the run: neither its first prefills nor its last stragglers
    low, high = begin + 0.35 * wall, begin + 0.75 * wall
    steady = sum(count for at, count in counts.tokens if low <= at < high) / (0.4 * wall)
    return {
        "pages": len(found.whole),
        "failures": found.failures[:2],
        "wall_s": round(wall, 2),
        "pages_per_s": round(len(found.whole) / wall, 3),
        "tokens_per_s": round(sum(count for _, count in counts.tokens) / wall),
        "steady_tokens_per_s": round(steady),
        "ttft_p50_s": round(statistics.median(found.firsts or [0.0]), 3),
        "ttft_max_s": round(max(found.firsts, default=0.0), 3),
        "page_p50_s": round(statistics.median(found.whole or [0.0]), 3),
        "prepare_ms": round(1000 * statistics.fmean(counts.prepared or [0.0]), 1),
    }
