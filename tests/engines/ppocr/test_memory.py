"""What a page leaves in memory: its picture is gone once it was read, without the cycles' collector."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from airgap.core.document import ReadOptions
from airgap.engines.ppocr import engine as ppocr
from airgap.engines.ppocr.engine import RapidOcrEngine, bgr_of
from airgap.layout.quads import Picture
from tests.engines.started import started

ENGLISH = Path(__file__).resolve().parents[3] / "samples" / "english.png"


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_a_picture_of_any_mode_is_turned_strip_by_strip(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ppocr, "_STRIP_PIXELS", 100)
    noise = np.random.default_rng(1).integers(0, 255, (37, 41, 3), np.uint8)
    image = Image.fromarray(noise).convert(mode)
    expected = np.asarray(image.convert("RGB"))[..., ::-1]
    assert (bgr_of(image) == expected).all()


async def test_a_picture_goes_with_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures: list[weakref.ref[Picture]] = []

    def noted(image: Image.Image) -> Picture:
        picture = bgr_of(image)
        pictures.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(ppocr, "bgr_of", noted)
    async with started(RapidOcrEngine(num_workers=2)) as engine:
        with Image.open(ENGLISH) as whole:
            upper = whole.crop((0, 0, whole.width, whole.height // 4))
        for page in (upper, Image.new("RGB", (800, 600), "white")):
            gc.collect()
            gc.disable()
            try:
                async with aclosing(engine.read([page], ReadOptions())) as events:
                    async for _ in events:
                        pass
                deadline = time.monotonic() + 10  # the thread has a line or two to go
                while left := [picture for picture in pictures if picture() is not None]:
                    if time.monotonic() > deadline:
                        break
                    await asyncio.sleep(0.05)
            finally:
                gc.enable()
            assert not left
    assert len(pictures) == 2
