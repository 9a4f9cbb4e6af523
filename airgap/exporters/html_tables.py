"""Tables that a model wrote as HTML, read into plain cells.

The HTML is hostile input: nothing in it is kept but text, emphasis, `rowspan` and `colspan`, every number is
bounded, so that no table can grow beyond what was written, and reading takes linear time. The
standard library's `html.parser` is not used: it raises on some malformed declarations and needs
quadratic time for unclosed tags (half a minute for 120 kB of `<td a=`). What looks like a tag of
tables or of inline marks is one; any other `<` is text. Text, HTML and DOCX build on the cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_SPAN = 200
MAX_COLUMNS = 400
MAX_GRID_CELLS = 200_000

TAG_NAMES = (
    "a|abbr|b|big|blockquote|body|br|caption|center|code|col|colgroup|div|em|figcaption|figure|font|h[1-6]|head|hr"
    "|html|i|iframe|img|li|link|meta|object|ol|p|pre|s|script|small|span|strike|strong|style|sub|sup|svg|table"
    "|tbody|td|tfoot|th|thead|tr|u|ul"
)

INLINE_TAGS = frozenset({"b", "strong", "i", "em", "u", "sub", "sup", "br"})

_TAG = re.compile(rf"<(/?)({TAG_NAMES})(?![\w:-])([^<>]*)>", re.IGNORECASE)
_SPAN = re.compile(r"\b(rowspan|colspan)\s{0,9}=\s{0,9}[\"']?\s{0,9}([0-9]{1,6})(?![0-9])", re.IGNORECASE)
_TABLE = re.compile(r"<table\b[^<>]*>.*?(?:</table\s*>|\Z)", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True)
class Cell:
    """A table cell: its text with inline markup as written, its spans, and whether it is a heading."""

    text: str = ""
    rowspan: int = 1
    colspan: int = 1
    header: bool = False


@dataclass(slots=True)
class Table:
    """The rows of a table as they were written; a cell that spans stands where it begins."""

    rows: list[list[Cell]] = field(default_factory=list)

    def placed(self) -> tuple[int, int, list[tuple[int, int, Cell]]]:
        """`(rows, columns, [(row, column, cell), …])` on a grid, spans cut where they would overlap.

        Cells beyond `MAX_COLUMNS` columns or `MAX_GRID_CELLS` grid places are left out.
        """
        taken: set[tuple[int, int]] = set()
        placed: list[tuple[int, int, Cell]] = []
        height = len(self.rows)
        width = 0
        for r, row in enumerate(self.rows):
            c = 0
            for cell in row:
                while (r, c) in taken:
                    c += 1
                if c >= MAX_COLUMNS or len(taken) >= MAX_GRID_CELLS:
                    break
                cell = _fitted(cell, r, c, height, taken)
                taken.update((r + i, c + j) for i in range(cell.rowspan) for j in range(cell.colspan))
                placed.append((r, c, cell))
                width = max(width, c + cell.colspan)
                c += cell.colspan
        return height, width, placed


def _fitted(cell: Cell, row: int, column: int, height: int, taken: set[tuple[int, int]]) -> Cell:
    """The cell with its spans cut to the table and to what is free."""
    rowspan = min(cell.rowspan, height - row)
    colspan = 1
    limit = min(cell.colspan, MAX_COLUMNS - column, max(1, (MAX_GRID_CELLS - len(taken)) // rowspan))
    while colspan < limit and (row, column + colspan) not in taken:
        colspan += 1
    return Cell(cell.text, rowspan, colspan, cell.header)


class _Builder:
    """Collects rows and cells; a table inside a cell gives its text to that cell."""

    def __init__(self) -> None:
        self.rows: list[list[Cell]] = []
        self._cell: Cell | None = None
        self._parts: list[str] = []
        self._depth = 0

    def text(self, data: str) -> None:
        if self._cell is not None:
            self._parts.append(data)

    def start(self, tag: str, attributes: str) -> None:
        if tag == "table":
            self._depth += 1
        elif self._depth > 1:
            self.text(" ")
        elif tag == "tr":
            self.close_cell()
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.close_cell()
            spans = {name.lower(): int(value) for name, value in _SPAN.findall(attributes)}
            rowspan, colspan = (min(max(1, spans.get(name, 1)), MAX_SPAN) for name in ("rowspan", "colspan"))
            self._cell = Cell("", rowspan, colspan, header=tag == "th")

    def end(self, tag: str) -> None:
        if tag == "table":
            self._depth = max(0, self._depth - 1)
        elif self._depth <= 1 and tag in {"td", "th", "tr"}:
            self.close_cell()

    def close_cell(self) -> None:
        if self._cell is None:
            return
        self._cell.text = " ".join("".join(self._parts).split())
        if not self.rows:
            self.rows.append([])
        self.rows[-1].append(self._cell)
        self._cell = None
        self._parts = []


def parse_table(source: str) -> Table:
    """The cells of one `<table>`. Anything is accepted; rows without cells are left out."""
    builder = _Builder()
    position = 0
    for tag in _TAG.finditer(source):
        builder.text(source[position : tag.start()])
        position = tag.end()
        name = tag[2].lower()
        if name in INLINE_TAGS:
            builder.text(f"<{tag[1]}{name}>")
        elif tag[1]:
            builder.end(name)
        else:
            builder.start(name, tag[3])
    builder.text(source[position:])
    builder.close_cell()
    return Table([row for row in builder.rows if row])


def split_tables(text: str) -> Iterator[str | Table]:
    """The text in order, every `<table>…</table>` in it as a `Table`; one cut off runs to the end."""
    position = 0
    for match in _TABLE.finditer(text):
        if before := text[position : match.start()]:
            yield before
        yield parse_table(match[0])
        position = match.end()
    if rest := text[position:]:
        yield rest
