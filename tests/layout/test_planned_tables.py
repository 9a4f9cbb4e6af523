"""Tables planned from a picture: lines into cells, and plans refused that the lines do not bear out."""

from __future__ import annotations

from airgap.layout.lines import TextLine
from airgap.layout.planned_tables import TableCell, TablePlan, beside_share, fitted_table


def plan(*cells: TableCell, confidence: float = 0.99) -> TablePlan:
    return TablePlan(cells, confidence)


def cell(row: int, column: int, rowspan: int = 1, colspan: int = 1) -> TableCell:
    place = (100.0 * column, 40.0 * row, 100.0 * (column + colspan) - 10, 40.0 * (row + rowspan) - 10)
    return TableCell(row, column, rowspan, colspan, place)


def line(text: str, x0: float, y0: float, x1: float) -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + 20), text)


ORIGIN = (1000.0, 500.0)


def at(text: str, row: int, column: int) -> TextLine:
    return line(text, 1010 + 100 * column, 505 + 40 * row, 1060 + 100 * column)


GRID = plan(cell(0, 0), cell(0, 1), cell(1, 0), cell(1, 1))


def html(of: TablePlan, *lines: TextLine) -> str | None:
    table = fitted_table(of, ORIGIN, lines)
    return None if table is None else table.to_html()


def test_lines_go_into_the_cells_they_stand_in() -> None:
    lines = [at("a", 0, 0), at("b", 0, 1), at("c", 1, 0), at("d", 1, 1)]
    assert html(GRID, *lines) == "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>"


def test_spans_come_out() -> None:
    spanned = plan(cell(0, 0, rowspan=2), cell(0, 1, colspan=2), cell(1, 1), cell(1, 2))
    lines = [at("item", 0, 0), at("years", 0, 1), at("2019", 1, 1), at("2020", 1, 2)]
    assert html(spanned, *lines) == (
        '<table><tr><td rowspan="2">item</td><td colspan="2">years</td></tr>'
        "<tr><td>2019</td><td>2020</td></tr></table>"
    )


def test_a_cell_spans_no_rows_that_are_not_there() -> None:
    spanned = plan(cell(0, 0, rowspan=4), cell(0, 1), cell(2, 1))
    lines = [at("item", 0, 0), at("2019", 0, 1), at("2020", 2, 1)]
    assert html(spanned, *lines) == (
        '<table><tr><td rowspan="2">item</td><td>2019</td></tr><tr><td>2020</td></tr></table>'
    )


def test_a_line_beside_all_cells_goes_to_the_nearest() -> None:
    table = html(GRID, at("a", 0, 0), at("b", 0, 1), at("c", 1, 0), line("far", 1250, 546, 1290))
    assert table is not None
    assert "<td>c</td><td>far</td>" in table


def test_a_plan_that_has_lost_columns_is_refused() -> None:
    beside = [line(str(i), 1005 + 22 * i, 505, 1020 + 22 * i) for i in range(4)]
    assert html(GRID, *beside, at("c", 1, 0), at("d", 1, 1)) is None


def test_a_plan_that_nothing_is_sure_of_or_that_is_no_table_is_refused() -> None:
    lines = [at("a", 0, 0), at("b", 0, 1), at("c", 1, 0), at("d", 1, 1)]
    assert html(plan(*GRID.cells, confidence=0.5), *lines) is None
    assert html(plan(cell(0, 0), cell(1, 0)), *lines) is None
    assert html(plan(), *lines) is None


def test_how_many_lines_share_a_row_of_their_cell() -> None:
    a, b, under = line("a", 0, 0, 20), line("b", 40, 0, 60), line("under", 0, 30, 60)
    assert beside_share([[a, b], [under]]) == 2 / 3
    assert beside_share([[a, under], [b]]) == 0
    assert beside_share([]) == 0
