"""Where on a page a value was read: its text, looked for in the lines and blocks of the page.

Pure functions over what was read. Knows no engine and no HTTP.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airgap.core.document import Box, Page

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class FoundValue:
    """A value by its JSON Pointer (RFC 6901), the box and the words it was found in, and how often.

    `box` and `text` are None where the page does not show the value in these words.
    """

    path: str
    value: Scalar
    box: Box | None = None
    text: str | None = None
    occurrences: int = 0


def values_of(data: Any, path: str = "") -> Iterator[tuple[str, Scalar]]:
    """Every value that is neither object nor list, with its JSON Pointer."""
    if isinstance(data, dict):
        for name, part in data.items():
            yield from values_of(part, f"{path}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(data, list):
        for index, part in enumerate(data):
            yield from values_of(part, f"{path}/{index}")
    else:
        yield path, data


def found_values(data: Any, page: Page) -> list[FoundValue]:
    """Each value of `data` with the first place of `page` that shows it: a line's, else a block's."""
    places = [(_plain(text), text, box) for text, box in _places(page)]
    return [_found(path, value, places) for path, value in values_of(data)]


def _found(path: str, value: Scalar, places: list[tuple[str, str, Box]]) -> FoundValue:
    if value is None or isinstance(value, bool):
        return FoundValue(path, value)
    pattern = _pattern(value)
    hits = [(text, box) for plain, text, box in places if pattern.search(plain)] if pattern else []
    if not hits:
        return FoundValue(path, value)
    text, box = min(hits, key=lambda hit: len(hit[0]))  # a line rather than the block around it
    same = [hit for hit in hits if len(hit[0]) == len(text)]
    return FoundValue(path, value, box, text, len(same))


def _pattern(value: str | float) -> re.Pattern[str] | None:
    """What the value looks like on a page: whole words; of a number, with or without separators."""
    if isinstance(value, str):
        words = re.escape(_plain(value))
    else:
        written = f"{value:f}".rstrip("0") if isinstance(value, float) else str(value)
        whole, _, rest = written.partition(".")
        digits = r"[ ,.'’]?".join(re.escape(digit) for digit in whole)
        words = digits + (rf"[.,]{rest}0*" if rest else r"(?:[.,]0+)?")
    return re.compile(rf"(?<![\w-]){words}(?![\w-]|[.,]\d)") if words else None


def _places(page: Page) -> Iterator[tuple[str, Box]]:
    for block in page.blocks:
        for line in block.lines:
            yield line.text, line.box
        if block.boxes:
            yield block.text, Box.around(block.boxes)


def _plain(text: str) -> str:
    """Without what two readings of the same words differ in: case, markup, runs of white space."""
    words = re.sub(r"<[^<>]*>|[*_`#|]", " ", unicodedata.normalize("NFKC", text))
    return " ".join(words.casefold().split())
