"""Lines of text → regions in reading order, from their places.

A page is cut recursively at its best gutter: a vertical white strip with running text on both
sides. What is above a pair of columns is read before them, then the left column, then the right,
then what is below. A strip whose two sides line up row by row, as in tables and forms, is no
gutter: such rows are read across. Characters are asked for only where places leave a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median

import numpy as np
from numpy.typing import NDArray

from airgap.layout.lines import Inset, Row, TextLine, median_height
from airgap.layout.running_text import level_share, stacked_share

MAX_DEPTH = 12
MIN_LINES_IN_COLUMN = 3
MAX_CANDIDATES = 24
EDGE = 0.2
"""How far a detected line reaches beyond its ink at either end, in line heights."""
BESIDE = 6
"""How many lines before and after one, from top to bottom, may stand beside it."""
LIES_OVER = 0.4
"""Share of a word's width by which its box may lie over its neighbour's: of a short one, `EDGE` is much."""
COLUMN_STACK = 8
"""So many lines of running text are a column of their own, not a caption that columns run around."""
HEADLINE, ASIDE, NEAR = 1.35, 0.4, 4.0
"""Of a headline: its height in the others', the share of the width from which on text stands to its right,
and how many heights above and below it such text has to be."""
MARKER_CAPACITY = 6.0
STACKED = 0.5
"""Share of both sides of a strip that is set as running text, from which the strip is a gutter for sure."""
MIN_LEVEL, MIN_LEVEL_LINES = 0.65, 8
"""Rows go over a strip only where so many of the lines that may form them are level, and some lines to tell.
Measured: 1.00 in tables and receipts, 0.3 to 0.6 in columns that are set apart."""
MAX_BESIDE, TOGETHER = 0.1, 0.25
"""Two sides take turns where so few lines have one beside them, in so much of both heights together."""
NUMBER = re.compile(r"[\W\d]*\d[\W\d]*[A-Za-z%]?")


@dataclass(frozen=True, slots=True)
class Region:
    """Lines that are read together, row by row. `side` marks a column of line numbers or marginal marks.

    `label` is what the whole region is, where that is known: a heading, a caption, a header or a footer.
    """

    rows: list[Row]
    side: bool = False
    label: str | None = None

    @property
    def lines(self) -> list[TextLine]:
        return [line for row in self.rows for line in row if not isinstance(line, Inset)]


@dataclass(frozen=True, slots=True)
class _Gutter:
    score: float
    top: float
    bottom: float
    left: list[TextLine]
    right: list[TextLine]
    floats: list[TextLine]

    def is_part_of(self, other: _Gutter, height: float) -> bool:
        """Whether it parts some of the rows that the other parts, and these line up: figures that are set to
        the right leave a jagged strip, which is wider in some rows than in others."""
        sides = ((self.left, other.left), (self.right, other.right))
        inside = all({id(line) for line in mine} <= {id(line) for line in theirs} for mine, theirs in sides)
        return inside and level_share(self.left, self.right, height) >= MIN_LEVEL


def regions(lines: Sequence[TextLine]) -> list[Region]:
    """All lines, each in exactly one region, in reading order."""
    if not lines:
        return []
    return _cut(list(lines), median_height(lines), 0)


def _cut(lines: list[TextLine], height: float, depth: int) -> list[Region]:
    if not lines:
        return []
    headline = find_headline(lines, height) if depth < MAX_DEPTH else None
    if headline is not None:
        over = [line for line in lines if line.middle < headline]
        under = [line for line in lines if line.middle >= headline]
        return [*_cut(over, height, depth + 1), *_cut(under, height, depth + 1)]
    gutter = find_gutter(lines, height) if depth < MAX_DEPTH else None
    if gutter is None:
        return _split_line_numbers(lines, height)
    inside = {id(line) for group in (gutter.left, gutter.right, gutter.floats) for line in group}
    above: list[TextLine] = []
    below: list[TextLine] = []
    for line in lines:
        if id(line) not in inside:
            (above if line.middle < (gutter.top + gutter.bottom) / 2 else below).append(line)
    return [
        region
        for part in (above, gutter.left, gutter.right, gutter.floats, below)
        for region in _cut(part, height, depth + 1)
    ]


def find_headline(lines: Sequence[TextLine], height: float) -> float | None:
    """The top of a headline between two articles: large, at the left, alone in its row across all columns.

    None where there is none. Columns go on to its right both above and below it, or one of them has ended.
    """
    left, right = min(line.x0 for line in lines), max(line.x1 for line in lines)
    for line in sorted(lines, key=lambda line: line.y0):
        is_large = not isinstance(line, Inset) and line.height > HEADLINE * height
        if not is_large or line.x0 > left + height:
            continue
        others = [other for other in lines if other is not line]
        aside = [other for other in others if other.x0 > left + ASIDE * (right - left)]
        above = any(0 <= line.y0 - other.y1 < NEAR * height for other in aside)
        below = any(0 <= other.y0 - line.y1 < NEAR * height for other in aside)
        if above and below and not any(o.y1 > line.y0 and o.y0 < line.y1 for o in others):
            return line.y0
    return None


def find_gutter(lines: list[TextLine], height: float) -> _Gutter | None:
    """The white strip that best separates two columns of running text, or None."""
    candidates = sorted(_candidates(lines, height), key=lambda gutter: -gutter.score)
    across: list[_Gutter] = []
    for gutter in candidates[:MAX_CANDIDATES]:
        if takes_turns(gutter.left, gutter.right) or any(
            gutter.is_part_of(other, height) for other in across
        ):
            continue
        if not reads_across(gutter.left, gutter.right, height):
            return gutter
        across.append(gutter)
    return None


def _candidates(lines: list[TextLine], height: float) -> list[_Gutter]:
    by_top = sorted(lines, key=lambda line: line.y0)
    inks = [_ink(by_top, index) for index in range(len(by_top))]
    x0, x1 = (np.array(ends) for ends in zip(*inks, strict=True))
    strip, slack = 0.5 * height, 0.1 * height
    places = np.unique(np.round(np.concatenate([x1 - slack, x0 - strip + slack])))
    found: dict[tuple[int, int, int], _Gutter] = {}
    for x in places:
        if not x0.min() + 2 * height < x < x1.max() - 2 * height:
            continue
        is_left, is_right = x1 <= x + 1.5 * slack, x0 >= x + strip - slack
        if is_left.sum() < MIN_LINES_IN_COLUMN or is_right.sum() < MIN_LINES_IN_COLUMN:
            continue
        for start, stop in _clear_runs(by_top, is_left, is_right):
            gutter = _gutter_of(by_top[start:stop], is_left[start:stop], is_right[start:stop], height)
            if gutter is not None:
                key = (start, stop, len(gutter.left))
                if key not in found or found[key].score < gutter.score:
                    found[key] = gutter
    return list(found.values())


def _ink(by_top: Sequence[TextLine], index: int) -> tuple[float, float]:
    """Where a line's ink begins and ends: two lines of one row do not share what both boxes cover."""
    line = by_top[index]
    if isinstance(line, Inset):
        return line.x0, line.x1
    left = right = EDGE * line.height
    for other in by_top[max(0, index - BESIDE) : index + BESIDE + 1]:
        level = min(line.y1, other.y1) - max(line.y0, other.y0)
        shared = min(line.x1, other.x1) - max(line.x0, other.x0)
        if other is line or isinstance(other, Inset) or level < 0.5 * line.height or shared > line.height:
            continue
        if other.x0 < line.x0:
            left = max(left, EDGE * line.height + shared)
        else:
            right = max(right, EDGE * line.height + shared)
    return line.x0 + left, line.x1 - right


