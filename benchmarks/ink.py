"""What the ledger of ink finds, and what filling restores, on pages with ground truth.

python -m benchmarks.ink --data DIR [--lines 200] [--seed 17] [--readings DIR] [--json OUT]

Each page is read by the CPU engine once (kept in `--readings`, where given). Then lines are erased from
these readings at random, a page at a time, and it is counted how many are flagged with a place that
overlaps them: from the reading itself, and from DeepSeek-OCR's markup made of it, with and without boxes.
Lines are also dropped from the midst of paragraphs of three lines and more whose place stays whole.
What a model leaves out is filled by the CPU engine as the server does it; a line counts as restored as far
as its letters stand beside one of its neighbours.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from airgap.core.document import Block, Box, Line, Page, ReadOptions
from airgap.core.engine import PageRead
from airgap.engines.ppocr.engine import RapidOcrEngine
from airgap.exporters.json_export import page_from_dict, page_to_dict
from benchmarks.pages import TruthPage, read_pages
from process.accounting import account_for
from process.ink_ledger import loose_places, places_of, take_account
from process.left_out import left_out
from process.marks import Survey, survey
from process.thin_text import FEWEST_LETTERS, SURE, thin_blocks


@dataclass(frozen=True, slots=True)
class Read:
    """A page, its picture and what the CPU engine read; `cpu` is what that took, in seconds."""

    name: str
    image: Image.Image
    page: Page
    cpu: float

    @property
    def lines(self) -> list[Line]:
        """In reading order."""
        return [line for block in self.page.blocks for line in block.lines if line.text.strip()]


@dataclass(frozen=True, slots=True)
class Report:
    """Shares are of the erased lines, or of their letters; times are CPU time."""

    pages: int
    flagged_untouched: dict[str, int]
    erased: int
    flagged_in_reading: float
    flagged_with_boxes: float
    flagged_without_boxes: float
    restored_with_boxes: float
    restored_without_boxes: float
    paragraphs: int
    suspected_untouched: int
    flagged_paragraphs_untouched: dict[str, int]
    dropped: int
    suspected: float
    flagged_dropped: float
    milliseconds: float
    share_of_engine: float


@dataclass(frozen=True, slots=True)
class Thinned:
    """Paragraphs that are looked at again, and those said to lack rows, untouched and with a line dropped."""

    paragraphs: int = 0
    suspected_untouched: int = 0
    flagged_untouched: dict[str, int] = field(default_factory=dict)
    dropped: int = 0
    suspected: int = 0
    flagged: int = 0


async def read_all(engine: RapidOcrEngine, pages: Sequence[TruthPage], kept: Path | None) -> list[Read]:
    """Each page as the CPU engine reads it, or as `kept` has it."""
    found = []
    for truth in tqdm(pages, unit="page"):
        image, file = truth.load(), kept / f"{truth.name}.json" if kept else None
        if file is not None and file.exists():
            data = json.loads(file.read_text(encoding="utf-8"))
            found.append(Read(truth.name, image, page_from_dict(data), data["cpu"]))
            continue
        started = time.process_time()
        blocks = await blocks_of(engine, image)
        cpu = time.process_time() - started
        page = Page(1, image.width, image.height, blocks=tuple(blocks))
        if file is not None:
            file.write_text(json.dumps({**page_to_dict(page), "cpu": cpu}), encoding="utf-8")
        found.append(Read(truth.name, image, page, cpu))
    return found


async def blocks_of(engine: RapidOcrEngine, image: Image.Image) -> Sequence[Block]:
    """What the engine reads on a picture."""
    async for event in engine.read([image], ReadOptions()):
        if isinstance(event, PageRead):
            return event.blocks
    raise RuntimeError("the engine ended without a page")


def choose(reads: Sequence[Read], count: int, seed: int) -> list[tuple[Read, Line]]:
    """Lines to erase: a page at random each time, then one of its lines that was not taken."""
    chance = random.Random(seed)
    chosen = dict[tuple[str, int], tuple[Read, Line]]()
    count = min(count, sum(len(read.lines) for read in reads))
    while len(chosen) < count:
        read = chance.choice([read for read in reads if read.lines])
        index = chance.randrange(len(read.lines))
        chosen[(read.name, index)] = (read, read.lines[index])
    return list(chosen.values())


def markup(read: Read, erased: Line, *, boxes: bool) -> tuple[Block, ...]:
    """The reading as a model gives it, a line a block, without the erased one.

    With boxes a block has the place of its line; without, only text.
    """
    blocks = list[Block]()
    for block in read.page.blocks:
        kept = [line for line in block.lines if line is not erased and line.text.strip()]
        if not block.lines:
            blocks.append(block if boxes else replace(block, boxes=()))
        blocks += [Block("text", line.text, (line.box,) if boxes else ()) for line in kept]
    return tuple(blocks)


def paragraphs_of(read: Read) -> list[Block]:
    """The reading as a model gives it, a paragraph a block with its place."""
    return [
        replace(block, text=" ".join(line.text for line in block.lines), lines=()) if block.lines else block
        for block in read.page.blocks
        if block.label != "table"
    ]


def thinned(reads: Sequence[Read], count: int, seed: int) -> Thinned:
    """What is seen of lines dropped from paragraphs, one at a time, and what is seen where none was."""
    chance, chosen, found = random.Random(seed), list[tuple[Read, Survey, int, int]](), Thinned()
    for read in reads:
        seen, blocks = survey(read.image), paragraphs_of(read)
        thin = thin_blocks(seen, blocks)
        sure = sum(one.sureness > SURE for one in thin)
        found = replace(
            found,
            paragraphs=found.paragraphs + sum(len(block.text) >= FEWEST_LETTERS for block in blocks),
            suspected_untouched=found.suspected_untouched + len(thin),
            flagged_untouched=found.flagged_untouched | ({read.name: sure} if sure else {}),
        )
        kept = [block for block in read.page.blocks if block.label != "table"]
        chosen += [
            (read, seen, index, line)
            for index, block in enumerate(kept)
            for line in range(1, len(block.lines) - 1)
        ]
    for read, seen, index, line in chance.sample(chosen, min(count, len(chosen))):
        sureness = _sureness_without(read, seen, index, line)
        found = replace(
            found,
            dropped=found.dropped + 1,
            suspected=found.suspected + (sureness > 0),
            flagged=found.flagged + (sureness > SURE),
        )
    return found


def _sureness_without(read: Read, seen: Survey, index: int, line: int) -> float:
    """How sure it is that a paragraph lacks rows once a line of it was dropped; 0 where nothing is seen."""
    kept = [block for block in read.page.blocks if block.label != "table"][index].lines
    blocks = paragraphs_of(read)
    blocks[index] = replace(
        blocks[index], text=" ".join(one.text for number, one in enumerate(kept) if number != line)
    )
    return next((one.sureness for one in thin_blocks(seen, blocks) if one.index == index), 0.0)


def overlaps(line: Line, places: Sequence[Box]) -> bool:
    """Whether one of the places has a part of the line."""
    box = line.box
    return any(
        min(box.x1, place.x1) > max(box.x0, place.x0) and min(box.y1, place.y1) > max(box.y0, place.y0)
        for place in places
    )


def restored(read: Read, erased: Line, blocks: Sequence[Block]) -> int:
    """Letters of the erased line that stand, in filled blocks, beside a line that stands beside it on the
    page or in the order in which the page was read."""
    neighbours, best = _neighbours(read.lines, erased), 0
    for filled, run in groupby(range(len(blocks)), key=lambda index: blocks[index].engine is not None):
        indexes = list(run)
        beside = [blocks[i].text for i in (indexes[0] - 1, indexes[-1] + 1) if 0 <= i < len(blocks)]
        if filled and any(_like(one, other) for one in beside for other in neighbours):
            text = " ".join(blocks[index].text for index in indexes)
            match = SequenceMatcher(None, erased.text, text, autojunk=False)
            best = max(best, sum(part.size for part in match.get_matching_blocks()))
    return best


def _neighbours(lines: Sequence[Line], erased: Line) -> list[str]:
    """The texts of the lines before and after one, and of those nearest to each of its sides."""
    index = next(i for i, line in enumerate(lines) if line is erased)
    found = [lines[i] for i in (index - 1, index + 1) if 0 <= i < len(lines)]
    box, others = erased.box, [line for line in lines if line is not erased]
    level = [line for line in others if line.box.y0 < (box.y0 + box.y1) / 2 < line.box.y1]
    above = [
        line for line in others if line.box.x0 < box.x1 and line.box.x1 > box.x0 and line.box.y0 < box.y0
    ]
    below = [
        line for line in others if line.box.x0 < box.x1 and line.box.x1 > box.x0 and line.box.y0 > box.y0
    ]
    found += sorted((o for o in level if o.box.x0 < box.x0), key=lambda line: -line.box.x1)[:1]
    found += sorted((o for o in level if o.box.x0 > box.x0), key=lambda line: line.box.x0)[:1]
    found += (
        sorted(above, key=lambda line: -line.box.y0)[:1] + sorted(below, key=lambda line: line.box.y0)[:1]
    )
    return [line.text for line in found]


def _like(one: str, other: str) -> bool:
    return other in one or SequenceMatcher(None, one, other, autojunk=False).ratio() > 0.6


async def measure(engine: RapidOcrEngine, reads: Sequence[Read], count: int, seed: int) -> Report:
    """Everything that is counted; see the module docstring."""
    chosen = choose(reads, count, seed)
    untouched, spent = dict[str, int](), 0.0
    for read in reads:
        started = time.process_time()
        blocks = read.page.blocks
        account = take_account(read.image, places_of(blocks), (), loose_places(blocks))
        spent += time.process_time() - started
        if account.unread:
            untouched[read.name] = len(account.unread)
    flags = [0, 0, 0]
    letters = [0, 0, 0]
    for read, erased in tqdm(chosen, unit="line"):
        places = [place for place in places_of(read.page.blocks) if place != erased.box]
        with_boxes, without = (markup(read, erased, boxes=boxes) for boxes in (True, False))
        missing = [one.line.box for one in left_out(without, read.lines)]
        flags[0] += overlaps(erased, take_account(read.image, places).unread)
        flags[1] += overlaps(erased, take_account(read.image, places_of(with_boxes)).unread)
        flags[2] += overlaps(erased, missing)
        letters[0] += len(erased.text)
        letters[1] += restored(read, erased, await filled(engine, read, with_boxes, None))
        letters[2] += restored(read, erased, await filled(engine, read, without, read.page.blocks))
    thin = thinned(reads, count, seed)
    return Report(
        len(reads),
        untouched,
        len(chosen),
        flags[0] / len(chosen),
        flags[1] / len(chosen),
        flags[2] / len(chosen),
        letters[1] / letters[0],
        letters[2] / letters[0],
        thin.paragraphs,
        thin.suspected_untouched,
        thin.flagged_untouched,
        thin.dropped,
        thin.suspected / max(1, thin.dropped),
        thin.flagged / max(1, thin.dropped),
        1000 * spent / len(reads),
        spent / sum(read.cpu for read in reads),
    )


async def filled(
    engine: RapidOcrEngine, read: Read, blocks: tuple[Block, ...], known: Sequence[Block] | None
) -> tuple[Block, ...]:
    """What the server makes of a model's answer; `known` is a second reading of the page already at hand."""

    async def again(picture: Image.Image) -> tuple[str, Sequence[Block]]:
        return engine.name, known if known is not None else await blocks_of(engine, picture)

    page = replace(read.page, blocks=blocks)
    return (await account_for(page, read.image, "model", again)).blocks


async def run(arguments: argparse.Namespace) -> Report:
    """Read, erase, count."""
    engine = RapidOcrEngine()
    await engine.start()
    try:
        reads = await read_all(engine, read_pages(arguments.data, arguments.names), arguments.readings)
        return await measure(engine, reads, arguments.lines, arguments.seed)
    finally:
        await engine.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("samples/eval"))
    parser.add_argument("--names")
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--readings", type=Path, help="folder in which the CPU engine's readings are kept")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report = json.dumps(asdict(asyncio.run(run(arguments))), indent=1)
    print(report)
    if arguments.json is not None:
        arguments.json.write_text(f"{report}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
