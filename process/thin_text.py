"""Blocks that hold clearly less text than there is writing in their place: a line of theirs was left out.

A model gives a paragraph one place, within which the ledger of ink sees nothing missing. Letters in the
place are counted against letters in the text, by the page's own measure of how many make one. Writing
whose characters consist of several marks each is let be.

Knows pictures and blocks; must not know engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np
from PIL import Image

from airgap.core.document import FIGURE_LABELS, Block
from process.marks import Marks, Sheet, inks, marks_of, sheet_of
from process.writing import like_letters, quantile

FEWEST_LETTERS, ENOUGH_BLOCKS = 20, 3
THIN, SPARE = 1.22, 8
"""How many times more marks there are than the text has room for, and how many of them are no sign."""
_USUAL = 0.95
"""Marks for a character in print, where a page has too few blocks to tell."""
_WIDE_FROM = 0x0590
"""Characters from here on are not one mark each, in one writing or another."""
_OTHER = FIGURE_LABELS | {"equation", "formula", "table"}


def thin_blocks(image: Image.Image, blocks: Sequence[Block]) -> list[int]:
    """The indices of blocks of a page that lack text; only those without lines of their own are looked at."""
    counted = [(index, _characters(block)) for index, block in enumerate(blocks) if _is_asked(block)]
    counted = [(index, count) for index, count in counted if count >= FEWEST_LETTERS]
    if not counted:
        return []
    marks = _letters(sheet := sheet_of(image, ()))
    shares = {index: _inside(marks, blocks[index], sheet) / count for index, count in counted}
    usual = median(shares.values()) if len(shares) >= ENOUGH_BLOCKS else _USUAL
    return [
        index
        for index, count in counted
        if shares[index] > THIN * max(usual, 0.5) and (shares[index] - usual) * count > SPARE
    ]


def _is_asked(block: Block) -> bool:
    return bool(block.boxes) and not block.lines and block.label.strip().lower() not in _OTHER


def _characters(block: Block) -> int:
    """Printed characters; 0 where too many are of more than one mark."""
    printed = [c for c in block.text if not c.isspace() and c not in "#*_\\`"]
    many = sum(ord(c) >= _WIDE_FROM for c in printed)
    return len(printed) if many <= 0.05 * len(printed) else 0


def _letters(sheet: Sheet) -> Marks:
    found = [like_letters(marks_of(ink), sheet) for ink, _ in inks(sheet)]
    return np.concatenate(found) if found else np.zeros((0, 5), np.int32)


def _inside(marks: Marks, block: Block, sheet: Sheet) -> int:
    """Marks of a letter's height whose middle lies in the block's places."""
    across, down = sheet.scale
    x, y = (marks[:, 0] + marks[:, 2] / 2) * across, (marks[:, 1] + marks[:, 3] / 2) * down
    held = np.zeros(len(marks), bool)
    for box in block.boxes:
        held |= (x >= box.x0) & (x <= box.x1) & (y >= box.y0) & (y <= box.y1)
    heights = marks[held, 3]
    return int((heights > 0.45 * quantile(heights, 0.75)).sum()) if len(heights) else 0
