"""Figures, their frames, and lines that are part of a drawing, at their bounds."""

from __future__ import annotations

import pytest

from airgap.layout.lines import TextLine
from airgap.layout.quads import Picture
from airgap.layout.rulings import Place, _covers, find_figures, is_drawn, is_large_type, large_lines
from tests.layout.painting import drawing, fill, line, paper, ruled
from tests.layout.turning import first


def figures(picture: Picture, *lines: TextLine, tables: tuple[Place, ...] = ()) -> list[Place]:
    return find_figures(drawing(picture), lines, tables)


def one(x0: int, y0: int, x1: int, y1: int, size: tuple[int, int] = (1000, 1000)) -> list[Place]:
    picture = paper(*size)
    fill(picture, x0, y0, x1, y1)
    return figures(picture)


def test_a_figure_has_a_least_size() -> None:
    assert one(100, 200, 400, 500) == [(100, 200, 400, 500)]
    assert first(range(57, 63), lambda wide: one(100, 100, 100 + wide, 500)) == 60
    assert first(range(57, 63), lambda high: one(100, 100, 500, 100 + high)) == 60
    assert first(range(122, 128), lambda wide: one(100, 100, 100 + wide, 180)) == 125
    assert one(200, 400, 800, 1000, (3200, 3200)) == [(200, 400, 800, 1000)]
    assert first(range(87, 93), lambda wide: one(100, 100, 100 + wide, 500, (1500, 1000))) == 90
    assert first(range(87, 93), lambda high: one(100, 100, 500, 100 + high, (1000, 1500))) == 90


def test_the_page_itself_is_no_figure() -> None:
    assert first(range(52, 46, -1), lambda m: not _on_dark(m, 5)) == 49
    assert first(range(52, 46, -1), lambda m: not _on_dark(5, m)) == 49


def _on_dark(x: int, y: int) -> list[Place]:
    """A broad frame whose rim is this far from the page's edges; white inside keeps the paper white."""
    picture = paper()
    fill(picture, x, y, 1000 - x, 1000 - y)
    fill(picture, x + 120, y + 120, 880 - x, 880 - y, 255)
    return figures(picture)


def test_a_narrow_shadow_at_an_edge_is_no_figure() -> None:
    assert first(range(117, 123), lambda wide: one(0, 100, wide, 900)) == 120
    assert first(range(117, 123), lambda wide: one(1000 - wide, 100, 1000, 900)) == 120
    assert first(range(117, 123), lambda high: one(100, 0, 900, high)) == 120
    assert first(range(117, 123), lambda high: one(100, 1000 - high, 900, 1000)) == 120
    for near, apart in (((6, 100, 116, 900), (7, 100, 117, 900)), ((100, 6, 900, 116), (100, 7, 900, 117))):
        assert one(*near) == []
        assert one(*apart) == [apart]
    for near, apart in (
        ((884, 100, 994, 900), (883, 100, 993, 900)),
        ((100, 884, 900, 994), (100, 883, 900, 993)),
    ):
        assert one(*near) == []
        assert one(*apart) == [apart]


def test_ink_close_together_is_one_figure_and_thin_strokes_are_of_none() -> None:
    def halves(gap: int) -> list[Place]:
        picture = paper()
        fill(picture, 200, 200, 240, 500)
        fill(picture, 240 + gap, 200, 280, 500)
        return figures(picture)

    def arm(thickness: int) -> float:
        picture = paper()
        fill(picture, 200, 200, 400, 400)
        fill(picture, 408, 300, 440, 300 + thickness)
        [place] = figures(picture)
        return place[2]

    assert first(range(15, 9, -1), halves) == 12
    assert [arm(thickness) for thickness in (4, 5)] == [400, 440]


def test_a_figure_is_filled_from_a_share_on() -> None:
    def cross(bar: int) -> list[Place]:
        picture = paper()
        fill(picture, 200, 200, 200 + bar, 500)
        fill(picture, 200, 200, 500, 200 + bar)
        return figures(picture)

    assert first(range(47, 53), cross) == 50


def framed(labels: int, capacity: int = 30) -> list[Place]:
    """A picture in a thin frame, with so many short words in it."""
    picture = paper()
    ruled([100, 600], [100, 600], picture)
    fill(picture, 200, 300, 400, 500)
    words = [line(420, 110 + 30 * n, 420 + capacity, 130 + 30 * n) for n in range(labels)]
    return find_figures(drawing(picture), words, [])


def test_a_frame_with_few_words_is_of_the_figure() -> None:
    [bare] = framed(8)
    assert bare == pytest.approx((100, 100, 602, 602), abs=4)
    assert framed(9) == [(200, 300, 400, 500)]
    assert framed(9, 29) == framed(8)
    assert framed(0) == framed(8)


def test_what_is_in_a_table_is_no_figure() -> None:
    picture = paper()
    fill(picture, 200, 300, 400, 500)
    assert figures(picture, tables=((190, 290, 410, 510),)) == []
    assert figures(picture, tables=((600, 290, 910, 510),)) == [(200, 300, 400, 500)]


def test_a_frame_belongs_to_what_it_covers_alone() -> None:
    picture = ruled([100, 500], [100, 500])
    fill(picture, 150, 150, 300, 300)
    fill(picture, 700, 700, 900, 900)
    found = sorted(figures(picture))
    assert found[0] == pytest.approx((100, 100, 502, 502), abs=4)
    assert found[1:] == [(700, 700, 900, 900)]


def test_a_place_covers_itself_and_nothing_beyond() -> None:
    one: Place = (10, 10, 20, 20)
    assert _covers(one, one)
    assert not any(_covers(one, other) for other in ((9, 10, 20, 20), (10, 9, 20, 20), (10, 10, 21, 20)))
    assert not _covers(one, (10, 10, 20, 21))


# --- lines that are drawn ------------------------------------------------------------------------

SPOT: Place = (0, 0, 500, 500)


def test_a_line_in_a_figure_is_drawn_where_it_is_high_or_a_mark() -> None:
    assert first(range(48, 54), lambda high: is_drawn(line(0, 10, 400, 10 + high, ""), [SPOT], 20)) == 51
    assert first(range(32, 26, -1), lambda wide: is_drawn(line(0, 10, wide, 30), [SPOT], 20)) == 29
    assert not is_drawn(line(0, 10, 20, 30), [], 20)
    assert not is_drawn(line(600, 10, 620, 30), [SPOT], 20)
    assert not is_drawn(line(0, 10, 200, 90, "HEADLINE"), [SPOT], 20)
    assert is_drawn(line(0, 10, 20, 90, "HE"), [SPOT], 40), "a mark that is not high is no type"


def test_large_lines_are_higher_than_others_by_far() -> None:
    usual = [line(0, 30 * n, 100, 30 * n + 20) for n in range(5)]
    high, higher = line(0, 200, 100, 250), line(0, 300, 100, 351)
    assert large_lines([*usual, high, higher]) == [higher]


@pytest.mark.parametrize(
    ("text", "sure", "wide", "large"),
    [
        ("AB", 0.9, 160, True),
        ("AB", 0.89, 160, False),
        ("AB", 1.0, 161, False),
        ("A", 1.0, 20, False),
        ("A1", 1.0, 20, True),
        ("A-", 1.0, 20, False),
        ("漢字", 1.0, 320, True),
        ("漢字", 1.0, 321, False),
        ("A B", 1.0, 161, False),
    ],
)
def test_large_type_is_read_for_sure_and_fills_its_line(
    text: str, sure: float, wide: float, large: bool
) -> None:
    assert is_large_type(line(0, 0, wide, 40, text, sure)) is large
