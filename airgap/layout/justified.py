"""Words that justification has set far apart, found as lines of their own, put together again.

In a narrow measure a justified line has gaps as wide as those between columns. It is told from a row of cells
by the lines above and below it: they fill the same measure, from edge to edge.

Works on places alone; asks for no characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from airgap.layout.lines import Row, TextLine
from airgap.layout.rulings import Place
from airgap.layout.running_text import MIN_CAPACITY, SAME_HEIGHT

EDGE = 1.0
"""Line heights by which lines of one measure may begin or end apart."""
LEVEL, PITCH = 0.35, 2.0
"""Line heights up to which words stand in one row, and between the middles of two rows."""
WIDEST_GAP = 4.0
MEASURE_REACH = 4
"""Row pitches within which another full line has to confirm the measure."""
MOST_PASSES = 8
"""How many torn lines in a row may hang on one that is whole."""


def torn_rows(lines: Sequence[TextLine]) -> list[Row]:
    """The pieces of each line that was torn, from left to right."""
    found: dict[int, Row] = {}
    full = [line.place for line in lines if line.capacity >= MIN_CAPACITY]
    taken: set[int] = set()
    fresh = list(full)
    for _ in range(MOST_PASSES):
        added = []
        for place in sorted(fresh, key=lambda place: place[0] - place[2]):
            if not _is_confirmed(place, full):
                continue
            for row in _rows_beside(place, [line for line in lines if id(line) not in taken]):
                taken.update(id(line) for line in row)
                found[id(row[0])] = row
                added.append(around(row))
        if not added:
            break
        full += added
        fresh = added
    return list(found.values())


def around(row: Row) -> Place:
    """The place of a row of lines, from left to right."""
    return row[0].x0, min(line.y0 for line in row), row[-1].x1, max(line.y1 for line in row)


def _same_measure(a: Place, b: Place) -> bool:
    slack = EDGE * (a[3] - a[1])
    return abs(a[0] - b[0]) < slack and abs(a[2] - b[2]) < slack


def _is_confirmed(place: Place, full: Sequence[Place]) -> bool:
    """Whether another full line near by has the same edges."""
    reach = MEASURE_REACH * PITCH * (place[3] - place[1])
    return any(
        other is not place and _same_measure(place, other) and 0 < abs(other[1] - place[1]) < reach
        for other in full
    )


def _rows_beside(place: Place, lines: Sequence[TextLine]) -> list[Row]:
    """The torn lines right above and right below a full one."""
    height = place[3] - place[1]
    middle = (place[1] + place[3]) / 2
    near = [
        line
        for line in lines
        if place[0] - EDGE * height < line.x0
        and line.x1 < place[2] + EDGE * height
        and 0.5 * height < abs(line.middle - middle) < PITCH * height
        and SAME_HEIGHT < line.height / height < 1 / SAME_HEIGHT
    ]
    rows = []
    for side in (-1, 1):
        there = sorted((line for line in near if side * (line.middle - middle) > 0), key=lambda o: o.x0)
        first = min((abs(line.middle - middle) for line in there), default=0.0)
        row = [line for line in there if abs(line.middle - middle) < first + LEVEL * height]
        if _is_torn(row, place, height):
            rows.append(row)
    return rows


def _is_torn(row: Row, place: Place, height: float) -> bool:
    if len(row) < 2 or not _same_measure(place, around(row)):
        return False
    return all(
        0 < right.x0 - left.x1 + EDGE * height / 2 < WIDEST_GAP * height for left, right in pairwise(row)
    )