def _clear_runs(
    lines: list[TextLine], is_left: NDArray[np.bool_], is_right: NDArray[np.bool_]
) -> list[tuple[int, int]]:
    """Runs of lines, from top to bottom, that no line crosses but floats: [start, stop)."""
    crossing = [
        int(index)
        for index in np.flatnonzero(~(is_left | is_right))
        if not _floats(lines, int(index), is_left, is_right)
    ]
    edges = [-1, *crossing, len(lines)]
    return [(before + 1, after) for before, after in pairwise(edges)]


def _floats(
    lines: list[TextLine], index: int, is_left: NDArray[np.bool_], is_right: NDArray[np.bool_]
) -> bool:
    """Whether text runs past a line on both sides, as it does past a caption set into two columns."""
    line = lines[index]
    beside_left = beside_right = False
    for other_index in range(max(0, index - 12), min(len(lines), index + 13)):
        other = lines[other_index]
        if min(other.y1, line.y1) - max(other.y0, line.y0) <= 0.3 * min(other.height, line.height):
            continue
        beside_left |= bool(is_left[other_index]) and other.x1 <= line.x0
        beside_right |= bool(is_right[other_index]) and other.x0 >= line.x1
    return beside_left and beside_right


def _gutter_of(
    run: list[TextLine], is_left: NDArray[np.bool_], is_right: NDArray[np.bool_], height: float
) -> _Gutter | None:
    left = [line for line, inside in zip(run, is_left, strict=True) if inside]
    right = [line for line, inside in zip(run, is_right, strict=True) if inside]
    if len(left) < MIN_LINES_IN_COLUMN or len(right) < MIN_LINES_IN_COLUMN:
        return None
    floats = [line for line, a, b in zip(run, is_left, is_right, strict=True) if not (a or b)]
    if len(floats) > 0.12 * len(run) or stacked_share(floats, COLUMN_STACK) > 0:
        return None
    top = max(min(line.y0 for line in left), min(line.y0 for line in right))
    bottom = min(max(line.y1 for line in left), max(line.y1 for line in right))
    shared = bottom - top
    if shared < 4 * height:
        return None
    width = min(min(line.x0 for line in right) - max(line.x1 for line in left), 3 * height)
    outer_top = min(line.y0 for line in run)
    outer_bottom = max(line.y1 for line in run)
    score = shared * (1 + 0.1 * width / height) * (0.7 if floats else 1.0)
    if _cuts_markers_off(left, right):
        score *= 0.5
    return _Gutter(score, outer_top, outer_bottom, left, right, floats)


