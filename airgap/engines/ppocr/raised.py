"""Figures set small and high, as in `24.91²` and `word³`: PP-OCR reads them as any other, and `24.912` is
another number.

    reading → figures that may be raised → glyphs of the strip, one for each character → figures that are

Only where glyphs and characters are as many is it known which is which; else the reading stands as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from airgap.core.raised import TO_RAISED
from airgap.layout.lines import Reading
from airgap.layout.quads import Picture

Glyphs = NDArray[np.int32]
"""Rows of left, top, width and height in pixels, from left to right."""

CANDIDATE = re.compile(r"(?<=[\w)%\]”\"'.])\d{1,2}(?![\w.,:/%-]*\d)(?!\w)")
"""One or two figures that end a word or a number."""
MOST_CHARACTERS = 80
LOW, HIGH = 0.75, 0.22
"""A raised figure is at most `LOW` times as high as others, and ends at least `HIGH` heights above them."""
NARROW, FEWEST_OTHERS = 0.85, 2
"""It is narrower than others, too, where there are others: half of a broken `8` is not. After a figure, two
others have to be there to be compared with: what touches or breaks is no measure."""
FEWEST_PIXELS, SAME_GLYPH = 3, 0.5


def with_raised(strip: Callable[[], Picture], reading: Reading) -> Reading:
    """The reading of a strip (BGR, cut out if need be), its raised figures written as such."""
    found = list(CANDIDATE.finditer(reading.text))
    printed = [place for place, character in enumerate(reading.text) if not character.isspace()]
    if not found or len(printed) > MOST_CHARACTERS:
        return reading
    glyphs = glyphs_of(strip())
    if len(glyphs) != len(printed):
        return reading
    of = dict(zip(printed, glyphs, strict=True))
    tall = np.array([of[place] for place in printed if _is_tall(reading.text[place])])
    raised = [
        place
        for match in found
        for place in range(*match.span())
        if _is_raised(of[place], tall, FEWEST_OTHERS if reading.text[match.start() - 1].isdigit() else 1)
    ]
    text = "".join(c.translate(TO_RAISED) if place in raised else c for place, c in enumerate(reading.text))
    return replace(reading, text=text)


def glyphs_of(strip: Picture) -> Glyphs:
    """The pieces of ink of a line, those above each other as one."""
    grey = cv2.cvtColor(strip, cv2.COLOR_BGR2GRAY)
    _, ink = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if np.count_nonzero(ink) > ink.size / 2:
        ink = cv2.bitwise_not(ink)
    stats = np.asarray(cv2.connectedComponentsWithStats(ink, connectivity=8)[2][1:], np.int32)
    pieces = stats[stats[:, 4] >= FEWEST_PIXELS, :4]
    merged: list[list[int]] = []
    for x, y, width, height in pieces[np.argsort(pieces[:, 0], kind="stable")].tolist():
        last = merged[-1] if merged else None
        if last is not None and last[2] - x > SAME_GLYPH * min(width, last[2] - last[0]):
            merged[-1] = [last[0], min(last[1], y), max(last[2], x + width), max(last[3], y + height)]
        else:
            merged.append([x, y, x + width, y + height])
    return np.array([[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in merged], np.int32).reshape(-1, 4)


def _is_tall(character: str) -> bool:
    return character.isdigit() or character.isupper()


def _is_raised(glyph: NDArray[np.int32], tall: Glyphs, fewest: int) -> bool:
    """Whether a figure is smaller than `fewest` of the line's figures and capitals, and stands higher."""
    others = tall[tall[:, 3] > glyph[3] / LOW]
    if len(others) < fewest:
        return False
    width, height, bottom = (
        np.median(side) for side in (others[:, 2], others[:, 3], others[:, 1] + others[:, 3])
    )
    is_small = glyph[3] <= LOW * height and glyph[2] <= NARROW * width
    return bool(is_small and glyph[1] + glyph[3] <= bottom - HIGH * height)
