"""The small parts of the layout at their bounds: areas, quadrilaterals, plans, places among blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airgap.core.document import Block, Box, Line
from airgap.layout.areas import Area, area_of, held
from airgap.layout.insertion import place_among
from airgap.layout.known_text import blocks_of
from airgap.layout.lines import Reading, TextLine, body_height, done, median_height, visual_length
from airgap.layout.planned_tables import TableCell, TablePlan, _Tracks, beside_share, fitted_table
from airgap.layout.quads import is_upended, quad_size


def line(text: str, x0: float, y0: float, x1: float, y1: float) -> TextLine:
    return TextLine.known((x0, y0, x1, y1), text)


# --- areas ---------------------------------------------------------------------------------------


def test_what_an_area_shares_with_a_place() -> None:
    area = Area("text", 0.9, (10, 20, 110, 70))
    assert area.size == 5000
    assert area.shared((60, 45, 200, 200)) == 50 * 25
    assert area.shared((0, 0, 20, 30)) == 10 * 10
    assert area.shared((110, 20, 120, 70)) == area.shared((0, 0, 9, 9)) == 0
    assert area.share_of((60, 45, 160, 95)) == 0.25
    assert area.share_of((5, 5, 5, 5)) == 0
    assert Area("text", 0.9, (10, 20, 5, 70)).size == 0


def test_a_line_is_of_an_area_from_a_share_on() -> None:
    area = Area("text", 0.9, (0, 0, 100, 100))
    shares = [
        share
        for share in (0.2, 0.4, 0.49, 0.51, 0.6, 0.7, 0.9)
        if area.holds(line("", 100 - 100 * share, 0, 200 - 100 * share, 10))
    ]
    assert shares == [share for share in (0.2, 0.4, 0.49, 0.51, 0.6, 0.7, 0.9) if share >= min(shares)]
    assert 0.5 <= min(shares) <= 0.7
    inside, outside = line("a", 0, 0, 50, 10), line("b", 200, 0, 250, 10)
    assert held(area, [inside, outside]) == [inside]
    assert area_of(outside, [area]) is None


# --- quadrilaterals, lines -----------------------------------------------------------------------


def quad(width: float, height: float) -> np.ndarray:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)


def test_the_size_of_a_quadrilateral_is_that_of_its_longer_sides() -> None:
    assert quad_size(quad(30, 10)) == (30, 10)
    skew = np.array([[0, 0], [30, 0], [40, 10], [0, 20]], np.float32)
    width, height = quad_size(skew)
    assert width == pytest.approx(np.hypot(40, 10))
    assert height == 20
    assert quad_size(np.array([[0, 0], [3, 4], [3, 4], [0, 0]], np.float32)) == (5, 0)


@pytest.mark.parametrize(
    ("width", "height", "up"), [(10, 15, True), (10, 14.9, False), (30, 10, False), (10, 40, True)]
)
def test_a_line_runs_down_from_half_again_its_width(width: float, height: float, up: bool) -> None:
    assert is_upended(quad(width, height)) is up


def test_a_line_knows_its_measures() -> None:
    one = line("words", 10, 20, 110, 40)
    assert (one.place, one.width, one.height, one.middle, one.capacity) == (
        (10, 20, 110, 40),
        100,
        20,
        30,
        10,
    )
    assert line("", 0, 0, 100, 0.5).capacity == 200
    assert one.text == "words"
    assert one.reading.confidence == 1.0
    one.replace(done(Reading("others", 0.5)))
    assert (one.text, one.reading.confidence) == ("others", 0.5)


def test_a_line_is_read_and_settled_once() -> None:
    asked: list[str] = []

    def submit():
        asked.append("read")
        return done(Reading("raw", 0.4))

    def settle(line: TextLine, reading: Reading) -> Reading:
        asked.append(f"settle {line.index}")
        return Reading(reading.text.upper(), 0.8)

    one = TextLine((0, 0, 1, 1), 7, submit, settle)
    assert [one.text, one.text, one.reading.confidence] == ["RAW", "RAW", 0.8]
    assert asked == ["read", "settle 7"]


def test_lengths_and_heights() -> None:
    assert (visual_length("abc"), visual_length("漢a"), visual_length("⺀"), visual_length("⹿")) == (
        3,
        3,
        2,
        1,
    )
    lines = [line("", 0, 0, 10 * n, height) for n, height in ((1, 10), (1, 20), (9, 30))]
    assert median_height(lines) == 20
    assert median_height([]) == median_height(())
    assert body_height(lines) > 20, "long lines count for more"


# --- plans ---------------------------------------------------------------------------------------

GRID = TablePlan(
    tuple(
        TableCell(r, c, 1, 1, (100.0 * c, 40.0 * r, 100.0 * c + 90, 40.0 * r + 30))
        for r in range(2)
        for c in range(2)
    ),
    0.9,
)


def at(text: str, row: int, column: int) -> TextLine:
    return line(text, 10 + 100 * column, 5 + 40 * row, 60 + 100 * column, 25 + 40 * row)


FOUR = [at("a", 0, 0), at("b", 0, 1), at("c", 1, 0), at("d", 1, 1)]


def fitted(plan: TablePlan, *lines: TextLine) -> str | None:
    table = fitted_table(plan, (0.0, 0.0), lines)
    return None if table is None else table.to_html()


def test_a_plan_is_taken_from_a_confidence_and_a_size_on() -> None:
    assert fitted(GRID, *FOUR) is not None
    assert fitted(replace(GRID, confidence=0.89), *FOUR) is None
    assert fitted(replace(GRID, cells=GRID.cells[:2]), *FOUR[:2]) is None
    assert fitted(replace(GRID, cells=GRID.cells[::2]), *FOUR[::2]) is None
    assert (TablePlan((), 1.0).rows, TablePlan((), 1.0).columns) == (0, 0)
    many = tuple(
        TableCell(r, c, 1, 1, (10.0 * c, 10.0 * r, 10.0 * c + 9, 10.0 * r + 9))
        for r in range(100)
        for c in range(6)
    )
    assert fitted(TablePlan(many, 1.0)) is not None
    assert fitted(TablePlan((*many, replace(many[0], row=100)), 1.0)) is None


def test_rows_may_hold_one_line_more_than_there_are_columns() -> None:
    three = [line(str(n), 5 + 30 * n, 5, 25 + 30 * n, 25) for n in range(3)]
    rest = [at(str(n), 1, n % 2) for n in range(2)]
    wide = TablePlan(
        tuple(
            TableCell(r, c, 1, 1, (200.0 * c, 40.0 * r, 200.0 * c + 190, 40.0 * r + 30))
            for r in range(2)
            for c in range(2)
        ),
        1.0,
    )
    assert beside_share([three, rest[:1]]) == 0.75
    assert beside_share([]) == beside_share([[]]) == 0
    assert fitted(wide, *three, *rest) is None


def test_tracks_are_those_of_cells_that_span_none() -> None:
    plan = TablePlan(
        (
            TableCell(0, 0, 1, 2, (0, 0, 190, 30)),
            TableCell(1, 0, 2, 1, (0, 40, 90, 110)),
            TableCell(1, 1, 1, 1, (100, 42, 190, 70)),
            TableCell(2, 1, 1, 1, (104, 80, 194, 110)),
        ),
        1.0,
    )
    tracks = _Tracks.of(plan, (1000.0, 500.0))
    assert tracks.columns == [(1000, 1090), (1102, 1192)]
    assert tracks.rows == [(500, 530), (542, 570), (580, 610)]
    lines = [
        line("t", 1010, 505, 1060, 525),
        line("l", 1010, 560, 1060, 580),
        line("r", 1110, 545, 1160, 565),
    ]
    table = fitted_table(plan, (1000.0, 500.0), lines)
    assert table is not None
    assert table.to_html() == (
        '<table><tr><td colspan="2">t</td></tr><tr><td rowspan="2">l</td><td>r</td></tr>'
        "<tr><td></td></tr></table>"
    )


# --- where something belongs ---------------------------------------------------------------------


def blocks(*places: tuple[float, float, float, float]) -> list[Block]:
    return [Block("text", "x", (Box(*place),)) for place in places]


@pytest.mark.parametrize(
    ("places", "box", "index"),
    [
        ([], (0, 0, 10, 10), 0),
        ([(0, 0, 100, 20), (0, 60, 100, 80)], (0, 30, 100, 50), 1),
        ([(0, 0, 100, 20), (0, 60, 100, 80)], (0, 90, 100, 110), 2),
        ([(0, 30, 100, 50), (0, 60, 100, 80)], (0, 0, 100, 20), 0),
        ([(0, 0, 100, 20), (0, 60, 100, 80)], (120, 0, 200, 20), 1),
        ([(0, 0, 90, 20), (200, 0, 290, 20), (0, 30, 90, 50), (200, 30, 290, 50)], (100, 0, 190, 20), 1),
        ([(0, 0, 90, 20), (200, 0, 290, 20), (0, 30, 90, 50), (200, 30, 290, 50)], (100, 30, 190, 50), 3),
        ([(100, 0, 190, 20), (100, 30, 190, 50)], (0, 30, 90, 50), 1),
        ([(100, 0, 190, 20), (100, 30, 190, 50)], (0, 0, 90, 20), 0),
        ([(0, 0, 90, 20), (0, 30, 90, 50), (100, 0, 190, 20), (100, 30, 190, 50)], (0, 60, 90, 80), 2),
        ([(0, 0, 90, 20), (0, 30, 90, 50), (100, 0, 190, 20), (100, 30, 190, 50)], (100, 60, 190, 80), 4),
        ([(0, 0, 90, 20), (0, 30, 90, 50), (100, 30, 190, 50)], (100, 0, 190, 20), 1),
        ([(0, 0, 90, 20), (300, 200, 390, 220)], (500, 100, 590, 120), 1),
        ([(0, 100, 90, 120)], (500, 0, 590, 20), 0),
        ([(0, 0, 90, 200)], (100, 50, 190, 70), 1),
    ],
)
def test_where_a_place_is_read(
    places: list[tuple[float, float, float, float]], box: tuple[float, float, float, float], index: int
) -> None:
    assert place_among(blocks(*places), Box(*box)) == index


def test_where_nothing_has_a_place_it_comes_last() -> None:
    assert place_among([Block("text", "a"), Block("text", "b")], Box(0, 0, 1, 1)) == 2


def test_known_lines_become_blocks_with_their_lines_and_box() -> None:
    lines = [
        Line(f"Line {n} of a text that goes on", Box(100, 100 + 24 * n, 500, 116 + 24 * n), 0.5)
        for n in range(4)
    ]
    heading = Line("Heading", Box(100, 20, 300, 60))
    first, *rest = blocks_of([heading, *lines])
    assert (first.label, first.text, first.boxes, first.lines) == (
        "title",
        "# Heading",
        (heading.box,),
        (heading,),
    )
    assert [member for block in rest for member in block.lines] == lines
    assert rest[0].boxes == (Box(100, 100, 500, 188),)
    assert blocks_of([]) == ()
