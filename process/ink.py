"""Where a page has ink: whether it is blank, and how much of it lies in given boxes.

Knows only pixels. Made to err on one side: a page with a lone page number or a faint pencil line has
ink; what is called blank has none that stands out from its paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFilter

from airgap.core.document import Box

_WORKING_SIDE = 1500
"""Pixels; the square of it is the size at which ink is looked for: A4 at about 150 dpi."""

_CELL = 16
"""Pixels of the working size over which paper is taken to be even."""

_FAINTEST = 14
"""Grey levels (of 255) by which the faintest ink differs from its paper."""

_NOISE_SIGMAS = 7
_FEWEST_PIXELS = 8
"""Ink of fewer pixels at the working size is dust: a printed full stop has about ten."""


@dataclass(frozen=True, slots=True)
class Ink:
    """The ink of one page: a mask (255 where there is ink) at `1 / factor` of the page's size."""

    mask: Image.Image
    factor: int
    pixels: int

    @property
    def blank(self) -> bool:
        """Whether nothing stands out from the paper."""
        return self.pixels < _FEWEST_PIXELS

    def share_inside(self, boxes: Sequence[Box]) -> float:
        """The share (0–1) of the ink that lies in boxes, given in page pixels; 1 for a blank page."""
        if not self.pixels:
            return 1.0
        outside = self.mask.copy()
        for box in boxes:
            x0, y0, x1, y1 = (round(v / self.factor) for v in (box.x0, box.y0, box.x1, box.y1))
            outside.paste(0, (x0 - 1, y0 - 1, x1 + 1, y1 + 1))
        return 1.0 - outside.histogram()[255] / self.pixels


def find_ink(image: Image.Image) -> Ink:
    """The ink of a page (any mode): what differs from the paper around it, lighter or darker.

    Paper is the median of the page's surroundings, so that shading and uneven light are none; noise
    is measured (as the median deviation) and has to be outdone.
    """
    factor = math.ceil(math.sqrt(image.width * image.height) / _WORKING_SIDE)
    grey = image.convert("L")
    if factor > 1:
        grey = grey.reduce(factor)
    cells = (max(1, grey.width // _CELL), max(1, grey.height // _CELL))
    paper = grey.resize(cells, Image.Resampling.BOX)
    if min(cells) >= 5:
        paper = paper.filter(ImageFilter.MedianFilter(5))
    difference = ImageChops.difference(grey, paper.resize(grey.size, Image.Resampling.BILINEAR))
    histogram = difference.histogram()
    noise = 1.4826 * _median(histogram)
    threshold = min(127, max(_FAINTEST, round(_NOISE_SIGMAS * noise)))
    mask = difference.point([255 if level > threshold else 0 for level in range(256)])
    return Ink(mask, factor, sum(histogram[threshold + 1 :]))


def _median(histogram: Sequence[int]) -> int:
    half, seen = sum(histogram) / 2, 0
    for level, count in enumerate(histogram):
        seen += count
        if seen >= half:
            return level
    return 255
