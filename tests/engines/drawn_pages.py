"""Pages drawn for tests: text in any script, rules, fills, bubbles. 144 pixels to the inch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import pymupdf
import pytest
from PIL import Image

from airgap.core.document import ReadOptions
from airgap.core.engine import PageRead
from airgap.engines.ppocr.engine import RapidOcrEngine
from tests.engines.started import started


def html_page(html: str, width: float = 420, height: float = 300, css: str = "") -> Image.Image:
    """A page of so many points with HTML on it, in the fonts that MuPDF has for every script."""
    with pymupdf.open() as pdf:
        page = pdf.new_page(width=width, height=height)
        page.insert_htmlbox(pymupdf.Rect(30, 20, width - 20, height - 10), html, css=css)
        return picture_of(page)


def picture_of(page: pymupdf.Page) -> Image.Image:
    pixels = page.get_pixmap(dpi=144)
    return Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)


async def read(engine: RapidOcrEngine, image: Image.Image) -> PageRead:
    async with aclosing(engine.read([image], ReadOptions())) as stream:
        async for event in stream:
            if isinstance(event, PageRead):
                return event
    pytest.fail("the engine ended without a page")


async def one_engine() -> AsyncIterator[RapidOcrEngine]:
    """An engine for a module's tests."""
    async with started(RapidOcrEngine(num_workers=2)) as engine:
        yield engine
