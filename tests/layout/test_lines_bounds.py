"""Stacks of running text, level lines, wide tables and small parts at their bounds."""

from __future__ import annotations

import pytest

from airgap.layout.lines import Inset, TextLine, body_height, median_height, runs_to_the_left, said
from airgap.layout.running_text import level_share, stacked_share, stacks
from airgap.layout.wide_tables import clean_grid, widened
from tests.layout.turning import first

HEIGHT = 20


def line(x0: float, y0: float, x1: float, height: float = HEIGHT, text: str = "word") -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + height), text)


# --- stacks --------------------------------------------------------------------------------------


def stacked(second: TextLine, top: TextLine | None = None) -> bool:
    return len(stacks([top or line(0, 0, 300), second])) == 1


def test_a_line_goes_on_a_stack_that_is_close_above_it() -> None:
    assert first(range(45, 30, -1), lambda y: stacked(line(0, y, 300))) == 37
    assert first(range(5, 15), lambda y: stacked(line(0, y, 300))) == 11


def test_a_line_of_a_stack_shares_its_width_its_edge_and_its_height() -> None:
    assert first(range(42, 48), lambda x: not stacked(line(x, 22, x + 150), line(0, 0, 150))) == 45
    wide = line(0, 0, 1000)
    assert first(range(50, 70), lambda x: not stacked(line(x, 22, 1000), wide)) == 60
    assert first(range(10, 18), lambda high: stacked(line(0, 22, 600, high), wide)) == 15
    assert first(range(35, 25, -1), lambda high: stacked(line(0, 22, 600, high), wide)) == 28
    assert stacks([line(0, 0, 139)]) == []
    assert len(stacks([line(0, 0, 140)])) == 1


def test_a_line_goes_on_one_of_the_latest_stacks() -> None:
    """Lines side by side between the first and the one that goes on it."""

    def lengths(between: int) -> list[int]:
        first_line, last = line(0, 0, 300), line(0, 25, 300)
        others = [line(400 * n, 1 + n, 400 * n + 300) for n in range(1, between + 1)]
        return sorted(len(stack) for stack in stacks([first_line, *others, last]))

    assert [max(lengths(between)) for between in (11, 12)] == [2, 1]


def test_the_edge_of_a_stack_is_its_outermost() -> None:
    steps = [line(x, 24 * n, 1000) for n, x in enumerate((0, 40, 80))]
    assert [len(stack) for stack in stacks(steps)] == [2, 1]


def test_running_text_reaches_across_in_two_of_five_lines() -> None:
    def share(full: int, end: float = 300) -> float:
        return stacked_share([line(0, 24 * n, end if n < full else 200 if n < 9 else 300) for n in range(10)])

    assert [share(full) for full in (2, 3)] == [0, 1]
    assert [share(4, end) for end in (255, 256)] == [0, 1]
    assert stacked_share([line(0, 0, 300), line(0, 24, 300), line(0, 200, 600)]) == 0.5
    assert stacked_share([line(0, 24 * n, 300) for n in range(3)], 4) == 0
    assert stacked_share([line(0, 24 * n, 300) for n in range(4)], 4) == 1
    assert stacked_share([line(0, 0, 300)]) == 0
    assert stacked_share([]) == 0
    assert stacked_share([Inset((0, 0, 300, 20), "table"), line(0, 22, 300)]) == 0


def test_how_near_lines_are_level() -> None:
    def share(*downs: float) -> float:
        left = [line(0, 100 * n, 100) for n in range(len(downs))]
        return level_share(left, [line(200, 100 * n + down, 300) for n, down in enumerate(downs)], 20)

    assert (share(0, 2.9), share(0, 3), share(0, 7.9), share(0, 8)) == (1, 0.5, 0.5, 1)
    assert share(9, 10) == 0
    few = [line(0, 0, 100)]
    assert level_share(few, [line(200, 0, 300), line(200, 5, 300)], 20) == 1
    assert level_share([line(200, 0, 300), line(200, 5, 300)], few, 20) == 1


# --- lines ---------------------------------------------------------------------------------------


def test_heights_of_lines() -> None:
    assert median_height([Inset((0, 0, 10, 900), "image"), line(0, 0, 10)]) == 20
    assert median_height([line(0, 0, 10, 0.5)]) == 1
    assert median_height([]) == 1
    assert body_height([]) == 1
    assert body_height([line(0, 0, 100, 10), line(0, 0, 100, 30)]) == 10
    assert body_height([line(0, 0, 100, 10), line(0, 0, 101, 30)]) == 30
    assert body_height([line(0, 0, 100, 30), line(0, 0, 60, 10), line(0, 0, 60, 20)]) == 20


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (["\u05e9\u05dc\u05d5\u05dd"], True),
        (["\u0645\u0631\u062d\u0628\u0627"], True),
        (["\u05e9\u05dc\u05d5\u05dd", "words"], False),
        (["\u05e9\u05dc", "ab"], False),
        (["12"], False),
    ],
)
def test_which_way_a_text_runs(texts: list[str], left: bool) -> None:
    assert runs_to_the_left(texts) is left


