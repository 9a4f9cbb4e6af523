"""Where a further place is read, plans whose cells share lines, and lines that stand between tracks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airgap.core.document import Block, Box
from airgap.layout.areas import Area
from airgap.layout.insertion import _is_level, _shares_x, place_among
from airgap.layout.lines import TextLine
from airgap.layout.planned_tables import TableCell, TablePlan, _closest, _distance, _nearest, fitted_table
from tests.layout.turning import first

Four = tuple[float, float, float, float]


# --- insertion -----------------------------------------------------------------------------------


def test_places_are_level_where_more_than_half_of_the_lower_is_beside_the_higher() -> None:
    one = Box(0, 0, 90, 20)
    assert first(range(15, 5, -1), lambda y: _is_level(one, Box(100, y, 190, y + 20))) == 9
    assert first(range(25, 10, -1), lambda y: _is_level(one, Box(100, y, 190, y + 10))) == 14
    assert first(range(-15, 0), lambda y: _is_level(one, Box(100, y, 190, y + 20))) == -9
    assert first(range(60, 40, -1), lambda high: _is_level(one, Box(100, 0, 190, high))) == 49


def test_places_share_a_column_from_the_first_pixel() -> None:
    assert [_shares_x(Box(0, 0, 100, 9), Box(x, 20, x + 50, 29)) for x in (99, 100, -49, -50)] == [
        True,
        False,
        True,
        False,
    ]


def order(*places: Four, new: Four) -> int:
    return place_among([Block("text", "", (Box(*place),)) for place in places], Box(*new))


A, B = (0, 0, 90, 20), (100, 0, 190, 20)
C, D = (0, 30, 90, 50), (100, 30, 190, 50)
FAR = (0, 300, 90, 320)


@pytest.mark.parametrize(
    ("places", "new", "index"),
    [
        ((A, C), (100, 0, 190, 20), 1),
        ((A, C), (100, 30, 190, 50), 2),
        ((A, B, C), D, 3),
        ((A, B, D), C, 2),
        ((B, D), (0, 30, 90, 50), 1),
        ((A, C, B), D, 3),
        ((A, C, D), B, 1),
        ((A, FAR), (100, 100, 190, 120), 1),
        ((A, FAR), (0, 100, 90, 120), 1),
        ((FAR,), (0, 0, 90, 20), 0),
        ((FAR,), (200, 0, 290, 20), 0),
        ((FAR,), (200, 400, 290, 420), 1),
        ((A, B), (0, 0, 90, 20), 0),
        ((A, B), (-5, 0, -1, 20), 0),
        ((A, C), (0, 0, 90, 21), 0),
        ((C, A), (0, 60, 90, 80), 1),
        ((A, (100, 0, 190, 100), C), (0, 60, 90, 80), 3),
        (((0, 0, 40, 20), (50, 0, 90, 20), C), (100, 0, 190, 20), 2),
        ((A, (200, 0, 290, 20), C), (100, 0, 190, 20), 1),
        ((A, (200, 0, 290, 20), C, (200, 30, 290, 50)), (100, 30, 190, 50), 3),
        ((A, C, (200, 0, 290, 20), (200, 30, 290, 50)), (100, 0, 190, 20), 1),
        (((200, 0, 290, 20), (0, 100, 290, 120)), (0, 0, 90, 20), 0),
        (((0, 0, 90, 20), (0, 100, 190, 120)), (100, 0, 190, 20), 1),
        (((0, 0, 90, 20), (0, 40, 90, 60), (0, 100, 190, 120)), (100, 0, 190, 20), 2),
    ],
)
def test_where_a_place_is_read(places: tuple[Four, ...], new: Four, index: int) -> None:
    assert order(*places, new=new) == index


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.data())
def test_a_cell_taken_out_of_a_grid_goes_back_where_it_was(
    rows: int, columns: int, data: st.DataObject
) -> None:
    places = [
        (100.0 * c, 30.0 * r, 100.0 * c + 80, 30.0 * r + 20) for r in range(rows) for c in range(columns)
    ]
    taken = data.draw(st.integers(0, len(places) - 1))
    rest = [place for index, place in enumerate(places) if index != taken]
    assert order(*rest, new=places[taken]) == taken


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(2, 3), st.data())
def test_a_paragraph_taken_out_of_columns_goes_back_where_it_was(
    rows: int, columns: int, data: st.DataObject
) -> None:
    """Columns whose paragraphs are not level with each other."""
    places = [
        (300.0 * c, 100.0 * r + 37 * c, 300.0 * c + 250, 100.0 * r + 37 * c + 30)
        for c in range(columns)
        for r in range(rows)
    ]
    taken = data.draw(st.integers(0, len(places) - 1))
    rest = [place for index, place in enumerate(places) if index != taken]
    assert order(*rest, new=places[taken]) == taken


# --- plans ---------------------------------------------------------------------------------------


def test_a_line_goes_to_the_track_that_it_shares_most_with() -> None:
    tracks = [(0.0, 100.0), None, (110.0, 200.0), (210.0, 300.0)]
    sharing = ((0, 50), (90, 130), (95, 115))
    assert [_nearest(tracks, *span) for span in sharing] == [0, 2, 0]
    beside = ((100, 108), (102, 110), (104, 104), (106, 106), (203, 203), (400, 500))
    assert [_nearest(tracks, *span) for span in beside] == [0, 2, 0, 2, 2, 3]
    assert _nearest([None, None], 0, 1) == 0
    assert _nearest([], 0, 1) == 0
    assert _nearest([(0.0, 10.0), (0.0, 10.0)], 2, 5) == 0
    assert _nearest([(0.0, 60.0), (20.0, 80.0)], 55, 55) == 1
    assert _distance((10, 20), 15) == (0, 0)
    assert _distance((10, 20), 12) == (0, 3)
    assert (_distance((10, 20), 4), _distance((10, 20), 27)) == ((6, 11), (7, 12))


def test_a_line_of_no_cell_goes_to_the_nearest_rather_beside_than_below() -> None:
    cells = [TableCell(0, 0, 1, 1, (0, 0, 100, 40)), TableCell(1, 1, 1, 1, (200, 100, 300, 140))]

    def closest(x: float, y: float) -> int:
        return _closest(cells, (1000, 500), TextLine.known((990 + x, 490 + y, 1010 + x, 510 + y), ""))

    assert first(range(100, 300), lambda x: closest(x, 70) == 1) == 151
    assert first(range(40, 120), lambda y: closest(150, y) == 1) == 71
    assert first(range(40, 120), lambda y: closest(50, y) == 1) == 104


def test_lines_of_a_cell_are_read_by_rows_and_empty_rows_are_left_out() -> None:
    at = [(r, c) for r in (0, 2) for c in (0, 1)]
    cells = tuple(TableCell(r, c, 1, 1, (100.0 * c, 60.0 * r, 100.0 * c + 90, 60.0 * r + 50)) for r, c in at)
    lines = [
        TextLine.known((10, 30, 80, 45), "below"),
        TextLine.known((10, 5, 80, 20), "above"),
        TextLine.known((110, 5, 180, 20), "right"),
        TextLine.known((110, 125, 180, 145), "last"),
    ]
    table = fitted_table(TablePlan(cells, 0.9), (0, 0), lines)
    assert table is not None
    assert table.to_html() == (
        "<table><tr><td>above below</td><td>right</td></tr><tr><td></td><td>last</td></tr></table>"
    )


def test_a_tenth_of_the_lines_may_stand_beside_another_in_its_cell() -> None:
    cells = tuple(
        TableCell(r, c, 1, 1, (100.0 * c, 40.0 * r, 100.0 * c + 90, 40.0 * r + 30))
        for r in range(10)
        for c in (0, 1)
    )
    lines = [
        TextLine.known((100 * c + 5, 40 * r + 5, 100 * c + 30, 40 * r + 25), "")
        for r in range(10)
        for c in (0, 1)
    ]
    one = TextLine.known((50, 5, 80, 25), "")
    assert fitted_table(TablePlan(cells, 1.0), (0, 0), [*lines[:19], one]) is not None
    assert fitted_table(TablePlan(cells, 1.0), (0, 0), [*lines[:18], one]) is None
    three = [*lines, one, TextLine.known((150, 5, 180, 25), "")]
    assert fitted_table(TablePlan(cells, 1.0), (0, 0), three) is None


# --- areas ---------------------------------------------------------------------------------------


def test_a_line_is_of_an_area_from_six_tenths_on() -> None:
    area = Area("text", 0.9, (0, 0, 100, 100))
    assert first(range(50, 30, -1), lambda x: area.holds(TextLine.known((x, 0, x + 100, 10), ""))) == 40
    assert first(range(50, 30, -1), lambda y: area.holds(TextLine.known((0, y, 10, y + 100), ""))) == 40
    assert Area("text", 0.9, (50, 50, 10, 90)).size == Area("text", 0.9, (50, 50, 90, 10)).size == 0
    assert area.share_of((0, 0, 10, 0)) == area.share_of((0, 0, 0, 10)) == 0
    assert area.share_of((0, 0, 0.5, 1)) == 1
