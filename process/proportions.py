"""Pictures whose pixels are not square, as in faxes: drawn out to the shape that they have on paper."""

from __future__ import annotations

from PIL import Image

_FEWEST, _MOST = 50.0, 2400.0
"""Pixels to the inch that are believed."""

_LEAST, _GREATEST = 1.2, 4.0
"""How many times more pixels to the inch one way than the other: less is rounding, more is a mistake."""


def shown_size(image: Image.Image) -> tuple[int, int]:
    """Width and height in square pixels, as many to the inch as there are the finer way."""
    across, down = dots_per_inch(image)
    width, height = image.size
    if across > down:
        return width, round(height * across / down)
    return round(width * down / across), height


def dots_per_inch(image: Image.Image) -> tuple[float, float]:
    """What a picture states of its pixels across and down, where they are not square; else (1, 1)."""
    try:
        across, down = (float(value) for value in image.info.get("dpi", (1, 1)))
    except (TypeError, ValueError, ZeroDivisionError):
        return 1.0, 1.0
    believed = _FEWEST <= across <= _MOST and _FEWEST <= down <= _MOST
    if not believed or not _LEAST <= max(across, down) / min(across, down) <= _GREATEST:
        return 1.0, 1.0
    return across, down


def in_proportion(image: Image.Image, size: tuple[int, int], *, bilevel: bool = False) -> Image.Image:
    """The picture at its `shown_size`; what is black and white stays so."""
    method = Image.Resampling.NEAREST if bilevel else Image.Resampling.BICUBIC
    return image if image.size == size else image.resize(size, method)
