"""Which marks on a page look like writing.

Clear marks of letters' size in a row, made of strokes, on ground that is even between and around them:
those are writing. Rules, frames, leaders, bars, specks, shadows, texture and photographs fail in one of
these. One or two marks alone count where they are as tall and as black as the letters that were read on
the same page; a single one moreover has to stand level with some of these.

Knows marks; must not know engines or blocks. The limits were set on rows of text against what else stands
on some two hundred pages: scans, forms, newspapers, drawings, photographs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from process.marks import LOOSE, READ, Marks, Sheet

Distances = NDArray[np.int16]

TALLEST = 64
"""Pixels up to which a mark is a letter at one scale; taller ones are looked for at a smaller scale."""

_LONGER_FROM, _FEWEST_PIXELS, _LOWEST_MARK = 5, 8, 3
_WIDEST_MARK = 0.9
"""Share of the page's width up to which a mark may be a letter, or a word written together."""
_SOLID, _HOLLOW = 0.85, 0.05
"""Shares of its rectangle that a mark fills when it is a bar or a frame."""
_MOST_MARKS = 20_000
_REACH = 0.65
"""Heights of a mark within which its neighbour stands in the same row, from either side."""
_COARSE = 4
"""Pixels across that are taken together when rows are found: letters stand no closer than that to matter."""

_FEWEST_IN_ROW, _LENGTH_OF_ROW = 3, 1.25
_LOWEST, _WIDEST = 5.5, 2.6
"""Median height (pixels) from which marks are letters, and their median width in heights up to which."""
_LEVEL, _LEAST_LEVEL, _MOST_RAGGED = (0.5, 1.6), 0.5, 0.7
_DOT, _BAR, _BAR_CODE = 0.62, 0.9, 0.12

_FEWEST_IN_LINE, _CORE_OF_LINE = 12, 0.2
"""Marks from which a row is a line of print, in which letters may be clogged."""

_FEW_MARKS, _TONE, _SOFT = 6, 95.0, 0.9
"""A few marks that are both faint and soft are shapes in a picture."""

_AROUND = 0.25
"""Share of a row's place from which it frames what was read there."""

_CONTRAST = 45.0
"""Grey levels; whoever reads has trouble below."""
_DIRTY, _DIRTY_BESIDE_RULES, _BLURRED, _CORE, _STROKE = 0.18, 0.36, 1.45, 0.06, 0.4
"""Most ink around a row, and around one that is as clear as print can be; most that is neither ink nor
ground; most ink that lies deeper in its mark than `_STROKE` heights are wide."""

_FEWEST_IN_FIGURE, _CLEAR_PRINT, _CLEAN_PRINT, _SHARP_PRINT = 5, 60.0, 0.15, 1.0
"""Of writing in a loose place: marks, contrast, dirt and blur; see `_DIRTY`."""

_FEWEST_LETTERS, _LONE_CLEAR = 4, 80.0
_LONE_CONTRAST, _LONE_DIRTY, _LONE_CORE, _LONE_FILL = 0.6, 0.1, 0.01, (0.24, 0.72)
_LOWEST_ALONE, _BLACK = 9.0, 200.0
_LONE_WIDTH, _SIDE = (0.35, 2.6), 0.85


@dataclass(frozen=True, slots=True)
class Letters:
    """The letters that were read: how tall (pixels of the working size), how black, at what heights."""

    lowest: float
    tallest: float
    contrast: float
    levels: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Row:
    """Marks side by side; `lighter` than their paper, or darker."""

    marks: Marks
    lighter: bool

    @property
    def ink(self) -> int:
        """Pixels."""
        return int(self.marks[:, 4].sum())

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """`x0, y0, x1, y1`, pixels of the working size."""
        x0, y0 = self.marks[:, :2].min(axis=0)
        x1, y1 = (self.marks[:, :2] + self.marks[:, 2:4]).max(axis=0)
        return int(x0), int(y0), int(x1), int(y1)


def like_letters(marks: Marks, sheet: Sheet) -> Marks:
    """The marks that have the size and the shape of letters, or of words written together."""
    width, height, ink = marks[:, 2], marks[:, 3], marks[:, 4]
    longer, shorter = np.maximum(width, height), np.minimum(width, height)
    fill = ink / np.maximum(1, width * height)
    fits = (longer >= _LONGER_FROM) & (height >= _LOWEST_MARK) & (ink >= _FEWEST_PIXELS) & (fill > _HOLLOW)
    fits &= (height <= TALLEST) & (width <= _WIDEST_MARK * sheet.size[0])
    fits &= ~((longer > 8 * shorter) & (shorter <= 6))
    fits &= ~((fill > _SOLID) & (shorter > 12))
    found: Marks = marks[fits]
    if len(found) > _MOST_MARKS:
        found = found[np.argsort(-found[:, 4], kind="stable")[:_MOST_MARKS]]
    return found


