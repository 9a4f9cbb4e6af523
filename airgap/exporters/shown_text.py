"""Which lines that were read a PDF page shows as text of its own, so that they need not be laid beneath it.

A line is there when the characters that the page draws in its place are the line's. Their places alone
do not tell: a font without a usable Unicode map draws letters that nobody can search for. Of a block whose
lines are not known, because a person corrected it or the engine knows none, each word is looked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pymupdf

from airgap.core.folding import folded

SAME = 0.6
"""Share of a line's characters that the page has to show in its place."""
_INVISIBLE = 3  # MuPDF's type of text that is neither filled nor stroked
_CELL = 64
"""Pixels; characters are looked up by squares of so many."""

_Point = tuple[float, float]
_Rectangle = tuple[float, ...]
"""x0, y0, x1, y1."""
_Squares = dict[tuple[int, int], list[tuple[_Point, str]]]


def unseen(page: dict[str, Any], shown: pymupdf.Page) -> list[dict[str, Any]]:
    """The lines of `page` (as `searchable_pdf` sends it) but for those that `shown` has as text."""
    squares: _Squares = {}
    characters = list(_characters(page, shown))
    for (x, y), character in characters:
        squares.setdefault((int(x // _CELL), int(y // _CELL)), []).append(((x, y), character))
    size = (page["width"], page["height"])

    @cache
    def said_in(block: _Rectangle) -> str:
        return folded("".join(character for place, character in characters if _is_in(place, block)))

    def missing(line: dict[str, Any]) -> list[Any]:
        if line["within"]:
            said = said_in(tuple(line["within"]))
            return [word for word in line["words"] if folded(word[0]) not in said]
        return [] if _is_there(line, squares, size) else line["words"]

    left = ({**line, "words": missing(line)} for line in page["lines"])
    return [line for line in left if line["words"]]


def _characters(page: dict[str, Any], shown: pymupdf.Page) -> Iterator[tuple[_Point, str]]:
    """What the page draws as text, form fields included, and the middle of each in pixels."""
    across, down = page["width"] / shown.rect.width, page["height"] / shown.rect.height
    for span in shown.get_texttrace():
        if span["type"] == _INVISIBLE or span["opacity"] <= 0:
            continue
        for code, _, _, box in span["chars"]:
            middle = pymupdf.Point((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) * shown.rotation_matrix
            yield (middle.x * across, middle.y * down), chr(code)
    for widget in shown.widgets():
        box = widget.rect * shown.rotation_matrix
        for character in str(widget.field_value or ""):
            yield ((box.x0 + box.x1) / 2 * across, (box.y0 + box.y1) / 2 * down), character


def _is_there(line: dict[str, Any], squares: _Squares, size: _Point) -> bool:
    wanted = Counter(folded("".join(word for word, _ in line["words"])))
    if not wanted:
        return True
    x0, y0, x1, y1 = line["box"]
    on_page = (max(0.0, x0), max(0.0, y0), min(size[0], x1), min(size[1], y1))
    found = Counter(folded("".join(_inside(on_page, squares))))
    return (wanted & found).total() >= SAME * wanted.total()


def _inside(box: _Rectangle, squares: _Squares) -> Iterator[str]:
    x0, y0, x1, y1 = box
    for column in range(int(x0 // _CELL), int(x1 // _CELL) + 1):
        for row in range(int(y0 // _CELL), int(y1 // _CELL) + 1):
            for place, character in squares.get((column, row), ()):
                if _is_in(place, box):
                    yield character


def _is_in(place: _Point, box: _Rectangle) -> bool:
    x0, y0, x1, y1 = box
    return x0 <= place[0] <= x1 and y0 <= place[1] <= y1
