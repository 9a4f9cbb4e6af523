"""A page's pixels as a small JPEG, for people who look at boxes on it.

Knows nothing of documents: what is drawn over the picture is drawn by whoever shows it.
"""

from __future__ import annotations

import io

from PIL.Image import Image, Resampling

LONGEST_SIDE = 1600
"""Pixels of the longer side: as sharp as half a large screen."""

THUMBNAIL_SIDE = 216

MEDIA_TYPE = "image/jpeg"


def to_preview(image: Image, longest_side: int = LONGEST_SIDE) -> bytes:
    """The picture as JPEG, its longer side at most `longest_side` pixels, never enlarged.

    The proportions are the page's, so that a `Box` scales by one factor.
    """
    picture = image if image.mode == "RGB" else image.convert("RGB")
    if max(picture.size) > longest_side:
        scale = longest_side / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Resampling.BICUBIC, reducing_gap=2.0)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
