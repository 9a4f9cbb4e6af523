"""Headings, paragraphs and headed tables at their bounds: a body of lines 20 pixels high."""

from __future__ import annotations

import pytest

from airgap.layout.lines import Inset, TextLine
from airgap.layout.paragraphs import Piece, pieces
from airgap.layout.regions import Region, rows
from tests.layout.turning import first

BODY = 20


def line(text: str, x0: float = 0, y0: float = 0, x1: float = 800, height: float = BODY) -> TextLine:
    return TextLine.known((x0, y0, x1, y0 + height), text)


def read(*lines: TextLine) -> list[Piece]:
    return list(pieces(Region(rows(lines)), BODY))


def labels(*lines: TextLine) -> list[str]:
    return [piece.label for piece in read(*lines)]


# --- headings ------------------------------------------------------------------------------------


def test_a_heading_is_higher_than_text_and_a_title_more_so() -> None:
    found = {high: labels(line("Words", height=high))[0] for high in (27, 28, 38, 39)}
    assert found == {27: "text", 28: "sub_title", 38: "sub_title", 39: "title"}


@pytest.mark.parametrize(
    ("text", "label"), [("W", "text"), ("Wo", "sub_title"), ("W" * 119, "sub_title"), ("W" * 120, "text")]
)
def test_a_heading_has_some_letters_but_not_many(text: str, label: str) -> None:
    assert labels(line(text, height=30)) == [label]


def test_a_heading_stands_in_two_pieces_at_most() -> None:
    def row(*heights: float) -> list[str]:
        return labels(*(line("Words", 100 * n, 0, 100 * n + 90, high) for n, high in enumerate(heights)))

    assert row(30, 30) == ["sub_title"]
    assert row(30, 30, 30) == ["text"]
    assert row(30, 20) == ["text"]


@pytest.mark.parametrize(
    ("height", "label", "mark"), [(20, "sub_title", "## "), (38, "sub_title", "## "), (39, "title", "# ")]
)
def test_a_numbered_heading_of_chinese_print(height: float, label: str, mark: str) -> None:
    [piece] = read(line("三、小练笔", height=height))
    assert (piece.label, piece.text) == (label, f"{mark}三、小练笔")
    beside = read(line("三、小练笔", 0, 0, 100), line("b", 120, 0, 200))
    assert [piece.label for piece in beside] == ["text"]


def heading(gap: float, first_length: int = 5, second_length: int = 5, second: float = 30) -> list[str]:
    one, two = "W" * first_length, "v" * second_length
    return [piece.text for piece in read(line(one, height=30), line(two, 0, 30 + gap, height=second))]


def test_a_heading_goes_on_where_it_is_close_and_alike() -> None:
    assert first(range(14, 24), lambda gap: len(heading(gap)) == 2) == 18
    assert first(range(50, 70), lambda count: len(heading(0, 60, count)) == 2) == 60
    assert heading(0) == ["## WWWWW vvvvv"]
    assert heading(0, second=39) == ["## WWWWW", "# vvvvv"]
    two = [line("Head", height=30), line("ing", 0, 32, height=30)]
    found = read(*two, line("Text.", 0, 70), line("x", 0, 300))
    assert [len(piece.lines) for piece in found] == [2, 1, 1]


def test_text_follows_a_heading_as_text_of_its_own() -> None:
    found = read(line("Heading", height=30), line("and words that go on below it", 0, 32))
    assert [(piece.label, piece.text) for piece in found] == [
        ("sub_title", "## Heading"),
        ("text", "and words that go on below it"),
    ]
    between = read(line("One", height=30), line("text", 0, 32), line("Two", 0, 54, height=30))
    assert [piece.label for piece in between] == ["sub_title", "text", "sub_title"]


# --- labelled regions ----------------------------------------------------------------------------


def labelled(label: str, *lines: TextLine) -> list[tuple[str, str]]:
    return [(piece.label, piece.text) for piece in pieces(Region(rows(lines), label=label), BODY)]


def test_a_titles_level_is_that_of_its_highest_line() -> None:
    assert labelled("title", line("a", height=38)) == [("sub_title", "## a")]
    assert labelled("title", line("a", height=10), line("b", 0, 50, height=39)) == [("title", "# a b")]
    assert labelled("header", line("*a*"), line("", 0, 50), line("b", 0, 80)) == [("header", "\\*a\\* b")]
    assert labelled("header", line("")) == []


def test_a_column_of_line_numbers_is_one_piece() -> None:
    lines = [line(str(n), 0, 30 * n, 20) for n in range(3)]
    [piece] = pieces(Region([[o] for o in lines], side=True, label=None), BODY)
    assert (piece.label, piece.text, piece.lines) == ("line_number", "0\n1\n2", tuple(lines))


# --- paragraphs ----------------------------------------------------------------------------------


