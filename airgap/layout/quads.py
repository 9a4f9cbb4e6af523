"""Where text stands on a picture: quadrilaterals, one a line. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[Any]
"""uint8 BGR, shape (height, width, 3)."""
Quads = NDArray[Any]
"""float32, shape (n, 4, 2): per line x, y of top left, top right, bottom right, bottom left, in pixels."""


def quad_size(quad: NDArray[Any]) -> tuple[float, float]:
    """Width and height: the longer of each pair of opposite sides."""
    top_left, top_right, bottom_right, bottom_left = quad
    width = max(np.hypot(*(top_right - top_left)), np.hypot(*(bottom_right - bottom_left)))
    height = max(np.hypot(*(bottom_left - top_left)), np.hypot(*(bottom_right - top_right)))
    return float(width), float(height)


def is_upended(quad: NDArray[Any]) -> bool:
    """Whether a line runs down the page rather than across it."""
    width, height = quad_size(quad)
    return height >= 1.5 * width


def along(quad: NDArray[Any], shares: NDArray[Any]) -> NDArray[Any]:
    """The part of a quadrilateral between two shares, 0..1, of its upper and lower edge."""
    upper, lower = (quad[a] + shares[:, None] * (quad[b] - quad[a]) for a, b in ((0, 1), (3, 2)))
    return np.array([upper[0], upper[1], lower[1], lower[0]])
