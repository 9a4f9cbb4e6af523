"""Rows, gutters and line numbers at their bounds: lines 20 pixels high, on whole pixels."""

from __future__ import annotations

import pytest

from airgap.layout.lines import Inset, TextLine
from airgap.layout.regions import (
    Region,
    _count_up,
    _cuts_markers_off,
    _looks_across,
    _Profile,
    find_gutter,
    insert_figure,
    reads_across,
    regions,
    rows,
    takes_turns,
)
from tests.layout.turning import first

HEIGHT = 20


def line(x0: float, y0: float, x1: float, text: str = "word", height: float = HEIGHT) -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + height), text)


def column(x0: float, x1: float, count: int, top: float = 0, pitch: float = 30) -> list[TextLine]:
    return [line(x0, top + pitch * n, x1) for n in range(count)]


# --- rows ----------------------------------------------------------------------------------------


def test_lines_are_of_one_row_where_more_than_half_of_the_lower_one_is_level() -> None:
    def parted(down: int, height: int = HEIGHT) -> bool:
        return len(rows([line(0, 0, 100), line(200, down, 300, height=height)])) == 2

    assert first(range(5, 15), parted) == 10
    assert first(range(10, 20), lambda down: parted(down, 10)) == 15
    assert first(range(0, -20, -1), lambda up: parted(up, 10)) == -5


def test_lines_are_of_one_row_where_they_lie_over_each_other_by_less_than_two_fifths() -> None:
    def parted(lap: int, width: int = 100) -> bool:
        return len(rows([line(0, 0, 100), line(100 - lap, 0, 100 - lap + width)])) == 2

    assert first(range(30, 50), parted) == 40
    assert first(range(10, 30), lambda lap: parted(lap, 50)) == 20
    three = [line(0, 0, 100), line(200, 0, 300), line(50, 1, 190)]
    assert [len(row) for row in rows(three)] == [2, 1], "it has to stand beside all of them"


def test_a_line_joins_one_of_the_last_four_rows() -> None:
    def joined(between: int) -> bool:
        tall, other = line(0, 0, 100, height=40), line(200, 19, 300, height=40)
        across = [line(0, 22 + 4 * n, 300, height=1) for n in range(between)]
        return [tall, other] in rows([tall, other, *across])

    assert [joined(between) for between in (0, 3, 4)] == [True, True, False]


def test_a_line_is_measured_against_the_nearest_of_its_row() -> None:
    """A row that climbs: each is level with the one before it, the last not with the first."""
    climbing = [line(120 * n, 8 * n, 120 * n + 100) for n in range(4)]
    assert rows(climbing) == [climbing]
    assert rows([climbing[0], climbing[3]]) == [[climbing[0]], [climbing[3]]]


def test_an_inset_is_a_row_of_its_own_and_rows_stand_by_their_middle() -> None:
    inset, beside = Inset((0, 0, 100, 20), "table"), line(200, 0, 300)
    assert sorted(map(len, rows([inset, beside]))) == [1, 1]
    low, high, right = line(0, 100, 100), line(0, 0, 100), line(300, 103, 400)
    assert rows([right, low, high]) == [[high], [low, right]]


# --- how a side is set ---------------------------------------------------------------------------


def profile(*lines: TextLine) -> _Profile:
    return _Profile.of(list(lines))


def test_a_profile_counts_characters_width_full_rows_and_lines_of_a_row() -> None:
    found = profile(line(0, 0, 200), line(0, 30, 100), line(0, 60, 150), line(160, 60, 200))
    measures = [found.characters, found.fill, found.full_rows, found.row_length]
    assert measures == pytest.approx([15, (1 + 0.5 + 0.95) / 3, 2 / 3, 4 / 3])
    assert profile(line(0, 0, 200), line(0, 30, 150)).full_rows == 1
    assert profile(line(0, 0, 200), line(0, 30, 149)).full_rows == 0.5
    assert profile(line(5, 0, 5.5)).fill == 0.5
    assert profile(line(0, 0, 200), line(130, 0, 330), line(0, 30, 300)).fill < 1.0 + 1e-9


