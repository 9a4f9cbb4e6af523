"""Rows of aligned lines, or a ruled grid with lines in it → one HTML table."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, pairwise
from statistics import mean, median

from airgap.core.folding import folded
from airgap.layout.lines import Row, TextLine, runs_to_the_left
from airgap.layout.literal import escaped_cell
from airgap.layout.regions import rows as text_rows
from airgap.layout.rulings import Grid

MIN_ROWS = 3
MAX_COLUMNS = 40
MIN_FILLED = 0.55
"""The least share of cells with text, below which rows are not taken for a table."""

NUMBERED = re.compile(r"(\d{1,3})[.)]?\s+(\D.*)")
MOSTLY = 0.8
MIN_LINES = 4
MIN_FILLED_RULED = 0.25
WORDS_CAPACITY = 14.0
WORDS_LEVEL, FIGURES_LEVEL = 0.85, 0.5
"""How many of the cells have a line on each printed row, for these to be rows of a table: columns of
figures may have gaps, while words that are merely wrapped stand level here and there as well."""
LEAST_PART = 0.6
"""How far a line must reach beyond a rule for there to be text on the other side, in line heights."""
RULE_WIDTH = 0.1
LIKE_A_RULE = frozenset("[]|")
"""What a rule is read as; not letters, figures and the signs around them, though it may be read so."""
BETWEEN, FEWEST_CENTRED = 0.3, 2
"""How far, in heights, a line centred in its cell is off all printed rows, and how many such cells right of
wrapped ones tell that these are wrapped: one, or one left of them, may be a group's name beside its rows."""
PROSE_CAPACITY, PROSE_LINES = 18.0, 6
"""A cell with so many lines of so many characters is a framed text."""

Cells = list[list[list[TextLine]]]
"""Rows of columns of the lines in a cell."""


def aligned_cells(rows: Sequence[Row]) -> Cells | None:
    """Rows of at least `MIN_ROWS` whose lines fall into common columns; None where they do not."""
    if len(rows) < MIN_ROWS:
        return None
    columns = _columns(line for row in rows for line in row)
    lines = sum(len(row) for row in rows)
    if not 2 <= len(columns) <= MAX_COLUMNS or lines / (len(columns) * len(rows)) < MIN_FILLED:
        return None
    cells: Cells = []
    for row in rows:
        cells.append([[] for _ in columns])
        for line in row:
            overlaps = [min(end, line.x1) - max(start, line.x0) for start, end in columns]
            cells[-1][overlaps.index(max(overlaps))].append(line)
    return cells


def headed_table(cells: Cells, heads: Sequence[Row]) -> RuledTable | None:
    """Rows of cells under rows of headings, each over one column or several; None where headings fit none.

    A column is headed by the line of a row that is nearest to it, the first one only by a line over it.
    """
    columns = _extents(cells)
    if heads and not _are_headings(heads, cells, columns):
        return None
    rows = [_heading_cells(head, columns) for head in heads]
    if any(row is None for row in rows):
        return None
    body = [[(cell, 1, 1) for cell in row] for row in cells]
    return RuledTable([*(row for row in rows if row is not None), *body])


def _are_headings(heads: Sequence[Row], cells: Cells, columns: Sequence[tuple[float, float]]) -> bool:
    """Whether the first row leaves the first column free, as no title does, and one has several headings."""
    has_several = any(len(head) > 1 for head in heads) or not cells[0][0]
    return heads[0][0].x0 > columns[0][1] and has_several


def _extents(cells: Cells) -> list[tuple[float, float]]:
    """How far each column reaches."""
    columns = [[line for cell in column for line in cell] for column in zip(*cells, strict=True)]
    return [(min(line.x0 for line in lines), max(line.x1 for line in lines)) for lines in columns]


def _away(column: tuple[float, float], line: TextLine) -> tuple[float, float]:
    gap = max(0.0, line.x0 - column[1], column[0] - line.x1)
    return gap, abs(line.x0 + line.x1 - column[0] - column[1])


def _heading_cells(
    head: Row, columns: Sequence[tuple[float, float]]
) -> list[tuple[list[TextLine], int, int]] | None:
    nearest = [min(head, key=partial(_away, column)) for column in columns]
    result: list[tuple[list[TextLine], int, int]] = []
    if _away(columns[0], nearest[0])[0] > 0:
        result.append(([], 1, 1))
        nearest = nearest[1:]
    for line, group in groupby(nearest, key=id):
        count = len(list(group))
        result.append(([member for member in head if id(member) == line], 1, count))
    placed = [member for cell, _, _ in result for member in cell]
    return result if len(placed) == len(head) else None


