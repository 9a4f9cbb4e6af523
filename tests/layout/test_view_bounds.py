"""Turning, slant and places at their bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from airgap.core.document import Box
from airgap.layout.quads import Picture
from airgap.layout.view import View, _clearness, places, slant_of, sure_slant
from tests.layout.turning import first

Quad = Sequence[Sequence[float]]


def quad(width: float, height: float, degrees: float = 0) -> list[list[float]]:
    a = math.radians(degrees)
    across, down = (width * math.cos(a), width * math.sin(a)), (-height * math.sin(a), height * math.cos(a))
    return [[0, 0], [*across], [across[0] + down[0], across[1] + down[1]], [*down]]


def quads(*of: Quad) -> NDArray[np.float32]:
    return np.array(of, np.float32)


def degrees(*of: Quad) -> float:
    return round(math.degrees(slant_of(quads(*of))), 3)


def test_three_long_lines_tell_a_slant() -> None:
    long, short = quad(100, 10, 2), quad(40, 10, 2)
    assert degrees(long, long) == 0
    assert degrees(long, long, long) == 2
    assert degrees(long, long, short) == 0
    assert degrees(long, long, quad(40.5, 10, 2)) == 2
    assert degrees(long, long, quad(4, 0.5, 2)) == 0
    assert degrees(long, long, quad(4.1, 0.5, 2)) == 2
    assert degrees(*(quad(10, 100, 2),) * 3) == 0
    assert degrees(quad(100, 10, 1), quad(100, 10, 3), quad(100, 10, 9)) == 3
    assert [degrees(*(quad(100, 10, angle),) * 3) for angle in (14.9, 15.1)] == [14.9, 0]
    assert [degrees(*(quad(100, 10, angle),) * 3) for angle in (-14.9, -15.1)] == [-14.9, 0]
    uneven = [[0, 0], [100, 0], [100, 14], [0, 10]]
    assert degrees(*([uneven] * 3)) == pytest.approx(math.degrees(math.atan2(4, 200)), abs=1e-3)


def page(angle: float) -> Picture:
    """Rows of ink at this angle."""
    picture = np.full((400, 600, 3), 255, np.uint8)
    for y in range(60, 340, 30):
        picture[y : y + 8, 60:540] = 0
    turn = cv2.getRotationMatrix2D((300, 200), -angle, 1)
    return np.asarray(cv2.warpAffine(picture, turn, (600, 400), borderValue=(255, 255, 255)))


def test_few_lines_are_believed_where_rows_of_ink_become_clearer() -> None:
    leaning = quads(*(quad(200, 10, 2),) * 19)
    assert math.degrees(sure_slant(page(2), leaning)) == pytest.approx(2, abs=1e-3)
    assert sure_slant(page(0), leaning) == 0
    assert math.degrees(sure_slant(page(0), quads(*(quad(200, 10, 2),) * 20))) == pytest.approx(2, abs=1e-3)
    assert sure_slant(page(2), quads(*(quad(200, 10),) * 19)) == 0


def test_how_clear_rows_of_ink_are() -> None:
    picture = np.full((4, 2, 3), 255, np.uint8)
    picture[1] = 0
    assert _clearness(picture) == 2 * 255**2
    assert _clearness(np.ascontiguousarray(picture.transpose(1, 0, 2))) == 0


def test_a_page_turns_about_its_middle() -> None:
    view = View(np.zeros((100, 200, 3), np.uint8), 0, math.radians(10))
    middle = np.array([100.0, 50.0])
    assert view.straighten(middle) == pytest.approx(middle)
    right = np.array([100 + 10 * math.cos(view.slant), 50 + 10 * math.sin(view.slant)])
    assert view.straighten(right) == pytest.approx([110, 50])
    assert view.unstraighten(np.array([110.0, 50.0])) == pytest.approx(right)


def test_the_straightened_page_has_its_size_and_its_edge_goes_on() -> None:
    view = View(page(3), 0, math.radians(3))
    assert view.straight.shape == view.pixels.shape
    rows = np.flatnonzero(view.straight[:, 300, 0] < 128)
    assert (rows.min(), rows.max()) == pytest.approx((60, 337), abs=2)
    assert View(np.full((50, 80, 3), 77, np.uint8), 0, 0.1).straight.min() == 77
    flat = View(page(0))
    assert flat.straight is flat.pixels


@pytest.mark.parametrize(
    ("turns", "box"),
    [
        (0, Box(10, 20, 30, 25)),
        (1, Box(20, 170, 25, 190)),
        (2, Box(170, 55, 190, 60)),
        (3, Box(55, 10, 60, 30)),
        (4, Box(10, 20, 30, 25)),
        (5, Box(20, 170, 25, 190)),
    ],
)
def test_boxes_of_a_turned_page(turns: int, box: Box) -> None:
    """A view of 200 × 80 pixels, turned so many times."""
    found = View(np.zeros((80, 200, 3), np.uint8), turns).box_on_page(np.array([[10.0, 20.0], [30.0, 25.0]]))
    assert found == box


def test_boxes_end_at_the_pages_edge_whichever_way_it_lies() -> None:
    beyond = np.array([[-9.0, -9.0], [900.0, 900.0]])
    pixels = np.zeros((80, 200, 3), np.uint8)
    assert [View(pixels, turns).box_on_page(beyond) for turns in range(4)] == [
        Box(0, 0, 200, 80),
        Box(0, 0, 80, 200),
        Box(0, 0, 200, 80),
        Box(0, 0, 80, 200),
    ]


def test_turning_is_clockwise() -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[0, 0] = 9
    turned = View(picture).turned(1)
    assert turned.pixels.shape == (3, 2, 3)
    assert turned.pixels[0, 1, 0] == 9
    assert turned.pixels.flags["C_CONTIGUOUS"]
    assert View(picture, 3).turned(2).quarter_turns == 1
    assert View(picture, 0, 0.1).turned(1).slant == 0


def test_a_places_upper_and_lower_edge_are_taken_at_their_middle() -> None:
    level = View(np.zeros((100, 200, 3), np.uint8))
    leaning = [[0, 0], [100, 4], [102, 24], [2, 20]]
    assert places(level, quads(leaning)) == [(0, 2, 102, 22)]
    upended = [[0, 0], [20, 2], [18, 90], [-2, 88]]
    assert places(level, quads(upended)) == [(-2, 0, 20, 90)]
    assert first(range(10, 50), lambda high: places(level, quads(quad(19.9, high, 5)))[0][1] == 0) == 30
