"""Rows of aligned lines, or a ruled grid with lines in it → one HTML table."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from engines.ppocr.lines import Row, TextLine

MIN_ROWS = 3
MAX_COLUMNS = 40
MIN_FILLED = 0.55
"""The least share of cells with text, below which rows are not taken for a table."""

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


def _cell(lines: Sequence[TextLine]) -> str:
    text = " ".join(line.text for line in lines if line.text)
    return f"<td>{html.escape(text, quote=False)}</td>"
