"""Whether a PDF page's embedded text may stand for a reading of its pixels.

It may when it is the page's own text, and all of it: visible, of proper characters, on the page, and
under most of the page's ink. Text drawn invisibly, or on a page that is one large picture, is some
other program's OCR, of unknown worth; text made of replacement characters comes from a font without
a usable Unicode map; a page whose ink lies elsewhere has its words as outlines or pictures. Words
without ink of their own are not seen, in the paper's colour or under a bar, and are left out. A font
whose Unicode map is wrong but well formed is for `layer_check` to find.

Knows no PDF library: it judges what `pdf_child` sends.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from PIL import Image

from airgap.core.document import Box, Line
from process.ink import Ink

FEWEST_CHARACTERS = 20
MOST_BAD = 0.01
MOST_HIDDEN = 0.05
MOST_IMAGE = 0.6
LEAST_ON_PAGE = 0.95
LEAST_WORDLIKE = 0.5
LEAST_INK = 0.5
SEEN, EDGE = 24, 0.2
"""Grey levels between the lightest and the darkest of a word that is seen, and the share of its height at
either edge that is not looked at: a bar over a word ends there."""

_BAD_CATEGORIES = {"Cc", "Cn", "Co", "Cs"}


def sound_lines(layer: Mapping[str, Any], image: Image.Image, ink: Ink) -> tuple[Line, ...] | None:
    """The lines of a sound text layer, boxes in page pixels; None where it is not sound.

    `layer` is the `text` of a `pdf_child` answer, `image` the page and `ink` what is on it.
    """
    if layer["hidden"] > MOST_HIDDEN or layer["image"] > MOST_IMAGE:
        return None
    lines, all_count, seen_count = list[Line](), 0, 0
    grey, size = image.convert("L"), image.size
    for words in layer["lines"]:
        all_count += sum(len(text) for text, *_ in words)
        placed = [(text, box) for text, *corners in words if (box := _clamp(corners, size)) is not None]
        seen_count += sum(len(text) for text, _ in placed)
        seen = [(text, box) for text, box in placed if _is_seen(grey, box)]
        if seen:
            text = _clean(" ".join(text for text, _ in seen))
            lines.append(Line(text, Box.around(box for _, box in seen)))
    text = "".join(line.text for line in lines)
    if seen_count < LEAST_ON_PAGE * all_count or not _is_proper(text):
        return None
    if ink.share_inside([line.box for line in lines]) < LEAST_INK:
        return None
    return tuple(lines)


def _is_seen(grey: Image.Image, box: Box) -> bool:
    """Whether anything stands out within a word's place."""
    edge = EDGE * box.height
    lowest, highest = grey.crop(Box(box.x0, box.y0 + edge, box.x1, box.y1 - edge).rounded()).getextrema()
    return highest - lowest >= SEEN  # type: ignore[operator]


def _is_proper(text: str) -> bool:
    characters = [c for c in text if not c.isspace()]
    if len(characters) < FEWEST_CHARACTERS:
        return False
    bad = sum(c == "\ufffd" or unicodedata.category(c) in _BAD_CATEGORIES for c in characters)
    wordlike = sum(unicodedata.category(c)[0] in "LNM" for c in characters)
    return bad <= MOST_BAD * len(characters) and wordlike >= LEAST_WORDLIKE * len(characters)


def _clean(text: str) -> str:
    """Without the rare bad characters that are let pass: none may reach a result."""
    return "".join(c for c in text if c.isspace() or unicodedata.category(c) not in _BAD_CATEGORIES)


def _clamp(corners: list[float], size: tuple[int, int]) -> Box | None:
    """The part of a box on the page; None where most of it is not."""
    x0, y0, x1, y1 = corners
    box = Box(max(0.0, x0), max(0.0, y0), min(float(size[0]), x1), min(float(size[1]), y1))
    if box.width <= 0 or box.height <= 0 or box.area < 0.5 * (x1 - x0) * (y1 - y0):
        return None
    return box