def letters_of(read: Marks, sheet: Sheet) -> Letters | None:
    """What the marks that were read have in common; None where there are hardly any letters."""
    tall = read[read[:, 3] >= _LOWEST]
    if len(tall) < _FEWEST_LETTERS:
        return None
    lowest, tallest = quantile(tall[:, 3], 0.15), quantile(tall[:, 3], 0.9)
    sample = tall[:: max(1, len(tall) // 60)]
    contrast = np.median([sheet.difference[y : y + h, x : x + w].max() for x, y, w, h, _ in sample])
    steps = np.zeros(sheet.size[1] + 1, np.int32)
    np.add.at(steps, tall[:, 1], 1)
    np.add.at(steps, tall[:, 1] + tall[:, 3], -1)
    return Letters(float(lowest), float(tallest), float(contrast), np.cumsum(steps) > 0)


def letters_expected(sheet: Sheet) -> Letters:
    """What letters are like on a page on which none were read: black, of any size, anywhere."""
    anywhere = np.ones(sheet.size[1] + 1, np.bool_)
    return Letters(_LOWEST_ALONE, TALLEST / 1.5, _BLACK, anywhere)


def quantile(values: NDArray[Any], share: float) -> float:
    """The value below which that share lies. NumPy's own takes ten times as long on a few values."""
    flat = values.ravel()
    place = share * (flat.size - 1)
    low = int(place)
    high = min(low + 1, flat.size - 1)
    parted = np.partition(flat, (low, high))
    return float(parted[low]) + (place - low) * (float(parted[high]) - float(parted[low]))


def rows_of(marks: Marks, sheet: Sheet, *, lighter: bool) -> Iterator[Row]:
    """Marks, row by row."""
    return (Row(marks[members], lighter) for members in side_by_side(marks, sheet.size, _REACH))


def side_by_side(marks: Marks, size: tuple[int, int], reach: float) -> Iterator[NDArray[np.intp]]:
    """The indices of marks with less than twice `reach` heights between them, row by row."""
    if not len(marks):
        return
    canvas = np.zeros((size[1], size[0] // _COARSE + 1), np.uint8)
    for x, y, width, height, _ in marks.tolist():
        aside, inset = round(reach * max(height, min(width, 12))) + 1, height // 5
        start = ((x - aside) // _COARSE, y + inset)
        cv2.rectangle(canvas, start, ((x + width + aside) // _COARSE, y + height - 1 - inset), 1, cv2.FILLED)
    labels = cv2.connectedComponents(canvas, connectivity=4, ltype=cv2.CV_32S)[1]
    row = labels[marks[:, 1] + marks[:, 3] // 2, (marks[:, 0] + marks[:, 2] // 2) // _COARSE]
    order = np.argsort(row, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(row[order])) + 1)


def is_writing(row: Row, sheet: Sheet, letters: Letters | None) -> bool:
    """Whether a row looks like writing; `letters` are those that were read on its page."""
    if not _is_lettered(row) or (len(row.marks) < _FEWEST_IN_ROW and _is_around_text(row, sheet)):
        return False
    look = _look(row, sheet)
    core = _CORE_OF_LINE if len(row.marks) >= _FEWEST_IN_LINE else _CORE
    if look.contrast < _CONTRAST or look.core > core or look.blur > _BLURRED:
        return False
    if len(row.marks) < _FEW_MARKS and look.contrast < _TONE and look.blur > _SOFT:
        return False
    if look.dirt > (_DIRTY_BESIDE_RULES if look.core < _CORE / 2 and look.blur < 1 else _DIRTY):
        return False
    x0, y0, x1, y1 = row.corners
    if len(row.marks) >= _FEWEST_IN_ROW and _is_bar_code(look.ink):
        return False
    if len(row.marks) >= _FEWEST_IN_ROW and x1 - x0 > _LENGTH_OF_ROW * (y1 - y0):
        return True
    return letters is not None and _is_like(row, look, letters)


def is_print(row: Row, sheet: Sheet) -> bool:
    """Whether a row in a loose place is a line of clear print, and not lines or shapes of a figure."""
    if len(row.marks) < _FEWEST_IN_FIGURE:
        return False
    look = _look(row, sheet)
    return look.contrast >= _CLEAR_PRINT and look.dirt <= _CLEAN_PRINT and look.blur <= _SHARP_PRINT


def _is_around_text(row: Row, sheet: Sheet) -> bool:
    """Whether what was read lies within it, as in a frame or on a shape."""
    x0, y0, x1, y1 = row.corners
    return bool((sheet.covered[y0:y1, x0:x1] == READ).mean() > _AROUND)


def _is_lettered(row: Row) -> bool:
    """By the sizes of its marks alone."""
    widths, heights, ink = row.marks[:, 2:].T
    if quantile(heights, 0.5) < _LOWEST or quantile(widths / heights, 0.5) > _WIDEST:
        return False
    height = heights / quantile(heights, 0.75)
    level = (height >= _LEVEL[0]) & (height <= _LEVEL[1])
    if level.mean() < _LEAST_LEVEL or heights.std() > _MOST_RAGGED * heights.mean():
        return False
    fill = ink / (widths * heights)
    dots = (np.maximum(widths, heights) <= 1.4 * np.minimum(widths, heights)) & (fill > _DOT)
    bars = (fill > _BAR) & (len(fill) > _FEWEST_IN_ROW)
    return bool(dots.mean() <= 0.6 and bars.mean() <= 0.6)


def _is_bar_code(ink: NDArray[np.bool_]) -> bool:
    """Whether ink changes across the row and hardly from its top to its bottom."""
    down, across = np.count_nonzero(ink[1:] != ink[:-1]), np.count_nonzero(ink[:, 1:] != ink[:, :-1])
    return bool(down < _BAR_CODE * across)


@dataclass(frozen=True, slots=True)
class _Look:
    """How black a row is in grey levels; the rest as shares: see `_DIRTY`."""

    contrast: float
    dirt: float
    blur: float
    core: float
    ink: NDArray[np.bool_]


def _look(row: Row, sheet: Sheet) -> _Look:
    """Its ground is taken from the row itself: a label may stand on a strip too narrow to pass for paper."""
    x0, y0, x1, y1 = row.corners
    margin = max(3, (y1 - y0) // 4)
    top, left = max(0, y0 - margin), max(0, x0 - margin)
    around = (slice(top, y1 + margin), slice(left, x1 + margin))
    itself = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    ground = int(quantile(sheet.grey[y0:y1, x0:x1], 0.25 if row.lighter else 0.75))
    outer: Distances = (sheet.grey[around].astype(np.int16) - ground) * (1 if row.lighter else -1)
    inner = outer[itself]
    contrast = quantile(inner, 0.95)
    where = sheet.covered[(y0 + y1) // 2, (x0 + x1) // 2]
    beside = (sheet.covered[around] == 0) | (sheet.covered[around] == (LOOSE if where == LOOSE else 0))
    open_ink = (outer > 0.4 * contrast) & beside
    dirty = int(open_ink.sum()) - int(open_ink[itself].sum())
    dirt = dirty / max(1, outer.size - inner.size)
    black = int(np.count_nonzero(inner >= 0.6 * contrast))
    blur = int(np.count_nonzero(inner > 0.25 * contrast)) / max(1, black) - 1
    ink = inner > 0.5 * contrast
    return _Look(contrast, dirt, blur, _core(ink, quantile(row.marks[:, 3], 0.5)), ink)


def _core(ink: NDArray[np.bool_], height: float) -> float:
    """The share of ink that lies deeper than strokes of letters so tall are wide."""
    side = max(4, round(_STROKE * height))
    mask = ink.astype(np.uint8)
    core = cv2.erode(mask, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return cv2.countNonZero(core) / max(1, cv2.countNonZero(mask))


def _is_like(row: Row, look: _Look, letters: Letters) -> bool:
    """Whether one or two marks are letters or figures, by those that were read on the page."""
    if look.contrast < max(_LONE_CLEAR, _LONE_CONTRAST * letters.contrast) or look.dirt > _LONE_DIRTY:
        return False
    widths, heights, ink = row.marks[:, 2:].T
    if not 0.9 * letters.lowest <= heights.max() <= 1.5 * letters.tallest or look.core > _LONE_CORE:
        return False
    fill, width = ink / (widths * heights), widths / heights
    fits = (width > _LONE_WIDTH[0]) & (width < _LONE_WIDTH[1])
    fits &= (fill > _LONE_FILL[0]) & (fill < _LONE_FILL[1])
    if not fits.any() or _is_framed(look.ink):
        return False
    y0, y1 = row.corners[1::2]
    return len(row.marks) > 1 or bool(letters.levels[(y0 + y1) // 2])


def _is_framed(ink: NDArray[np.bool_]) -> bool:
    """Whether ink runs along all four sides, as a box to tick does."""
    sides = (ink[:2].any(axis=0), ink[-2:].any(axis=0), ink[:, :2].any(axis=1), ink[:, -2:].any(axis=1))
    return all(side.mean() >= _SIDE for side in sides)
