"""The ledger of a page's ink: which text-like marks no reading accounts for, whichever engine read.

A mark is accounted for where most of it lies in a place that was read or kept as a figure. Of the rest
only what looks like writing counts as unread.

Knows pixels and places; must not know engines, or whether what was read in a place is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from airgap.core.document import FIGURE_LABELS, Block, Box
from process.marks import LOOSE, READ, SMALLER, Layer, Marks, Sheet, Survey, middles_in, share_covered, survey
from process.writing import (
    TALLEST,
    Row,
    is_print,
    is_writing,
    letters_expected,
    letters_of,
    like_letters,
    rows_of,
    side_by_side,
)

_ACCOUNTED = 0.5
"""Share of a mark's rectangle that has to lie in a place that was read."""

_HIGH, _ENOUGH_LINES, _LOW = 2.5, 5, 0.35
"""How many times as high as the page's lines one may be to be taken by its box, of so many lines; and the
share of a loose place's height below which a mark is none of its own letters."""

_FEW_ROWS = 4
"""Rows of marks up to which a page on which nothing was read is searched for letters that stand alone."""

_TOGETHER = 1.4
"""Heights within which two rows are one line of text."""

_MARGIN, _MARGIN_OF_LINE = 0.008, 0.1
"""Shares of its longer and its shorter side up to which a place given by a model is widened."""


@dataclass(frozen=True, slots=True)
class Account:
    """`unread`: places with text-like ink that nothing accounts for, in page pixels, top to bottom.

    `coverage`: the share (0–1) of the text-like ink that is accounted for; 1 where there is none.
    """

    unread: tuple[Box, ...]
    coverage: float


def take_account(
    page: Image.Image | Survey,
    places: Sequence[Box],
    missing: Sequence[Box] = (),
    loose: Sequence[Box] = (),
) -> Account:
    """What of a page (any mode) the places leave out that looks like writing.

    `missing` is what was not read within the places; lines of clear print within `loose` ones are not
    accounted for either. All are in page pixels.
    """
    seen = survey(page) if isinstance(page, Image.Image) else page
    boxes, unread, read = _unread(seen.sheet.covering(places, missing, loose), seen.layers, loose, lowest=0)
    small = seen.small.covering(places, missing, loose)
    big_boxes, big_unread, _ = _unread(small, seen.small_layers, loose, lowest=TALLEST // SMALLER)
    unread += big_unread * SMALLER**2
    found = sorted([*boxes, *big_boxes], key=lambda box: (box.y0, box.x0))
    return Account(tuple(found), read / (read + unread) if unread else 1.0)


def is_placed(blocks: Sequence[Block]) -> bool:
    """Whether all that was read has a place on the page; a model without grounding gives none."""
    return all(block.boxes or block.lines or not block.text.strip() for block in blocks)


def places_of(blocks: Sequence[Block]) -> list[Box]:
    """The places (page pixels) that were read or are kept as figures: lines where they are known."""
    places = list[Box]()
    for block in blocks:
        lines = [line.box for line in block.lines if line.text.strip()]
        if block.label.strip().lower() in FIGURE_LABELS:
            places += block.boxes
        elif lines or not block.text.strip():
            places += lines
        else:
            places += map(_with_margin, block.boxes)
    return places


def loose_places(blocks: Sequence[Block]) -> list[Box]:
    """Places (page pixels) within which something else may stand: figures, and boxes much higher than the
    page's lines, as a line aslant has."""
    figures = [box for block in blocks if block.label.strip().lower() in FIGURE_LABELS for box in block.boxes]
    lines = [line.box for block in blocks for line in block.lines if line.text.strip()]
    if len(lines) < _ENOUGH_LINES:
        return figures
    highest = _HIGH * median(box.height for box in lines)
    return [*figures, *(box for box in lines if box.height > highest)]


def _with_margin(box: Box) -> Box:
    """Models give boxes to a thousandth of the page's sides, and seldom to the pixel."""
    margin = min(_MARGIN * max(box.width, box.height), _MARGIN_OF_LINE * min(box.width, box.height))
    return Box(box.x0 - margin, box.y0 - margin, box.x1 + margin, box.y1 + margin)


def _unread(
    sheet: Sheet, layers: Sequence[Layer], loose: Sequence[Box], lowest: int
) -> tuple[list[Box], int, int]:
    """The places of writing that is not accounted for, its ink, and the ink that is, in pixels."""
    rows, read_ink = list[Row](), 0
    for layer in layers:
        marks = layer.marks[layer.marks[:, 3] >= lowest]
        accounted = share_covered(marks, sheet, READ) >= _ACCOUNTED
        loosely = (share_covered(marks, sheet, LOOSE) >= _ACCOUNTED) & _is_small(marks, loose, sheet)
        letters = letters_of(like_letters(marks[accounted], sheet), sheet)
        open_marks = marks[~accounted & (share_covered(marks, sheet, LOOSE) < _ACCOUNTED)]
        found = list(rows_of(like_letters(open_marks, sheet), sheet, lighter=layer.lighter))
        if letters is None and len(found) <= _FEW_ROWS:
            letters = letters_expected(sheet)
        rows += [row for row in found if is_writing(row, sheet, letters)]
        within = rows_of(like_letters(marks[loosely], sheet), sheet, lighter=layer.lighter)
        printed = [row for row in within if is_print(row, sheet) and is_writing(row, sheet, letters)]
        read_ink += int(marks[:, 4].sum() - open_marks[:, 4].sum()) - sum(row.ink for row in printed)
        rows += printed
    return _boxes(rows, sheet), sum(row.ink for row in rows), read_ink


def _is_small(marks: Marks, loose: Sequence[Box], sheet: Sheet) -> NDArray[np.bool_]:
    """Whether marks are too low to be what a loose place around them was read as."""
    heights = marks[:, 3] * sheet.scale[1]
    small = np.ones(len(marks), np.bool_)
    for box in loose:
        small &= ~middles_in(marks, box, sheet) | (heights < _LOW * box.height)
    return small


def _boxes(rows: Sequence[Row], sheet: Sheet) -> list[Box]:
    """The places of rows in page pixels, those that stand close in one line together."""
    corners = np.array([row.corners for row in rows], np.int32).reshape(-1, 4)
    places = np.column_stack([corners[:, :2], corners[:, 2:] - corners[:, :2], corners[:, 3]])
    across, down = sheet.scale
    found = []
    for members in side_by_side(places, sheet.size, _TOGETHER):
        x0, y0 = corners[members, :2].min(axis=0)
        x1, y1 = corners[members, 2:].max(axis=0)
        found.append(Box(float(x0 * across), float(y0 * down), float(x1 * across), float(y1 * down)))
    return found
