"""Fidelity of the CPU engine on pages with ground truth.

python -m benchmarks.evaluate --data DIR [--rotate 0|90|180|270] [--no-tesseract] [--names a,b] [--json OUT]

What is scored is the Markdown that the server would answer with. "macro" is the mean over kinds; kinds
that end in `_stress` are shown but do not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from airgap.core.document import Page, ReadOptions
from airgap.core.engine import PageRead
from airgap.engines.ppocr.engine import RapidOcrEngine
from airgap.exporters.markdown import page_markdown
from airgap.layout.whole_document import as_one
from benchmarks.pages import TruthPage, read_pages
from benchmarks.scoring import Score, mean_score, score


@dataclass(frozen=True, slots=True)
class Result:
    """One page's score and how it went."""

    page: TruthPage
    score: Score
    status: str
    seconds: float


async def read_page(engine: RapidOcrEngine, image: Image.Image) -> tuple[Page, PageRead]:
    """One page as the server would have it, and the engine's own account."""
    async for item in engine.read([image], ReadOptions()):
        if isinstance(item, PageRead):
            page = Page(
                1, image.width, image.height, item.status, item.blocks, item.raw, warnings=item.warnings
            )
            return as_one((page,))[0], item
    raise RuntimeError("the engine ended without a page")


async def read_markdown(engine: RapidOcrEngine, image: Image.Image) -> tuple[str, PageRead]:
    """The Markdown of one page as the server would answer with it, and the engine's own account."""
    page, item = await read_page(engine, image)
    return page_markdown(page), item


async def evaluate(
    pages: list[TruthPage], rotate: int, use_tesseract: bool, keep: Path | None
) -> list[Result]:
    """Read and score the pages one after another."""
    engine = RapidOcrEngine(tessdata_dir=None if use_tesseract else "/nonexistent")
    await engine.start()
    results = []
    for page in tqdm(pages, unit="page"):
        image = page.load(rotate)
        started = time.perf_counter()
        markdown, read = await read_markdown(engine, image)
        seconds = time.perf_counter() - started
        results.append(Result(page, score(markdown, page.truth, page.casefold), read.status, seconds))
        if keep is not None:
            (keep / f"{page.name}.md").write_text(markdown, encoding="utf-8")
    await engine.close()
    return results


def by_kind(results: list[Result]) -> dict[str, list[Score]]:
    """Scores by kind of page, kinds in alphabetical order."""
    kinds: defaultdict[str, list[Score]] = defaultdict(list)
    for result in sorted(results, key=lambda result: result.page.kind):
        kinds[result.page.kind].append(result.score)
    return dict(kinds)


def macro(results: list[Result]) -> Score:
    """The mean over kinds that count; over all where none does."""
    kinds = by_kind(results)
    counted = {kind: scores for kind, scores in kinds.items() if not kind.endswith("_stress")}
    return mean_score([mean_score(scores) for scores in (counted or kinds).values()])


def show(results: list[Result]) -> None:
    """Print the table."""
    table = Table("kind", "pages", "CER", "bag F1", "tri F1")
    for kind, scores in by_kind(results).items():
        mean = mean_score(scores)
        table.add_row(kind, str(len(scores)), f"{mean.cer:.4f}", f"{mean.bag:.4f}", f"{mean.tri:.4f}")
    table.add_section()
    mean = macro(results)
    table.add_row("macro", str(len(results)), f"{mean.cer:.4f}", f"{mean.bag:.4f}", f"{mean.tri:.4f}")
    console = Console()
    console.print(table)
    for result in sorted(results, key=lambda result: -result.score.cer)[:8]:
        console.print(
            f"{result.page.name:16s} {result.page.kind:16s} CER {result.score.cer:.4f} {result.status}",
            highlight=False,
        )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rotate", type=int, choices=(0, 90, 180, 270), default=0)
    parser.add_argument("--no-tesseract", action="store_true")
    parser.add_argument("--names")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for the Markdown of each page")
    arguments = parser.parse_args()
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    pages = read_pages(arguments.data, arguments.names)
    results = asyncio.run(evaluate(pages, arguments.rotate, not arguments.no_tesseract, arguments.keep))
    show(results)
    if arguments.json is not None:
        report = {
            "macro": asdict(macro(results)),
            "pages": [
                {
                    "name": result.page.name,
                    "kind": result.page.kind,
                    "status": result.status,
                    "seconds": result.seconds,
                    **asdict(result.score),
                }
                for result in results
            ],
        }
        arguments.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
