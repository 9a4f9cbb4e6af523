"""Lines found across a gutter: two columns 20 pixels high each line, 14 pixels apart."""

from __future__ import annotations

import numpy as np
import pytest

from airgap.layout.bridges import parted_at_gutters
from airgap.layout.lines import TextLine
from airgap.layout.quads import Picture

HEIGHT, PITCH = 20, 26
LEFT, RIGHT = (50.0, 350.0), (364.0, 664.0)


def line(x0: float, row: int, x1: float) -> TextLine:
    return TextLine.known((x0, 40 + row * PITCH, x1, 40 + row * PITCH + HEIGHT), f"{x0:.0f}-{x1:.0f}")


def part(whole: TextLine, x0: float, x1: float) -> TextLine:
    return TextLine.known((x0, whole.y0, x1, whole.y1), f"{x0:.0f}-{x1:.0f}")


def painted(lines: list[TextLine], gap: tuple[float, float] | None) -> Picture:
    """Letters along each line, but for a gap in those that run over it."""
    page = np.full((400, 720, 3), 255, np.uint8)
    for one in lines:
        page[round(one.y0) + 4 : round(one.y1) - 4, round(one.x0) : round(one.x1) : 3] = 0
        if gap is not None:
            page[round(one.y0) : round(one.y1), round(gap[0]) : round(gap[1])] = 255
    return page


def columns(over: int, rows: int = 6) -> list[TextLine]:
    lines = [line(*LEFT[:1], row, LEFT[1]) for row in range(rows) if row != over]
    lines += [line(RIGHT[0], row, RIGHT[1]) for row in range(rows) if row != over]
    return [*lines, line(LEFT[0], over, RIGHT[1])]


@pytest.mark.parametrize("over", [0, 3, 5])
def test_a_line_over_the_gutter_is_cut_in_it(over: int) -> None:
    lines = columns(over)
    found = parted_at_gutters(lines, painted(lines, (LEFT[1], RIGHT[0])), part)
    (first, second) = found[-2:]
    assert LEFT[1] <= first.x1 == second.x0 <= RIGHT[0]
    assert (first.x0, second.x1) == (LEFT[0], RIGHT[1])
    assert len(found) == len(lines) + 1


def test_a_heading_over_both_columns_stays_whole() -> None:
    lines = columns(0)
    assert parted_at_gutters(lines, painted(lines, None), part) == lines


def test_lines_of_one_column_stay_whole_where_a_word_ends() -> None:
    lines = [line(LEFT[0], row, RIGHT[1]) for row in range(6)]
    assert parted_at_gutters(lines, painted(lines, (LEFT[1], RIGHT[0])), part) == lines


def test_two_lines_beside_are_too_few_to_tell() -> None:
    lines = columns(1, rows=3)
    assert parted_at_gutters(lines, painted(lines, (LEFT[1], RIGHT[0])), part) == lines
