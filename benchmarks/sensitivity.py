"""What becomes of reading order and text when one threshold of layout is a quarter more or less.

python -m benchmarks.sensitivity [--data DIR] [--pdfs FILE…] [--pages N] [--only PART] [--cache FILE]

DIR holds pages with their text as `make eval` reads them. Of PDFs that were typeset, not scanned, up to N
pages each are drawn, and the text in the order in which the file has it is the truth. Thresholds are the
numbers in capitals of `airgap.layout`, whole ones moved by one; `--only` takes those whose name has PART in
it. Networks answer from memory, so that a row costs layout alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from PIL import Image
from rich.console import Console
from rich.table import Table

import airgap.layout
from airgap.engines.ppocr.engine import RapidOcrEngine
from benchmarks.evaluate import read_markdown
from benchmarks.pages import read_pages
from benchmarks.remembered import remembered
from benchmarks.scoring import score

DPI = 150
LEAST_TEXT = 400
"""Letters on a PDF's page from which it is worth reading."""
CLIFF = 0.02
"""Character error rate by which a page may change before the threshold stands on a cliff."""


@dataclass(frozen=True, slots=True)
class Known:
    """A page whose text is known."""

    name: str
    picture: Image.Image
    truth: str
    casefold: bool = False


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number of a module of `airgap.layout`."""

    module: ModuleType
    name: str
    value: float

    def __str__(self) -> str:
        return f"{self.module.__name__.rpartition('.')[2]}.{self.name}"

    def moved(self) -> tuple[float, float]:
        """A quarter less and a quarter more; one less and one more of whole numbers."""
        if isinstance(self.value, int):
            return max(0, self.value - 1), self.value + 1
        return 0.75 * self.value, 1.25 * self.value


def thresholds(part: str = "") -> list[Threshold]:
    """All numbers in capitals, of the module that sets them."""
    found = []
    for info in pkgutil.iter_modules(airgap.layout.__path__, "airgap.layout."):
        module = importlib.import_module(info.name)
        source = Path(str(module.__file__)).read_text()
        for name, value in vars(module).items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if name.isupper() and is_number and _is_set(name, source) and part in f"{info.name}.{name}":
                found.append(Threshold(module, name, value))
    return found


def _is_set(name: str, source: str) -> bool:
    """Whether a module sets a name itself, alone or on one line with others."""
    return bool(re.search(rf"^(?:[A-Z_]+, )*{name}(?:, [A-Z_]+)* = ", source, re.MULTILINE))


@contextlib.contextmanager
def at(threshold: Threshold, value: float) -> Iterator[None]:
    """Within it the threshold has another value, wherever it was imported."""
    holders = [
        module
        for info in pkgutil.iter_modules(airgap.layout.__path__, "airgap.layout.")
        if vars(module := importlib.import_module(info.name)).get(threshold.name) == threshold.value
    ]
    for module in holders:
        setattr(module, threshold.name, value)
    try:
        yield
    finally:
        for module in holders:
            setattr(module, threshold.name, threshold.value)


def pages_of(pdf: Path, most: int) -> Iterator[Known]:
    """Pages of a typeset PDF, spread over it."""
    import pymupdf

    with pymupdf.open(pdf) as opened:
        texts = [(index, page.get_text()) for index, page in enumerate(opened)]
        full = [(index, text) for index, text in texts if len(text) >= LEAST_TEXT]
        for index, text in full[:: max(1, -(-len(full) // most))]:
            pixels = opened[index].get_pixmap(dpi=DPI, alpha=False)
            picture = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)
            yield Known(f"{pdf.stem} {index + 1}", picture, text)


async def rates(engine: RapidOcrEngine, pages: list[Known]) -> list[float]:
    """Each page's character error rate."""
    return [
        score((await read_markdown(engine, page.picture))[0], page.truth, page.casefold).cer for page in pages
    ]


async def measure(pages: list[Known], part: str) -> None:
    """Print the table."""
    console = Console()
    engine = RapidOcrEngine()
    await engine.start()
    base = await rates(engine, pages)
    for page, rate in zip(pages, base, strict=True):
        console.print(f"{page.name}: {rate:.4f}", highlight=False)
    table = Table("threshold", "value", "less", "more", "worst page")
    for threshold in thresholds(part):
        means, worst = [], (0.0, "")
        for value in threshold.moved():
            with at(threshold, value):
                moved = await rates(engine, pages)
            means.append(sum(moved) / len(moved) - sum(base) / len(base))
            changes = [
                (after - before, page.name) for after, before, page in zip(moved, base, pages, strict=True)
            ]
            worst = max([worst, *changes])
        mark = f"{worst[1]} {worst[0]:+.3f}" if worst[0] > CLIFF else ""
        table.add_row(str(threshold), f"{threshold.value:g}", f"{means[0]:+.4f}", f"{means[1]:+.4f}", mark)
        console.print(str(threshold), means, mark, highlight=False)
    console.print(f"mean {sum(base) / len(base):.4f} of {len(pages)} pages")
    console.print(table)
    await engine.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--pdfs", type=Path, nargs="*", default=[])
    parser.add_argument("--pages", type=int, default=4)
    parser.add_argument("--only", default="")
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    pages = [known for pdf in arguments.pdfs for known in pages_of(pdf, arguments.pages)]
    if arguments.data is not None:
        pages += [
            Known(page.name, page.load(), page.truth, page.casefold) for page in read_pages(arguments.data)
        ]
    with remembered(arguments.cache):
        asyncio.run(measure(pages, arguments.only))


if __name__ == "__main__":
    main()