def test_what_a_row_says() -> None:
    assert said([line(0, 0, 9, text="a"), line(0, 0, 9, text=""), line(0, 0, 9, text="b")]) == "a  b"
    hebrew = ("\u05e2\u05d5\u05dc\u05dd", "\u05e9\u05dc\u05d5\u05dd")
    assert said([line(0, 0, 9, text=word) for word in hebrew]) == " ".join(reversed(hebrew))


# --- wide tables ---------------------------------------------------------------------------------


def grid(rows: int, *xs: int) -> list[TextLine]:
    return [line(x, 40 * n, x + 60) for n in range(rows) for x in xs]


def taken(further: list[TextLine], rows: int = 10) -> int:
    inside = grid(rows, 100, 200)
    return len(widened((90, -5, 270, 40 * rows), inside, [*inside, *further])[1]) - len(inside)


def test_a_table_is_widened_by_columns_that_are_near() -> None:
    assert first(range(435, 425, -1), lambda x: taken(grid(10, x))) == 429
    assert first(range(-140, -120), lambda x: taken(grid(10, x))) == -129
    assert taken(grid(10, 300, 480, 660)) == 30
    assert [taken(grid(rows, 300), rows) for rows in (3, 4)] == [0, 4]


def test_a_further_column_meets_a_quarter_of_the_rows_and_two_at_least() -> None:
    assert [taken(grid(count, 300), 12) for count in (2, 3)] == [0, 3]
    assert [taken(grid(count, 300), 5) for count in (1, 2)] == [0, 2]


def test_a_further_column_is_level_with_the_rows() -> None:
    assert (
        first(range(12, 2, -1), lambda down: taken([line(300, 40 * n + down, 360) for n in range(10)])) == 6
    )
    off = [line(300, 40 * n + (15 if n in (3, 7) else 0), 360) for n in range(10)]
    assert taken(off) == 0
    assert taken([*off[:7], line(300, 280, 360), *off[8:]]) == 10


def test_only_lines_within_the_tables_height_are_beside_it() -> None:
    at = (90, 10, 270, 370)
    inside = grid(10, 100, 200)
    place, lines = widened(at, inside, [*inside, *grid(12, 300), line(300, -40, 360)])
    assert (place, len(lines)) == ((90, 10, 360, 370), 30)
    place, lines = widened((90, 11, 270, 369), inside, [*inside, *grid(10, 300)])
    assert (place, len(lines)) == ((90, 11, 360, 369), 28)
    place, _ = widened(at, inside, [*inside, *grid(10, 0)])
    assert place == (0, 10, 270, 370)


def test_a_column_of_running_text_is_none_of_the_tables() -> None:
    inside = [line(x, 22 * n, x + 60) for n in range(10) for x in (100, 200)]
    text = [line(300, 22 * n, 500) for n in range(10)]

    def more(stacked: int) -> int:
        beside = [line(300, 22 * n, 500) for n in range(stacked)]
        beside += [line(300, 22 * n, 330) for n in range(stacked, 10)]
        return len(widened((90, -5, 270, 240), inside, [*inside, *beside])[1]) - len(inside)

    assert len(widened((90, -5, 270, 240), inside, [*inside, *text])[1]) == len(inside)
    assert [more(stacked) for stacked in (3, 4)] == [10, 0]


def test_a_column_is_what_lies_under_its_first_line() -> None:
    """Lines that share some of their width, and one that shares none."""
    beside = [line(300 + 20 * (n % 2), 40 * n, 360 + 20 * (n % 2)) for n in range(9)]
    assert taken([*beside, line(390, 360, 420)]) == 9
    assert [taken([*beside[:3], line(x, 120, 420)], 4) for x in (379, 380)] == [4, 3]


def test_a_clean_grid_has_six_rows_and_three_columns_of_single_lines() -> None:
    assert [clean_grid(grid(rows, 0, 100, 200)) is not None for rows in (5, 6)] == [False, True]
    assert clean_grid(grid(6, 0, 100)) is None
    base = grid(6, 0, 100, 200)
    assert clean_grid([o for o in base if (o.x0, o.y0) != (0, 40)]) is None, "a row without its first cell"
    assert clean_grid([o for o in base if (o.x0, o.y0) != (100, 40)]) is not None
    assert clean_grid([o for o in base if o.y0 != 40 or o.x0 == 0]) is None, "a row of one line"


@pytest.mark.parametrize(("end", "clean"), [(99, True), (100, False)])
def test_columns_of_a_clean_grid_lie_apart(end: float, clean: bool) -> None:
    lines = grid(6, 0, 100, 200)
    lines[0].x1 = end
    assert (clean_grid(lines) is not None) is clean
