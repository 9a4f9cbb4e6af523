"""Aligned tables, headings over columns and ruled tables at their bounds."""

from __future__ import annotations

import numpy as np
import pytest

from airgap.layout.lines import TextLine
from airgap.layout.rulings import Grid
from airgap.layout.tables import (
    RuledTable,
    aligned_cells,
    headed_table,
    plan_table,
    with_numbers_apart,
)
from tests.layout.turning import first


def line(text: str, x0: float, y0: float, x1: float, height: float = 20) -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + height), text)


def texts(cells: list[list[list[TextLine]]] | None) -> list[list[str]] | None:
    if cells is None:
        return None
    return [["/".join(member.text for member in cell) for cell in row] for row in cells]


# --- rows that fall into columns -----------------------------------------------------------------


def grid(rows: int, columns: int, left_out: int = 0) -> list[list[TextLine]]:
    """Rows of cells of 60 in columns of 100; so many are left out from the last row and column on."""
    lines = [[line(f"{r}{c}", 100 * c, 30 * r, 100 * c + 60) for c in range(columns)] for r in range(rows)]
    for n in range(left_out):
        lines[-1 - n // (columns - 1)].pop()
    return lines


def test_a_table_has_three_rows_and_two_to_forty_columns() -> None:
    assert aligned_cells(grid(2, 3)) is None
    assert texts(aligned_cells(grid(3, 2))) == [["00", "01"], ["10", "11"], ["20", "21"]]
    assert aligned_cells(grid(3, 1)) is None
    assert aligned_cells(grid(3, 40)) is not None
    assert aligned_cells(grid(3, 41)) is None


def test_more_than_half_of_its_cells_have_text() -> None:
    assert aligned_cells(grid(4, 5, 9)) is not None
    assert aligned_cells(grid(4, 5, 10)) is None


def test_a_line_is_of_the_column_that_it_shares_most_with() -> None:
    rows = grid(3, 3)
    for x0, x1, row in ((30, 110, ["wide", "", "c"]), (50, 150, ["", "wide", "c"])):
        rows[1] = [line("wide", x0, 30, x1), line("c", 200, 30, 260)]
        assert texts(aligned_cells(rows)) == [["00", "01", "02"], row, ["20", "21", "22"]]


def test_lines_share_a_column_from_three_tenths_of_the_narrower() -> None:
    def columns(x: int, width: int = 100) -> int:
        rows = [[line("a", 0, y, 100), line("b", 500, y, 600)] for y in (0, 30)]
        cells = aligned_cells([*rows, [line("c", x, 60, x + width), line("b", 500, 60, 600)]])
        assert cells is not None
        return len(cells[0])

    assert first(range(60, 80), lambda x: columns(x) == 3) == 70
    assert first(range(60, 95), lambda x: columns(x, 50) == 3) == 85
    assert first(range(-60, -90, -1), lambda x: columns(x) == 3) == -70


# --- headings over columns -----------------------------------------------------------------------

CELLS = [[[line("n", 0, y, 80)], [line("1", 200, y, 240)], [line("2", 300, y, 340)]] for y in (60, 90, 120)]


def html(*heads: list[TextLine], cells: list[list[list[TextLine]]] = CELLS) -> str | None:
    table = headed_table(cells, heads)
    return None if table is None else table.to_html().split("<tr><td>n")[0].removeprefix("<table>")


def test_a_heading_goes_over_the_columns_that_it_is_nearest_to() -> None:
    two = [line("A", 200, 30, 240), line("B", 300, 30, 340)]
    assert html(two) == "<tr><td></td><td>A</td><td>B</td></tr>"
    assert html([line("Y", 190, 0, 350)], two) == (
        '<tr><td></td><td colspan="2">Y</td></tr><tr><td></td><td>A</td><td>B</td></tr>'
    )
    assert html([line("A", 200, 0, 240)], [line("N", 0, 30, 80), *two]) == (
        '<tr><td></td><td colspan="2">A</td></tr><tr><td>N</td><td>A</td><td>B</td></tr>'
    )
    between = [line("A", 245, 30, 265), line("B", 300, 30, 340)]
    assert html(between) == "<tr><td></td><td>A</td><td>B</td></tr>"


def test_heads_that_fit_no_columns_are_none() -> None:
    two = [line("A", 200, 30, 240), line("B", 300, 30, 340)]
    assert html([line("A", 80, 30, 240), two[1]]) is None, "it begins over the first column"
    assert html([line("A", 81, 30, 240), two[1]]) is not None
    assert html([line("Y", 190, 0, 350)]) is None, "one heading over all, and rows with a name"
    bare = [[[], *CELLS[0][1:]], *CELLS[1:]]
    assert html([line("Y", 190, 0, 350)], cells=bare) is not None
    assert html([line("A", 200, 30, 210), line("A", 212, 30, 240), two[1]]) is None, "one is left over"
    assert html() == ""


# --- numbers that count up -----------------------------------------------------------------------


def numbered(*firsts: str) -> list[list[str]]:
    cells = [[[line(text, 0, 30 * n, 100)], [line("x", 200, 30 * n, 220)]] for n, text in enumerate(firsts)]
    found = texts(with_numbers_apart(cells))
    assert found is not None
    return [row[:-1] for row in found]


@pytest.mark.parametrize(
    ("firsts", "parted"),
    [
        (("1 a", "2 b", "3 c"), True),
        (("1 a", "2 b"), False),
        (("1. a", "2) b", "3 c", "4 d", "words"), True),
        (("1. a", "2) b", "3 c", "words"), False),
        (("1 a", "2 b", "4 c"), False),
        (("999 a", "1000 b", "1001 c"), False),
        (("1 2", "2 3", "3 4"), False),
        (("1a", "2b", "3c"), False),
    ],
)
def test_numbers_that_count_up_before_most_rows_are_a_column(firsts: tuple[str, ...], parted: bool) -> None:
    assert (len(numbered(*firsts)[0]) == 2) is parted


def test_a_numbered_line_is_cut_where_its_number_ends() -> None:
    cells = [[[line(f"{n}. words", 100, 30 * n, 180)]] for n in range(8, 12)]
    parted = with_numbers_apart(cells)
    assert [o.place for cell in parted[0] for o in cell] == [(100, 240, 110, 260), (110, 240, 180, 260)]
    assert [cell[0].x1 for cell in parted[2]] == [pytest.approx(100 + 160 / 9), 180]
    doubled = [[[line(f"{n} a", 0, 30 * n, 50)]] for n in range(1, 5)]
    doubled[0][0].append(line("b", 60, 0, 90))
    assert with_numbers_apart(doubled) is doubled


# --- HTML ----------------------------------------------------------------------------------------


def test_rows_of_a_table_that_runs_to_the_left_are_turned_round() -> None:
    word = "\u05e9\u05dc\u05d5\u05dd"
    number, nothing = line("1", 100, 0, 150), line("", 0, 0, 1)
    table = RuledTable([[([line(word, 0, 0, 50)], 1, 1), ([number, nothing], 2, 3)]])
    assert table.to_html() == f'<table><tr><td rowspan="2" colspan="3">1</td><td>{word}</td></tr></table>'


# --- ruled tables --------------------------------------------------------------------------------


def ruled(rows: int, columns: int, *, right: str = "", below: str = "") -> Grid:
    """Cells of 100 × 40; `right` and `below` name cells, as 01, that have no rule there."""
    right_of, under = np.ones((rows, columns), bool), np.ones((rows, columns), bool)
    for open_, names in ((right_of, right), (under, below)):
        for name in names.split():
            open_[int(name[0]), int(name[1])] = False
    xs, ys = tuple(100.0 * n for n in range(columns + 1)), tuple(40.0 * n for n in range(rows + 1))
    return Grid(xs, ys, right_of, under)


def inside(row: float, column: float, text: str = "", wide: float = 50) -> TextLine:
    x, y = 100 * column + 10, 40 * row + 10
    return line(text or f"{row}{column}", x, y, x + wide)


def planned(grid: Grid, *lines: TextLine) -> list[list[tuple[str, int, int]]] | None:
    table = plan_table(grid, lines)
    if table is None:
        return None
    rows = []
    for row in table.rows:
        rows.append([("/".join(o.text for o in cell), down, across) for cell, down, across in row])
    return rows


def full(rows: int, columns: int) -> list[TextLine]:
    return [inside(r, c) for r in range(rows) for c in range(columns)]


def test_a_ruled_table_has_four_lines_in_two_columns() -> None:
    grid = ruled(3, 2)
    assert planned(grid, *full(2, 2)) == [[("00", 1, 1), ("01", 1, 1)], [("10", 1, 1), ("11", 1, 1)]]
    assert planned(grid, *full(2, 2)[:3]) is None
    assert planned(ruled(4, 2), *(inside(n, 0) for n in range(4))) is None


def test_lines_go_to_the_cell_of_their_middle_and_never_beyond_the_grid() -> None:
    at = [line("a", 30, 30, 70), line("b", 60, 0, 140), line("c", -90, -60, -10), line("d", 500, 300, 600)]
    rows = planned(ruled(2, 2), *at, inside(1, 0), inside(0, 1))
    assert rows == [[("c", 1, 1), ("b/01", 1, 1)], [("a/10", 1, 1), ("d", 1, 1)]]
    assert planned(ruled(2, 2), line("on", 80, 30, 120), *full(2, 2)) == [
        [("00", 1, 1), ("01", 1, 1)],
        [("10", 1, 1), ("on/11", 1, 1)],
    ]


def test_a_table_is_filled_from_a_quarter_of_its_cells_on() -> None:
    """Lines on a diagonal, so that it is no form."""
    twenty, more = ruled(5, 4), ruled(6, 4)
    diagonal = [inside(n, n % 4) for n in range(5)]
    assert planned(twenty, *diagonal) is not None
    assert planned(more, *diagonal) is None


def test_a_frame_around_text_is_no_table() -> None:
    grid = Grid((0.0, 500.0, 1000.0), (0.0, 1000.0), np.ones((1, 2), bool), np.ones((1, 2), bool))

    def framed(count: int, width: float = 180, others: int = 0) -> bool:
        text = [line("t", 10, 30 * n, 10 + width) for n in range(count)]
        return plan_table(grid, [*text, *(line("o", 600, 30 * n, 640) for n in range(others))]) is None

    assert [framed(count, others=3) for count in (5, 6)] == [False, True]
    assert [framed(6, width, 3) for width in (179, 180)] == [False, True]
    assert [framed(6, others=others) for others in (5, 6)] == [True, False]


def test_a_form_has_text_in_its_first_row_and_column() -> None:
    heads = [inside(0, c) for c in range(8)]
    sides = [inside(r, 0) for r in range(1, 8)]
    assert planned(ruled(8, 8), *heads, *sides) is not None
    assert planned(ruled(8, 8), *heads[:7], *sides, inside(3, 7)) is None
    assert planned(ruled(8, 8), *heads, *sides[:6], inside(7, 3)) is None
    assert planned(ruled(9, 9), *heads, *sides) is not None
    assert planned(ruled(9, 9), *heads) is None
    moved = [line(o.text, o.x0 + 100, o.y0 + 40, o.x1 + 100) for o in (*heads, *sides)]
    assert planned(ruled(9, 9), *moved) is not None


def test_cells_without_rules_between_them_are_one() -> None:
    assert planned(ruled(2, 3, right="00"), inside(0, 0), inside(0, 2), *full(2, 3)[3:]) == [
        [("00", 1, 2), ("02", 1, 1)],
        [("10", 1, 1), ("11", 1, 1), ("12", 1, 1)],
    ]
    assert planned(ruled(2, 2, below="01"), inside(0, 0), inside(0, 1), inside(1, 0), inside(0.1, 1)) == [
        [("00", 1, 1), ("01/0.11", 2, 1)],
        [("10", 1, 1)],
    ]
    block = ruled(3, 3, right="00 10", below="00 01")
    assert planned(block, inside(0, 0), *(inside(r, 2) for r in range(3)), inside(2, 0), inside(2, 1)) == [
        [("00", 2, 2), ("02", 1, 1)],
        [("12", 1, 1)],
        [("20", 1, 1), ("21", 1, 1), ("22", 1, 1)],
    ]


@pytest.mark.parametrize(
    ("right", "below", "high"),
    [
        ("00", "00 01", 1),  # the row below is parted within
        ("00 10 11", "00 01", 1),  # the row below goes on to the right
        ("00 10", "00", 1),  # a rule below the second
        ("00 10", "00 01", 2),
    ],
)
def test_a_cell_goes_on_below_as_a_rectangle(right: str, below: str, high: int) -> None:
    lines = [inside(0, 0), inside(2, 0), inside(2, 1), *(inside(row, 2) for row in range(3))]
    rows = planned(ruled(3, 3, right=right, below=below), *lines)
    assert rows is not None
    assert rows[0][0] == ("00", high, 2)


def test_a_cell_goes_on_below_where_nothing_goes_on_to_the_left() -> None:
    lines = [inside(0, 0), inside(0, 1), inside(1, 0), inside(2, 0), inside(2, 1)]
    [top, *_] = planned(ruled(3, 2, right="10", below="01"), *lines) or [[]]
    assert [cell[1:] for cell in top] == [(1, 1), (1, 1)]
    [top, *_] = planned(ruled(3, 2, below="01"), *lines) or [[]]
    assert [cell[1:] for cell in top] == [(1, 1), (2, 1)]


def test_empty_rows_and_columns_are_left_out() -> None:
    lines = [inside(r, c) for r in (0, 2) for c in (0, 2)]
    assert planned(ruled(4, 4), *lines) == [[("00", 1, 1), ("02", 1, 1)], [("20", 1, 1), ("22", 1, 1)]]
    assert planned(ruled(3, 4, right="01"), *lines) == [
        [("00", 1, 1), ("02", 1, 2)],
        [("20", 1, 1), ("", 1, 1), ("22", 1, 1)],
    ]


def test_a_high_cell_with_text_in_each_row_is_parted() -> None:
    grid = ruled(3, 2, below="00 10")
    rest = [inside(r, 1) for r in range(3)]
    assert planned(grid, *(inside(r, 0) for r in range(3)), *rest) == [
        [(f"{r}0", 1, 1), (f"{r}1", 1, 1)] for r in range(3)
    ]
    assert planned(grid, inside(0, 0), inside(2, 0), *rest) == [
        [("00/20", 3, 1), ("01", 1, 1)],
        [("11", 1, 1)],
        [("21", 1, 1)],
    ]


def stacked(*counts: int, wide: float = 50, level: int = 99) -> int:
    """How many rows come of one ruled row whose cells hold so many lines; from `level` on they are off."""
    grid = Grid(
        tuple(200.0 * n for n in range(len(counts) + 1)),
        (0.0, 40.0, 600.0),
        np.ones((2, len(counts)), bool),
        np.ones((2, len(counts)), bool),
    )
    lines = [line(f"h{n}", 200 * n + 10, 10, 200 * n + 60) for n in range(len(counts))]
    for column, count in enumerate(counts):
        for n in range(count):
            x, off = 200 * column + 10, (0, 15, -15)[column % 3] if n >= level else 0
            lines.append(line(f"{column}.{n}", x, 60 + 60 * n + off, x + wide))
    table = plan_table(grid, lines)
    assert table is not None
    return len(table.rows) - 1


def test_printed_rows_of_one_ruled_row_are_parted_where_they_are_level() -> None:
    assert stacked(3, 3, 3) == 3
    assert stacked(2, 2, 2) == 2
    assert stacked(2, 1, 1) == stacked(2, 2, 1) == 1
    assert stacked(3, 3) == 1
    assert stacked(4, 4) == 4
    assert stacked(4, 4, 1) == 1
    assert stacked(4, 4, 4, 1) == 4


def test_words_are_level_in_nearly_all_rows_and_figures_in_half() -> None:
    assert first(range(9), lambda level: stacked(8, 8, 8, level=level) > 1) == 4
    assert first(range(9), lambda level: stacked(8, 8, 8, wide=140, level=level) > 1) == 8
    assert [stacked(8, 8, 8, wide=wide, level=4) > 1 for wide in (139, 140)] == [True, False]
    assert [stacked(8, 8, level=level) > 1 for level in (6, 7)] == [False, True]
