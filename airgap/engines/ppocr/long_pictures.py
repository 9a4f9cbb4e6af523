"""A picture much longer than it is wide, such as a till's receipt, in parts in which a detector sees letters.

Parts end where there is the least ink, so that no line of text is cut. Knows pixels alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from airgap.layout.quads import Picture

LONG_FROM, LONG, NARROWEST = 2240, 3.0, 200
"""Pixels of the longer side, and how many times the shorter one, from which a picture is parted; and pixels
of the shorter one: a strip of one line is found as it is."""
PART, SHORTEST_PART, ABOUT = 2.0, 1280, 0.8
"""Length of a part in widths, at least so many pixels, and the share of it from which it may end."""
_SMOOTH = 9


def parts(picture: Picture) -> Iterator[tuple[tuple[int, int], Picture]]:
    """The parts of a BGR picture with their left and top; the picture itself where it is not long."""
    height, width = picture.shape[:2]
    longer, shorter = max(height, width), min(height, width)
    if longer <= LONG_FROM or longer <= LONG * shorter or shorter < NARROWEST:
        yield (0, 0), picture
        return
    is_tall = height > width
    ink = _ink_along(picture if is_tall else cv2.transpose(picture))
    length, start = max(SHORTEST_PART, round(PART * shorter)), 0
    while start < longer:
        end = longer
        if longer - start > length:
            first = start + round(ABOUT * length)
            end = first + int(np.argmin(ink[first : start + length]))
        part = picture[start:end] if is_tall else picture[:, start:end]
        yield ((0, start) if is_tall else (start, 0)), np.ascontiguousarray(part)
        start = end


def _ink_along(picture: Picture) -> np.ndarray:
    """How much the pixels of each row differ, with those around it."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    spread = grey.std(axis=1)
    kernel = np.ones(_SMOOTH) / _SMOOTH
    return np.asarray(np.convolve(np.pad(spread, _SMOOTH // 2, mode="edge"), kernel, mode="valid"))
