"""What a page's areas and ink make of its lines, at their bounds: pages of 800 × 1,000 pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from airgap.layout.areas import Area
from airgap.layout.lines import Inset, TextLine
from airgap.layout.page_layout import PageLayout, _meet, _without_idle_titles, is_formula
from airgap.layout.planned_tables import TableCell, TablePlan
from airgap.layout.quads import Picture
from airgap.layout.regions import Region
from airgap.layout.view import View
from tests.layout.turning import first


def paper() -> Picture:
    return np.full((1000, 800, 3), 255, np.uint8)


def line(x0: float, y0: float, x1: float, text: str = "word", height: float = 16) -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + height), text)


def body(top: float, count: int) -> list[TextLine]:
    return [line(100, top + 24 * n, 700, f"text {n}") for n in range(count)]


class Network:
    """Answers with one plan, and keeps the pictures it was shown."""

    def __init__(self, rows: int = 4, columns: int = 2, confidence: float = 0.99, wide: float = 160) -> None:
        cells = [
            TableCell(r, c, 1, 1, (4 + wide * c, 4 + 40.0 * r, wide * (c + 1), 40.0 * (r + 1)))
            for r in range(rows)
            for c in range(columns)
        ]
        self.plan = TablePlan(tuple(cells), confidence)
        self.shown: list[Picture] = []

    def __call__(self, picture: Picture) -> TablePlan:
        self.shown.append(picture)
        return self.plan


def laid_out(
    lines: list[TextLine], *areas: Area, plan: Network | None = None, picture: Picture | None = None
) -> list[Region]:
    return PageLayout(View(paper() if picture is None else picture), lines, areas, plan).regions()


def insets(regions: list[Region]) -> list[Inset]:
    return [item for region in regions for row in region.rows for item in row if isinstance(item, Inset)]


# --- tables that the network sees ----------------------------------------------------------------


def cells(rows: int = 4, top: float = 310, columns: int = 2) -> list[TextLine]:
    at = [(r, c) for r in range(rows) for c in range(columns)]
    return [line(110 + 160 * c, top + 40 * r, 160 + 160 * c, f"{r}{c}") for r, c in at]


def spot(x0: float = 100, y0: float = 300, x1: float = 420, y1: float = 460, label: str = "table") -> Area:
    return Area(label, 0.9, (x0, y0, x1, y1))


def test_the_network_is_shown_a_table_with_four_pixels_around_it() -> None:
    network = Network()
    picture = paper()
    picture[296, 96] = picture[463, 423] = (1, 2, 3)
    lines = [*body(60, 8), *cells()]
    [table] = insets(laid_out(lines, spot(100.9, 300.9, 420.9, 460.9), plan=network, picture=picture))
    [shown] = network.shown
    assert shown.shape == (168, 328, 3)
    assert list(shown[0, 0]) == list(shown[-1, -1]) == [1, 2, 3]
    assert shown.flags["C_CONTIGUOUS"]
    assert (table.label, table.place, table.lines) == (
        "table",
        (100.9, 300.9, 420.9, 460.9),
        tuple(lines[8:]),
    )
    assert table.render().count("<tr>") == 4


def test_a_table_at_the_pages_edge_is_shown_as_far_as_it_is_there() -> None:
    network = Network()
    lines = [line(o.x0 - 108, o.y0, o.x1 - 108, o.text) for o in cells()]
    laid_out([*body(60, 8), *lines], spot(-5, 300, 300, 460), plan=network)
    assert network.shown[0].shape == (168, 304, 3)


def test_too_few_lines_or_too_small_a_place_are_not_shown() -> None:
    assert first(range(1, 6), lambda count: _shown(cells()[:count])) == 4
    thin = [line(110 + 30 * n, 305, 130 + 30 * n, height=8) for n in range(4)]
    assert first(range(5, 20), lambda high: _shown(thin, spot(y1=300 + high))) == 12


def _shown(lines: list[TextLine], area: Area | None = None) -> bool:
    network = Network()
    laid_out([*body(60, 8), *lines], area or spot(), plan=network)
    return bool(network.shown)


def test_an_area_of_most_of_the_page_or_of_running_text_is_no_table() -> None:
    rows = [line(110 + 160 * c, 110 + 60 * r, 160 + 160 * c) for r in range(13) for c in range(2)]

    def taken(x1: float) -> bool:
        network = Network(13, 2)
        laid_out(rows, spot(0, 100, x1, 900), plan=network)
        return bool(network.shown)

    assert taken(799) is taken(800) is True
    whole = Network()
    laid_out(rows, spot(0, 0, 800, 801), plan=whole)
    assert not whole.shown
    below = Network()
    laid_out(rows, spot(0, 0, 800, 800), plan=below)
    assert below.shown

    def prose(count: int) -> bool:
        network = Network()
        text = [line(110, 310 + 20 * n, 400) for n in range(count)]
        other = [line(110, 310 + 20 * count + 30 + 60 * n, 255) for n in range(4)]
        laid_out([*text, *other], spot(y1=900), plan=network)
        return not network.shown

    assert first(range(5, 14), prose) == 9


@pytest.mark.parametrize(("x0", "count"), [(325, 1), (324, 1), (250, 1), (420, 2)])
def test_an_area_over_a_table_is_none_of_its_own(x0: float, count: int) -> None:
    network = Network()
    more = [line(x0 + 10 + 160 * c, 310 + 40 * r, x0 + 60 + 160 * c) for r in range(4) for c in range(2)]
    own = cells()
    lines = [*own, *(o for o in more if all(o.x0 > p.x1 + 5 for p in own if p.y0 == o.y0))]
    found = insets(laid_out([*body(60, 8), *lines], spot(), spot(x0, x1=x0 + 320), plan=network))
    assert len(found) <= count


def test_areas_meet_from_three_tenths_of_the_smaller() -> None:
    one = Area("table", 1.0, (0, 0, 100, 100))
    assert first(range(80, 60, -1), lambda x: _meet(one, (x, 0, x + 100, 100))) == 69
    assert first(range(95, 70, -1), lambda x: _meet(one, (x, 0, x + 50, 100))) == 84
    assert first(range(80, 60, -1), lambda y: _meet(one, (0, y, 100, y + 300))) == 69


# --- ruled tables --------------------------------------------------------------------------------


def ruled(xs: tuple[int, ...] = (100, 260, 420), ys: tuple[int, ...] = (300, 340, 380, 420, 460)) -> Picture:
    picture = paper()
    for x in xs:
        cv2.line(picture, (x, ys[0]), (x, ys[-1]), (0, 0, 0), 2)
    for y in ys:
        cv2.line(picture, (xs[0], y), (xs[-1], y), (0, 0, 0), 2)
    return picture


def test_a_ruled_table_needs_no_network_and_its_area_is_done() -> None:
    network = Network()
    [table] = insets(laid_out([*body(60, 8), *cells()], spot(), plan=network, picture=ruled()))
    assert not network.shown
    assert table.label == "table"
    assert table.place == pytest.approx((100, 300, 420, 460), abs=4)
    assert len(table.lines) == 8


def crowded(beside: int) -> list[TextLine]:
    """A table of eight cells, so many of which hold two lines beside each other."""
    extra = [line(o.x1 + 15, o.y0, o.x1 + 55, "more") for o in cells()[:beside]]
    return [*body(60, 8), *cells(), *extra]


def test_the_network_is_asked_where_lines_share_the_cells_of_a_ruled_table() -> None:
    def asked(beside: int, *areas: Area, columns: int = 4) -> tuple[int, list[Inset]]:
        network = Network(4, columns, wide=80)
        found = insets(laid_out(crowded(beside), *areas, plan=network, picture=ruled()))
        return len(network.shown), found

    assert [asked(beside)[0] for beside in (0, 1)] == [0, 1]
    _, [table] = asked(8)
    assert table.render().count("<td>") == 16
    assert table.place == pytest.approx((100, 300, 420, 460), abs=4)
    _, [own] = asked(8, spot(90, 290, 430, 470))
    assert list(own.place) == [90, 290, 430, 470]
    _, [half] = asked(8, spot(90, 290, 261, 470))
    assert list(half.place) == [90, 290, 261, 470]
    _, [less] = asked(8, spot(90, 290, 255, 470))
    assert less.place == pytest.approx((100, 300, 420, 460), abs=4)
    _, [text] = asked(8, spot(90, 290, 430, 470, "text"))
    assert text.place == pytest.approx((100, 300, 420, 460), abs=4)
    _, [kept] = asked(8, columns=1)
    assert kept.render().count("<td>") == 8


def test_a_frame_that_is_drawn_on_is_no_table() -> None:
    picture = ruled()
    cv2.rectangle(picture, (120, 310), (240, 450), (90, 90, 90), -1)
    found = insets(laid_out([*body(60, 8), *cells()[1::2]], picture=picture))
    assert [inset.label for inset in found] == ["image"]


# --- equations -----------------------------------------------------------------------------------


def test_an_equation_is_set_as_no_running_text() -> None:
    def taken(x1: float, count: int = 2) -> bool:
        lines = [line(100, 300 + 20 * n, x1, "x = y + 2") for n in range(count)]
        found = laid_out([*body(60, 8), *lines, *body(500, 8)], Area("equation", 0.9, (90, 290, 720, 400)))
        return any(inset.label == "equation" for inset in insets(found))

    assert taken(200)
    assert not taken(400)
    assert taken(400, 1)
    assert not taken(400, 0)


def test_half_of_an_equation_may_be_running_text() -> None:
    def taken(wide: float) -> bool:
        set_close = [line(100, 300, 300, "x = y"), line(100, 320, 300, "z = 3")]
        lines = [*body(60, 8), *set_close, line(400, 380, 400 + wide, "a + b"), *body(500, 8)]
        return bool(insets(laid_out(lines, Area("equation", 0.9, (90, 290, 900, 400)))))

    assert first(range(397, 404), taken) == 401


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        *(("word = x", False), ("word = xyzt1", False), ("word = abc12", True), ("abc = abc", True)),
        *(("=", True), ("x y", False), ("漢 = a", False), ("漢 = ab", True), ("β", True), ("a/b", True)),
        ("12", False),
    ],
)
def test_words_are_less_than_half_of_a_formula(text: str, formula: bool) -> None:
    assert is_formula([line(0, 0, 100, text)]) is formula
    assert is_formula([line(0, 0, 100, part) for part in text.split()]) is formula


# --- labels --------------------------------------------------------------------------------------


def test_titles_that_hold_more_than_half_of_the_text_head_nothing() -> None:
    title, text = Area("title", 0.9, (0, 0, 500, 50)), Area("text", 0.9, (0, 100, 500, 150))
    head = line(0, 10, 100)
    assert _without_idle_titles([title, text], [head, line(0, 110, 100)]) == [title, text]
    assert _without_idle_titles([title, text], [head, line(0, 110, 99)]) == [text]


def labels(lines: list[TextLine], *areas: Area) -> list[tuple[str | None, int]]:
    return [(region.label, len(region.rows)) for region in laid_out(lines, *areas)]


def test_a_title_has_four_rows_at_most() -> None:
    def titled(count: int) -> list[tuple[str | None, int]]:
        return labels(
            [*body(100, count), *body(300, 12)], Area("title", 0.9, (90, 90, 710, 100 + 24 * count))
        )

    assert titled(4) == [("title", 4), (None, 12)]
    assert titled(5) == [(None, 17)]


def test_only_titles_and_captions_part_a_region() -> None:
    of_rows = {"title": 3, "figure_caption": 3, "table_caption": 3, "text": 1, "header": 1}
    for label, parted in of_rows.items():
        assert len(labels(body(100, 20), Area(label, 0.9, (90, 200, 710, 230)))) == parted
    row = [line(100, 300, 300, "a"), line(400, 300, 600, "b")]
    areas = [Area("title", 0.9, (90, 295, 310, 320)), Area("figure_caption", 0.9, (390, 295, 610, 320))]
    assert ("title", 1) not in labels([*body(60, 8), *row, *body(400, 8)], *areas)


def test_line_numbers_have_no_labels() -> None:
    lines = [*body(100, 12), *(line(50, 100 + 24 * n, 70, str(n + 1)) for n in range(12))]
    found = laid_out(lines, Area("title", 0.9, (45, 90, 75, 130)))
    assert [(region.side, region.label) for region in found] == [(True, None), (False, None)]


# --- figures -------------------------------------------------------------------------------------


def test_what_is_drawn_is_none_of_the_text() -> None:
    picture = paper()
    cv2.rectangle(picture, (300, 300), (500, 500), (60, 60, 60), -1)
    mark, words = line(390, 390, 400, "x", 60), line(320, 340, 480, "in it")
    found = laid_out([*body(60, 8), mark, words, *body(540, 8)], picture=picture)
    kept = [member for region in found for member in region.lines]
    assert mark not in kept
    assert words in kept
    assert [inset.label for inset in insets(found)] == ["image"]
    bare = laid_out([*body(60, 8), mark, *body(540, 8)], picture=picture)
    [figure] = insets(bare)
    assert figure.place == pytest.approx((300, 300, 500, 500), abs=3)


def test_headers_come_first_and_footers_last() -> None:
    found = labels([line(100, 20, 200, "Report"), *body(120, 20), line(390, 970, 410, "7")])
    assert found == [("header", 1), (None, 20), ("page_number", 1)]
