"""Rows of a region → paragraphs, headings, lists and aligned tables."""

from __future__ import annotations

import pytest

from airgap.layout.items import is_entry
from airgap.layout.lines import Inset, TextLine
from airgap.layout.paragraphs import Piece, join_lines, pieces
from airgap.layout.regions import Region, rows

PITCH = 26


def line(text: str, x0: float, y0: float, x1: float, height: float = 20) -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + height), text)


def read(*lines: TextLine) -> list[Piece]:
    return list(pieces(Region(rows(lines)), 20))


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("the so-", "leil se lève", "the soleil se lève"),
        ("aux Eaux-", "Chaudes", "aux Eaux- Chaudes"),
        ("pages 3-", "4", "pages 3- 4"),
        ("one", "two", "one two"),
        ("前十名", "股东", "前十名股东"),
        ("第 5", "頁", "第 5 頁"),
        ("漢", "字a", "漢字a"),
        ("a漢", "字", "a漢字"),
        ("漢", "a字", "漢 a字"),
        ("", "alone", "alone"),
    ],
)
def test_lines_join(first: str, second: str, joined: str) -> None:
    assert join_lines(first, second) == joined


def test_an_indent_begins_a_paragraph_and_a_hyphen_holds_one_together() -> None:
    found = read(
        line("Plain text that fills the line and breaks a dif-", 100, 0, 800),
        line("ficult word, then ends.", 100, PITCH, 780),
        line("Indented, this one begins anew and goes on", 140, 2 * PITCH, 800),
        line("to its end.", 100, 3 * PITCH, 300),
        line("A line after a short one begins anew.", 100, 4 * PITCH, 700),
    )
    assert [piece.text for piece in found] == [
        "Plain text that fills the line and breaks a difficult word, then ends.",
        "Indented, this one begins anew and goes on to its end.",
        "A line after a short one begins anew.",
    ]
    assert {piece.label for piece in found} == {"text"}


@pytest.mark.parametrize("number", ["20.42%", "3.1 million", "16.5", "12.03.2020"])
def test_a_line_that_begins_with_a_decimal_goes_on(number: str) -> None:
    above, below = (
        "The slope of the valleys in the region is on average",
        f"{number}, which is less than before",
    )
    [piece] = read(line(above, 100, 0, 800), line(below, 100, PITCH, 790))
    assert piece.text == f"{above} {below}"


def test_what_stands_far_right_of_a_paragraph_is_none_of_it() -> None:
    """The number of an equation, whose picture ends before it."""
    found = read(
        line("(14)", 760, 0, 800),
        line("If it is so, the constraints of the model would become as", 100, PITCH, 800),
        line("reducible as then.", 100, 2 * PITCH, 300),
    )
    assert [piece.text for piece in found] == [
        "(14)",
        "If it is so, the constraints of the model would become as reducible as then.",
    ]


def test_text_set_around_a_picture_stays_one_paragraph() -> None:
    found = read(
        line("a line of the full measure goes across all", 100, 0, 800),
        line("beside the picture", 100, PITCH, 400),
        line("lines are shorter", 100, 2 * PITCH, 402),
        line("but end level.", 100, 3 * PITCH, 396),
    )
    assert [piece.text for piece in found] == [
        "a line of the full measure goes across all beside the picture lines are shorter but end level."
    ]


def test_large_short_lines_are_headings() -> None:
    found = read(
        line("Booking", 100, 0, 500, 44),
        line("Report", 100, 50, 400, 44),
        line("First part", 100, 120, 300, 30),
        line("Body text of the usual size that fills its line", 100, 170, 800),
    )
    assert [(piece.label, piece.text) for piece in found] == [
        ("title", "# Booking Report"),
        ("sub_title", "## First part"),
        ("text", "Body text of the usual size that fills its line"),
    ]