@pytest.mark.parametrize(
    ("of", "prose"),
    [
        (_Profile(18, 1.0, 0.3, 1.4), True),
        (_Profile(17.9, 1.0, 0.3, 1.4), False),
        (_Profile(18, 1.0, 0.29, 1.4), False),
        (_Profile(18, 1.0, 0.3, 1.5), False),
    ],
)
def test_prose_is_long_full_and_single(of: _Profile, prose: bool) -> None:
    assert of.is_prose is prose


def sides(left: float, right: float, level: int, longest: float = 1.5) -> tuple[list[TextLine], ...]:
    """Two columns of ten lines, so many of the right side's level with the left's; the first ones longer."""
    one = [line(0, 60 * n, left * (1 if n else longest)) for n in range(10)]
    two = [
        line(800, 60 * n + (0 if n < level else 30), 800 + right * (1 if n else longest)) for n in range(10)
    ]
    return one, two


@pytest.mark.parametrize(
    ("left", "right", "level", "longest", "across"),
    [
        (119, 119, 5, 1.5, True),  # short ones: from two fifths of them level
        (119, 119, 4, 1.5, False),
        (120, 120, 5, 1.5, False),
        (199, 300, 7, 1.5, True),  # longer ones: from three fifths
        (199, 300, 6, 1.5, False),
        (200, 300, 7, 1.5, False),
        (239, 300, 7, 1.75, False),
        (239, 300, 7, 1.9, True),  # such as fill little of their measure
        (239, 300, 6, 1.9, False),
        (199, 199, 7, 1.2, False),  # both prose
        (199, 199, 7, 1.5, True),
    ],
)
def test_rows_seem_to_go_on_where_enough_lines_are_level(
    left: float, right: float, level: int, longest: float, across: bool
) -> None:
    one, two = sides(left, right, level, longest)
    assert _looks_across(one, two, HEIGHT) is across
    assert _looks_across(two, one, HEIGHT) is across


@pytest.mark.parametrize(("width", "level", "across"), [(239, 4, True), (239, 3, False), (240, 4, False)])
def test_figures_beside_words_are_read_across_from_fewer(width: float, level: int, across: bool) -> None:
    figures = [line(0, 60 * n, width if n else 4 * width, "1.50") for n in range(10)]
    words = [line(2000, 60 * n + (0 if n < level else 30), 2300 if n else 3200, "x") for n in range(10)]
    assert _looks_across(figures, words, HEIGHT) is across
    half = [*figures[:5], *(line(o.x0, o.y0, o.x1, "words") for o in figures[5:])]
    assert not _looks_across(half, words, HEIGHT)


def test_level_is_nearer_than_two_fifths_of_a_line() -> None:
    def across(down: int) -> bool:
        left, right = sides(100, 100, 10)
        for member in right:
            member.y0, member.y1 = member.y0 + down, member.y1 + down
        return _looks_across(left, right, HEIGHT)

    assert first(range(4, 12), lambda down: not across(down)) == 8


# --- what parts columns --------------------------------------------------------------------------


def test_few_lines_are_read_across_without_being_level() -> None:
    """Short lines a little out of line with each other: rows while there are fewer than eight of them."""

    def across(count: int, off: int = 5) -> bool:
        left = [line(0, 60 * n, 60 + 30 * (n % 3)) for n in range(count)]
        right = [line(800, 60 * n + off, 860 + 30 * (n % 3)) for n in range(count)]
        return reads_across(left, right, HEIGHT)

    assert [across(count) for count in (6, 7, 8, 9)] == [True, True, False, False]
    assert [across(8, off) for off in (2, 3)] == [True, False]
    assert reads_across([Inset((0, 0, 9, 9), "image")], [line(20, 0, 40)], HEIGHT) is False
    assert not reads_across([line(20, 0, 40)], [Inset((0, 0, 9, 9), "image")], HEIGHT)


def test_sides_of_running_text_are_never_read_across() -> None:
    def across(stacked: int, count: int = 20) -> bool:
        """Left and right level in every row; so many of them close under one another."""
        tops = [22 * n if n < stacked else 22 * stacked + 60 * (n - stacked) for n in range(count)]
        return reads_across(
            [line(0, y, 150 if n % 2 else 190) for n, y in enumerate(tops)],
            [line(400, y, 550 if n % 2 else 590) for n, y in enumerate(tops)],
            HEIGHT,
        )

    assert first(range(2, 20), lambda stacked: not across(stacked)) == 9


