"""The text of a block as headings, paragraphs, list items and tables, with its emphasis.

What HTML and DOCX are made of. Reads the little Markdown that models write and a handful of inline
HTML tags; everything else is text. Takes linear time and keeps no attribute of any tag.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from airgap.exporters.fences import Code, split_code
from airgap.exporters.html_tables import TAG_NAMES, Cell, Table, split_tables

Style = Literal["bold", "italic", "underline", "sub", "sup"]

_STYLES: dict[str, Style] = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "sub": "sub",
    "sup": "sup",
}
_TAG = re.compile(rf"<(/?)({TAG_NAMES})(?![\w:-])[^<>]*>", re.IGNORECASE)
_COMMENT = re.compile(r"<!--[^<>]*-->")
_IMAGE = re.compile(r"!\[([^\[\]\n]*)\]\([^()\s]*\)")
_LINK = re.compile(r"\[([^\[\]\n]+)\]\((?:https?:|mailto:|/|#)[^()\s]*\)")
_STRONG = re.compile(r"(\*\*|__)(?=\S)([^*_\n]+?)(?<=\S)\1")
_EMPHASIS = re.compile(r"(?<![\w*\\])\*(?=[^\s*])([^*\n]+?)(?<=[^\s*])\*(?![\w*])")
_ESCAPE = re.compile(r"\\([*_#`])|^\\(?=[>+|~=-])", re.MULTILINE)
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(?=\S)")
_ITEM = re.compile(r"([ \t]{0,12})[-*+•][ \t]+(?=\S)")
_INDENT = re.compile(r" {1,12}(?=(?:-|\d{1,3}[.)]) +\S)")


@dataclass(frozen=True, slots=True)
class Run:
    """Text in one style; `\\n` is a line break."""

    text: str
    styles: frozenset[Style] = frozenset()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """`level` is 1 to 6 for a heading, 0 for a paragraph; `item` is True in a list, `code` to the letter.

    `indent` are the spaces before an item: one with more belongs to the one before it.
    """

    runs: tuple[Run, ...]
    level: int = 0
    item: bool = False
    code: bool = False
    indent: int = 0


class Depths:
    """How deep the items of a list stand, one after the other."""

    def __init__(self) -> None:
        self._open: list[int] = []

    def of(self, piece: Paragraph) -> int:
        """0 for an item that belongs to no other; what is no item ends the list and is -1."""
        if not piece.item:
            self._open.clear()
            return -1
        while self._open and piece.indent <= self._open[-1]:
            self._open.pop()
        self._open.append(piece.indent)
        return len(self._open) - 1


def indent_of(text: str) -> str:
    """The spaces before a text that is an item of a list; empty before any other."""
    found = _INDENT.match(text)
    return found[0] if found else ""


def rich_text(markdown: str) -> Iterator[Paragraph | Table]:
    """The pieces of a text in order; empty ones are left out."""
    for part in split_code(markdown):
        if isinstance(part, Code):
            yield Paragraph((Run(part.text),), code=True)
            continue
        for piece in split_tables(part):
            if not isinstance(piece, Table):
                yield from _paragraphs(piece)
            elif piece.rows:
                yield piece


def _paragraphs(text: str) -> Iterator[Paragraph | Table]:
    pending: list[str] = []
    rows: list[list[Cell]] = []
    for line in [*text.split("\n"), ""]:
        cells = _pipe_cells(line)
        heading = _HEADING.match(line)
        item = _ITEM.match(line)
        if rows and cells is None:
            yield Table(rows)
            rows = []
        if pending and (cells is not None or heading or item or not line.strip()):
            yield from _paragraph("\n".join(pending))
            pending = []
        if cells is not None:
            rows += [cells] if cells else []
        elif heading:
            yield from _paragraph(line[heading.end() :], level=len(heading[1]))
        elif item:
            yield from _paragraph(line[item.end() :], item=True, indent=len(item[1].expandtabs(4)))
        elif line.strip():
            pending.append(line.strip())


def _paragraph(text: str, level: int = 0, item: bool = False, indent: int = 0) -> Iterator[Paragraph]:
    runs = inline(text)
    if any(run.text.strip() for run in runs):
        yield Paragraph(runs, level, item, indent=indent)


def _pipe_cells(line: str) -> list[Cell] | None:
    """The cells of a Markdown table row; none for its rule; None for any other line."""
    row = line.strip()
    if len(row) < 3 or row[0] != "|" or row[-1] != "|":
        return None
    if "-" in row and not row.strip("|-: \t"):
        return []
    return [Cell(cell.strip()) for cell in row[1:-1].split("|")]


def inline(text: str) -> tuple[Run, ...]:
    """The text in runs of one style each. Tags that are not closed are closed at the end."""
    text = _IMAGE.sub(r"\1", _COMMENT.sub("", text))
    text = _LINK.sub(r"\1", text)
    text = _EMPHASIS.sub(r"<i>\1</i>", _STRONG.sub(r"<b>\2</b>", text))
    text = _ESCAPE.sub(lambda found: found[1] or "", text)
    runs: list[Run] = []
    styles: list[Style] = []
    position = 0
    for tag in _TAG.finditer(text):
        _append(runs, text[position : tag.start()], styles)
        position = tag.end()
        name = tag[2].lower()
        style = _STYLES.get(name)
        if name == "br":
            _append(runs, "\n", styles)
        elif style and not tag[1] and len(styles) < 16:
            styles.append(style)
        elif style and style in styles:
            styles.remove(style)
    _append(runs, text[position:], styles)
    return tuple(runs)


def _append(runs: list[Run], text: str, styles: list[Style]) -> None:
    text = html.unescape(text)
    if not text:
        return
    style = frozenset(styles)
    if runs and runs[-1].styles == style:
        runs[-1] = Run(runs[-1].text + text, style)
    else:
        runs.append(Run(text, style))
