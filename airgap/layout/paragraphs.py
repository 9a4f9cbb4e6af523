"""The rows of a region → headings, paragraphs with their hyphenation joined, and tables, one by one."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airgap.layout.items import Indents, is_entry
from airgap.layout.lines import WIDE_FROM, Inset, Row, TextLine, said
from airgap.layout.literal import escaped
from airgap.layout.regions import Region
from airgap.layout.tables import Cells, aligned_cells, headed_table, with_numbers_apart

TITLE_HEIGHT, HEADING_HEIGHT = 1.9, 1.35
"""Line heights, relative to the body's, from which a short line is a title or a heading."""
MAX_HEADING_LENGTH = 120
MAX_HEADS, MIN_FIRST_COLUMN, MAX_HEAD_GAP = 4, 4.0, 1.5
MAX_TABLE_FAILURES = 5
"""How many beginnings of a table are tried in one run of rows; bounds the work on a long form."""
BULLET = re.compile(r"^[•●▪◦‣·]\s*(?=\S)")
ITEM = re.compile(
    r"^(?:[•●▪◦‣·–—-]|\(?\d{1,2}[.)](?!\d)|[（(][一二三四五六七八九十\d]{1,3}[)）]|[一二三四五六七八九十]{1,3}、)\s*\S"
)
NUMBERED_HEADING = re.compile(r"[一二三四五六七八九十]{1,3}、[^。；，：！？;,:]{1,18}")
FAR_RIGHT, SHORT = 0.5, 0.3
"""Shares of a measure: a row that begins so far right and is so short does not go on back at the left."""
HYPHENATED = re.compile(r"[^\W\d_][-‐¬]$")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the page in reading order: its label, its Markdown (a table's HTML) and its lines."""

    label: str
    text: str
    lines: tuple[TextLine, ...]
    place: tuple[float, float, float, float] | None = None
    """On the straightened page, where it is more than its lines."""


def pieces(region: Region, body_height: float) -> Iterator[Piece]:
    """The pieces of a region, each as soon as its lines are read. `body_height`: the page's typical line."""
    if region.side:
        text = "\n".join(line.text for line in region.lines)
        yield Piece("line_number", text, tuple(region.lines))
        return
    if region.label is not None:
        yield from _labelled(region, region.label, body_height)
        return
    paragraph = _Paragraph(region.rows)
    rows = _ReadRows(region.rows)
    while row := rows.next():
        if isinstance(row[0], Inset):
            inset = row[0]
            yield from paragraph.end_of_list()
            yield Piece(inset.label, inset.render(), inset.lines, (inset.x0, inset.y0, inset.x1, inset.y1))
            continue
        table, text = _headed_table_at(row, rows, paragraph.x0, body_height)
        if table:
            yield from paragraph.end_of_list()
            yield Piece("table", text, tuple(line for r in table for line in r))
            paragraph.previous = table[-1]
            continue
        label = _heading_label(row, body_height)
        if label:
            yield from paragraph.add_heading(row, label)
        else:
            yield from paragraph.add(row, body_height)
    yield from paragraph.end()


def _labelled(region: Region, label: str, body_height: float) -> Iterator[Piece]:
    """A region that is one piece: its rows joined as a paragraph's; a title gets its level by its height."""
    text = ""
    for row in region.rows:
        if more := said(row):
            text = join_lines(text, more)
    if not text:
        return
    text = escaped(text)
    if label == "title":
        is_high = max(line.height for line in region.lines) > TITLE_HEIGHT * body_height
        label, text = ("title", f"# {text}") if is_high else ("sub_title", f"## {text}")
    yield Piece(label, text, tuple(region.lines))


class _ReadRows:
    """Rows without the lines on which nothing was read; each is read when it is asked for."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._source = iter(rows)
        self._waiting: deque[Row] = deque()
        self.failures = 0

    def next(self) -> Row:
        """The next row with text, or an empty one at the end."""
        if self._waiting:
            return self._waiting.popleft()
        for row in self._source:
            if kept := [line for line in row if isinstance(line, Inset) or line.text]:
                return kept
        return []

    def put_back(self, rows: Sequence[Row]) -> None:
        self._waiting.extendleft(reversed([row for row in rows if row]))


def _headed_table_at(first: Row, rows: _ReadRows, left: float, body: float) -> tuple[list[Row], str]:
    """The rows of the table that begins with `first`, headings over its columns included, and its HTML.

    `left`: where the region's text begins. Nothing is consumed where there is none.
    """
    heads: list[Row] = []
    row = first
    while _may_head(row, heads, left, body):
        table, cells = _table_at(row, rows)
        if cells is not None:
            break
        heads.append(row)
        row = rows.next()
    else:
        table, cells = _table_at(row, rows) if row else ([], None)
    if cells is not None:
        cells = with_numbers_apart(cells)
        whole = headed_table(cells, heads)
        if whole is not None and (not heads or _is_close(heads[-1], table[0], body)):
            return [*heads, *table], whole.to_html()
        table = [*heads, *table]
    if cells is None and heads:
        table = [*heads, row]
    rows.put_back(table[1:])
    return [], ""


def _may_head(row: Row, heads: Sequence[Row], left: float, body: float) -> bool:
    """Whether a row may be headings over columns: right of the first one, or close under such headings."""
    if not row or len(heads) == MAX_HEADS or any(isinstance(line, Inset) for line in row):
        return False
    is_right = row[0].x0 > left + MIN_FIRST_COLUMN * body
    return (is_right and not heads) or (bool(heads) and _is_close(heads[-1], row, body))


def _is_close(above: Row, below: Row, body: float) -> bool:
    return min(line.y0 for line in below) - max(line.y1 for line in above) < MAX_HEAD_GAP * body


def _table_at(first: Row, rows: _ReadRows) -> tuple[list[Row], Cells | None]:
    """The rows of the table that begins with `first`, and its cells; nothing is consumed where none does."""
    if len(first) < 2:
        rows.failures = 0
        return [], None
    if rows.failures == MAX_TABLE_FAILURES:
        return [], None
    table = [first]
    while len(table[-1]) >= 2:
        table.append(rows.next())
    after = table.pop()
    if cells := aligned_cells(table):
        rows.put_back([after])
        return table, cells
    rows.put_back([*table[1:], after])
    rows.failures += 1
    return [], None


def _heading_label(row: Row, body_height: float) -> str | None:
    height = min(line.height for line in row)
    if len(row) == 1 and NUMBERED_HEADING.fullmatch(row[0].text):
        return "title" if height > TITLE_HEIGHT * body_height else "sub_title"
    if len(row) > 2 or height <= HEADING_HEIGHT * body_height:
        return None
    if not 2 <= sum(len(line.text) for line in row) < MAX_HEADING_LENGTH:
        return None
    return "title" if height > TITLE_HEIGHT * body_height else "sub_title"


class _Paragraph:
    """Collects rows until the next one begins something new."""

    def __init__(self, rows: Sequence[Row]) -> None:
        rows = [row for row in rows if not isinstance(row[0], Inset)]
        self.x0 = min((row[0].x0 for row in rows), default=0.0)
        self._x1 = max((line.x1 for row in rows for line in row), default=0.0)
        self._label = "text"
        self._text = ""
        self._mark = ""
        self._lines: list[TextLine] = []
        self._indents = Indents()
        self.previous: Row | None = None

    def end(self) -> Iterator[Piece]:
        if self._text:
            yield Piece(self._label, self._mark + escaped(self._text), tuple(self._lines))
        self._label, self._text, self._mark, self._lines = "text", "", "", []

    def end_of_list(self) -> Iterator[Piece]:
        """End, and let no later item belong to one before it."""
        yield from self.end()
        self._indents.end()

    def add(self, row: Row, body_height: float) -> Iterator[Piece]:
        text = said(row)
        if self._label != "text" or self._begins_new(row, text, body_height):
            yield from self.end()
            is_item = ITEM.match(text)
            text = BULLET.sub("- ", text)
            if is_item:
                self._mark = self._indents.of(row[0].x0, text, body_height)
            else:
                self._indents.end()
        self._text = join_lines(self._text, text)
        self._lines += row
        self.previous = row

    def add_heading(self, row: Row, label: str) -> Iterator[Piece]:
        text = said(row)
        continues = self._label == label and self.previous is not None
        if continues and self.previous is not None:
            gap = min(line.y0 for line in row) - max(line.y1 for line in self.previous)
            continues = gap < 0.6 * row[0].height and len(self._text) + len(text) < MAX_HEADING_LENGTH
        if not continues:
            yield from self.end_of_list()
            self._label = label
            self._text = text
            self._mark = "# " if label == "title" else "## "
        else:
            self._text = join_lines(self._text, text)
        self._lines += row
        self.previous = row

    def _begins_new(self, row: Row, text: str, body_height: float) -> bool:
        previous = self.previous
        if previous is None or len(row) > 1 or len(previous) > 1 or ITEM.match(text):
            return True
        if is_entry(text) and is_entry(previous[-1].text):
            return True
        if min(line.y0 for line in row) - max(line.y1 for line in previous) > 0.75 * body_height:
            return True
        if is_broken(self._text) and text[:1].islower():
            return False
        measure = self._x1 - self.x0
        far, back = previous[0].x0 - self.x0, row[0].x0 - self.x0
        if far > FAR_RIGHT * measure > 2 * back and previous[0].width < SHORT * measure:
            return True
        indented = row[0].x0 - self.x0 > 1.2 * body_height > abs(previous[0].x0 - self.x0)
        ends_early = previous[-1].x1 < self.x0 + 0.75 * measure
        # Lines that end level are set into a narrower measure, beside a picture for instance.
        is_level = abs(previous[-1].x1 - row[-1].x1) < 0.5 * body_height
        return indented or (ends_early and not is_level)


def is_broken(text: str) -> bool:
    """Whether it ends within a word. Looked for at the end alone: a paragraph grows line by line."""
    return HYPHENATED.search(text, max(0, len(text) - 2)) is not None


def join_lines(first: str, second: str) -> str:
    """Two lines of a paragraph as one: a word broken at the line's end is made whole."""
    if not first:
        return second
    if is_broken(first) and second[:1].islower():
        return first[:-1] + second
    if ord(first[-1]) >= WIDE_FROM and ord(second[0]) >= WIDE_FROM:
        return first + second
    return f"{first} {second}"