def test_level_lines_are_two_thirds_of_those_that_meet() -> None:
    def across(level: int) -> bool:
        left = [line(0, 60 * n, 60) for n in range(20)]
        right = [line(800, 60 * n + (0 if n < level else 5), 860) for n in range(20)]
        return reads_across(left, right, HEIGHT)

    assert first(range(8, 18), across) == 13


def test_two_sides_take_turns_where_hardly_any_line_has_one_beside_it() -> None:
    def turns(beside: int, count: int = 20) -> bool:
        left = [line(0, 100 * n, 100) for n in range(count)]
        right = [line(200, 100 * n + (0 if n < beside else 50), 300) for n in range(count + 1)]
        return takes_turns(left, right) and takes_turns(right, left)

    assert first(range(0, 6), lambda beside: not turns(beside)) == 3

    def within(shift: int) -> bool:
        left = column(0, 100, 11, pitch=100)
        return takes_turns(left, column(200, 300, 11, top=shift + 50, pitch=100))

    assert first(range(0, 1000, 100), lambda shift: not within(shift)) == 600


def test_lines_lap_by_more_than_a_fifth_of_the_lower_one() -> None:
    def beside(down: int, height: int = HEIGHT) -> bool:
        left = [line(0, 0, 100), line(0, 300, 100)]
        return not takes_turns(left, [line(200, down, 300, height=height), line(200, 200, 300)])

    assert first(range(25, 5, -1), beside) == 15
    assert first(range(25, 5, -1), lambda down: beside(down, 10)) == 17


def marked(marks: int, text: int, capacity: float = 2.0) -> bool:
    """Marks right of a left column, and the text that they are to mark."""
    left = [*column(0, 100, 4), *column(150, 150 + 10 * capacity, marks)]
    return _cuts_markers_off(left, column(300, 600, text))


def test_marks_beside_a_text_are_not_cut_off_from_it() -> None:
    assert first(range(2, 9), lambda marks: marked(marks, 8)) == 5
    assert [marked(5, 8, capacity) for capacity in (5.9, 6.0)] == [True, False]
    assert not _cuts_markers_off(column(0, 20, 5), column(300, 600, 8)), "nothing but marks"
    inner = [*column(0, 100, 4), *column(90, 110, 8)]
    assert not _cuts_markers_off(inner, column(300, 600, 8))
    half = [*column(0, 100, 4), *column(101, 110, 4), *column(100, 110, 4)]
    assert not _cuts_markers_off(half, column(300, 600, 8))
    assert _cuts_markers_off([*half, line(101, 900, 110)], column(300, 600, 8))


# --- gutters -------------------------------------------------------------------------------------


def gutter(gap: int = 60, top: float = 0) -> bool:
    one, two = column(0, 400, 12, pitch=26), column(400 + gap, 800 + gap, 12, top=top, pitch=26)
    return find_gutter([*one, *two], HEIGHT) is not None


def test_a_gutter_has_a_least_width_and_a_least_length() -> None:
    assert first(range(-24, 0), gutter) == -HEIGHT
    assert first(range(224, 230), lambda top: not gutter(top=top)) == 227


def test_a_column_has_three_lines_and_is_wider_than_a_line_is_high_twice() -> None:
    def narrow(width: int, *, left: bool) -> bool:
        """Lines that are level here and there with those of a broad column."""
        few, many = column(0, width, 8, pitch=60), column(width + 14, 500, 10, pitch=52)
        for member in (*few, *many) if not left else ():
            member.x0, member.x1 = 1000 - member.x1, 1000 - member.x0
        return find_gutter([*few, *many], HEIGHT) is not None

    def short(count: int, *, left: bool) -> bool:
        few, many = column(0, 400, count, pitch=70), column(500, 900, 12, pitch=26)
        for member in (*few, *many) if not left else ():
            member.x0, member.x1 = 1000 - member.x1, 1000 - member.x0
        return find_gutter([*few, *many], HEIGHT) is not None

    assert first(range(1, 6), lambda count: short(count, left=True)) == 3
    assert first(range(1, 6), lambda count: short(count, left=False)) == 3
    assert first(range(20, 60), lambda width: narrow(width, left=True)) == 35
    assert first(range(20, 60), lambda width: narrow(width, left=False)) == 25


