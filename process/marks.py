"""The marks on a page: connected pieces of ink, whatever the paper's colour and light.

    grey page → paper (the median around) → ink, darker or lighter than its paper → connected pieces

A page is surveyed once, and its marks held against places as often as these change.

Knows pixels and the boxes of places; must not know what is read in them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from airgap.core.document import Box

Grey = NDArray[Any]
"""Bytes, a row of pixels each."""
Marks = NDArray[np.int32]
"""Rows of left, top, width, height and ink, in pixels of the working size."""

_WORKING_SIDE = 1420
"""Pixels; the square of it is the size at which marks are looked for: A4 at 144 dpi."""

_CELL, _SURROUNDINGS = 5, 13
"""Paper is the median of so many cells of so many pixels: it stays even where letters cover half of it."""

_LARGE = 400
"""Pixels of the shorter side from which every second cell, across and down, is enough."""

_FAINTEST = 18
"""Grey levels (of 255) by which the faintest ink differs from its paper."""

_OF_STRONGEST, _NEIGHBOURHOOD = 0.4, 8
"""Ink differs from its paper at least by this share of what the strongest ink in its neighbourhood does."""

_CLEARLY_LIGHT, _FEWEST_LIGHT = 40, 1e-4
"""Grey levels, and the share of a page's pixels that has to be lighter than its paper by so many before
light ink is looked for: halos around letters are fainter."""

READ, LOOSE = 1, 2
"""How a sheet says of what it covers that it was read, or lies in a place where something else may stand."""

SMALLER = 4
"""How much smaller a page is made to find marks that are too large for letters at the working size."""

_RULE, _TOGETHER = 72, 8
"""Pixels in a straight line from which ink is a rule and not a stroke, and how many are looked at together
to find where there may be any: a rule holds eight such groups, wherever it begins."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page at the working size; `scale` is page pixels per pixel of it, across and down."""

    grey: Grey
    paper: Grey
    difference: Grey
    covered: Grey  # `READ`, `LOOSE`, or 0
    scale: tuple[float, float]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.grey.shape[1], self.grey.shape[0]

    def shrunk(self) -> Sheet:
        """The same page, `SMALLER` times smaller, and nothing of it read."""
        size = (max(1, self.size[0] // SMALLER), max(1, self.size[1] // SMALLER))
        scale = (self.scale[0] * self.size[0] / size[0], self.scale[1] * self.size[1] / size[1])
        return _sheet(_quartered(self.grey, size), scale)

    def covering(self, places: Sequence[Box], missing: Iterable[Box], loose: Sequence[Box]) -> Sheet:
        """The same page with these places (page pixels) read, but for what is missing in them.

        A loose place counts as such, not as read, also where it is among the places.
        """
        covered = np.zeros(self.grey.shape, np.uint8)
        read = [place for place in places if place not in loose]
        for boxes, value in ((loose, LOOSE), (read, READ), (missing, 0)):
            for box in boxes:
                cv2.rectangle(covered, *_corners(box, self.scale), value, cv2.FILLED)
        return replace(self, covered=covered)


@dataclass(frozen=True, slots=True)
class Layer:
    """The marks of a sheet that are `lighter` than their paper, or darker."""

    marks: Marks
    lighter: bool


@dataclass(frozen=True, slots=True)
class Survey:
    """All marks of a page, at the working size and at a smaller one for large type."""

    sheet: Sheet
    layers: tuple[Layer, ...]
    small: Sheet
    small_layers: tuple[Layer, ...]


def survey(image: Image.Image) -> Survey:
    """What stands on a page (any mode), whatever of it was read."""
    sheet = sheet_of(image)
    small = sheet.shrunk()
    return Survey(sheet, _layers(sheet), small, _layers(small))


def _layers(sheet: Sheet) -> tuple[Layer, ...]:
    return tuple(Layer(marks_of(ink), lighter) for ink, lighter in inks(sheet))


def sheet_of(image: Image.Image) -> Sheet:
    grey = _shrunk(np.asarray(image.convert("L")))
    return _sheet(grey, (image.width / grey.shape[1], image.height / grey.shape[0]))


def _sheet(grey: Grey, scale: tuple[float, float]) -> Sheet:
    paper = _paper(grey)
    return Sheet(grey, paper, cv2.absdiff(grey, paper), np.zeros_like(grey), scale)


def _quartered(grey: Grey, size: tuple[int, int]) -> Grey:
    """By halves where that comes out even: OpenCV is quick at those alone."""
    if min(size) > 1:
        grey = grey[: size[1] * SMALLER, : size[0] * SMALLER]
        grey = cv2.resize(grey, (size[0] * 2, size[1] * 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _shrunk(grey: Grey) -> Grey:
    """At the working size: by a whole number first, which is much the fastest, then by what is left."""
    height, width = grey.shape
    factor = max(1.0, math.sqrt(grey.size) / _WORKING_SIDE)
    if factor >= 2:
        whole = int(factor)
        grey = grey[: max(1, height // whole) * whole, : max(1, width // whole) * whole]
        size = (max(1, width // whole), max(1, height // whole))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    return grey if size == grey.shape[::-1] else cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR)


def middles_in(marks: Marks, box: Box, sheet: Sheet) -> NDArray[np.bool_]:
    """Of each mark whether its middle lies in a place of the page, in page pixels."""
    across, down = sheet.scale
    x, y = (marks[:, 0] + marks[:, 2] / 2) * across, (marks[:, 1] + marks[:, 3] / 2) * down
    inside: NDArray[np.bool_] = (x >= box.x0) & (x <= box.x1) & (y >= box.y0) & (y <= box.y1)
    return inside


def _corners(place: Box, scale: tuple[float, float]) -> tuple[tuple[int, int], tuple[int, int]]:
    """A place in pixels of the working size, the last ones included."""
    across, down = scale
    start = (math.floor(place.x0 / across) - 1, math.floor(place.y0 / down) - 1)
    return start, (math.ceil(place.x1 / across), math.ceil(place.y1 / down))


def _paper(grey: Grey) -> Grey:
    height, width = grey.shape
    step, size = (2, _SURROUNDINGS // 2 + 1) if min(grey.shape) >= _LARGE else (1, _SURROUNDINGS)
    margin = size // 2
    framed = cv2.copyMakeBorder(_cells(grey, step), margin, margin, margin, margin, cv2.BORDER_REFLECT)
    paper = cv2.medianBlur(framed, size)[margin:-margin, margin:-margin]
    return cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)


def _cells(grey: Grey, step: int) -> Grey:
    """The mean of every so manieth cell."""
    height, width = grey.shape
    if step == 1:
        size = (max(1, width // _CELL), max(1, height // _CELL))
        return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    first, apart = _CELL * step // 2, _CELL * step
    return np.ascontiguousarray(cv2.blur(grey, (_CELL, _CELL))[first::apart, first::apart])


def inks(sheet: Sheet) -> Iterator[tuple[Grey, bool]]:
    """Masks (255 where there is ink), and whether it is lighter than its paper, if there is any such."""
    width, height = sheet.size
    tiles = (max(1, width // _NEIGHBOURHOOD), max(1, height // _NEIGHBOURHOOD))
    strongest = cv2.dilate(sheet.difference, np.ones((_NEIGHBOURHOOD + 1, _NEIGHBOURHOOD + 1), np.uint8))
    strongest = cv2.resize(strongest, tiles, interpolation=cv2.INTER_NEAREST)
    strongest = cv2.dilate(strongest, np.ones((3, 3), np.uint8))
    least = np.maximum(cv2.convertScaleAbs(strongest, alpha=_OF_STRONGEST), _FAINTEST).astype(np.uint8)
    threshold = cv2.resize(least, (width, height), interpolation=cv2.INTER_NEAREST)
    ink = cv2.compare(sheet.difference, threshold, cv2.CMP_GT)
    dark = cv2.compare(sheet.grey, sheet.paper, cv2.CMP_LT)
    yield cv2.bitwise_and(ink, dark), False
    light = cv2.bitwise_and(ink, cv2.bitwise_not(dark))
    _, clearly = cv2.threshold(sheet.difference, _CLEARLY_LIGHT, 255, cv2.THRESH_BINARY)
    clearly = cv2.bitwise_and(light, clearly)
    if cv2.countNonZero(clearly) > _FEWEST_LIGHT * light.size:
        yield light, True


def marks_of(ink: Grey) -> Marks:
    """Connected pieces of ink, without the long rules that letters may touch."""
    left, top, width, height = cv2.boundingRect(ink)
    if not width:
        return np.zeros((0, 5), np.int32)
    ink = _without_rules(ink[top : top + height, left : left + width])
    stats = np.asarray(_connected(ink)[1:], np.int32)
    stats[:, :2] += (left, top)
    return stats


def _without_rules(ink: Grey) -> Grey:
    strokes = ink.copy()
    columns, down = _rules_down(ink)
    rows, across = _rules_down(cv2.transpose(ink))
    strokes[:, columns] &= ~down
    strokes[rows] &= ~across.T
    return strokes


def _rules_down(ink: Grey) -> tuple[NDArray[np.bool_], Grey]:
    """Columns that hold a rule from top to bottom, and the rules in these (255)."""
    groups = ink[: len(ink) // _TOGETHER * _TOGETHER].reshape(-1, _TOGETHER, ink.shape[1])
    whole = np.bitwise_and.reduce(groups, axis=1)
    for step in (1, 2, 4):
        whole = whole[:-step] & whole[step:]
    columns: NDArray[np.bool_] = whole.any(axis=0)
    if not columns.any():
        return columns, ink[:, columns]
    held = np.pad(ink[:, columns], ((_RULE, _RULE), (0, 0)))
    rules = cv2.morphologyEx(held, cv2.MORPH_OPEN, np.ones((_RULE, 1), np.uint8))
    return columns, np.asarray(rules)[_RULE:-_RULE]


def _connected(ink: Grey) -> Any:
    """Statistics of the connected pieces; in shorts as long as these suffice, which halves the time."""
    try:
        return cv2.connectedComponentsWithStats(ink, connectivity=8, ltype=cv2.CV_16U)[2]
    except cv2.error:
        return cv2.connectedComponentsWithStats(ink, connectivity=8, ltype=cv2.CV_32S)[2]


def share_covered(marks: Marks, sheet: Sheet, by: int) -> NDArray[np.float64]:
    """The share (0–1) of each mark's rectangle that lies in places `READ`, or `LOOSE`."""
    inside = (sheet.covered == by).view(np.uint8)
    if not inside.any():
        return np.zeros(len(marks))
    sums = cv2.integral(inside)
    x0, y0, width, height = marks[:, :4].T
    x1, y1 = x0 + width, y0 + height
    pixels = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    return np.asarray(pixels / np.maximum(1, width * height), np.float64)
