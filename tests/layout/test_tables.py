"""Ruling lines painted on a page → grids → HTML; figures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from airgap.layout.lines import TextLine
from airgap.layout.quads import Picture
from airgap.layout.rulings import Drawing, Grid, Ink, find_figures, find_grids
from airgap.layout.tables import parted_at_rules, plan_table, with_numbers_apart
from airgap.layout.view import View

XS, YS = (100, 400, 600, 800), (100, 160, 220, 280)


def paper() -> Picture:
    return np.full((1000, 900, 3), 250, np.uint8)


def rule(picture: Picture, x0: float, y0: float, x1: float, y1: float) -> None:
    cv2.line(picture, (int(x0), int(y0)), (int(x1), int(y1)), (0, 0, 0), 2)


def ruled_page() -> Picture:
    picture = paper()
    for x in XS:
        rule(picture, x, YS[0], x, YS[-1])
    for y in YS:
        rule(picture, XS[0], y, XS[-1], y)
    return picture


def grids(picture: Picture, slant: float = 0.0) -> list[Grid]:
    return find_grids(Ink.of(View(picture, 0, slant)))


def cell(row: int, column: int, text: str, level: int = 0) -> TextLine:
    y = YS[row] + 15 + 22 * level
    return TextLine.known((XS[column] + 20, y, XS[column] + 90, y + 20), text)


def table(grid: Grid, lines: list[TextLine]) -> str:
    planned = plan_table(grid, lines)
    assert planned is not None
    return planned.to_html()


def test_a_ruled_grid_is_found_where_it_stands() -> None:
    (grid,) = grids(ruled_page())
    assert grid.xs == pytest.approx(XS, abs=4)
    assert grid.ys == pytest.approx(YS, abs=4)
    assert grid.right_of[:, :-1].all()
    assert grid.below[:-1].all()


def test_dotted_rules_count() -> None:
    picture = paper()
    for y in YS:
        for x in range(XS[0], XS[-1], 6):
            picture[y : y + 2, x : x + 3] = 0
    for x in XS:
        for y in range(YS[0], YS[-1], 6):
            picture[y : y + 3, x : x + 2] = 0
    assert [(len(grid.xs), len(grid.ys)) for grid in grids(picture)] == [(4, 4)]


def test_an_aslant_grid_is_straightened_first() -> None:
    turn = cv2.getRotationMatrix2D((450, 500), -3, 1)
    picture = cv2.warpAffine(ruled_page(), turn, (900, 1000), borderValue=(250, 250, 250))
    (grid,) = grids(picture, np.radians(3))
    assert grid.xs == pytest.approx(XS, abs=6)


def test_an_underlined_line_is_no_grid() -> None:
    picture = paper()
    rule(picture, 100, 300, 800, 300)
    assert grids(picture) == []


def test_cells_are_told_apart_and_empty_ones_kept() -> None:
    (grid,) = grids(ruled_page())
    lines = [cell(r, c, f"{r}{c}") for r in range(3) for c in range(3) if (r, c) != (1, 1)]
    assert table(grid, lines) == (
        "<table><tr><td>00</td><td>01</td><td>02</td></tr><tr><td>10</td><td></td><td>12</td></tr>"
        "<tr><td>20</td><td>21</td><td>22</td></tr></table>"
    )


def test_a_missing_rule_makes_a_cell_wider_or_higher() -> None:
    picture = ruled_page()
    cv2.line(picture, (400, 108), (400, 152), (250, 250, 250), 8)
    cv2.line(picture, (608, 220), (792, 220), (250, 250, 250), 8)
    (grid,) = grids(picture)
    lines = [cell(0, 0, "head"), cell(0, 2, "x"), cell(1, 0, "a"), cell(1, 1, "b"), cell(1, 2, "tall")]
    lines += [cell(2, 0, "c"), cell(2, 1, "d")]
    assert table(grid, lines) == (
        '<table><tr><td colspan="2">head</td><td>x</td></tr><tr><td>a</td><td>b</td><td rowspan="2">tall</td>'
        "</tr><tr><td>c</td><td>d</td></tr></table>"
    )


def test_printed_rows_without_rules_between_them_become_rows() -> None:
    (grid,) = grids(ruled_page())
    lines = [cell(0, c, f"head{c}") for c in range(3)]
    lines += [cell(1, c, f"{level}{c}", level) for c in range(3) for level in range(2)]
    html = table(grid, lines)
    assert "<tr><td>00</td><td>01</td><td>02</td></tr><tr><td>10</td><td>11</td><td>12</td></tr>" in html


def test_headings_wrapped_beside_centred_ones_stay_together() -> None:
    """Wrapped headings stand level, too; those of one line stand between their lines, which no row would."""
    xs, ys = (0, 100, 200, 300, 400, 500, 600), (0, 60, 100, 140)
    grid = Grid(xs, ys, np.ones((3, 6), bool), np.ones((3, 6), bool))

    def text(said: str, column: int, y: float) -> TextLine:
        return TextLine.known((xs[column] + 10, y, xs[column] + 80, y + 20), said)

    upper = [text("hill", c, 8) for c in (0, 1, 3, 4)] + [text("area", c, 32) for c in (0, 1, 3, 4)]
    body = [text(f"{c}{y}", c, y) for c in range(6) for y in (70, 110)]
    centred = [text("all", c, 20) for c in (2, 5)]
    assert table(grid, [*upper, *centred, *body]).startswith(
        "<table><tr><td>hill area</td><td>hill area</td><td>all</td><td>hill area</td>"
    )
    rows_beside_a_group = [text("group", 0, 20)] + [
        text(f"{c}{y}", c, y) for c in range(1, 6) for y in (8, 32)
    ]
    assert '<td rowspan="2">group</td>' in table(grid, [*rows_beside_a_group, *body])


def test_text_wrapped_in_one_cell_stays_together() -> None:
    (grid,) = grids(ruled_page())
    lines = [cell(0, 0, "wraps", 0), cell(0, 0, "here", 1), cell(0, 1, "1"), cell(0, 2, "2"), cell(1, 0, "x")]
    assert table(grid, lines).startswith("<table><tr><td>wraps here</td><td>1</td><td>2</td></tr>")


def test_a_frame_around_text_is_no_table() -> None:
    picture = paper()
    for x in (50, 450, 850):
        rule(picture, x, 50, x, 900)
    for y in (50, 900):
        rule(picture, 50, y, 850, y)
    (grid,) = grids(picture)
    lines = [
        TextLine.known((x, 80 + 30 * i, x + 360, 100 + 30 * i), "prose") for i in range(20) for x in (70, 470)
    ]
    assert plan_table(grid, lines) is None


def test_a_grid_without_text_is_no_table() -> None:
    (grid,) = grids(ruled_page())
    assert plan_table(grid, []) is None


def test_markup_in_a_cell_is_escaped() -> None:
    (grid,) = grids(ruled_page())
    lines = [cell(0, c, "<script>&") for c in range(3)] + [cell(1, 0, "x")]
    assert "<script>" not in table(grid, lines)
    assert "&lt;script&gt;&amp;" in table(grid, lines)


def figures(picture: Picture, lines: list[TextLine]) -> list[tuple[float, float, float, float]]:
    return find_figures(Drawing.of(Ink.of(View(picture)), lines), lines, [])


def test_a_photograph_is_a_figure_and_text_is_not() -> None:
    picture = paper()
    picture[300:600, 200:700] = np.random.default_rng(1).integers(0, 160, (300, 500, 1), np.uint8)
    cv2.putText(picture, "some printed words", (100, 150), 0, 1.2, (0, 0, 0), 3)
    line = TextLine.known((95, 115, 500, 160), "some printed words")
    (place,) = figures(picture, [line])
    assert place == pytest.approx((200, 300, 700, 600), abs=12)


def test_a_framed_drawing_with_labels_is_not_taken_for_a_table() -> None:
    picture = ruled_page()
    assert not Drawing.of(Ink.of(View(picture)), []).fills((100, 100, 800, 280))
    cv2.circle(picture, (250, 190), 60, (150, 90, 40), -1)
    cv2.circle(picture, (700, 190), 60, (40, 90, 150), -1)
    assert Drawing.of(Ink.of(View(picture)), []).fills((100, 100, 800, 280))


def test_a_dark_edge_of_the_scan_is_no_figure() -> None:
    picture = paper()
    picture[:, :40] = 10
    assert figures(picture, []) == []


def test_a_blank_page_has_neither() -> None:
    assert figures(paper(), []) == []
    assert grids(paper()) == []


def test_a_table_to_be_filled_in_is_a_table() -> None:
    """Nine columns to tick, all empty but for the headings of rows and columns."""
    grid = Grid(
        tuple(100.0 + 60 * i for i in range(10)),
        tuple(100.0 + 40 * i for i in range(11)),
        np.ones((10, 9), bool),
        np.ones((10, 9), bool),
    )

    def at(row: int, column: int, text: str) -> TextLine:
        x, y = 105.0 + 60 * column, 110.0 + 40 * row
        return TextLine.known((x, y, x + 40, y + 20), text)

    heads = [at(0, column, f"c{column}") for column in range(9)]
    sides = [at(row, 0, f"r{row}") for row in range(1, 10)]
    planned = plan_table(grid, [*heads, *sides])
    assert planned is not None
    assert [len(row) for row in planned.rows] == [9] * 10
    note = at(12, 0, "in no cell")
    assert planned.in_order([note, *reversed(sides), *reversed(heads)]) == [*heads, *sides, note]
    assert plan_table(grid, [*heads, *(at(row, 3 + row % 4, "note") for row in range(1, 10))]) is None


def test_numbers_that_count_up_are_a_column_of_their_own() -> None:
    def row(index: int, text: str) -> list[list[TextLine]]:
        y = 30.0 * index
        return [[TextLine.known((0, y, 200, y + 20), text)], [TextLine.known((300, y, 340, y + 20), "0.5")]]

    cells = [row(i, f"{25 + i} Topic {i}") for i in range(6)] + [row(6, "Average")]
    parted = with_numbers_apart(cells)
    assert [[line.text for cell in row for line in cell] for row in parted[:2]] == [
        ["25", "Topic 0", "0.5"],
        ["26", "Topic 1", "0.5"],
    ]
    assert [[line.text for line in cell] for cell in parted[-1]] == [[], ["Average"], ["0.5"]]
    years = [row(i, f"{2019 + 3 * i} report") for i in range(6)]
    assert with_numbers_apart(years) is years


def parts_of(*lines: TextLine) -> list[tuple[str, float, float]]:
    """What becomes of lines in the grid of three by three: each piece says a share of the text."""
    (grid,) = grids(ruled_page())

    def part(line: TextLine, x0: float, x1: float) -> TextLine:
        first, last = (round(len(line.text) * (x - line.x0) / line.width) for x in (x0, x1))
        return TextLine.known((x0, line.y0, x1, line.y1), line.text[first:last].strip("[|"))

    return [(one.text, round(one.x0, -1), round(one.x1, -1)) for one in parted_at_rules(grid, lines, part)]


def test_a_line_is_cut_at_the_rules_that_it_runs_over() -> None:
    line = TextLine.known((120, 175, 780, 195), "a" * 14 + "|" + "b" * 9 + "|" + "c" * 8)
    assert parts_of(line) == [("a" * 14, 120, 400), ("b" * 9, 400, 600), ("c" * 8, 600, 780)]


def test_a_line_that_would_lose_letters_stays_whole() -> None:
    (grid,) = grids(ruled_page())
    line = TextLine.known((120, 175, 780, 195), "Returned")
    lost = TextLine.known((120, 175, 400, 195), "Ret")
    assert parted_at_rules(grid, [line], lambda *_: lost) == [line]


def test_a_line_within_its_cell_or_at_a_rule_is_left_whole() -> None:
    inside, touching = cell(1, 0, "inside"), TextLine.known((396, 175, 590, 195), "touching")
    assert parts_of(inside, touching) == [("inside", 120, 190), ("touching", 400, 590)]


def test_a_rule_that_was_read_as_a_sign_is_cut_off() -> None:
    before = TextLine.known((392, 175, 590, 195), "[Kind A")
    after = TextLine.known((410, 235, 608, 255), "Kind B|")
    assert parts_of(before, after) == [("Kind A", 400, 590), ("Kind B", 410, 600)]


def test_a_line_in_a_cell_over_two_columns_is_left_whole() -> None:
    picture = ruled_page()
    picture[YS[1] + 6 : YS[2] - 6, XS[1] - 5 : XS[1] + 6] = 250
    (grid,) = grids(picture)
    line = TextLine.known((120, 175, 580, 195), "over both")
    assert parted_at_rules(grid, [line], lambda *_: cell(0, 0, "cut")) == [line]
