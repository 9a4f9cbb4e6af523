"""Which lines a PDF page shows as text of its own: by the middles of its characters, as they are seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymupdf
import pytest

from airgap.exporters.shown_text import unseen

SCALE = 2.0


@pytest.fixture
def page() -> Iterator[pymupdf.Page]:
    with pymupdf.open() as pdf:
        made = pdf.new_page(width=300, height=200)
        made.insert_text((20, 40), "WWWW", fontsize=40, fontname="cour")
        yield made


def asked(page: pymupdf.Page, box: tuple[float, ...], *words: str, within: Any = None) -> list[str]:
    """The words of a line at `box`, in points, that the page does not show."""
    pixels = [side * SCALE for side in box]
    line = {"box": pixels, "words": [[word, pixels] for word in words], "within": within}
    size = {"width": page.rect.width * SCALE, "height": page.rect.height * SCALE}
    return [word for left in unseen({**size, "lines": [line]}, page) for word, _ in left["words"]]


def middles(page: pymupdf.Page) -> list[tuple[float, float]]:
    boxes = [char[3] for span in page.get_texttrace() for char in span["chars"]]
    return [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in boxes]


def test_a_character_is_where_its_middle_is(page: pymupdf.Page) -> None:
    (x, y), *_, (end, _) = middles(page)
    assert asked(page, (x - 1, y - 1, end + 1, y + 1), "WWWW") == []
    assert asked(page, (x + 1, y - 1, end - 1, y + 1), "WWWW") == ["WWWW"]  # two of four are too few
    assert asked(page, (x - 1, y + 1, end + 1, y + 40), "WWWW") == ["WWWW"]
    assert asked(page, (x - 1, y - 40, end + 1, y - 1), "WWWW") == ["WWWW"]


def test_on_a_turned_page_it_is_where_it_is_seen(page: pymupdf.Page) -> None:
    (x, y), *_, (end, _) = middles(page)
    page.set_rotation(90)
    assert (page.rect.width, page.rect.height) == (200, 300)
    assert asked(page, (199 - y, x - 1, 201 - y, end + 1), "WWWW") == []
    assert asked(page, (x - 1, y - 1, end + 1, y + 1), "WWWW") == ["WWWW"]


def test_what_a_form_field_says_stands_in_the_middle_of_it(page: pymupdf.Page) -> None:
    field = pymupdf.Widget()
    field.field_type, field.field_name, field.field_value = pymupdf.PDF_WIDGET_TYPE_TEXT, "name", "Ada"
    field.rect = pymupdf.Rect(100, 100, 200, 120)
    page.add_widget(field)
    assert asked(page, (149, 109, 151, 111), "Ada") == []
    assert asked(page, (151, 100, 200, 120), "Ada") == ["Ada"]
    assert asked(page, (149, 111, 151, 120), "Ada") == ["Ada"]


def test_of_a_line_that_leaves_the_page_what_is_on_it_counts(page: pymupdf.Page) -> None:
    page.insert_text((0, 150), "....", fontsize=0.3, fontname="cour")
    (x, y), *_ = middles(page)[4:]
    assert 0 < x * SCALE < 1
    assert asked(page, (-500, y - 1, 400, y + 1), "....") == []


def test_what_is_not_seen_is_not_there(page: pymupdf.Page) -> None:
    page.insert_text((20, 150), "hidden", fontsize=20, render_mode=3)
    page.insert_text((150, 150), "clear", fontsize=20, fill_opacity=0)
    assert asked(page, (0, 100, 300, 200), "hidden") == ["hidden"]
    assert asked(page, (0, 100, 300, 200), "clear") == ["clear"]


def test_of_a_corrected_block_each_word_is_looked_for(page: pymupdf.Page) -> None:
    page.insert_text((20, 150), "one two", fontsize=20)
    whole = (0.0, 0.0, 600.0, 400.0)
    assert asked(page, (0, 100, 300, 200), "one", "three", within=whole) == ["three"]