def with_numbers_apart(cells: Cells) -> Cells:
    """The cells; numbers that count up at the beginning of the first column in a column of their own."""
    firsts = [" ".join(line.text for line in row[0]) for row in cells]
    numbered = [NUMBERED.fullmatch(text) for text in firsts]
    values = [int(found[1]) for found in numbered if found]
    counts_up = len(values) >= MIN_ROWS and all(b == a + 1 for a, b in pairwise(values))
    if not counts_up or len(values) < MOSTLY * len(cells) or any(len(row[0]) > 1 for row in cells):
        return cells
    return [
        [*(_parted(row[0][0], found) if found else ([], row[0])), *row[1:]]
        for row, found in zip(cells, numbered, strict=True)
    ]


def _parted(line: TextLine, found: re.Match[str]) -> tuple[list[TextLine], list[TextLine]]:
    """A line in two, cut between its number and its words about where the characters are."""
    cut = line.x0 + line.width * found.end(1) / len(line.text)
    number = TextLine.known((line.x0, line.y0, cut, line.y1), found[1])
    return [number], [TextLine.known((cut, line.y0, line.x1, line.y1), found[2])]


def _columns(lines: Iterable[TextLine]) -> list[tuple[float, float]]:
    """Horizontal spans that lines share, from left to right."""
    spans: list[list[float]] = []
    for line in sorted(lines, key=lambda line: line.x0):
        for span in spans:
            if min(span[1], line.x1) - max(span[0], line.x0) > 0.3 * min(span[1] - span[0], line.width):
                span[0], span[1] = min(span[0], line.x0), max(span[1], line.x1)
                break
        else:
            spans.append([line.x0, line.x1])
    return [(start, end) for start, end in sorted(spans)]


def to_html(cells: Cells) -> str:
    """The table as HTML, its text escaped; lines within a cell are joined by a space."""
    return "<table>" + "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in cells) + "</table>"


def _cell(lines: Sequence[TextLine], rowspan: int = 1, colspan: int = 1) -> str:
    text = " ".join(line.text for line in lines if line.text)
    return f"<td{span_attributes(rowspan, colspan)}>{escaped_cell(text)}</td>"


def span_attributes(rowspan: int, colspan: int) -> str:
    """What a cell's element says of how far it goes, in HTML."""
    spans = f' rowspan="{rowspan}"' if rowspan > 1 else ""
    return spans + (f' colspan="{colspan}"' if colspan > 1 else "")


@dataclass
class _Cell:
    """A cell of a ruled table: the grid's rows and columns it spans, its lines, and these by printed row
    where a row of the grid holds several."""

    top: int
    left: int
    bottom: int
    right: int
    lines: list[TextLine] = field(default_factory=list)
    parts: list[list[TextLine]] | None = None


@dataclass(frozen=True)
class RuledTable:
    """A table planned from places alone; `to_html` waits for its lines to be read."""

    rows: list[list[tuple[list[TextLine], int, int]]]
    """Rows of cells: the lines, the rows and the columns it spans."""

    def in_order(self, lines: Sequence[TextLine]) -> list[TextLine]:
        """Lines row by row and cell by cell, as they are read and copied; those in no cell come last."""
        placed = [line for row in self.rows for cell, _, _ in row for line in cell]
        places = {id(line): place for place, line in enumerate(placed)}
        return sorted(lines, key=lambda line: places.get(id(line), len(placed)))

    def to_html(self) -> str:
        """The table as HTML, its text escaped; the first column is the one that is read first."""
        texts = (line.text for row in self.rows for lines, _, _ in row for line in lines)
        step = -1 if runs_to_the_left(texts) else 1
        body = ("".join(_cell(*cell) for cell in row[::step]) for row in self.rows)
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in body)}</table>"