def test_bullets_become_markdown_items() -> None:
    found = read(line("• first thing", 100, 0, 800), line("• second thing", 100, PITCH, 800))
    assert [piece.text for piece in found] == ["- first thing", "- second thing"]


def test_aligned_rows_are_a_table_with_escaped_cells() -> None:
    lines = [line("Total:", 100, 0, 800)]
    for i in range(3):
        lines += [line(f"a<{i}", 100, 40 + i * PITCH, 200), line(f"b&{i}", 500, 40 + i * PITCH, 600)]
    found = read(*lines)
    assert [piece.label for piece in found] == ["text", "table"]
    assert found[1].text == (
        "<table><tr><td>a&lt;0</td><td>b&amp;0</td></tr><tr><td>a&lt;1</td><td>b&amp;1</td></tr>"
        "<tr><td>a&lt;2</td><td>b&amp;2</td></tr></table>"
    )
    assert len(found[1].lines) == 6


def test_two_rows_are_no_table() -> None:
    found = read(
        line("a", 100, 0, 200), line("b", 500, 0, 600), line("c", 100, PITCH, 200), line("d", 500, PITCH, 600)
    )
    assert [piece.text for piece in found] == ["a  b", "c  d"]


def test_lines_on_which_nothing_was_read_leave_no_trace() -> None:
    found = read(line("kept", 100, 0, 800), line("", 100, PITCH, 800))
    assert [piece.text for piece in found] == ["kept"]
    assert [item.text for item in found[0].lines] == ["kept"]


def test_pieces_come_before_later_lines_are_read() -> None:
    first, second = line("Short.", 100, 0, 300), line("", 100, 200, 800)

    def refuse() -> None:
        raise AssertionError("read too early")

    third = TextLine((100, 400, 800, 420), 2, refuse)  # type: ignore[arg-type]
    second.replace(line("After a wide gap.", 0, 0, 1).start())
    stream = pieces(Region([[first], [second], [third]]), 20)
    assert next(stream).text == "Short."


def test_an_inset_stands_where_it_is_laid_out() -> None:
    table = Inset((100, 40, 800, 300), "table", (), lambda: "<table></table>")
    found = list(pieces(Region([[line("above", 100, 0, 800)], [table], [line("below", 100, 320, 800)]]), 20))
    assert [(piece.label, piece.text) for piece in found] == [
        ("text", "above"),
        ("table", "<table></table>"),
        ("text", "below"),
    ]
    assert found[1].place == (100, 40, 800, 300)


def test_a_long_form_without_columns_takes_linear_time() -> None:
    asked = 0

    class Counting(TextLine):
        @property
        def text(self) -> str:
            nonlocal asked
            asked += 1
            return "x"

    region: list[list[TextLine]] = []
    for i in range(400):
        places = [(100 + (i * 37) % 300, 40 * i), (500 + (i * 53) % 400, 40 * i)]
        template = line("x", 0, 0, 1)
        region.append(
            [
                Counting((x, y, x + 20 + i % 7 * 10, y + 20), n, template.start)
                for n, (x, y) in enumerate(places)
            ]
        )
    assert len(list(pieces(Region(region), 20))) >= 1
    assert asked < 20 * 800


def figures(top: float) -> list[TextLine]:
    """Three rows of a name and two figures."""
    lines = []
    for row, name in enumerate(("Cost of revenue", "Research", "Total")):
        y = top + PITCH * row
        lines += [line(name, 100, y, 250), line(f"{row}78", 500, y, 540), line(f"{row}41", 700, y, 740)]
    return lines


def test_headings_over_the_columns_of_a_table_are_of_it() -> None:
    above = [line("Year ended", 570, 0, 680), line("2025", 495, PITCH, 545), line("2024", 695, PITCH, 745)]
    [piece] = read(*above, *figures(2 * PITCH))
    assert piece.label == "table"
    assert piece.text.startswith(
        '<table><tr><td></td><td colspan="2">Year ended</td></tr>'
        "<tr><td></td><td>2025</td><td>2024</td></tr><tr><td>Cost of revenue</td>"
    )
    assert len(piece.lines) == 12


