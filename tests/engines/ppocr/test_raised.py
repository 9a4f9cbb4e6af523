"""Figures that are set small and high are written as such; others are let be."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from airgap.engines.ppocr.raised import with_raised
from airgap.layout.lines import Reading


def strip_of(*parts: tuple[str, bool], size: int = 34, dark: bool = False) -> np.ndarray:
    """A line, its parts raised or not; letters apart, so that each is a glyph."""
    ink, paper = ("white", "black") if dark else ("black", "white")
    image = Image.new("RGB", (900, 60), paper)
    draw, x = ImageDraw.Draw(image), 10.0
    for text, raised in parts:
        font = ImageFont.load_default(round(size * (0.62 if raised else 1)))
        for character in text:
            draw.text((x, 8 - (2 if raised else 0)), character, font=font, fill=ink)
            x += font.getlength(character) + 3
    return np.asarray(image.crop((0, 0, round(x) + 10, 60)))[..., ::-1].copy()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((("24.91", False), ("2", True)), "24.91²"),
        ((("120 m", False), ("2", True)), "120 m²"),
        ((("Revenue", False), ("12", True)), "Revenue¹²"),
        ((("Total", False), ("3", True), (" 4,500", False)), "Total³ 4,500"),
        ((("24.912", False),), "24.912"),
        ((("Room 12", False),), "Room 12"),
        ((("H2", False), ("O 7", False)), "H2O 7"),
    ],
)
def test_raised_figures(parts: tuple[tuple[str, bool], ...], text: str, dark: bool) -> None:
    read = "".join(part for part, _ in parts)
    assert with_raised(lambda: strip_of(*parts, dark=dark), Reading(read, 0.9)).text == text


def test_a_reading_with_other_characters_than_the_picture_is_let_be() -> None:
    reading = Reading("24.9x912", 0.9)
    assert with_raised(lambda: strip_of(("24.91", False), ("2", True)), reading) is reading
