"""Running text and rows, told from places alone: synthetic lines, 20 pixels high."""

from __future__ import annotations

import random

import pytest

from airgap.layout.lines import TextLine
from airgap.layout.regions import reads_across, regions
from airgap.layout.running_text import level_share, stacked_share, stacks

HEIGHT = 20.0


def line(x0: float, y0: float, x1: float, text: str = "word") -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + HEIGHT), text)


def paragraphs(
    x0: float, x1: float, top: float, counts: tuple[int, ...], name: str, gap: float = 40
) -> list[TextLine]:
    """Stacks of full lines whose last ends early, white between them."""
    lines: list[TextLine] = []
    y = top
    for count in counts:
        for i in range(count):
            end = x0 + 0.4 * (x1 - x0) if i == count - 1 else x1
            lines.append(line(x0, y, end, f"{name}{len(lines)}"))
            y += 26
        y += gap
    return lines


def test_paragraphs_are_stacks_and_are_running_text() -> None:
    lines = paragraphs(0, 400, 0, (5, 4, 6), "a")
    assert [len(stack) for stack in stacks(lines)] == [5, 4, 6]
    assert stacked_share(lines) == 1.0


def test_cells_with_white_between_them_are_no_running_text() -> None:
    lines = [line(0, 60 * i, 300) for i in range(8)]
    assert stacked_share(lines) == 0.0


def test_lines_of_no_common_measure_are_no_running_text() -> None:
    lines = [line(0, 26 * i, end) for i, end in enumerate((400, 250, 260, 270, 240))]
    assert stacked_share(lines) == 0.0


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 1.0), (6.0, 0.0), (12.0, 0.0)])
def test_how_many_lines_are_level(shift: float, expected: float) -> None:
    left = [line(0, 60 * i, 200) for i in range(10)]
    right = [line(300, 60 * i + shift, 500) for i in range(10)]
    assert level_share(left, right, HEIGHT) == expected


def test_short_lines_of_two_columns_that_meet_by_chance_are_not_read_across() -> None:
    """Lists and exercises in two columns: few full lines, but the rows do not line up."""
    rng = random.Random(4)
    left = [line(0, 30 * i, 180 + 60 * rng.random(), f"a{i}") for i in range(20)]
    right = [line(300, 27 * i + 4, 480 + 60 * rng.random(), f"b{i}") for i in range(22)]
    assert not reads_across(left, right, HEIGHT)
    texts = [member.text for region in regions([*left, *right]) for member in region.lines]
    assert texts == [f"a{i}" for i in range(20)] + [f"b{i}" for i in range(22)]


def test_two_columns_of_short_paragraphs_on_one_grid_are_not_read_across() -> None:
    left = paragraphs(0, 230, 0, (2, 3, 2, 2, 3), "a")
    right = paragraphs(300, 530, 0, (2, 3, 2, 2, 3), "b")
    assert level_share(left, right, HEIGHT) == 1.0
    assert not reads_across(left, right, HEIGHT)


def test_a_list_of_names_and_figures_is_read_across() -> None:
    left = [line(0, 30 * i, 140 + 10 * (i % 5), f"name{i}") for i in range(14)]
    right = [line(400, 30 * i + 1, 460, f"{i}.50") for i in range(14)]
    assert reads_across(left, right, HEIGHT)
