"""How large a page is on paper, for the formats that have paper.

PDF pages know it. A picture knows it when it states a resolution that can be believed; else it is
taken to fill an A4 sheet's longer side.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from airgap.core.document import Page
from airgap.exporters import Source
from process.proportions import dots_per_inch

POINTS_PER_INCH = 72.0
A4_LONG_SIDE = 841.89
MIN_PAGE_POINTS, MAX_PAGE_POINTS = 3.0, 14_400.0  # PDF 32000-1, annex C: limits of a page

# Cameras and programs write 72 or 96 for want of a measurement.
MIN_BELIEVED_DPI, MAX_BELIEVED_DPI = 100.0, 2400.0


def page_points(page: Page, source: Source | None) -> tuple[float, float]:
    """Width and height of the page in points, within what PDF allows."""
    if page.width_pt and page.height_pt:
        width, height = page.width_pt, page.height_pt
    else:
        dpi = page_dpi(page, source)
        width, height = page.width * POINTS_PER_INCH / dpi, page.height * POINTS_PER_INCH / dpi
    return _bounded(width), _bounded(height)


def page_dpi(page: Page, source: Source | None) -> float:
    """Pixels of `page` per inch of paper."""
    if page.width_pt and page.width:
        return page.width * POINTS_PER_INCH / page.width_pt
    longest = max(page.width, page.height, 1)
    if source is not None and source.kind == "image" and (dpi := stated_dpi(source.path)):
        return max(dpi, longest * POINTS_PER_INCH / MAX_PAGE_POINTS)
    return longest * POINTS_PER_INCH / A4_LONG_SIDE


def stated_dpi(path: Path | bytes) -> float | None:
    """The resolution that a picture states for itself, where it can be believed."""
    try:
        with Image.open(io.BytesIO(path) if isinstance(path, bytes) else path) as image:
            x, y = (float(value) for value in image.info.get("dpi", (0, 0)))
            uneven = dots_per_inch(image)
    except (
        OSError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        ValueError,
        TypeError,
        SyntaxError,
    ):
        return None
    if uneven[0] != uneven[1]:
        return max(uneven)  # the page is drawn out to the finer of both
    believed = MIN_BELIEVED_DPI <= x <= MAX_BELIEVED_DPI and 0.99 < x / max(y, 1e-9) < 1.01
    return x if believed else None


def _bounded(points: float) -> float:
    return min(max(points, MIN_PAGE_POINTS), MAX_PAGE_POINTS)
