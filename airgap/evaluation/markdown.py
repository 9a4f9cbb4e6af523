"""Markdown → the blocks that are compared: paragraphs, tables and displayed formulas, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from airgap.evaluation.text import letters

_PICTURE = re.compile(r"!\[.*?\]\(.*?\)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL | re.IGNORECASE)
_PIPES = re.compile(r"(?:^[ \t]*\|.*\|[ \t]*(?:\n|\Z)){2,}", re.MULTILINE)
_FORMULA = re.compile(r"\$\$.+?\$\$|\\\[.+?\\\]", re.DOTALL)
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)

Kind = Literal["text", "table", "formula"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A block of Markdown: its kind, its text as written, and what it is compared by."""

    kind: Kind
    text: str
    compared: str


def pieces(markdown: str) -> list[Piece]:
    """The blocks of one page that have something to compare. Pipe tables become HTML."""
    markdown = _COMMENT.sub("", _PICTURE.sub("", markdown))
    markdown = _PIPES.sub(lambda found: f"\n\n{_as_html(found[0])}\n\n", markdown)
    found: list[tuple[int, Piece]] = []
    for pattern, kind in ((_TABLE, "table"), (_FORMULA, "formula")):
        for match in pattern.finditer(markdown):
            found.append((match.start(), Piece(kind, match[0], match[0])))  # type: ignore[arg-type]
        markdown = pattern.sub(lambda match: " " * len(match[0]), markdown)
    for match in re.finditer(r"(?:(?!\n[ \t]*\n).)+", markdown, re.DOTALL):
        text = match[0].strip()
        if compared := letters(text):
            found.append((match.start(), Piece("text", text, compared)))
    return [piece for _, piece in sorted(found, key=lambda item: item[0])]


def headings(markdown: str) -> list[tuple[int, str]]:
    """Level and text of each heading, in order."""
    return [(len(marks), text) for marks, text in _HEADING.findall(_TABLE.sub("", markdown))]


def _as_html(rows: str) -> str:
    body = ""
    for row in rows.strip().split("\n"):
        if row.strip("|-: \t"):
            cells = re.split(r"(?<!\\)\|", row.strip().strip("|"))
            body += "<tr>" + "".join(f"<td>{cell.strip()}</td>" for cell in cells) + "</tr>"
    return f"<table>{body}</table>"
