"""A page's areas against its lines: what the layout network says is taken where the lines bear it out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from airgap.layout.areas import Area, area_of
from airgap.layout.lines import Inset, TextLine
from airgap.layout.page_layout import PageLayout, is_formula
from airgap.layout.planned_tables import TableCell, TablePlan
from airgap.layout.quads import Picture
from airgap.layout.regions import Region
from airgap.layout.view import View


def paper() -> Picture:
    return np.full((1000, 800, 3), 255, np.uint8)


def line(text: str, x0: float, y0: float, x1: float, height: float = 16) -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + height), text)


def body(top: float, count: int, name: str = "text") -> list[TextLine]:
    return [line(f"{name} {i}", 100, top + 24 * i, 700) for i in range(count)]


def laid_out(lines: list[TextLine], *areas: Area, plan: TablePlan | None = None) -> list[Region]:
    ask = None if plan is None else lambda picture: plan
    return PageLayout(View(paper()), lines, areas, ask).regions()


def insets(regions: list[Region]) -> list[Inset]:
    return [item for region in regions for row in region.rows for item in row if isinstance(item, Inset)]


def test_without_areas_the_lines_stay_as_they_are() -> None:
    [region] = laid_out(body(100, 20))
    assert region.label is None
    assert len(region.rows) == 20


def test_a_title_and_a_caption_are_regions_of_their_own() -> None:
    lines = [line("Results", 100, 100, 200), *body(140, 10), line("Figure 1. A curve", 100, 500, 300)]
    title = Area("title", 0.9, (95, 95, 210, 120))
    caption = Area("figure_caption", 0.9, (95, 495, 320, 520))
    found = laid_out(lines, title, caption)
    assert [(region.label, len(region.rows)) for region in found] == [
        ("title", 1),
        (None, 10),
        ("figure_caption", 1),
    ]


def test_titles_that_head_nothing_are_text() -> None:
    found = laid_out([line("Some words alone", 100, 100, 400)], Area("title", 0.9, (90, 90, 410, 120)))
    assert [region.label for region in found] == [None]


def test_a_title_of_many_rows_is_text() -> None:
    found = laid_out(body(100, 30), Area("title", 0.9, (90, 90, 710, 360)))
    assert [region.label for region in found] == [None]


GRID = TablePlan(
    tuple(
        TableCell(r, c, 1, 1, (150.0 * c, 40.0 * r, 150.0 * c + 140, 40.0 * r + 30))
        for r in range(3)
        for c in range(2)
    ),
    0.99,
)


def test_a_table_area_is_a_table_where_its_plan_fits() -> None:
    cells = [line(f"{r}{c}", 110 + 150 * c, 310 + 40 * r, 160 + 150 * c) for r in range(3) for c in range(2)]
    [table] = insets(laid_out([*body(50, 8), *cells], Area("table", 0.9, (104, 304, 410, 430)), plan=GRID))
    assert table.render() == (
        "<table><tr><td>00</td><td>01</td></tr><tr><td>10</td><td>11</td></tr><tr><td>20</td><td>21</td></tr></table>"
    )


def test_running_text_in_a_table_area_stays_text() -> None:
    lines = body(100, 12)
    found = laid_out(lines, Area("table", 0.9, (90, 90, 710, 400)), plan=GRID)
    assert not insets(found)
    assert [member for region in found for member in region.lines] == lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("E = mc2", True),
        ("x1 + x2 = 3 (4.2)", True),
        ("Opinion of the Court", False),
        ("CARNIVOROUS QUADRUPEDS.", False),
        ("本报记者 蔡茂楷", False),
        ("Total = amount paid", False),
    ],
)
def test_what_reads_like_a_formula(text: str, expected: bool) -> None:
    assert is_formula([line(text, 0, 0, 100)]) is expected


def test_an_equation_is_a_picture_that_keeps_its_lines_and_words_are_no_equation() -> None:
    formula, words = line("E = mc2", 300, 302, 420), line("Opinion of the Court", 300, 602, 500)
    areas = [Area("equation", 0.9, (290, 295, 430, 325)), Area("equation", 0.9, (290, 595, 510, 625))]
    found = laid_out([*body(50, 10), formula, *body(330, 10), words, *body(640, 8)], *areas)
    [equation] = insets(found)
    assert (equation.label, equation.lines) == ("equation", (formula,))
    assert words in [member for region in found for member in region.lines]


def test_columns_end_at_a_picture() -> None:
    """Two columns over a picture, three under it, on gutters that nearly meet."""
    picture = paper()
    cv2.rectangle(picture, (150, 400), (650, 560), (40, 40, 40), -1)

    def column(x0: float, x1: float, top: float, name: str) -> list[TextLine]:
        return [line(f"{name}{i}", x0, top + 24 * i, x1) for i in range(11)]

    upper = [*column(60, 385, 110, "a"), *column(415, 740, 110, "b")]
    lower = [*column(60, 270, 600, "c"), *column(290, 385, 600, "d"), *column(415, 740, 600, "e")]
    regions = PageLayout(View(picture), [*upper, *lower]).regions()
    texts = [member.text for region in regions for member in region.lines]
    assert texts.index("b10") < texts.index("c0") < texts.index("d0") < texts.index("e0")


def test_a_line_is_of_the_smallest_area_around_it() -> None:
    large, small = Area("text", 0.9, (0, 0, 500, 500)), Area("title", 0.6, (0, 0, 200, 50))
    assert area_of(line("a", 10, 10, 100), (large, small)) is small
    assert area_of(line("a", 10, 300, 100), (large, small)) is large
    assert area_of(line("a", 600, 600, 700), (large, small)) is None
