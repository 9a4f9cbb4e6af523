"""Blank pages are told from pages with little on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from airgap.core.document import Box
from process.ink import find_ink

A4 = (1190, 1684)


def scanned(
    paper: float = 235, noise: float = 4, shade: float = 25, size: tuple[int, int] = A4
) -> Image.Image:
    """Paper as a scanner sees it: noise, and light that falls off from left to right."""
    width, height = size
    values = (
        paper
        - np.linspace(0, shade, width)[None, :]
        + np.random.default_rng(1).normal(0, noise, (height, width))
    )
    return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize(
    "drawn",
    [
        lambda: Image.new("RGB", A4, "white"),
        lambda: Image.new("RGB", A4, "black"),
        lambda: Image.new("RGB", A4, (250, 240, 200)),
        lambda: Image.new("RGB", (16, 16), "white"),
        lambda: Image.new("RGB", (20_000, 60), "white"),
        scanned,
        lambda: scanned(noise=10, shade=60),
        lambda: scanned(size=(4960, 7016)),
    ],
    ids=["white", "black", "cream", "tiny", "strip", "scan", "bad-scan", "scan-600dpi"],
)
def test_blank(drawn: Callable[[], Image.Image]) -> None:
    assert find_ink(drawn()).blank


@pytest.mark.parametrize("noise", [0, 4], ids=["clean", "scan"])
def test_a_lone_page_number_is_ink(noise: float) -> None:
    page = scanned(noise=noise) if noise else Image.new("RGB", A4, "white")
    ImageDraw.Draw(page).text((590, 1620), "7", fill=(40, 40, 40), font=ImageFont.load_default(20))
    assert not find_ink(page).blank


def test_faint_pencil_is_ink() -> None:
    page = scanned(noise=1.5)
    ImageDraw.Draw(page).line([(300, 500), (500, 540), (700, 480)], fill=(198, 198, 198), width=2)
    assert not find_ink(page).blank


def test_white_on_black_is_ink() -> None:
    page = Image.new("RGB", A4, "black")
    ImageDraw.Draw(page).text((300, 300), "Night", fill="white", font=ImageFont.load_default(20))
    assert not find_ink(page).blank


def test_a_low_strip_with_text_is_not_blank() -> None:
    page = Image.new("RGB", (20_000, 60), "white")
    ImageDraw.Draw(page).text((9000, 20), "till 4", fill="black", font=ImageFont.load_default(20))
    assert not find_ink(page).blank


def test_the_share_of_ink_inside_boxes() -> None:
    page = Image.new("RGB", (3000, 4000), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((500, 500, 560, 520), fill="black")
    draw.rectangle((1500, 3000, 1560, 3020), fill="black")
    ink = find_ink(page)
    assert ink.share_inside([Box(480, 480, 600, 540)]) == pytest.approx(0.5, abs=0.1)
    assert ink.share_inside([]) == 0
    assert ink.share_inside([Box(0, 0, 3000, 4000)]) == 1
    assert find_ink(Image.new("L", (100, 100))).share_inside([]) == 1
