"""Headers, footers, page numbers and marks in the margin on pages of 800 × 1,000 pixels."""

from __future__ import annotations

import pytest

from airgap.layout.areas import Area
from airgap.layout.furniture import PAGE_NUMBER, Furniture, find_furniture
from airgap.layout.lines import TextLine

WIDTH, HEIGHT = 800, 1000


def line(text: str, x0: float, y0: float, x1: float, height: float = 16) -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + height), text)


def body(top: float = 120, count: int = 30) -> list[TextLine]:
    return [line(f"text {i}", 100, top + 24 * i, 700) for i in range(count)]


def found(*more: TextLine, areas: tuple[Area, ...] = (), text: list[TextLine] | None = None) -> Furniture:
    return find_furniture([*(body() if text is None else text), *more], areas, WIDTH, HEIGHT)


def texts(lines: tuple[TextLine, ...]) -> list[str]:
    return [member.text for member in lines]


def test_small_rows_apart_at_the_edges_are_header_and_footer() -> None:
    furniture = found(line("Annual report", 100, 40, 240), line("Printed in Vienna", 100, 960, 260))
    assert texts(furniture.header) == ["Annual report"]
    assert texts(furniture.footer) == ["Printed in Vienna"]
    assert len(furniture.text) == 30


def test_every_line_is_kept_once() -> None:
    lines = [*body(), line("12", 390, 960, 410), line("Annual report", 100, 40, 240)]
    furniture = find_furniture(lines, (), WIDTH, HEIGHT)
    groups = (furniture.header, furniture.footer, furniture.page_number, furniture.margin, furniture.text)
    assert sorted(id(member) for group in groups for member in group) == sorted(map(id, lines))
    regions = [*furniture.above(HEIGHT), *furniture.below(HEIGHT)]
    assert [(region.label, texts(tuple(region.lines))) for region in regions] == [
        ("header", ["Annual report"]),
        ("page_number", ["12"]),
    ]


def test_large_type_at_the_top_is_a_heading() -> None:
    assert not found(line("Annual report", 100, 30, 500, height=40)).header


def test_text_that_begins_at_the_top_is_no_header() -> None:
    assert not found(text=body(top=30, count=35)).header


@pytest.mark.parametrize("text", ["12", "- 12 -", "xiv", "Page 3 of 9", "3/9", "第 5 頁", "Seite 4"])
def test_page_numbers(text: str) -> None:
    assert PAGE_NUMBER.fullmatch(text)
    assert texts(found(line(text, 380, 960, 420)).page_number) == [text]


@pytest.mark.parametrize("text", ["1,136", "12.50", "Nothing", "19th"])
def test_what_is_no_page_number(text: str) -> None:
    assert not found(line(text, 380, 960, 420)).page_number


def test_a_number_below_a_text_that_ends_early_is_the_page_number() -> None:
    furniture = found(line("62", 390, 480, 410), text=body(count=12))
    assert texts(furniture.page_number) == ["62"]


def test_a_number_close_under_the_last_line_is_text() -> None:
    assert not found(line("62", 100, 120 + 24 * 12, 120), text=body(count=12)).page_number


def test_the_networks_word_counts_at_the_edge_alone() -> None:
    at_edge = Area("header", 0.9, (90, 95, 710, 118))
    inside = Area("header", 0.9, (90, 500, 710, 520))
    second = line("Chapter 4", 100, 98, 180)
    assert texts(found(second, areas=(at_edge, inside)).header) == ["Chapter 4"]


def test_lines_that_run_up_the_side_are_in_the_margin() -> None:
    stamp = line("Downloaded on Monday", 770, 200, 788, height=400)
    assert texts(found(stamp).margin) == ["Downloaded on Monday"]
    assert not found(line("I", 100, 900, 110, height=40)).margin
