"""Ruling lines on the straightened page, the tables they rule, and figures.

Works on a reduced grey picture; all places that go in or out are pixels of the straightened page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airgap.layout.lines import TextLine, median_height, visual_length
from airgap.layout.view import View

Mask = NDArray[Any]
Place = tuple[float, float, float, float]

LONG_SIDE = 1600
"""Of the reduced picture; the lengths below are pixels of it."""
DARK_PAPER = 96
"""Grey level, of 255, below which half of a page makes it one of light ink on dark paper."""
MIN_RULE = 50
MAX_THICKNESS = 8
DOT_GAP = 5
JOIN = 4
MAX_EDGES = 80
MIN_FIGURE_SIDE = 0.06
MIN_FIGURE_AREA = 0.01
MIN_FIGURE_INK = 0.3
FIGURE_CONTRAST = 50
MAX_DRAWN = 0.08
"""Share of a ruled table that is drawn on: 0.02 at most in the tables measured, 0.15 and more in figures."""
MAX_LABELS = 8
MAX_TEXT_HEIGHT = 2.5
MARK_CAPACITY = 3.0
SURE_OF_LARGE, FEWEST_LETTERS, LEAST_DENSITY = 0.9, 2, 0.5
"""Large type is text where at least so many letters are read on it, for sure, and they fill the line."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A ruled table: the x of its column edges and the y of its row edges, ascending, outer ones included.

    `right_of[row, column]` says whether a rule stands to the right of that cell, `below[row, column]`
    whether one runs below it.
    """

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    right_of: NDArray[np.bool_]
    below: NDArray[np.bool_]

    @property
    def place(self) -> Place:
        return self.xs[0], self.ys[0], self.xs[-1], self.ys[-1]

    def holds(self, line: TextLine) -> bool:
        """Whether the middle of a line lies inside."""
        x = (line.x0 + line.x1) / 2
        return self.xs[0] < x < self.xs[-1] and self.ys[0] < line.middle < self.ys[-1]


@dataclass(frozen=True, slots=True)
class Ink:
    """The reduced, straightened page: its grey, its ink (255) against the paper around it, its `scale`."""

    grey: Mask
    mask: Mask
    scale: float

    @classmethod
    def of(cls, view: View) -> Ink:
        """Reduce, straighten and binarise a page; paper may be darker in places."""
        import cv2

        scale = min(1.0, LONG_SIDE / max(view.width, view.height))
        size = (max(1, round(view.width * scale)), max(1, round(view.height * scale)))
        grey = cv2.cvtColor(cv2.resize(view.pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        if view.slant:
            matrix = view.rotation.copy()
            matrix[:, 2] *= scale
            grey = cv2.warpAffine(grey, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        # On a dark screen the paper around light letters would pass for strokes.
        dark_ink = cv2.bitwise_not(grey) if np.median(grey) < DARK_PAPER else grey
        mask = cv2.adaptiveThreshold(dark_ink, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 31, 15)
        return cls(grey, mask, scale)


def find_grids(ink: Ink, lines: Sequence[TextLine] = ()) -> list[Grid]:
    """Tables with at least two columns between rules, from top to bottom.

    The inside of the lines of text is looked past, where strokes in a row may pass for a dotted rule.
    """
    import cv2

    across, down = _across(ink, lines), _rules(ink.mask, (1, MIN_RULE))
    joined = cv2.dilate(cv2.bitwise_or(across, down), np.ones((JOIN, JOIN), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    grids = []
    for x, y, width, height, _ in stats[1:count]:
        if width < 2 * MIN_RULE or height < MIN_RULE // 2:
            continue
        part = np.s_[y : y + height, x : x + width]
        grid = _grid(across[part], down[part], (int(x), int(y)), 1 / ink.scale)
        if grid is not None:
            grids.append(grid)
    return sorted(grids, key=lambda grid: grid.ys[0])


def rules_across(ink: Ink, lines: Sequence[TextLine]) -> list[Place]:
    """The places of rules that run across the page, from top to bottom."""
    import cv2

    count, _, stats, _ = cv2.connectedComponentsWithStats(_across(ink, lines))
    found = [(x, y, x + wide, y + high) for x, y, wide, high, _ in stats[1:count] if high <= MAX_THICKNESS]
    return [tuple(float(value / ink.scale) for value in place) for place in found]  # type: ignore[misc]


def _across(ink: Ink, lines: Sequence[TextLine]) -> Mask:
    without_text = ink.mask.copy()
    for line in lines:
        inset = 0.2 * line.height
        _erase(without_text, ink.scale, (line.x0, line.y0 + inset, line.x1, line.y1 - inset), 0)
    return _rules(without_text, (MIN_RULE, 1))


def _rules(mask: Mask, kernel: tuple[int, int]) -> Mask:
    """Only long thin strokes along the kernel; dotted ones are closed first."""
    import cv2

    gap = (DOT_GAP, 1) if kernel[1] == 1 else (1, DOT_GAP)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones(gap[::-1], np.uint8))
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones(kernel[::-1], np.uint8))
    side = MAX_THICKNESS + 1  # even kernels shift what they open
    thick = cv2.morphologyEx(opened, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    return cv2.subtract(opened, thick)


def _grid(across: Mask, down: Mask, origin: tuple[int, int], scale: float) -> Grid | None:
    height, width = across.shape
    ys = _edges(np.count_nonzero(across, axis=1), 0.3 * width, height)
    xs = _edges(np.count_nonzero(down, axis=0), 0.3 * height, width)
    if not (2 <= len(ys) <= MAX_EDGES and 3 <= len(xs) <= MAX_EDGES):
        return None
    rows, columns = len(ys) - 1, len(xs) - 1
    right_of, below = np.ones((rows, columns), bool), np.ones((rows, columns), bool)
    for row in range(rows):
        for column in range(columns):
            top, bottom = ys[row] + JOIN, max(ys[row] + JOIN + 1, ys[row + 1] - JOIN)
            left, right = xs[column] + JOIN, max(xs[column] + JOIN + 1, xs[column + 1] - JOIN)
            if column < columns - 1:
                x = xs[column + 1]
                right_of[row, column] = _is_ruled(down[top:bottom, x - JOIN : x + JOIN + 1], 1)
            if row < rows - 1:
                y = ys[row + 1]
                below[row, column] = _is_ruled(across[y - JOIN : y + JOIN + 1, left:right], 0)
    return Grid(
        tuple((x + origin[0]) * scale for x in xs),
        tuple((y + origin[1]) * scale for y in ys),
        right_of,
        below,
    )


def _is_ruled(strip: Mask, axis: int) -> bool:
    return bool(strip.any(axis=axis).mean() > 0.5)


def _edges(profile: NDArray[Any], least: float, length: int) -> list[int]:
    """Where a profile of ruled pixels peaks, and both ends, which a table may leave open."""
    marked = np.flatnonzero(profile >= least)
    groups = np.split(marked, np.flatnonzero(np.diff(marked) > JOIN) + 1)
    edges = [int(group.mean()) for group in groups if group.size]
    for end in (0, length - 1):
        if all(abs(edge - end) > 3 * JOIN for edge in edges):
            edges.append(end)
    return sorted(edges)


@dataclass(frozen=True, slots=True)
class Drawing:
    """What stands out from the paper and is neither text nor rules, and the rules, both as masks."""

    mask: Mask
    rules: Mask
    scale: float

    @classmethod
    def of(cls, ink: Ink, lines: Sequence[TextLine]) -> Drawing:
        """Take the lines of text, but for high ones on which hardly anything is read, and the rules off."""
        import cv2

        paper = int(np.percentile(ink.grey, 90))
        stands_out = np.abs(ink.grey.astype(np.int16) - paper) > FIGURE_CONTRAST
        mask: Mask = np.where(stands_out, 255, 0).astype(np.uint8)
        limit = MAX_TEXT_HEIGHT * median_height(lines)
        for line in lines:
            if line.height <= limit or is_large_type(line):
                _erase(mask, ink.scale, (line.x0, line.y0, line.x1, line.y1))
        rules = cv2.bitwise_or(_rules(mask, (MIN_RULE, 1)), _rules(mask, (1, MIN_RULE)))
        return cls(cv2.subtract(mask, rules), rules, ink.scale)

    def fills(self, place: Place) -> bool:
        """Whether more of a place is drawn on, with more than strokes, than would be in a table."""
        import cv2

        x0, y0, x1, y1 = (max(0, round(value * self.scale)) for value in place)
        part = self.mask[y0:y1, x0:x1]
        areas = cv2.morphologyEx(part, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)) if part.size else part
        return part.size > 0 and float((areas > 0).mean()) > MAX_DRAWN


def find_figures(drawing: Drawing, lines: Sequence[TextLine], tables: Sequence[Place]) -> list[Place]:
    """Large areas of ink that is neither text nor a table: photographs, drawings, stamps.

    A frame ruled around such areas, with hardly any text in it, belongs to the figure.
    """
    import cv2

    mask, rules, scale = drawing.mask.copy(), drawing.rules.copy(), drawing.scale
    for table in tables:
        _erase(mask, scale, table)
        _erase(rules, scale, table)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((13, 13), np.uint8))
    closed = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    figures = [place for place, area in _areas(closed, scale) if area >= MIN_FIGURE_INK]
    frames = [place for place, _ in _areas(cv2.dilate(rules, np.ones((JOIN, JOIN), np.uint8)), scale)]
    for frame in frames:
        inside = [place for place in figures if _covers(frame, place)]
        words = sum(line.capacity >= MARK_CAPACITY and is_inside(line, frame) for line in lines)
        if inside and words <= MAX_LABELS:
            figures = [place for place in figures if place not in inside] + [frame]
    return figures


def _areas(mask: Mask, scale: float) -> list[tuple[Place, float]]:
    """Connected areas large enough for a figure, on the page, with the share of their box that is ink."""
    import cv2

    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    height, width = mask.shape
    found: list[tuple[Place, float]] = []
    for x, y, wide, high, area in stats[1:count]:
        large = wide >= MIN_FIGURE_SIDE * width and high >= MIN_FIGURE_SIDE * height
        large = large and wide * high >= MIN_FIGURE_AREA * width * height
        is_page = wide > 0.9 * width and high > 0.9 * height
        at_edge = x == 0 or y == 0 or x + wide == width or y + high == height
        is_shadow = at_edge and min(wide / width, high / height) < 0.12
        if large and not is_page and not is_shadow:
            place = (float(x / scale), float(y / scale), float((x + wide) / scale), float((y + high) / scale))
            found.append((place, area / (wide * high)))
    return found


def _covers(outer: Place, inner: Place) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def is_inside(line: TextLine, place: Place) -> bool:
    """Whether the middle of a line lies in a place."""
    return place[0] < (line.x0 + line.x1) / 2 < place[2] and place[1] < line.middle < place[3]


def is_drawn(line: TextLine, figures: Sequence[Place], height: float) -> bool:
    """Whether what was found as a line is part of a drawing: in a figure, and large or a single mark.

    `height`: the page's typical line.
    """
    is_high = line.height > MAX_TEXT_HEIGHT * height
    if not (is_high or line.capacity < MARK_CAPACITY) or not any(is_inside(line, place) for place in figures):
        return False
    return not (is_high and is_large_type(line))


def large_lines(lines: Sequence[TextLine]) -> list[TextLine]:
    """The lines that are much higher than others: what they say is asked before the page is laid out."""
    limit = MAX_TEXT_HEIGHT * median_height(lines)
    return [line for line in lines if line.height > limit]


def is_large_type(line: TextLine) -> bool:
    """Whether a line is read as letters without doubt, however high it is; waits for the reading."""
    reading = line.start().result()
    letters = sum(character.isalnum() for character in reading.text)
    dense = visual_length(reading.text) >= LEAST_DENSITY * line.capacity / 2
    return reading.confidence >= SURE_OF_LARGE and letters >= FEWEST_LETTERS and dense


def _erase(mask: Mask, scale: float, place: Place, margin: int = 2) -> None:
    x0, y0, x1, y1 = (max(0, round(value * scale)) for value in place)
    mask[max(0, y0 - margin) : y1 + margin + 1, max(0, x0 - margin) : x1 + margin + 1] = 0