def _cuts_markers_off(left: list[TextLine], right: list[TextLine]) -> bool:
    """Whether the strip runs between a column of short marks, as of line numbers, and the text they mark."""
    marks = [line for line in left if line.capacity < MARKER_CAPACITY]
    if not 0.5 * len(right) < len(marks) < len(left):
        return False
    inner_edge = max(line.x1 for line in left if line.capacity >= MARKER_CAPACITY)
    return sum(line.x0 > inner_edge for line in marks) > 0.5 * len(right)


def rows(lines: Sequence[TextLine]) -> list[Row]:
    """Lines that share a height on the page, grouped; rows from top to bottom."""
    grouped: list[Row] = []
    for line in sorted(lines, key=lambda line: line.middle):
        if isinstance(line, Inset):
            grouped.append([line])
            continue
        for row in reversed(grouped[-4:]):
            nearest = min(row, key=lambda other: abs(other.x0 - line.x0))
            overlap = min(nearest.y1, line.y1) - max(nearest.y0, line.y0)
            if (
                overlap > 0.5 * min(nearest.height, line.height)
                and all(_beside(line, o) for o in row)
                and not isinstance(row[0], Inset)
            ):
                row.append(line)
                break
        else:
            grouped.append([line])
    for row in grouped:
        row.sort(key=lambda line: line.x0)
    return sorted(grouped, key=lambda row: mean(line.middle for line in row))


def _beside(line: TextLine, other: TextLine) -> bool:
    overlap = min(other.x1, line.x1) - max(other.x0, line.x0)
    return overlap < LIES_OVER * min(other.width, line.width)


@dataclass(frozen=True, slots=True)
class _Profile:
    """How a side of a possible gutter is set: typical characters per row, share of its width that is
    filled, share of rows that reach across most of it, lines per row."""

    characters: float
    fill: float
    full_rows: float
    row_length: float

    @classmethod
    def of(cls, lines: list[TextLine]) -> _Profile:
        grouped = rows(lines)
        width = max(1.0, max(line.x1 for line in lines) - min(line.x0 for line in lines))
        fills = [min(1.0, sum(line.width for line in row) / width) for row in grouped]
        return cls(
            median(max(line.capacity for line in row) for row in grouped),
            mean(fills),
            sum(fill >= 0.75 for fill in fills) / len(fills),
            len(lines) / len(grouped),
        )

    @property
    def is_prose(self) -> bool:
        return self.characters >= 18 and self.full_rows >= 0.3 and self.row_length < 1.5


