"""Printed signs are shown by Markdown, and come out of it to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.core.document import Box, Document, Line, Page
from airgap.exporters.html import to_html
from airgap.exporters.markdown import document_markdown
from airgap.exporters.text import block_text, plain_text
from airgap.layout.known_text import blocks_of
from airgap.layout.literal import escaped, escaped_cell

PRINTED = [
    "> 60 ml/min is normal",
    "# 2 of 3 samples",
    "+ 2 further samples",
    "<LOD> in both, <0.5 in one",
    "**** **** **** 1234",
    "def __init__(self): *args, **kwargs",
    "an ![x](http://example.org/a.png) and a [link](javascript:1)",
    "<script>alert(1)</script>",
    "| a | b |",
    "&lt; is how < is written",
    "a `quoted` name",
    "* * *",
    "~~~",
    "5 * 3 * 2 = 30",
    "snake_case_name and _private_ too",
    "Name: ________ Date: ________",
    "- a printed list",
    "1,299.00 $ - 3 %",
]


@pytest.mark.parametrize("printed", PRINTED)
def test_what_is_printed_comes_out_to_the_letter(printed: str) -> None:
    assert plain_text(escaped(printed)) == printed
    table = f"<table><tr><td>{escaped_cell(printed)}</td><td>b</td></tr></table>"
    assert plain_text(table) == f"{printed}\tb"


@pytest.mark.parametrize(
    "plain", ["A sentence, as any other.", "snake_case", "5 * 3", "3 < 5 & 7 > 2", "C# and F#", "a_b"]
)
def test_what_is_no_mark_is_left_alone(plain: str) -> None:
    assert escaped(plain) == plain


def test_nothing_that_is_printed_is_live_in_markdown() -> None:
    for printed, live in (
        ("<script>x</script>", "<script"),
        ("![x](http://a.b/c)", "![x]("),
        ("[x](http://a.b)", "[x]("),
    ):
        assert live not in escaped(printed)


def test_a_page_of_signs_is_the_same_in_text_and_shown_in_markdown() -> None:
    lines = [
        Line(text, Box(10, 60 * n, 10 + 9 * len(text), 60 * n + 16)) for n, text in enumerate(PRINTED[:6])
    ]
    document = Document((Page(1, 600, 600, blocks=blocks_of(lines)),), "e", "m")
    assert [block_text(block) for block in document.pages[0].blocks] == PRINTED[:6]
    markdown = document_markdown(document)
    assert "\\> 60" in markdown
    assert "\\# 2" in markdown
    assert "&lt;LOD" in markdown
    assert b"&gt; 60 ml/min" in to_html(document)


@given(st.text(st.sampled_from("ab 1<>#*_`+-|&[]()!;=~\n"), max_size=30))
def test_any_line_survives(text: str) -> None:
    printed = " ".join(text.split())
    assert plain_text(escaped(printed)) == printed
