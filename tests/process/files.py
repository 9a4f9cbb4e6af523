"""PDFs and pictures that tests open, and how they open them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pymupdf
from PIL import Image, ImageChops

from airgap.core.opening import Opening
from process.pages import Limits, Source, open_source

ROBUST = Path(__file__).parents[1] / "data" / "robust"
LIMITS = Limits(max_image_pixels=4_000_000, page_timeout_seconds=60, render_workers=1)
POEM = "Wie herrlich leuchtet mir die Natur! Wie glänzt die Sonne! Wie lacht die Flur!"


def pdf(*texts: str, width: float = 300, height: float = 400, **save: object) -> bytes:
    """A PDF with one page per text."""
    with pymupdf.open() as document:
        for text in texts:
            page = document.new_page(width=width, height=height)
            if text:
                page.insert_text((30, 50), text, fontsize=14)
        return document.tobytes(**save)


def opened(data: bytes | Path, limits: Limits = LIMITS, **options: Any) -> Source:
    return open_source(data, name="page.pdf", limits=limits, opening=Opening(**options))


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


def saved(frames: list[Image.Image], kind: str) -> bytes:
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


FRAMES = [Image.new("RGB", (60 + 4 * n, 40), ("red", "white", "blue")[n]) for n in range(3)]
