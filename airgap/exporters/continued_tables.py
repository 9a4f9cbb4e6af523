"""Tables that run over several pages, joined where the document is given as a whole.

A table goes on where one ends a page's text and one begins the next page's, with as many columns, and the
next repeats the headings, or has none and fills the same measure with cells of the same kinds. Pages by
themselves, and JSON, keep the tables as they were printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from typing_extensions import TypedDict

from airgap.core.document import Block, Box, Document, Page
from airgap.core.folding import folded
from airgap.exporters.furniture import is_furniture
from airgap.exporters.html_tables import Cell, Table, split_tables
from airgap.layout.tables import span_attributes

SAME_HEADING = 0.85
"""Of two rows, how alike what they say must be for them to be one heading that is printed again."""
SAME_MEASURE = 0.03
"""How far the sides of two tables may differ, against the page's width."""
NUMERIC = 0.5
MAX_CELLS = 10_000
NOTE = "[The table of page {page} goes on here; it is given whole there.]"
NOTE_LABEL = "table_note"
_CONTINUED = re.compile(
    r"continued|cont['’]d|fortsetzung|suite|продолжение|continuación|[续續接]", re.IGNORECASE
)
_MAX_REMARK = 120


@dataclass(frozen=True, slots=True)
class Continuation:
    """A table and the one that it goes on. `page` and `block` are indexes; `headings` rows are repeated."""

    page: int
    block: int
    of_page: int
    of_block: int
    headings: int


class ContinuedTableJson(TypedDict):
    """The table in `block` (from 0) of `page` (its number) goes on that in `of_block` of `of_page`."""

    page: int
    block: int
    of_page: int
    of_block: int


def continued_tables(document: Document) -> list[Continuation]:
    """Those tables that go on one of the page before."""
    found = []
    for index in range(1, len(document.pages)):
        before, after = document.pages[index - 1], document.pages[index]
        last = _first_table(before, reversed(range(len(before.blocks))))
        first = _first_table(after, range(len(after.blocks)))
        if last is None or first is None:
            continue
        same_measure = _same_measure(before, last[0], after, first[0])
        headings = _headings_repeated(last[1], first[1], same_measure)
        if headings is not None:
            found.append(Continuation(index, first[0], index - 1, last[0], headings))
    return found


def continued_tables_to_list(document: Document) -> list[ContinuedTableJson]:
    """JSON-ready."""
    pages = document.pages
    return [
        {
            "page": pages[one.page].number,
            "block": one.block,
            "of_page": pages[one.of_page].number,
            "of_block": one.of_block,
        }
        for one in continued_tables(document)
    ]


def with_joined_tables(document: Document) -> Document:
    """The document with each such table whole where it begins, and a note where it goes on."""
    blocks = {index: list(page.blocks) for index, page in enumerate(document.pages)}
    begins: dict[tuple[int, int], tuple[int, int]] = {}
    wholes: dict[tuple[int, int], list[Sequence[Cell]]] = {}
    for one in continued_tables(document):
        here = one.page, one.block
        page, block = begins.get((one.of_page, one.of_block), (one.of_page, one.of_block))
        whole = wholes.get((page, block)) or _rows(blocks[page][block])
        more = _rows(blocks[one.page][one.block])
        if _cells(whole) + _cells(more) > MAX_CELLS:
            continue
        wholes[page, block], begins[here] = [*whole, *more[one.headings :]], (page, block)
        note = NOTE.format(page=document.pages[page].number)
        blocks[one.page][one.block] = Block(NOTE_LABEL, note, blocks[one.page][one.block].boxes)
    if not begins:
        return document
    for (page, block), rows in wholes.items():
        blocks[page][block] = replace(blocks[page][block], text=_to_html(rows))
    pages = tuple(replace(page, blocks=tuple(blocks[index])) for index, page in enumerate(document.pages))
    return replace(document, pages=pages)


