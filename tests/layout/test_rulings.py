"""Rules, grids, drawings and figures at their bounds, in pixels of pages that are not reduced."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from airgap.layout import rulings
from airgap.layout.lines import TextLine
from airgap.layout.quads import Picture
from airgap.layout.rulings import (
    Grid,
    Ink,
    _edges,
    _rules,
    find_grids,
    is_inside,
)
from airgap.layout.view import View
from tests.layout.painting import drawing, fill, line, paper, ruled
from tests.layout.turning import first

Mask = NDArray[np.uint8]


# --- the reduced page ----------------------------------------------------------------------------


def test_a_page_is_reduced_to_1600_pixels_and_never_enlarged() -> None:
    small, wide, high = (Ink.of(View(paper(*size))) for size in ((1000, 800), (3200, 2000), (1000, 4000)))
    assert (small.grey.shape, small.scale) == ((800, 1000), 1.0)
    assert (wide.grey.shape, wide.scale) == ((1000, 1600), 0.5)
    assert (high.grey.shape, high.scale) == ((1600, 400), 0.4)
    assert Ink.of(View(paper(4000, 1))).mask.shape == (1, 1600)


def test_ink_is_what_is_darker_than_the_paper_around_it() -> None:
    picture = paper(200, 100)
    picture[:, 100:] = 120
    picture[40:44, 30:34] = picture[40:44, 150:154] = 60
    mask = Ink.of(View(picture)).mask
    assert mask[40:44, 30:34].all()
    assert mask[40:44, 150:154].all()
    assert not mask[:, 40:80].any()
    assert not mask[:, 160:].any()
    faint = first(range(243, 237, -1), lambda grey: Ink.of(View(_dotted(grey))).mask[50, 50])
    assert faint == 240


def _dotted(grey: int) -> Picture:
    picture = paper(100, 100)
    picture[50:52, 50:52] = grey
    return picture


# --- strokes -------------------------------------------------------------------------------------


def stroke(length: int, thickness: int, *, down: bool = False, gap: int = 0, dash: int = 3) -> Mask:
    mask = np.zeros((200, 200), np.uint8)
    mask[90 : 90 + thickness, 20 : 20 + length] = 255
    for start in range(20 + dash, 20 + length, dash + gap) if gap else ():
        mask[:, start : start + gap] = 0
    return np.ascontiguousarray(mask.T) if down else mask


@pytest.mark.parametrize("down", [False, True])
def test_a_rule_is_a_stroke_that_is_long_and_thin(down: bool) -> None:
    def found(length: int, thickness: int, gap: int = 0, *, across: bool = down) -> bool:
        mask = stroke(length, thickness, down=down, gap=gap)
        return bool(_rules(mask, (1, 50) if across else (50, 1)).any())

    assert first(range(47, 53), lambda length: found(length, 2)) == 50
    assert first(range(11, 5, -1), lambda thickness: found(120, thickness)) == 8
    assert first(range(7, 1, -1), lambda gap: found(120, 2, gap)) == 4
    assert not found(120, 2, across=not down)


def profile(length: int, *marked: int) -> NDArray[np.int64]:
    return np.array([10 if place in marked else 0 for place in range(length)])


@pytest.mark.parametrize(
    ("marked", "edges"),
    [
        ((), [0, 99]),
        ((50,), [0, 50, 99]),
        ((48, 52), [0, 50, 99]),
        ((48, 53), [0, 48, 53, 99]),
        ((40, 44, 48), [0, 44, 99]),
        ((12, 87), [12, 87]),
        ((13, 86), [0, 13, 86, 99]),
        ((0, 1, 2, 98, 99), [1, 98]),
    ],
)
def test_edges_are_the_middles_of_peaks_and_both_ends(marked: tuple[int, ...], edges: list[int]) -> None:
    assert _edges(profile(100, *marked), 10, 100) == edges
    assert _edges(profile(100, *marked), 10.5, 100) == [0, 99]


# --- grids ---------------------------------------------------------------------------------------


def grids(picture: Picture, *lines: TextLine) -> list[Grid]:
    return find_grids(Ink.of(View(picture)), lines)


def test_a_grid_has_a_least_width_and_a_least_height() -> None:
    assert first(range(91, 97), lambda w: grids(ruled([100, 100 + w // 2, 100 + w], [100, 200]))) == 94
    assert first(range(45, 51), lambda high: grids(ruled([100, 200, 300], [100, 100 + high]))) == 48


def test_grids_come_from_top_to_bottom_in_pixels_of_the_page() -> None:
    picture = ruled([200, 800, 1400], [1200, 1400, 1600], paper(3200, 3200))
    ruled([1600, 2200, 2800], [200, 400, 600], picture)
    upper, lower = grids(picture)
    assert upper.place == pytest.approx((1600, 200, 2800, 600), abs=6)
    assert lower.place == pytest.approx((200, 1200, 1400, 1600), abs=6)


def test_a_rule_counts_from_three_tenths_of_the_grid() -> None:
    def columns(length: int) -> int:
        picture = ruled([100, 500], [100, 300])
        fill(picture, 300, 180, 302, 180 + length)
        return sum(len(grid.xs) for grid in grids(picture))

    def rows(length: int) -> int:
        picture = ruled([100, 300, 500], [100, 300])
        fill(picture, 150, 200, 150 + length, 202)
        return sum(len(grid.ys) for grid in grids(picture))

    assert first(range(59, 65), lambda length: columns(length) == 3) == 62
    assert first(range(119, 125), lambda length: rows(length) == 3) == 122


def test_one_column_is_no_grid_and_eighty_edges_are_the_most() -> None:
    assert not grids(ruled([100, 500], [100, 200, 300]))
    assert grids(ruled([100, 300, 500], [100, 200]))
    many = list(range(10, 990, 12))
    assert [len(grid.ys) for grid in grids(ruled([100, 300, 500], many[:80]))] == [80]
    assert not grids(ruled([100, 300, 500], many[:81]))
    assert [len(grid.xs) for grid in grids(ruled(many[:80], [100, 300]))] == [80]
    assert not grids(ruled(many[:81], [100, 300]))


def test_a_rule_parts_two_cells_where_it_runs_along_more_than_half_of_them() -> None:
    xs, ys = [100, 300, 500], [100, 200, 300, 400]

    def right(length: int) -> NDArray[np.bool_]:
        picture = ruled(xs, ys)
        fill(picture, 296, 206, 308, 296 - length, 255)
        [grid] = grids(picture)
        return grid.right_of

    def below(length: int) -> NDArray[np.bool_]:
        picture = ruled(xs, ys)
        fill(picture, 306, 196, 496 - length, 208, 255)
        [grid] = grids(picture)
        return grid.below

    assert first(range(42, 48), lambda length: right(length)[1, 0]) == 45
    assert first(range(92, 98), lambda length: below(length)[0, 1]) == 95
    assert right(0).tolist() == [[True, True], [False, True], [True, True]]
    assert below(0).tolist() == [[True, False], [True, True], [True, True]]


def test_a_rule_may_stand_four_pixels_off_in_one_cell() -> None:
    xs, ys = list(range(100, 901, 200)), list(range(100, 701, 100))

    def right(off: int) -> bool:
        picture = ruled(xs, ys)
        fill(picture, 298, 204, 306, 296, 255)
        fill(picture, 300 + off, 204, 302 + off, 296)
        return bool(grids(picture)[0].right_of[1, 0])

    def below(off: int) -> bool:
        picture = ruled(xs, ys)
        fill(picture, 304, 198, 496, 206, 255)
        fill(picture, 304, 200 + off, 496, 202 + off)
        return bool(grids(picture)[0].below[0, 1])

    assert [off for off in range(-8, 9) if right(off)] == list(range(-5, 5))
    assert [off for off in range(-8, 9) if below(off)] == list(range(-5, 5))


def test_a_line_of_text_is_no_dotted_rule() -> None:
    """Strokes in a row, at each height of a line: all but a fifth of it above and below is looked past."""
    picture = ruled([100, 300, 500], [100, 300])
    for x in range(110, 490, 6):
        fill(picture, x, 198, x + 3, 202)
    assert [len(grid.ys) for grid in grids(picture)] == [3]
    edges = [len(grids(picture, line(110, 200 - up, 490, 220 - up))[0].ys) for up in range(4, 18)]
    assert [up for up, count in zip(range(4, 18), edges, strict=True) if count == 2] == list(range(6, 16))


def test_what_a_grid_holds_lies_within_its_outer_edges() -> None:
    grid = Grid((100.0, 200.0, 300.0), (50.0, 90.0), np.ones((1, 2), bool), np.ones((1, 2), bool))
    assert list(grid.place) == [100, 50, 300, 90]

    def holds(x: float, y: float) -> bool:
        at = line(x - 10, y - 5, x + 10, y + 5)
        assert is_inside(at, grid.place) is grid.holds(at)
        return grid.holds(at)

    assert [holds(x, 70) for x in (100, 101, 299, 300)] == [False, True, True, False]
    assert [holds(200, y) for y in (50, 51, 89, 90)] == [False, True, True, False]


# --- drawings ------------------------------------------------------------------------------------


def test_a_drawing_is_what_stands_out_from_the_paper() -> None:
    def drawn(grey: int, ground: int = 255) -> bool:
        picture = paper()
        picture[:] = ground
        fill(picture, 100, 100, 300, 300, grey)
        return bool(drawing(picture).mask.any())

    assert first(range(207, 201, -1), drawn) == 204
    assert first(range(148, 154), lambda grey: drawn(grey, 100)) == 151
    picture = paper()
    fill(picture, 0, 0, 1000, 899, 0)
    mask = drawing(picture).mask
    assert mask[:899].all()
    assert not mask[899:].any()
    fill(picture, 0, 899, 1000, 901, 0)
    assert drawing(picture).mask[901:].all()


def test_lines_and_rules_are_no_drawing_but_high_marks_are() -> None:
    picture = paper()
    for top, bottom in ((100, 120), (200, 250), (300, 351), (400, 480)):
        fill(picture, 100, top, 300, bottom)
    fill(picture, 100, 600, 300, 602)
    lines = [
        line(100, 100, 300, 120),
        *(line(600, 100 + 30 * n, 700, 120 + 30 * n) for n in range(4)),
        line(100, 200, 300, 250, "I"),
        line(100, 300, 300, 351, "I"),
        line(100, 400, 300, 480, "LARGE"),
    ]
    found = drawing(picture, *lines)
    tops = [
        top for top, bottom in ((100, 120), (200, 250), (300, 351), (400, 480)) if found.mask[top + 5, 150]
    ]
    assert tops == [300]
    assert found.rules[600, 150]
    assert not found.mask[600, 150]
    assert found.rules.sum() == 255 * 400


def test_a_line_is_taken_off_with_two_pixels_around_it() -> None:
    picture = paper()
    fill(picture, 100, 100, 300, 300)
    left = drawing(picture, line(150, 150, 200, 170)).mask
    ys, xs = np.nonzero(left[100:300, 100:300] == 0)
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (48, 72, 48, 102)
    corner = paper()
    fill(corner, 0, 0, 100, 100)
    rest = drawing(corner, line(-10, -5, 20, 20)).mask
    assert not rest[:23, :23].any()
    assert rest[23, :100].all()
    assert rest[:100, 23].all()


def test_a_table_is_drawn_on_from_a_share_of_what_is_no_stroke() -> None:
    def fills(wide: int, high: int) -> bool:
        picture = paper()
        fill(picture, 120, 120, 120 + wide, 120 + high)
        return drawing(picture).fills((100, 100, 200, 200))

    assert first(range(38, 44), lambda wide: fills(wide, 20)) == 41
    assert not fills(70, 4)
    assert not drawing(paper()).fills((100, 100, 100, 200))
    assert not drawing(paper()).fills((-50, -50, -10, -10))
    half = paper(3200, 100)
    fill(half, 240, 60, 400, 80)
    assert drawing(half).fills((200, 0, 400, 100)), "16 of 100"
    assert not drawing(half).fills((200, 0, 640, 100)), "7 of 100"


def test_a_rule_midway_in_a_strip_of_lines_makes_no_grid_without_rows() -> None:
    across, down = np.zeros((25, 240), np.uint8), np.zeros((25, 240), np.uint8)
    across[12] = 255
    down[:, [0, 120, 239]] = 255
    assert rulings._grid(across, down, (0, 0), 1.0) is None
