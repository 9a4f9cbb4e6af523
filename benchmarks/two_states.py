"""CPU seconds a page and memory of the CPU engine in this state and in another, in one alternating run.

python -m benchmarks.two_states --data DIR --before CHECKOUT [--names a,b] [--rounds 2]

Each state is a process of its own that reads one page at a time when it is told to; which of the two goes
first changes from page to page. The first round compiles kernels and is not counted. DIR is a folder of
pages with ground truth, as for `benchmarks.evaluate`; CHECKOUT another state of this repository.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean, median
from typing import IO

from benchmarks.pages import read_pages

ROOT = Path(__file__).resolve().parents[1]
READER = """
import asyncio, json, resource, sys, time
from PIL import Image
from airgap.core.document import ReadOptions
from airgap.engines.ppocr.engine import RapidOcrEngine

async def read(engine, path):
    image = Image.open(path).convert("RGB")
    started = time.process_time()
    async for _ in engine.read([image], ReadOptions()):
        pass
    return time.process_time() - started

async def main():
    engine = RapidOcrEngine(num_workers=2)
    await engine.start()
    for line in sys.stdin:
        seconds = await read(engine, line.strip())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps([seconds, peak]), flush=True)
    await engine.close()

asyncio.run(main())
"""


class State:
    """A process that reads pages as one state of the code does."""

    def __init__(self, checkout: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", READER],
            cwd=checkout,
            env={"PYTHONPATH": str(checkout)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seconds: list[float] = []
        self.peak = 0.0

    def read(self, page: Path, *, counts: bool) -> None:
        """Have a page read; CPU seconds are kept where it counts, and the peak of memory in MiB."""
        _stream(self._process.stdin).write(f"{page.resolve()}\n")
        _stream(self._process.stdin).flush()
        answer = _stream(self._process.stdout).readline()
        if not answer:
            raise SystemExit("a state ended before its pages did")
        seconds, self.peak = json.loads(answer)
        if counts:
            self.seconds.append(seconds)

    def close(self) -> None:
        """Let it end."""
        _stream(self._process.stdin).close()
        self._process.wait(60)


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--names", help="pages, comma-separated; all by default")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    before, now = State(arguments.before.resolve()), State(ROOT)
    pages = [page.picture for page in read_pages(arguments.data, arguments.names)]
    for turn in range(arguments.rounds):
        for number, page in enumerate(pages):
            for state in (before, now) if (number + turn) % 2 else (now, before):
                state.read(page, counts=turn > 0)
    for name, state in (("before", before), ("now", now)):
        print(f"{name}: {mean(state.seconds):.3f} CPU seconds a page, peak {state.peak:.0f} MiB")
        state.close()
    differences = [b - a for a, b in zip(before.seconds, now.seconds, strict=True)]
    print(f"now less before: mean {mean(differences):+.3f} s, median {median(differences):+.3f} s")
    print(f"ratio of the means {mean(now.seconds) / mean(before.seconds):.3f}")


if __name__ == "__main__":
    main()
