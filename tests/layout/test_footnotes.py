"""Notes at the foot of a column: under a short rule, or by a mark that stands in the text."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from airgap.layout.footnotes import find_notes, mark_of, note_regions
from airgap.layout.lines import TextLine
from airgap.layout.page_layout import PageLayout
from airgap.layout.quads import Picture
from airgap.layout.rulings import Ink, Place, rules_across
from airgap.layout.view import View

HEIGHT = 1000
RULE: Place = (100, 840, 250, 842)


def line(text: str, x0: float, y0: float, x1: float, height: float = 18) -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + height), text)


def body(x0: float = 100, x1: float = 700, last: str = "and so on.²") -> list[TextLine]:
    lines = [line(f"Text {i} of the page, and more", x0, 100 + 24 * i, x1) for i in range(29)]
    return [*lines, line(last, x0, 796, x1)]


def notes(y: float = 850, x0: float = 100) -> list[TextLine]:
    """Two notes in three rows of small type."""
    texts = ["1 See the first part of the report,", "which is out of print.", "2 As above."]
    return [line(text, x0, y + 17 * i, x0 + 250, 14) for i, text in enumerate(texts)]


def found(lines: list[TextLine], *rules: Place) -> list[list[TextLine]]:
    return find_notes(lines, rules, HEIGHT)


def test_small_lines_under_a_short_rule_at_the_columns_left_are_notes() -> None:
    small = notes()
    assert found([*body(last="and so on."), *small], RULE) == [small]


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ((100, 840, 690, 842), "across the column"),
        ((300, 840, 450, 842), "in its midst"),
        ((100, 300, 250, 302), "in the upper half"),
    ],
)
def test_other_rules_have_no_notes_under_them(rule: Place, why: str) -> None:
    assert found([*body(last="and so on."), *notes()], rule) == [], why


def test_lines_as_high_as_the_text_are_no_notes() -> None:
    high = [line(f"More text {i}", 100, 850 + 24 * i, 700) for i in range(3)]
    assert found([*body(last="and so on."), *high], RULE) == []


def test_letters_may_be_smaller_where_lines_as_found_are_not() -> None:
    """As on pages whose small type is found in boxes as high as those of the text."""
    text = 22 * "w"
    narrow = line(text, 100, 850, 400)
    assert found([*body(last="x"), narrow], RULE) == [[narrow]]
    wide = line(text, 100, 850, 690)
    assert found([*body(last="x"), wide], RULE) == []


def test_what_more_text_follows_is_no_note() -> None:
    assert found([*body(last="x")[:20], *notes(600), *body(last="x")[24:]], (100, 590, 250, 592)) == []


def test_a_footer_below_notes_is_none() -> None:
    small, footer = notes(), line("Annual report 2024", 100, 912, 300, 14)
    assert found([*body(), *small, footer], RULE) == [small]


def test_each_column_has_its_own() -> None:
    left, right = notes(), notes(x0=500)
    columns = [*body(100, 450, "end"), *body(500, 850, "end")]
    assert found([*columns, *left, *right], RULE, (500, 840, 650, 842)) == [left, right]
    assert found([*columns, *left], RULE) == [left]


def test_without_a_rule_the_mark_has_to_stand_raised_in_the_text() -> None:
    small = notes()[2:]
    assert found([*body(), *small]) == [small]
    assert found([*body(last="and so on."), *small]) == []
    assert found([*body(), *notes(783)[2:]]) == [], "no white above"
    assert found([*body(), *[line("As above.", 100, 850, 300, 14)]]) == [], "no mark"


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("1 See above", "¹"), ("12See above", "¹²"), ("² See above", "²"), ("* See", "*"), ("† See", "†"),
        ("[3] See above", "³"), ("①说明", "①"), ("1. See above", None), ("1.5 km", None), ("2024 was", None),
        ("See above", None), ("1", None),
    ],
)  # fmt: skip
def test_the_mark_that_a_note_begins_with(text: str, mark: str | None) -> None:
    assert mark_of(text) == mark


def test_a_note_goes_on_to_the_next_mark() -> None:
    regions = note_regions([notes()])
    assert [(region.label, len(region.rows)) for region in regions] == [("footnote", 2), ("footnote", 1)]


def paper() -> Picture:
    picture = np.full((HEIGHT, 800, 3), 255, np.uint8)
    cv2.line(picture, (100, 841), (250, 841), (0, 0, 0), 2)
    return picture


def test_a_rule_is_found_where_it_is() -> None:
    [(x0, y0, x1, y1)] = rules_across(Ink.of(View(paper())), body())
    assert (x0, x1) == pytest.approx((100, 251), abs=3)
    assert (y0, y1) == pytest.approx((840, 842), abs=3)


def test_notes_come_last_before_what_the_page_ends_with() -> None:
    """Two columns, the left one with notes: these do not stand in the midst of the text."""
    left, right, small = body(100, 380, "left"), body(420, 700, "right"), notes()
    regions = PageLayout(View(paper()), [*left, *right, *small, line("17", 395, 960, 410, 14)]).regions()
    labels = [region.label for region in regions]
    assert labels[-3:] == ["footnote", "footnote", "page_number"]
    assert regions[-3].lines == small[:2]
    assert not any(member in small for region in regions[:-3] for member in region.lines)