def _first_table(page: Page, order: Iterable[int]) -> tuple[int, Table] | None:
    """The table that no text stands before, in an order of a page's blocks, and the index of its block."""
    if page.status == "failed":
        return None
    for index in order:
        block = page.blocks[index]
        table = _table(block)
        if table is not None:
            return index, table
        if not (is_furniture(block) or _is_remark(block)):
            return None
    return None


def _is_remark(block: Block) -> bool:
    """Whether it says that a table is continued, or is empty."""
    text = block.text.strip()
    return not text or (len(text) <= _MAX_REMARK and bool(_CONTINUED.search(text)))


def _table(block: Block) -> Table | None:
    """The table that a block consists of; None where it holds anything else."""
    if "<table" not in block.text[:40].lower():
        return None
    parts = [part for part in split_tables(block.text) if isinstance(part, Table) or part.strip()]
    table = parts[0] if len(parts) == 1 else None
    return table if isinstance(table, Table) and table.rows else None


def _rows(block: Block) -> Sequence[Sequence[Cell]]:
    table = _table(block)
    return table.rows if table is not None else ()


def _headings_repeated(one: Table, other: Table, same_measure: bool) -> int | None:
    """How many rows of headings the second table has again; None where it is another table."""
    columns = one.placed()[1]
    if columns != other.placed()[1] or columns < 2:
        return None
    repeated = 0
    depth = _heading_depth(one.rows[0])
    for mine, its in zip(one.rows[:depth], other.rows[:depth], strict=False):
        if not _says_the_same(mine, its):
            break
        repeated += 1
    if repeated and repeated < len(other.rows):
        return repeated
    has_headings = any(cell.header for cell in other.rows[0])
    kinds = _kinds(one)
    return 0 if same_measure and not has_headings and any(kinds) and kinds == _kinds(other) else None


def _heading_depth(first: Sequence[Cell]) -> int:
    """How many rows the headings take that begin with this one: what spans columns heads those below it."""
    below = any(cell.colspan > 1 for cell in first) and len(first) > 1
    return max(1 + below, *(cell.rowspan for cell in first))


def _says_the_same(one: Sequence[Cell], other: Sequence[Cell]) -> bool:
    mine, its = ("|".join(folded(cell.text) for cell in row) for row in (one, other))
    if len(one) != len(other) or not any(character.isalpha() for character in mine):
        return False
    return SequenceMatcher(None, mine, its, autojunk=False).ratio() >= SAME_HEADING


def _same_measure(before: Page, last: int, after: Page, first: int) -> bool:
    one, other = before.blocks[last].boxes, after.blocks[first].boxes
    if not one or not other or not before.width or not after.width:
        return False
    a, b = Box.around(one), Box.around(other)
    sides = ((a.x0 / before.width, b.x0 / after.width), (a.x1 / before.width, b.x1 / after.width))
    return all(abs(left - right) <= SAME_MEASURE for left, right in sides)


def _kinds(table: Table) -> tuple[bool, ...]:
    """Of each column whether most of its cells are figures."""
    _, columns, placed = table.placed()
    figures, filled = [0] * columns, [0] * columns
    for _, column, cell in placed:
        text = "".join(character for character in cell.text if character.isalnum())
        filled[column] += bool(text)
        figures[column] += bool(text) and sum(c.isdigit() for c in text) > len(text) / 2
    return tuple(count > NUMERIC * max(1, all_) for count, all_ in zip(figures, filled, strict=True))


def _cells(rows: Sequence[Sequence[Cell]]) -> int:
    return sum(len(row) for row in rows)


def _to_html(rows: Sequence[Sequence[Cell]]) -> str:
    written = ["".join(map(_cell_html, row)) for row in rows]
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in written)}</table>"


def _cell_html(cell: Cell) -> str:
    tag = "th" if cell.header else "td"
    return f"<{tag}{span_attributes(cell.rowspan, cell.colspan)}>{cell.text}</{tag}>"