@pytest.mark.parametrize(
    "above",
    [
        line("A sentence about the figures that follow, indented", 180, 0, 740),
        line("SUMMARY", 560, 0, 680),
        line("Year ended", 570, -60, 680),
    ],
)
def test_what_stands_above_a_table_and_heads_no_columns_is_text(above: TextLine) -> None:
    first, table = read(above, *figures(PITCH))
    assert (first.text, table.label) == (above.text, "table")


def test_a_labelled_region_is_one_piece() -> None:
    lines = [line("A title in", 100, 0, 300, 24), line("two lines", 100, 30, 300, 24)]
    [title] = pieces(Region(rows(lines), label="title"), 20)
    assert (title.label, title.text) == ("sub_title", "## A title in two lines")
    [header] = pieces(Region(rows(lines), label="header"), 20)
    assert (header.label, header.text) == ("header", "A title in two lines")


def test_large_type_beside_text_makes_no_heading_of_the_row() -> None:
    [piece] = read(line("Headline", 100, 0, 300, 40), line("and its caption, in small type", 320, 12, 700))
    assert piece.label == "text"


@pytest.mark.parametrize(("text", "label"), [("三、小练笔", "sub_title"), ("三、他说完了，就走了。", "text")])
def test_a_short_line_with_a_chinese_number_is_a_heading(text: str, label: str) -> None:
    assert [piece.label for piece in read(line(text, 100, 0, 300))] == [label]


def test_items_stand_as_deep_as_they_begin() -> None:
    found = read(
        line("• outer", 100, 0, 400),
        line("• inner", 140, PITCH, 400),
        line("◦ innermost", 180, 2 * PITCH, 400),
        line("• inner again", 141, 3 * PITCH, 400),
        line("• outer again", 99, 4 * PITCH, 400),
        line("1. counted", 100, 5 * PITCH, 400),
        line("• of the first", 140, 6 * PITCH, 400),
    )
    assert [piece.text for piece in found] == [
        "- outer",
        "  - inner",
        "    - innermost",
        "  - inner again",
        "- outer again",
        "1. counted",
        "   - of the first",
    ]


def test_after_other_text_an_item_is_the_first_of_its_list() -> None:
    found = read(
        line("• outer", 100, 0, 400),
        line("Words of the text, at the margin.", 100, 3 * PITCH, 800),
        line("• alone", 180, 4 * PITCH, 400),
    )
    assert [piece.text for piece in found] == ["- outer", "Words of the text, at the margin.", "- alone"]


def test_an_item_of_which_markdown_knows_nothing_is_set_in_by_nothing() -> None:
    found = read(
        line("(1) outer", 100, 0, 400), line("(2) inner", 140, PITCH, 400), line("• in", 180, 2 * PITCH, 400)
    )
    assert [piece.text for piece in found] == ["(1) outer", "(2) inner", "- in"]


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("Introduction .......................... 5", True),
        ("Preface . . . . . . . xii ", True),
        ("a..5", True),
        ("a. 5", False),
        ("..5", False),
        (" a..5", False),
        ("a..12345", False),
        ("a..", False),
        ("", False),
        ("word" + "." * 500_000 + "#", False),
        ("word" + " ." * 300_000 + " " * 300_000 + "#", False),
    ],
)
def test_what_an_entry_of_a_table_of_contents_is(text: str, entry: bool) -> None:
    assert is_entry(text) is entry


def test_entries_of_a_table_of_contents_stay_apart() -> None:
    found = read(
        line("Introduction .......................... 5", 100, 0, 800),
        line("1.1 What this is about............... 12", 100, PITCH, 800),
        line("Preface . . . . . . . . . . . . . . . xii", 100, 2 * PITCH, 800),
    )
    assert len(found) == 3
