"""Pages painted to the pixel, and lines without pixels."""

from __future__ import annotations

import numpy as np

from airgap.layout.lines import TextLine
from airgap.layout.quads import Picture
from airgap.layout.rulings import Drawing, Ink
from airgap.layout.view import View


def paper(width: int = 1000, height: int = 1000) -> Picture:
    return np.full((height, width, 3), 255, np.uint8)


def line(x0: float, y0: float, x1: float, y1: float, text: str = "word", sure: float = 1.0) -> TextLine:
    return TextLine.known((x0, y0, x1, y1), text, sure)


def fill(picture: Picture, x0: int, y0: int, x1: int, y1: int, grey: int = 0) -> None:
    """Paint a rectangle whose right and lower end are not of it."""
    picture[y0:y1, x0:x1] = grey


def ruled(xs: list[int], ys: list[int], picture: Picture | None = None) -> Picture:
    picture = paper() if picture is None else picture
    for x in xs:
        fill(picture, x, ys[0], x + 2, ys[-1] + 2)
    for y in ys:
        fill(picture, xs[0], y, xs[-1] + 2, y + 2)
    return picture


def drawing(picture: Picture, *lines: TextLine) -> Drawing:
    return Drawing.of(Ink.of(View(picture)), lines)