def parted_at_rules(
    grid: Grid, lines: Sequence[TextLine], part: Callable[[TextLine, float, float], TextLine]
) -> list[TextLine]:
    """The lines, those that run over a rule between two cells in their parts on either side.

    `part` gives the piece of a line between two x. A rule at a line's end that was read as a sign is cut off.
    A line whose parts do not say what it says stays whole: what looks like a rule may be a letter's stroke.
    """
    result = []
    for line in lines:
        row = min(len(grid.ys) - 2, max(0, bisect_right(grid.ys, line.middle) - 1))
        between = [x for column, x in enumerate(grid.xs[1:-1]) if grid.right_of[row, column]]
        within = [x for x in (grid.xs[0], *between, grid.xs[-1]) if line.x0 < x < line.x1]
        least = LEAST_PART * line.height
        rules = [x for x in within if line.x0 + least < x < line.x1 - least]
        first = max((x for x in within if x <= line.x0 + least), default=line.x0)
        last = min((x for x in within if x >= line.x1 - least), default=line.x1)
        if rules or (within and _begins_or_ends_in_a_rule(line, first, last)):
            inset = RULE_WIDTH * line.height
            edges = pairwise([first, *rules, last])
            parts = [part(line, a + inset * (a > line.x0), b - inset * (b < line.x1)) for a, b in edges]
            result += parts if _say_the_same(line, parts) else [line]
        else:
            result.append(line)
    return result


def _say_the_same(line: TextLine, parts: Sequence[TextLine]) -> bool:
    """Whether nothing of a line but rules is lost or changed by cutting it; waits for all."""
    futures = [member.start() for member in parts]
    said = folded("".join(future.result().text for future in futures))
    whole = folded(line.start().result().text)
    return bool(said) and _without_rules(said) == _without_rules(whole)


def _without_rules(text: str) -> str:
    return "".join(character for character in text if character not in LIKE_A_RULE)


def _begins_or_ends_in_a_rule(line: TextLine, first: float, last: float) -> bool:
    """Whether a sign that looks like a rule was read where there is one; waits for the line."""
    text = line.start().result().text
    return (first > line.x0 and text[:1] in LIKE_A_RULE) or (last < line.x1 and text[-1:] in LIKE_A_RULE)


def plan_table(grid: Grid, lines: Sequence[TextLine]) -> RuledTable | None:
    """The lines inside a grid as a table; None where the rules are a frame around text, or a figure."""
    cells = _ruled_cells(grid)
    for line in lines:
        row = min(len(grid.ys) - 2, max(0, bisect_right(grid.ys, line.middle) - 1))
        column = min(len(grid.xs) - 2, max(0, bisect_right(grid.xs, (line.x0 + line.x1) / 2) - 1))
        cells[row, column].lines.append(line)
    for cell in {id(cell): cell for cell in cells.values()}.values():
        cell.lines = [line for row in text_rows(cell.lines) for line in row]
    _part_rows(cells, grid)
    distinct = list({id(cell): cell for cell in cells.values()}.values())
    filled = [cell for cell in distinct if cell.lines]
    if len(lines) < MIN_LINES or len({cell.left for cell in filled}) < 2:
        return None
    framed = sum(len(cell.lines) for cell in filled if _is_framed_text(cell))
    is_thin = len(filled) < MIN_FILLED_RULED * len(distinct) and not _is_form(cells, grid)
    if is_thin or framed > 0.5 * len(lines):
        return None
    used = {column for cell in filled for column in range(cell.left, cell.right + 1)}
    return RuledTable([row for top in range(len(grid.ys) - 1) for row in _plan_rows(top, cells, used)])


def _part_rows(cells: dict[tuple[int, int], _Cell], grid: Grid) -> None:
    """Part a cell that is several rows high but has text in each of them: a rule was too faint to be seen."""
    for cell in list({id(cell): cell for cell in cells.values() if cell.bottom > cell.top}.values()):
        by_row: dict[int, list[TextLine]] = {row: [] for row in range(cell.top, cell.bottom + 1)}
        for line in cell.lines:
            by_row[min(cell.bottom, max(cell.top, bisect_right(grid.ys, line.middle) - 1))].append(line)
        if all(by_row.values()):
            for row, lines in by_row.items():
                part = _Cell(row, cell.left, row, cell.right, lines)
                cells.update({(row, column): part for column in range(cell.left, cell.right + 1)})


def _is_form(cells: dict[tuple[int, int], _Cell], grid: Grid) -> bool:
    """Whether a grid is a table that is to be filled in: its first row and its first column have text."""
    columns, rows = range(len(grid.xs) - 1), range(len(grid.ys) - 1)
    used_columns = [column for column in columns if any(cells[row, column].lines for row in rows)]
    used_rows = [row for row in rows if any(cells[row, column].lines for column in columns)]
    return (
        len(used_columns) > 1
        and len(used_rows) > 1
        and all(cells[used_rows[0], column].lines for column in used_columns)
        and all(cells[row, used_columns[0]].lines for row in used_rows)
    )


