"""Tables without rules whose rows go on past the area in which they were seen, and such as need no network.

A network that looks at a reduced page often takes a part of a wide table's columns for all. Lines beside
the area that stand level with its rows belong to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from airgap.layout.lines import TextLine, median_height
from airgap.layout.regions import rows as text_rows
from airgap.layout.rulings import Place
from airgap.layout.running_text import stacked_share
from airgap.layout.tables import RuledTable, aligned_cells

MAX_GAP = 8.0
"""Line heights between a table and a further column of it."""
LEVEL, MOSTLY_LEVEL = 0.35, 0.9
MIN_ROWS, MIN_SHARE = 4, 0.25
"""Rows of a table from which it may be widened, and the share of them that a further column has to meet."""
MAX_STACKED = 0.3
MIN_CLEAN_ROWS, MIN_CLEAN_COLUMNS = 6, 3


def widened(
    place: Place, lines: Sequence[TextLine], loose: Sequence[TextLine]
) -> tuple[Place, list[TextLine]]:
    """A table's place and its lines, with the columns beside it that go on in its rows."""
    inside = list(lines)
    rows = text_rows(inside)
    if len(rows) < MIN_ROWS:
        return place, inside
    middles = [sum(line.middle for line in row) / len(row) for row in rows]
    height = median_height(inside)
    taken = {id(line) for line in inside}
    beside = [o for o in loose if id(o) not in taken and place[1] <= o.middle <= place[3]]
    while column := _next_column(place, beside, height):
        if not _goes_on(column, middles, height):
            break
        inside += column
        place = (
            min(place[0], *(line.x0 for line in column)),
            place[1],
            max(place[2], *(line.x1 for line in column)),
            place[3],
        )
        taken = {id(line) for line in column}
        beside = [line for line in beside if id(line) not in taken]
    return place, inside


def _next_column(place: Place, beside: Sequence[TextLine], height: float) -> list[TextLine]:
    """The lines of the nearest column left or right of a place; none where none is near."""
    gaps = [(max(line.x0 - place[2], place[0] - line.x1), line) for line in beside]
    near = [(gap, line) for gap, line in gaps if gap < MAX_GAP * height]
    if not near:
        return []
    first = min(near, key=lambda found: found[0])[1]
    x0, x1 = first.x0, first.x1
    column: list[TextLine] = []
    for line in sorted(beside, key=lambda line: abs(line.x0 - first.x0)):
        if min(line.x1, x1) > max(line.x0, x0):
            column.append(line)
            x0, x1 = min(x0, line.x0), max(x1, line.x1)
    return column


def _goes_on(column: Sequence[TextLine], middles: Sequence[float], height: float) -> bool:
    """Whether a column's lines stand in the rows of a table, and are not a text beside it."""
    level = sum(min(abs(line.middle - middle) for middle in middles) < LEVEL * height for line in column)
    enough = len(column) >= max(2, MIN_SHARE * len(middles))
    return enough and level >= MOSTLY_LEVEL * len(column) and stacked_share(column, 4) < MAX_STACKED


def clean_grid(lines: Sequence[TextLine]) -> RuledTable | None:
    """The table that lines form by themselves: each row begins in the first column, each cell has one line.

    None where a cell may be wrapped or span others, which is for a network to see.
    """
    rows = text_rows(lines)
    if len(rows) < MIN_CLEAN_ROWS or any(len(row) < 2 for row in rows):
        return None
    cells = aligned_cells(rows)
    if cells is None or len(cells[0]) < MIN_CLEAN_COLUMNS:
        return None
    if any(not row[0] for row in cells) or any(len(cell) > 1 for row in cells for cell in row):
        return None
    extents = [[line for row in cells for line in row[k]] for k in range(len(cells[0]))]
    ends = [(min(line.x0 for line in column), max(line.x1 for line in column)) for column in extents]
    if any(right[0] <= left[1] for left, right in pairwise(ends)):
        return None
    return RuledTable([[(cell, 1, 1) for cell in row] for row in cells])
