"""The page as it is read: turned upright, its slant known, and the way back to the page as it was sent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airgap.core.document import Box
from airgap.layout.quads import Picture, Quads, is_upended, quad_size

Points = NDArray[Any]
MAX_SLANT = math.radians(15)
ENOUGH_LINES = 20
"""Lines from which their typical angle is believed."""


@dataclass(frozen=True)
class View:
    """`pixels`: the page after `quarter_turns` clockwise turns. `slant`: the angle at which its lines
    then fall to the right, in radians."""

    pixels: Picture
    quarter_turns: int = 0
    slant: float = 0.0

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @cached_property
    def rotation(self) -> NDArray[np.float64]:
        """Shape (2, 3): view pixels → straightened pixels, about the view's centre."""
        cosine, sine = math.cos(self.slant), math.sin(self.slant)
        x, y = self.width / 2, self.height / 2
        return np.array(
            [[cosine, sine, x - cosine * x - sine * y], [-sine, cosine, y + sine * x - cosine * y]]
        )

    @cached_property
    def straight(self) -> Picture:
        """The view's pixels, straightened; themselves where they are straight."""
        import cv2

        if not self.slant:
            return self.pixels
        size = (self.width, self.height)
        return cv2.warpAffine(self.pixels, self.rotation, size, borderMode=cv2.BORDER_REPLICATE)

    def straighten(self, points: Points) -> Points:
        """View pixels → pixels in which lines of text run level; shape (…, 2) both."""
        result: Points = points @ self.rotation[:, :2].T + self.rotation[:, 2]
        return result

    def unstraighten(self, points: Points) -> Points:
        """The inverse of `straighten`."""
        result: Points = (points - self.rotation[:, 2]) @ self.rotation[:, :2]
        return result

    def box_on_page(self, points: Points) -> Box:
        """The rectangle around points of the view, in pixels of the page as it was sent."""
        turns = self.quarter_turns % 4
        page_width, page_height = (self.width, self.height) if turns % 2 == 0 else (self.height, self.width)
        x, y = points[..., 0], points[..., 1]
        if turns == 1:
            x, y = y, page_height - x
        elif turns == 2:
            x, y = page_width - x, page_height - y
        elif turns == 3:
            x, y = page_width - y, x
        xs, ys = np.clip(x, 0, page_width), np.clip(y, 0, page_height)
        return Box(float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))

    def turned(self, quarter_turns: int) -> View:
        """The same page, turned clockwise once more by so many quarters."""
        pixels = np.ascontiguousarray(np.rot90(self.pixels, -quarter_turns))
        return View(pixels, (self.quarter_turns + quarter_turns) % 4)


def slant_of(quads: Quads) -> float:
    """The typical angle of the long lines against the horizontal, in radians; 0 where too few are long."""
    angles = []
    for quad in quads:
        width, height = quad_size(quad)
        if not is_upended(quad) and width > 4 * max(1.0, height):
            dx, dy = quad[1] - quad[0] + quad[2] - quad[3]
            angles.append(math.atan2(dy, dx))
    slant = median(angles) if len(angles) >= 3 else 0.0
    return slant if abs(slant) <= MAX_SLANT else 0.0


def sure_slant(pixels: Picture, quads: Quads) -> float:
    """`slant_of`, but 0 where few lines tell and the page's rows of ink are clearer as they are.

    Quadrilaterals around short lines lean by up to a degree, as their letters reach up and down.
    """
    slant = slant_of(quads)
    if not slant or len(quads) >= ENOUGH_LINES:
        return slant
    straight = View(pixels, 0, slant).straight
    return slant if _clearness(straight) > _clearness(pixels) else 0.0


def _clearness(pixels: Picture) -> float:
    """How much the ink of one row of pixels differs from that of the next, over the page."""
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    return float(np.square(np.diff(grey.mean(axis=1))).sum())


def places(view: View, quads: Quads) -> list[tuple[float, float, float, float]]:
    """Each quadrilateral as x0, y0, x1, y1 on the straightened page.

    The upper and lower edge are taken at their middle, so that a line that is a little more or less
    aslant than the page does not grow into its neighbours.
    """
    result = []
    for quad in view.straighten(quads):
        x0, x1 = float(quad[:, 0].min()), float(quad[:, 0].max())
        if is_upended(quad):
            y0, y1 = float(quad[:, 1].min()), float(quad[:, 1].max())
        else:
            y0, y1 = float(quad[:2, 1].mean()), float(quad[2:, 1].mean())
        result.append((x0, y0, x1, y1))
    return result
