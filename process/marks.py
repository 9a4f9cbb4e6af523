"""The marks on a page: connected pieces of ink, whatever the paper's colour and light.

    grey page → paper (the median around) → ink, darker or lighter than its paper → connected pieces

Knows pixels and the boxes of places; must not know what is read in them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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

_FAINTEST = 18
"""Grey levels (of 255) by which the faintest ink differs from its paper."""

_OF_STRONGEST, _NEIGHBOURHOOD = 0.4, 8
"""Ink differs from its paper at least by this share of what the strongest ink in its neighbourhood does."""

_CLEARLY_LIGHT, _FEWEST_LIGHT = 40, 1e-4
"""Grey levels, and the share of a page's pixels that has to be lighter than its paper by so many before
light ink is looked for: halos around letters are fainter."""

_RULE = 72
"""Pixels in a straight line from which ink is a rule and not a stroke."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page at the working size; `scale` is page pixels per pixel of it, across and down."""

    grey: Grey
    paper: Grey
    difference: Grey
    covered: Grey  # 1 in the places that were read
    scale: tuple[float, float]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.grey.shape[1], self.grey.shape[0]

    def shrunk(self, factor: int) -> Sheet:
        """The same page, so many times smaller."""
        size = (max(1, self.size[0] // factor), max(1, self.size[1] // factor))
        grey = cv2.resize(self.grey, size, interpolation=cv2.INTER_AREA)
        covered = cv2.resize(self.covered, size, interpolation=cv2.INTER_NEAREST)
        scale = (self.scale[0] * self.size[0] / size[0], self.scale[1] * self.size[1] / size[1])
        return _sheet(grey, covered, scale)


def sheet_of(image: Image.Image, places: Iterable[Box]) -> Sheet:
    grey = _shrunk(np.asarray(image.convert("L")))
    scale = (image.width / grey.shape[1], image.height / grey.shape[0])
    return _sheet(grey, _covered(grey.shape, places, scale), scale)


def _sheet(grey: Grey, covered: Grey, scale: tuple[float, float]) -> Sheet:
    paper = _paper(grey)
    return Sheet(grey, paper, cv2.absdiff(grey, paper), covered, scale)


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


def _covered(shape: tuple[int, ...], places: Iterable[Box], scale: tuple[float, float]) -> Grey:
    mask = np.zeros(shape, np.uint8)
    across, down = scale
    for place in places:
        start = (math.floor(place.x0 / across) - 1, math.floor(place.y0 / down) - 1)
        end = (math.ceil(place.x1 / across), math.ceil(place.y1 / down))
        cv2.rectangle(mask, start, end, 1, cv2.FILLED)
    return mask


def _paper(grey: Grey) -> Grey:
    height, width = grey.shape
    cells = (max(1, width // _CELL), max(1, height // _CELL))
    small = cv2.resize(grey, cells, interpolation=cv2.INTER_AREA)
    margin = _SURROUNDINGS // 2
    framed = cv2.copyMakeBorder(small, margin, margin, margin, margin, cv2.BORDER_REFLECT)
    paper = cv2.medianBlur(framed, _SURROUNDINGS)[margin:-margin, margin:-margin]
    return cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)


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
    clearly = np.where(sheet.difference > _CLEARLY_LIGHT, light, 0)
    if np.count_nonzero(clearly) > _FEWEST_LIGHT * light.size:
        yield light, True


def marks_of(ink: Grey) -> Marks:
    """Connected pieces of ink, without the long rules that letters may touch."""
    across = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((1, _RULE), np.uint8))
    down = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((_RULE, 1), np.uint8))
    strokes = cv2.subtract(ink, cv2.bitwise_or(across, down))
    stats = cv2.connectedComponentsWithStats(strokes, connectivity=8, ltype=cv2.CV_32S)[2]
    return np.asarray(stats[1:], np.int32)


def share_covered(marks: Marks, sheet: Sheet) -> NDArray[np.float64]:
    """The share (0–1) of each mark's rectangle that lies in places that were read."""
    sums = cv2.integral(sheet.covered)
    x0, y0, width, height = marks[:, :4].T
    x1, y1 = x0 + width, y0 + height
    inside = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    return np.asarray(inside / np.maximum(1, width * height), np.float64)
