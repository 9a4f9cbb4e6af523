"""A table planned from its picture, with the page's lines in its cells; refused where they do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from airgap.layout.lines import TextLine
from airgap.layout.regions import rows as text_rows
from airgap.layout.rulings import Place
from airgap.layout.tables import RuledTable

MIN_CONFIDENCE = 0.9
MAX_CELLS = 600
MAX_BESIDE = 0.1
"""Share of the lines that may stand beside another in their cell: where columns are missing, more do."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class TableCell:
    """Where a cell begins and how far it goes, in rows and columns; `place`: pixels of the picture."""

    row: int
    column: int
    rowspan: int
    colspan: int
    place: Place


@dataclass(frozen=True, slots=True)
class TablePlan:
    """Cells in reading order, and the mean probability of the words that were written for them."""

    cells: tuple[TableCell, ...]
    confidence: float

    @property
    def rows(self) -> int:
        return max((cell.row + cell.rowspan for cell in self.cells), default=0)

    @property
    def columns(self) -> int:
        return max((cell.column + cell.colspan for cell in self.cells), default=0)


def fitted_table(
    plan: TablePlan, origin: tuple[float, float], lines: Sequence[TextLine]
) -> RuledTable | None:
    """The plan with the lines in it, of a picture cut out at `origin`; None where they do not fit."""
    if plan.confidence < MIN_CONFIDENCE or plan.rows < 2 or plan.columns < 2 or len(plan.cells) > MAX_CELLS:
        return None
    if any(len(row) > plan.columns + 1 for row in text_rows(lines)):
        return None
    cells = _filled(plan, origin, lines)
    if beside_share([members for _, members in cells]) > MAX_BESIDE:
        return None
    begun = sorted({cell.row for cell in plan.cells})
    grouped: dict[int, list[tuple[list[TextLine], int, int]]] = {row: [] for row in begun}
    for cell, members in cells:
        ordered = [line for row in text_rows(members) for line in row]
        rowspan = sum(cell.row <= row < cell.row + cell.rowspan for row in begun)
        grouped[cell.row].append((ordered, rowspan, cell.colspan))
    return RuledTable([*grouped.values()])


def beside_share(cells: Sequence[Sequence[TextLine]]) -> float:
    """Share of the lines that stand beside another line of the same cell, 0..1."""
    total = sum(len(cell) for cell in cells)
    beside = sum(len(row) for cell in cells for row in text_rows(cell) if len(row) > 1)
    return beside / total if total else 0.0


@dataclass(frozen=True, slots=True)
class _Tracks:
    """Where the rows and the columns of a plan are on the page; None where no cell tells."""

    rows: list[Span | None]
    columns: list[Span | None]

    @classmethod
    def of(cls, plan: TablePlan, origin: tuple[float, float]) -> _Tracks:
        x, y = origin
        columns = [
            [(c.place[0] + x, c.place[2] + x) for c in plan.cells if c.column == k and c.colspan == 1]
            for k in range(plan.columns)
        ]
        rows = [
            [(c.place[1] + y, c.place[3] + y) for c in plan.cells if c.row == r and c.rowspan == 1]
            for r in range(plan.rows)
        ]
        return cls([_typical(spans) for spans in rows], [_typical(spans) for spans in columns])


def _typical(spans: Sequence[Span]) -> Span | None:
    return (median(a for a, _ in spans), median(b for _, b in spans)) if spans else None


def _filled(
    plan: TablePlan, origin: tuple[float, float], lines: Sequence[TextLine]
) -> list[tuple[TableCell, list[TextLine]]]:
    """Each cell with its lines: a line goes to the row of its middle and the column it shares most with."""
    tracks = _Tracks.of(plan, origin)
    at = {
        (cell.row + r, cell.column + c): index
        for index, cell in enumerate(plan.cells)
        for r in range(cell.rowspan)
        for c in range(cell.colspan)
    }
    held: list[list[TextLine]] = [[] for _ in plan.cells]
    for line in lines:
        row = _nearest(tracks.rows, line.middle, line.middle)
        column = _nearest(tracks.columns, line.x0, line.x1)
        index = at.get((row, column))
        held[_closest(plan.cells, origin, line) if index is None else index].append(line)
    return list(zip(plan.cells, held, strict=True))


def _nearest(tracks: Sequence[Span | None], start: float, stop: float) -> int:
    """The track that shares most with a span, else the one whose edge is nearest to its middle."""
    known = [(index, track) for index, track in enumerate(tracks) if track is not None]
    if not known:
        return 0
    shared, index = max((min(b, stop) - max(a, start), -index) for index, (a, b) in known)
    if shared > 0:
        return -index
    middle = (start + stop) / 2
    return min(known, key=lambda item: _distance(item[1], middle))[0]


def _distance(track: Span, place: float) -> tuple[float, float]:
    outside = max(track[0] - place, place - track[1], 0.0)
    return outside, abs((track[0] + track[1]) / 2 - place)


def _closest(cells: Sequence[TableCell], origin: tuple[float, float], line: TextLine) -> int:
    x, y = (line.x0 + line.x1) / 2 - origin[0], line.middle - origin[1]

    def away(index: int) -> float:
        x0, y0, x1, y1 = cells[index].place
        return abs((x0 + x1) / 2 - x) + 3 * abs((y0 + y1) / 2 - y)

    return min(range(len(cells)), key=away)