def test_marks_stay_with_the_text_that_they_mark() -> None:
    """Numbers between two columns, a little further from the right one: the best gutter is left of them."""
    left, right = column(0, 300, 20, pitch=26), column(385, 700, 20, top=7, pitch=26)
    marks = column(330, 345, 20, top=7, pitch=26)
    found = find_gutter([*left, *marks, *right], HEIGHT)
    assert found is not None
    assert {id(o) for o in found.left} == {id(o) for o in left}


def test_many_columns_are_read_one_after_another() -> None:
    columns = [column(300 * n, 300 * n + 260, 5, top=7 * (n % 3), pitch=26) for n in range(10)]
    found = [o for region in regions([o for lines in columns for o in lines]) for o in region.lines]
    assert [id(o) for o in found] == [id(o) for lines in columns for o in lines]


def test_what_stands_above_columns_low_on_the_page_is_read_before_them() -> None:
    above, below = line(0, 560, 860), line(0, 960, 860)
    columns = [*column(0, 400, 12, top=600, pitch=26), *column(460, 860, 12, top=600, pitch=26)]
    found = [o for region in regions([below, *columns, above]) for o in region.lines]
    assert (found[0], found[-1]) == (above, below)


# --- line numbers --------------------------------------------------------------------------------


def numbered(count: int, *, width: float = 20, total: int = 12, start: int = 1, step: int = 1) -> bool:
    """Whether numbers before so many of the rows are taken out of them."""
    lines = [line(120, 30 * n, 700, f"text {n}") for n in range(total)]
    lines += [line(60, 30 * n, 60 + width, str(start + step * n)) for n in range(count)]
    return any(region.side for region in regions(lines))


def test_line_numbers_stand_before_most_rows_and_are_short() -> None:
    assert first(range(2, 8), lambda count: numbered(count, total=5)) == 5
    assert first(range(2, 12), numbered) == 8
    assert [numbered(12, width=width) for width in (79, 80)] == [True, False]
    lines = [line(120, 30 * n, 700, f"text {n}") for n in range(12)]
    lines += [line(60, 30 * n, 80, str(n)) for n in range(12)]
    last, wide = line(300, 360, 340, "end"), line(0, 390, 90, "wide")
    numbers, text = regions([*lines, last, wide])
    assert [numbers.side, text.side, len(numbers.lines)] == [True, False, 12]
    assert not numbered(12, step=2)
    assert numbered(12, start=80)


@pytest.mark.parametrize(
    ("texts", "up"),
    [
        ("1 2 3 4 5 6 7 8 9 10 11", True),
        ("1 2 3 4 5 6 7 8 x y z", True),
        ("1 2 3 4 5 6 7 x y z a", False),
        ("998 999 1000", False),
        ("998 999", True),
        ("a b c", False),
        ("3 2 1", False),
    ],
)
def test_numbers_count_up_in_seven_of_ten_steps(texts: str, up: bool) -> None:
    assert _count_up(texts.split()) is up


# --- figures among rows --------------------------------------------------------------------------


def places(figure: tuple[float, float, float, float], *columns: list[TextLine], side: int = -1) -> list[str]:
    ordered = [Region([[o] for o in lines], side=n == side) for n, lines in enumerate(columns)]
    insert_figure(ordered, Inset(figure, "image"))
    return ["".join("F" if isinstance(row[0], Inset) else "." for row in region.rows) for region in ordered]


@pytest.mark.parametrize(
    ("figure", "side", "expected"),
    [
        ((0, 55, 100, 65), -1, ["..F...", "....."]),
        ((0, 5, 10, 16), -1, [".F....", "....."]),
        ((-100, 60, 100, 80), -1, ["..F...", "....."]),
        ((-102, 60, 100, 80), -1, [".....", ".....", "F"]),
        ((100, 60, 300, 80), -1, ["..F...", "....."]),
        ((102, 60, 300, 80), -1, [".....", ".....", "F"]),
        ((400, 60, 500, 80), -1, [".....", "..F..."]),
        ((0, 60, 100, 80), 0, [".....", ".....", "F"]),
        ((0, 200, 100, 300), -1, [".....", ".....", "F"]),
        ((0, -50, 100, -20), -1, ["F", ".....", "....."]),
    ],
)
def test_where_a_figure_goes(
    figure: tuple[float, float, float, float], side: int, expected: list[str]
) -> None:
    assert places(figure, column(0, 200, 5), column(300, 500, 5), side=side) == expected
