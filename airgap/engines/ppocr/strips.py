"""Lines of a page cut out as strips of one height, as the recogniser takes them. Knows pixels alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from airgap.layout.quads import Picture, is_upended, quad_size

STRIP_HEIGHT = 48
MAX_STRIP_WIDTH = 3200
"""A line longer than this at strip height is squeezed; bounds the memory of one recognition."""


def cut_strip(picture: Picture, quad: NDArray[Any], height: int = STRIP_HEIGHT) -> Picture:
    """A line of text, straightened to `height` pixels; a line that runs down is turned to the left."""
    import cv2

    if is_upended(quad):
        quad = quad[[1, 2, 3, 0]]
    wide, high = quad_size(quad)
    width = min(MAX_STRIP_WIDTH, max(height // 3, round(height * wide / max(high, 1.0))))
    source, corners = _shrunk(picture, quad, high / height)
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    transform = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    strip: Picture = cv2.warpPerspective(
        source, transform, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return strip


def stretched(strip: Picture, factor: float) -> Picture:
    """The strip at its height and `factor` times its width."""
    import cv2

    width = max(1, round(strip.shape[1] * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(strip, (width, strip.shape[0]), interpolation=method)


def between(strip: Picture, start: float, stop: float) -> Picture:
    """The part of a strip between two shares, 0..1, of its width."""
    width = strip.shape[1]
    return strip[:, round(start * width) : round(stop * width)]


def upside_down(strip: Picture) -> Picture:
    """The strip turned by half a turn."""
    return np.ascontiguousarray(strip[::-1, ::-1])


def _shrunk(picture: Picture, quad: NDArray[Any], factor: float) -> tuple[Picture, NDArray[Any]]:
    """The part around a quad, halved with an area filter until it is less than twice too large."""
    import cv2

    halvings = 0
    while factor > 2 ** (halvings + 1):
        halvings += 1
    x0, y0 = np.clip(np.floor(quad.min(axis=0)).astype(int), 0, None)
    x1, y1 = np.ceil(quad.max(axis=0)).astype(int) + 1
    part = picture[y0:y1, x0:x1]
    if not halvings or part.size == 0:
        return picture, quad
    scale = 0.5**halvings
    size = tuple(max(1, round(side * scale)) for side in (part.shape[1], part.shape[0]))
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA), (quad - (x0, y0)) * scale