def paragraphs(second: TextLine, before: TextLine | None = None, *more: TextLine) -> int:
    return len(read(before or line("words to the end"), second, *more))


def test_white_begins_a_paragraph() -> None:
    assert first(range(30, 40), lambda y: paragraphs(line("more", 0, y)) == 2) == 36


def test_an_indent_begins_a_paragraph() -> None:
    assert (
        first(range(20, 30), lambda x: paragraphs(line("more", x, 24), None, line("to the end", 0, 48)) == 2)
        == 25
    )
    inset = line("words to the end", 24)
    assert paragraphs(line("more", 30, 24), inset, line("to the end", 0, 48)) == 1
    nearly = line("words to the end", 23.9)
    assert paragraphs(line("more", 30, 24), nearly, line("to the end", 0, 48)) == 2


def test_a_line_that_ends_early_ends_a_paragraph() -> None:
    def parted(end: float, next_end: float = 800) -> bool:
        return paragraphs(line("more", 0, 24, next_end), line("words", 0, 0, end), line("x", 0, 48)) > 1

    assert first(range(610, 590, -1), parted) == 599
    level = [paragraphs(line("m", 0, 24, end), line("w", 0, 0, 300), line("x", 0, 48)) for end in (309, 310)]
    assert level == [2, 3]


def test_a_broken_word_holds_a_paragraph_together() -> None:
    assert [piece.text for piece in read(line("a word bro-", 0, 0, 300), line("ken off", 40, 24))] == [
        "a word broken off"
    ]
    assert len(read(line("a word bro-", 0, 0, 300), line("Ken off", 40, 24))) == 2
    assert len(read(line("a word bro", 0, 0, 300), line("ken off", 40, 24))) == 2


def test_rows_of_several_lines_are_paragraphs_of_their_own() -> None:
    pair = [line("a", 0, 24, 100), line("b", 300, 24, 400)]
    assert [piece.text for piece in read(line("over"), *pair, line("under", 0, 48))] == [
        "over",
        "a  b",
        "under",
    ]


@pytest.mark.parametrize(
    ("text", "new"),
    [("• a", True), ("– a", True), ("(1) a", True), ("12. a", True), ("123. a", False), ("（三）a", True),
     ("十二、a", True), ("1 a", False), ("- a", True), ("-", False)],
)  # fmt: skip
def test_what_begins_an_item(text: str, new: bool) -> None:
    assert (len(read(line("words to the end"), line(text, 0, 24))) == 2) is new


def test_an_insets_place_ends_a_paragraph_and_is_kept() -> None:
    inset = Inset((0, 30, 800, 90), "image", [line("in it")])
    found = list(pieces(Region([[line("a", 100, 0, 300)], [inset], [line("b", 100, 100, 300)]]), BODY))
    assert [piece.label for piece in found] == ["text", "image", "text"]
    assert (found[1].place, found[1].lines, found[0].place) == ((0, 30, 800, 90), inset.lines, None)


# --- headed tables -------------------------------------------------------------------------------


def table(top: float = 100, count: int = 3) -> list[TextLine]:
    return [line(f"{r}{x}", x, top + 26 * r, x + 60) for r in range(count) for x in (0, 200, 400)]


def tables(*lines: TextLine) -> list[str]:
    return [piece.label for piece in read(*lines)]


def headed(x: float = 250, gap: float = 6, count: int = 1) -> bool:
    """Whether single lines over two headings over a table are of it."""
    above = [line(f"h{n}", x, 74 - gap - 20 - 26 * n, 420) for n in range(count)]
    found = read(*above, line("A", 200, 74, 260), line("B", 400, 74, 460), *table())
    return len(found) == 1 and found[0].text.count("<tr>") == 4 + count


def test_headings_of_a_table_stand_right_of_its_first_column_and_close() -> None:
    assert first(range(70, 90), headed) == 81
    assert first(range(40, 20, -1), lambda gap: headed(gap=gap)) == 29


def test_four_rows_of_headings_at_most() -> None:
    assert [headed(count=count) for count in (1, 3, 4, 5)] == [True, True, True, False]


def test_a_form_is_tried_a_few_times_and_a_single_row_begins_anew() -> None:
    """Beginnings of a table that fall into no columns, then one that does."""

    def staggered(count: int, top: float) -> list[TextLine]:
        return [
            line("w", 37 * ((n * 7) % 19) + x, top + 26 * n, 37 * ((n * 7) % 19) + x + 30)
            for n in range(count)
            for x in (0, 60)
        ]

    def found(count: int, single: bool) -> bool:
        top = 26 * count
        between = [line("a single row", 0, top, 800)] if single else []
        below = [line(f"{r}{x}", x, top + 40 + 26 * r, x + 60) for r in range(12) for x in (0, 900, 1200)]
        return "table" in tables(*staggered(count, 0), *between, *below)

    assert first(range(1, 9), lambda count: not found(count, single=False)) == 5
    assert found(30, single=True)
