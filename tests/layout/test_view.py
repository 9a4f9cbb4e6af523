"""Turning and straightening a page, and the way back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from airgap.core.document import Box
from airgap.engines.ppocr.orientation import find_orientation
from airgap.layout.lines import Reading
from airgap.layout.quads import Picture
from airgap.layout.view import View, places, slant_of


def quad(x0: float, y0: float, x1: float, y1: float) -> list[list[float]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def marked() -> Picture:
    picture = np.full((200, 300, 3), 255, np.uint8)
    picture[20:40, 50:110] = 0
    return picture


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_boxes_come_back_on_the_page_as_it_was_sent(quarter_turns: int) -> None:
    view = View(marked()).turned(quarter_turns)
    ys, xs = np.nonzero(view.pixels[..., 0] == 0)
    corners = np.array(quad(xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), float)
    assert view.box_on_page(corners) == Box(50, 20, 110, 40)


def test_two_turns_add_up() -> None:
    assert View(marked()).turned(3).turned(2).quarter_turns == 1


def test_boxes_stay_inside_the_page() -> None:
    box = View(marked()).box_on_page(np.array(quad(-10, -5, 400, 260), float))
    assert box == Box(0, 0, 300, 200)


@pytest.mark.parametrize("degrees", [-10, -1, 0.5, 10])
def test_slanted_lines_are_level_once_straightened(degrees: float) -> None:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    level = np.array([quad(50, 40 + 30 * i, 280, 60 + 30 * i) for i in range(5)], np.float32)
    quads = ((level - (150, 100)) @ turn + (150, 100)).astype(np.float32)
    slant = slant_of(quads)
    assert slant == pytest.approx(angle, abs=1e-4)
    view = View(marked(), 0, slant)
    assert np.array(places(view, quads)) == pytest.approx(level[:, [0, 2]].reshape(5, 4), abs=0.1)
    assert view.unstraighten(view.straighten(quads)) == pytest.approx(quads, abs=1e-3)


def test_a_few_lines_tell_no_slant() -> None:
    assert slant_of(np.array([quad(0, 0, 100, 10)], np.float32)) == 0


ACROSS = np.array([quad(20, 20 + 30 * i, 220, 40 + 30 * i) for i in range(6)], np.float32)
DOWN = np.array([quad(20 + 30 * i, 20, 40 + 30 * i, 220) for i in range(6)], np.float32)
GOOD, BAD = Reading("t" * 20, 0.98), Reading("t" * 9, 0.6)


def page() -> Picture:
    picture = np.full((240, 240, 3), 255, np.uint8)
    picture[:120] = 200
    return picture


def reader(*answers: Reading):
    """Answers the sample's first reading and its second in turn, five lines each."""
    calls = iter(answers)
    return lambda strips: [next(calls)] * len(strips) if answers else []


def test_upright_lines_are_read_once_and_kept() -> None:
    finding = find_orientation(page(), ACROSS, reader(GOOD))
    assert finding.quarter_turns == 0
    assert len(finding.readings) == 5


def test_lines_that_read_better_upside_down_turn_the_page() -> None:
    finding = find_orientation(page(), ACROSS, reader(BAD, GOOD))
    assert finding.quarter_turns == 2
    assert finding.readings == {}


@pytest.mark.parametrize(("answers", "turns"), [((GOOD,), 1), ((BAD, GOOD), 3)])
def test_lines_that_run_down_turn_the_page(answers: tuple[Reading, ...], turns: int) -> None:
    assert find_orientation(page(), DOWN, reader(*answers)).quarter_turns in (1, 3)


def test_lines_that_read_badly_either_way_leave_the_page_alone() -> None:
    nothing = Reading("", 0.0)
    finding = find_orientation(page(), DOWN, reader(nothing, nothing))
    assert (finding.quarter_turns, finding.score) == (0, 0.0)


def test_a_page_without_lines_is_upright() -> None:
    assert find_orientation(page(), np.zeros((0, 4, 2), np.float32), reader()).quarter_turns == 0
