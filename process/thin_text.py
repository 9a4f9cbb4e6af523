"""Blocks that hold less text than there is writing in their place: rows of theirs were left out.

A model gives a paragraph one place, within which the ledger of ink sees nothing missing. The words in the
place are held against the words of the text, see `word_widths`, by the page's own measure of how much ink
its text has.

Knows surveys and blocks; must not know engines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from airgap.core.document import FIGURE_LABELS, Block, Box
from process.marks import Marks, Sheet, Survey, middles_in
from process.word_widths import Words, fullness, rows_of, skipped_rows, slope_of, words_of
from process.writing import like_letters, quantile

FEWEST_LETTERS, ENOUGH_BLOCKS = 20, 3
SUSPECT, SURE = 0.2, 0.4
"""Sureness from which a block is worth reading again, and from which its rows are said to be missing."""
_USUAL = {False: 0.95, True: 1.03}
"""`fullness` of print, of writing without spaces too, where a page has too few blocks to tell."""
_LEAST_USUAL = 0.5
_LOWEST = 0.45
"""Share of its letters' height from which a mark is one of a paragraph's letters."""
_OTHER = FIGURE_LABELS | {"equation", "formula", "table", "code"}


@dataclass(frozen=True, slots=True)
class Thin:
    """The block at `index` lacks the rows at `places` (page pixels); `sureness` as in `Skipped`."""

    index: int
    places: tuple[Box, ...]
    sureness: float


@dataclass(frozen=True, slots=True)
class _Asked:
    """A block with its words, and the rows of letters in its place."""

    index: int
    words: Words
    rows: tuple[Marks, ...]

    @property
    def fullness(self) -> float:
        return fullness(self.rows, self.words)


def thin_blocks(page: Survey, blocks: Sequence[Block]) -> list[Thin]:
    """The blocks of a page that seem to lack rows; only those without lines of their own are looked at."""
    asked = _asked(page, blocks)
    usual = {wide: _usual([one.fullness for one in asked if one.words.wide == wide], wide) for wide in _USUAL}
    found = []
    for one in asked:
        skipped = skipped_rows(one.rows, one.words, one.fullness / usual[one.words.wide])
        if skipped is not None and skipped.sureness > SUSPECT:
            rows = one.rows[skipped.first : skipped.end]
            places = tuple(_place(row, page.sheet.scale) for row in rows)
            found.append(Thin(one.index, places, skipped.sureness))
    return found


def _asked(page: Survey, blocks: Sequence[Block]) -> list[_Asked]:
    words = {index: words_of(block.text) for index, block in enumerate(blocks) if _is_asked(block)}
    words = {index: one for index, one in words.items() if one.letters >= FEWEST_LETTERS}
    if not words:
        return []
    marks = np.concatenate([like_letters(layer.marks, page.sheet) for layer in page.layers])
    owners, slope = _owners(marks, blocks, page.sheet), slope_of(marks)
    found = []
    for index, one in words.items():
        held = marks[owners == index]
        if len(held):
            held = held[held[:, 3] > _LOWEST * quantile(held[:, 3], 0.75)]
            parts = _parts(held, blocks[index].boxes, page.sheet)
            rows = tuple(row for part in parts for row in rows_of(part, slope))
            found += [_Asked(index, one, rows)] if rows else []
    return found


def _is_asked(block: Block) -> bool:
    return bool(block.boxes) and not block.lines and block.label.strip().lower() not in _OTHER


def _usual(values: Iterable[float], wide: bool) -> float:
    known = list(values)
    return max(_LEAST_USUAL, median(known) if len(known) >= ENOUGH_BLOCKS else _USUAL[wide])


def _owners(marks: Marks, blocks: Sequence[Block], sheet: Sheet) -> NDArray[np.int32]:
    """The index of the block in whose place the middle of each mark lies, the smallest one; else -1."""
    owners, sizes = np.full(len(marks), -1, np.int32), np.full(len(marks), np.inf)
    for index, block in enumerate(blocks):
        for box in block.boxes:
            inside = middles_in(marks, box, sheet) & (box.area < sizes)
            owners[inside], sizes[inside] = index, box.area
    return owners


def _parts(marks: Marks, boxes: Sequence[Box], sheet: Sheet) -> Iterable[Marks]:
    """The marks of each place; a paragraph may go on in the next column."""
    for box in boxes:
        inside = middles_in(marks, box, sheet)
        yield marks[inside]
        marks = marks[~inside]


def _place(row: Marks, scale: tuple[float, float]) -> Box:
    across, down = scale
    x0, y0 = row[:, :2].min(axis=0)
    x1, y1 = (row[:, :2] + row[:, 2:4]).max(axis=0)
    return Box(float(x0 * across), float(y0 * down), float(x1 * across), float(y1 * down))