def _is_framed_text(cell: _Cell) -> bool:
    return sum(line.capacity >= PROSE_CAPACITY for line in cell.lines) >= PROSE_LINES


def _ruled_cells(grid: Grid) -> dict[tuple[int, int], _Cell]:
    """Each place of the grid with its cell; a rectangle of places with no rule between them shares one."""
    rows, columns = len(grid.ys) - 1, len(grid.xs) - 1
    cells: dict[tuple[int, int], _Cell] = {}
    for top in range(rows):
        for left in range(columns):
            if (top, left) in cells:
                continue
            right = left
            while right < columns - 1 and not grid.right_of[top, right] and (top, right + 1) not in cells:
                right += 1
            bottom = top
            while bottom < rows - 1 and _is_open(grid, bottom, left, right, cells):
                bottom += 1
            cell = _Cell(top, left, bottom, right)
            cells.update({(r, c): cell for r in range(top, bottom + 1) for c in range(left, right + 1)})
    return cells


def _is_open(grid: Grid, row: int, left: int, right: int, cells: dict[tuple[int, int], _Cell]) -> bool:
    """Whether a cell that ends at `row` goes on in the next one over the same columns."""
    if grid.below[row, left : right + 1].any() or any((row + 1, c) in cells for c in range(left, right + 1)):
        return False
    inner = not grid.right_of[row + 1, left:right].any()
    left_edge = left == 0 or bool(grid.right_of[row + 1, left - 1])
    return inner and left_edge and (right == len(grid.xs) - 2 or bool(grid.right_of[row + 1, right]))


def _plan_rows(
    row: int, cells: dict[tuple[int, int], _Cell], used: set[int]
) -> list[list[tuple[list[TextLine], int, int]]]:
    """One row of the grid: none where it is empty, several where it holds printed rows without rules."""
    if not _has_row(row, cells):
        return []
    starting = {id(cell): cell for (r, _), cell in cells.items() if r == row == cell.top}.values()
    parts = _split([cell for cell in starting if cell.bottom == row and cell.lines])
    result = []
    for part in range(parts):
        planned = []
        for cell in sorted(starting, key=lambda cell: cell.left):
            across = sum(column in used for column in range(cell.left, cell.right + 1))
            if across and cell.parts is not None:
                planned.append((cell.parts[part], 1, across))
            elif across and part == 0:
                below = sum(_has_row(r, cells) for r in range(row + 1, cell.bottom + 1))
                planned.append((cell.lines, parts + below, across))
        result.append(planned)
    return result


def _has_row(row: int, cells: dict[tuple[int, int], _Cell]) -> bool:
    return any(cell.top == row and r == row for (r, _), cell in cells.items()) and any(
        cell.lines for (r, _), cell in cells.items() if r == row
    )


def _stands_between(cell: _Cell, printed: Sequence[Row]) -> bool:
    """Whether the one line of a cell is level with none of the printed rows: they are one, wrapped."""
    if len(cell.lines) != 1:
        return False
    line = cell.lines[0]
    middles = [mean(other.middle for other in row) for row in printed]
    return min(abs(line.middle - middle) for middle in middles) > BETWEEN * line.height


def _split(cells: Sequence[_Cell]) -> int:
    """How many printed rows stand in one row of the grid; sets `parts` of the cells that have them.

    Several cells whose lines stand level are rows without rules between them; text that is merely
    wrapped stands level in two cells at most, and not for long.
    """
    tall = [cell for cell in cells if len(text_rows(cell.lines)) >= 2]
    if len(tall) < 2 or (len(tall) < 3 and len(tall) < len(cells)):
        return 1
    printed = text_rows([line for cell in tall for line in cell.lines])
    leftmost = min(cell.left for cell in tall)
    if sum(_stands_between(cell, printed) and cell.left > leftmost for cell in cells) >= FEWEST_CENTRED:
        return 1
    of_line = {id(line): index for index, row in enumerate(printed) for line in row}
    levels = [{of_line[id(line)] for line in cell.lines} for cell in tall]
    level = mean(sum(index in own for own in levels) for index in range(len(printed))) / len(tall)
    are_words = median(line.capacity for cell in tall for line in cell.lines) >= WORDS_CAPACITY
    if level < (WORDS_LEVEL if are_words or len(tall) < 3 else FIGURES_LEVEL):
        return 1
    if len(tall) < 3 and len(printed) < 4:
        return 1
    for cell in tall:
        cell.parts = [[] for _ in printed]
        for line in cell.lines:
            cell.parts[of_line[id(line)]].append(line)
    return len(printed)
