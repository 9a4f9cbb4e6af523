"""The text that a PDF page holds, word by word, and signs of its worth. Runs where `pdf_child` does.

What is drawn invisibly, or lies under a picture that was drawn over it, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import pymupdf

_VISIBLE = 16 | 32  # MuPDF's flags of a character that is filled or stroked
_PICTURES = ("fill-image", "fill-shade")
MOST_LINES, MOST_CHARACTERS, MOST_IN_A_LINE = 3000, 100_000, 5000
"""What a page's text may hold to be taken: several times what people print on one. To put lines in order
takes time that grows with their square, and a few kilobytes can hold millions of characters."""

_FLAGS = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_MEDIABOX_CLIP

_Corners = tuple[float, float, float, float]
_Character = tuple[str, _Corners]


def text_of(page: Any, zoom: float) -> dict[str, Any] | None:
    """The embedded text: of each line its words, `[text, x0, y0, x1, y1]` in pixels; None for too much.

    `hidden` is the share of characters that are not drawn, as under scans; `image` the share of the page
    that its largest picture covers. MuPDF gives text positions on the unrotated page.
    """
    matrix = page.rotation_matrix * pymupdf.Matrix(zoom, zoom)
    found = [
        line for block in page.get_text("rawdict", flags=_FLAGS)["blocks"] for line in block.get("lines", ())
    ]
    if _is_too_much(found):
        return None
    log = page.get_bboxlog()
    covered = _under_pictures(page, log)
    lines, count, hidden = [], 0, 0
    for line in found:
        seen = list[_Character]()
        for character, drawn, origin in _characters(line):
            count += 1
            hidden += not drawn
            if drawn and origin not in covered:
                seen.append(character)
        if words := [_word(word, matrix) for word in _words(seen)]:
            lines.append(words)
    return {"lines": lines, "hidden": hidden / max(1, count), "image": _largest_picture(page, log)}


def _is_too_much(lines: Sequence[Any]) -> bool:
    lengths = [sum(len(span["chars"]) for span in line["spans"]) for line in lines]
    return (
        len(lengths) > MOST_LINES
        or sum(lengths) > MOST_CHARACTERS
        or max(lengths, default=0) > MOST_IN_A_LINE
    )


def _characters(line: Any) -> Iterator[tuple[_Character, bool, tuple[float, float]]]:
    """Each with its box, whether it is drawn at all, and where it begins."""
    for span in line["spans"]:
        drawn = bool(span["char_flags"] & _VISIBLE) and span.get("alpha", 255) > 0
        for character in span["chars"]:
            yield (character["c"], character["bbox"]), drawn, _key(character["origin"])


def _words(characters: list[_Character]) -> Iterator[list[_Character]]:
    for is_space, group in groupby(characters, lambda character: character[0].isspace()):
        if not is_space:
            yield list(group)


def _word(characters: list[_Character], matrix: Any) -> list[Any]:
    corners = list(zip(*(box for _, box in characters), strict=True))
    box = pymupdf.Rect(min(corners[0]), min(corners[1]), max(corners[2]), max(corners[3])) * matrix
    return ["".join(text for text, _ in characters), box.x0, box.y0, box.x1, box.y1]


def _key(origin: tuple[float, float]) -> tuple[float, float]:
    return round(origin[0], 1), round(origin[1], 1)


def _under_pictures(page: Any, log: Sequence[Any]) -> set[tuple[float, float]]:
    """Where characters begin that a picture was drawn over later."""
    pictures = [(at, box) for at, (kind, box) in enumerate(log) if kind in _PICTURES]
    if not pictures:
        return set()
    found = set()
    for span in page.get_texttrace():
        over = [box for at, box in pictures if at > span["seqno"] and _meet(box, span["bbox"])]
        for _, _, origin, (x0, y0, x1, y1) in span["chars"] if over else ():
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            if any(box[0] <= x <= box[2] and box[1] <= y <= box[3] for box in over):
                found.add(_key(origin))
    return found


def _meet(one: _Corners, other: _Corners) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _largest_picture(page: Any, log: Sequence[Any]) -> float:
    area = page.rect.width * page.rect.height
    whole = pymupdf.Rect(0, 0, *page.cropbox.br - page.cropbox.tl)
    images = [
        abs(pymupdf.Rect(box) & whole) / area for kind, box in log if kind in ("fill-image", "fill-imgmask")
    ]
    return max(images, default=0.0)
