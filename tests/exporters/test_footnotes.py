"""Footnotes in Markdown: as Markdown's own where the mark is sure, else as they are printed."""

from __future__ import annotations

import pytest

from airgap.core.document import Block, Document, Page
from airgap.exporters.markdown import document_markdown, page_markdown
from airgap.exporters.text import page_text


def page(*blocks: tuple[str, str], number: int = 1) -> Page:
    return Page(number, 100, 100, blocks=tuple(Block(label, text) for label, text in blocks))


@pytest.mark.parametrize(
    ("text", "note", "markdown"),
    [
        ("A word¹ and more.", "1 See above.", "A word[^1-1] and more.\n\n[^1-1]: See above."),
        ("It ends.² More.", "²See above.", "It ends.[^1-2] More.\n\n[^1-2]: See above."),
        ("名称”。¹因此", "[1] 说明", "名称”。[^1-1]因此\n\n[^1-1]: 说明"),
        (
            "Ann Smith* wrote",
            "* Corresponding author",
            "Ann Smith[^1-a] wrote\n\n[^1-a]: Corresponding author",
        ),
        ("Ann Smith† wrote", "† Deceased", "Ann Smith[^1-b] wrote\n\n[^1-b]: Deceased"),
        ("8 km² of land² in all", "2 See above.", "8 km² of land[^1-2] in all\n\n[^1-2]: See above."),
    ],
)
def test_a_sure_mark_and_its_note(text: str, note: str, markdown: str) -> None:
    assert page_markdown(page(("text", text), ("footnote", note))) == markdown


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("A word and more.", "1 See above."),
        ("A word¹ and another¹.", "1 See above."),
        ("A word¹² and more.", "1 See above."),
        ("Land of 8 m² and more.", "2 See above."),
        ("The root of x³ and more.", "3 See above."),
        ("About 10² and more.", "2 See above."),
        ("As a²b and more.", "2 See above."),
        ("A word 1 and more.", "1 See above."),
        ("A word¹ and more.", "See above."),
        ("A word¹ and more.", "1.5 km off"),
        ("A word¹ and more.", "1"),
        ("Two * three", "* See above."),
    ],
)
def test_what_is_not_sure_stays_as_it_is_printed(text: str, note: str) -> None:
    assert page_markdown(page(("text", text), ("footnote", note))) == f"{text}\n\n{note}"


@pytest.mark.parametrize("label", ["table", "code", "equation", "formula", "footnote", " Code "])
def test_what_is_no_running_text_has_no_marks(label: str) -> None:
    printed = page_markdown(page(("text", "A word¹ and more."), (label, "x† = y¹"), ("footnote", "1 See.")))
    assert "A word[^1-1] and more." in printed
    assert page_markdown(page((label, "x¹ = y"), ("footnote", "1 See."))).endswith("1 See.")


def test_two_notes_of_one_mark_are_not_sure() -> None:
    blocks = (("text", "A word¹ and more."), ("footnote", "1 One."), ("footnote", "1 Other."))
    assert "[^" not in page_markdown(page(*blocks))


def test_marks_in_tables_and_other_notes_are_none() -> None:
    table = "<table><tr><td>a¹</td></tr></table>"
    said = page_markdown(
        page(("table", table), ("text", "A word²."), ("footnote", "1 As in b²."), ("footnote", "2 b"))
    )
    assert said == f"{table}\n\nA word[^1-2].\n\n1 As in b².\n\n[^1-2]: b"


def test_notes_of_two_pages_have_two_names_and_plain_text_has_them_as_printed() -> None:
    blocks = (("text", "A word¹ and more."), ("footnote", "1 See above."))
    pages = (page(*blocks), page(*blocks, number=2))
    said = document_markdown(Document(pages, "fake", "fake", None))
    assert "word[^1-1]" in said
    assert "[^2-1]: See above." in said
    assert page_text(pages[0]) == "A word¹ and more.\n\n1 See above."


def test_thousands_of_notes_with_one_mark_are_printed_as_they_are() -> None:
    blocks = [("text", "A word¹ and more.")] * 20_000 + [("footnote", "1 See above.")] * 20_000
    assert page_markdown(page(*blocks)).count("See above.") == 20_000


def test_thousands_of_units_are_none_of_a_note() -> None:
    shown = page_markdown(page(("text", "8 km² " * 100_000 + "of land²"), ("footnote", "2 See above.")))
    assert (shown.count("km²"), shown.count("land[^1-2]")) == (100_000, 1)