def reads_across(left: list[TextLine], right: list[TextLine], height: float) -> bool:
    """Whether rows continue over the strip, as in a table or a form, instead of ending at it."""
    left = [line for line in left if not isinstance(line, Inset)]
    right = [line for line in right if not isinstance(line, Inset)]
    if not left or not right or not _looks_across(left, right, height):
        return False
    if min(stacked_share(left), stacked_share(right)) >= STACKED:
        return False
    return min(len(left), len(right)) < MIN_LEVEL_LINES or level_share(left, right, height) >= MIN_LEVEL


def takes_turns(left: Sequence[TextLine], right: Sequence[TextLine]) -> bool:
    """Whether what stands left and right never stands at one height, as in a conversation: no columns."""
    few, many = sorted((right, left), key=len)
    beside = sum(_laps(line, many) for line in few)
    spans = [(min(line.y0 for line in side), max(line.y1 for line in side)) for side in (left, right)]
    within = min(spans[0][1], spans[1][1]) - max(spans[0][0], spans[1][0])
    whole = max(spans[0][1], spans[1][1]) - min(spans[0][0], spans[1][0])
    return beside <= MAX_BESIDE * len(few) and within > TOGETHER * whole


def _laps(line: TextLine, others: Sequence[TextLine]) -> bool:
    return any(min(line.y1, o.y1) - max(line.y0, o.y0) > 0.2 * min(line.height, o.height) for o in others)


def _looks_across(left: list[TextLine], right: list[TextLine], height: float) -> bool:
    """Whether rows seem to continue, by how many meet and how they are set."""
    few, many = sorted((right, left), key=len)
    middles = np.array([line.middle for line in many])
    aligned = mean(bool((np.abs(middles - line.middle) < 0.4 * height).any()) for line in few)
    a, b = _Profile.of(left), _Profile.of(right)
    shorter = min(a.characters, b.characters)
    if a.is_prose and b.is_prose:
        return False
    if shorter < 12 and aligned > 0.4:
        return True
    if aligned > 0.6 and (shorter < 20 or min(a.fill, b.fill) < 0.6):
        return True
    if shorter >= 24:
        return False
    return aligned > 0.3 and max(_share_of_numbers(left), _share_of_numbers(right)) > 0.5


def _share_of_numbers(lines: list[TextLine]) -> float:
    grouped = rows(lines)
    return mean(bool(NUMBER.fullmatch(" ".join(line.text for line in row))) for row in grouped)


def _split_line_numbers(lines: list[TextLine], height: float) -> list[Region]:
    """Take a column of printed line numbers, as in court transcripts, out of the lines beside it."""
    grouped = rows(lines)
    marks = [row for row in grouped if row[0].capacity < 8]
    firsts = [row[0] for row in marks if len(row) >= 2]
    if len(firsts) >= 5:
        edge = median(line.x1 for line in firsts)
        numbers = [row[0] for row in marks if row[0].x1 < edge + height]
        taken = {id(line) for line in numbers}
        rest = rows([line for line in lines if id(line) not in taken])
        beside_prose = bool(rest) and len(rest) >= 0.8 * sum(len(row) for row in rest)
        if beside_prose and len(numbers) >= 0.6 * len(grouped) and _count_up([n.text for n in numbers]):
            return [Region([[line] for line in numbers], side=True), Region(rest)]
    return [Region(grouped)]


def _count_up(texts: list[str]) -> bool:
    """Whether nearly all texts are whole numbers, each one more than the one before."""
    values = [int(text) if re.fullmatch(r"\d{1,3}", text) else None for text in texts]
    steps = sum(a is not None and b == a + 1 for a, b in pairwise(values))
    return steps >= 0.7 * (len(values) - 1)


def insert_figure(ordered: list[Region], figure: Inset) -> None:
    """Put a figure where it stands among the rows of the column it is in, else before what is below it."""
    x, y = (figure.x0 + figure.x1) / 2, figure.middle
    for region in ordered:
        lines = [line for row in region.rows for line in row]
        if not region.side and min(line.x0 for line in lines) <= x <= max(line.x1 for line in lines):
            above = sum(row[0].middle < y for row in region.rows)
            if 0 < above < len(region.rows):
                region.rows.insert(above, [figure])
                return
    after = [i for i, region in enumerate(ordered) if min(row[0].y0 for row in region.rows) > y]
    ordered.insert(after[0] if after else len(ordered), Region([[figure]]))
