"""Speed of the CPU engine against RapidOCR as it comes, page by page in one run on the same cores.

python -m benchmarks.compare_rapidocr --data DIR [--names a,b] [--limit 12] [--json OUT]

Both read every page, one right after the other, the first of the two alternating. What counts are the
ratios: other load on the machine falls on both. Decoding the picture is not timed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rapidocr import RapidOCR
from rapidocr.utils.output import RapidOCROutput
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from airgap.engines.ppocr.engine import RapidOcrEngine
from benchmarks.evaluate import read_markdown
from benchmarks.pages import read_pages
from benchmarks.scoring import score


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one page: on the clock, and of processor time over all threads."""

    name: str
    ours_wall: float
    ours_cpu: float
    theirs_wall: float
    theirs_cpu: float
    ours_cer: float
    theirs_cer: float


def _timed(run: Callable[[], str]) -> tuple[float, float, str]:
    wall, cpu = time.perf_counter(), time.process_time()
    text = run()
    return time.perf_counter() - wall, time.process_time() - cpu, text


def compare(data: Path, names: str | None, limit: int) -> list[Timing]:
    """Time both on up to `limit` pages, spread evenly over the folder."""
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    pages = read_pages(data, names)
    pages = [pages[i * len(pages) // min(limit, len(pages))] for i in range(min(limit, len(pages)))]
    theirs = RapidOCR()
    engine = RapidOcrEngine()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(engine.start())

    def ours_reads(image: Image.Image) -> str:
        return loop.run_until_complete(read_markdown(engine, image))[0]

    def theirs_reads(image: Image.Image) -> str:
        found = theirs(np.asarray(image)[..., ::-1])
        assert isinstance(found, RapidOCROutput)
        return "\n".join(found.txts or ())

    warm_up = pages[0].load()
    ours_reads(warm_up)
    theirs_reads(warm_up)
    timings = []
    for number, page in enumerate(tqdm(pages, unit="page")):
        image = page.load()
        runs = [lambda: ours_reads(image), lambda: theirs_reads(image)]  # noqa: B023 - run at once
        results = [_timed(run) for run in (runs if number % 2 else reversed(runs))]
        ours, other = results if number % 2 else reversed(results)
        cers = [score(text, page.truth, page.casefold).cer for _, _, text in (ours, other)]
        timings.append(Timing(page.name, *ours[:2], *other[:2], *cers))
    loop.run_until_complete(engine.close())
    loop.close()
    return timings


def show(timings: list[Timing]) -> None:
    """Print the table, with the ratio of the mean times below."""
    table = Table("page", "ours s", "RapidOCR s", "wall ×", "CPU ×", "ours CER", "RapidOCR CER")
    for t in timings:
        table.add_row(
            t.name,
            f"{t.ours_wall:.2f}",
            f"{t.theirs_wall:.2f}",
            f"{t.theirs_wall / t.ours_wall:.2f}",
            f"{t.theirs_cpu / t.ours_cpu:.2f}",
            f"{t.ours_cer:.3f}",
            f"{t.theirs_cer:.3f}",
        )
    table.add_section()
    count = len(timings)
    ours, theirs = sum(t.ours_wall for t in timings), sum(t.theirs_wall for t in timings)
    cpu = sum(t.theirs_cpu for t in timings) / sum(t.ours_cpu for t in timings)
    table.add_row(
        "mean",
        f"{ours / count:.2f}",
        f"{theirs / count:.2f}",
        f"{theirs / ours:.2f}",
        f"{cpu:.2f}",
        f"{sum(t.ours_cer for t in timings) / count:.3f}",
        f"{sum(t.theirs_cer for t in timings) / count:.3f}",
    )
    Console().print(table)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--names")
    parser.add_argument("--limit", type=int, default=12)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    timings = compare(arguments.data, arguments.names, arguments.limit)
    show(timings)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(t) for t in timings], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
