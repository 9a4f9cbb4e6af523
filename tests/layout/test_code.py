"""Program text keeps its lines and its indentation, in Markdown and in what is made of it."""

from __future__ import annotations

import io

import docx
import numpy as np
import pytest

from airgap.core.document import Block, Document, Page
from airgap.exporters.docx import to_docx
from airgap.exporters.fences import Code, split_code
from airgap.exporters.html import to_html
from airgap.exporters.text import block_text
from airgap.layout.code import code_of
from airgap.layout.lines import Reading, Row, TextLine

PROGRAM = """\
int main(void) {
    for (int i = 0; i < 3; i++) {
        puts("**kwargs**");
    }

    return 0;
}"""
LETTER = """\
Dear Sir, we thank you
for the letter of May
and shall answer it in
the course of the week."""
PAPER = np.full((600, 900, 3), 255, np.uint8)


def rows_of(text: str, pitch: float = 10.0, edge: float = 6.0) -> list[Row]:
    """Lines set with one width for all characters, their boxes a little wider."""
    rows: list[Row] = []
    for n, line in enumerate(text.split("\n")):
        left = 40 + pitch * (len(line) - len(line.lstrip()))
        place = (left, 40 + 22 * n, 40 + pitch * len(line) + edge, 58 + 22 * n)
        rows += [[TextLine.known(place, line.strip())]] if line.strip() else []
    return rows


def never(place: tuple[float, float, float, float]) -> Reading:
    raise AssertionError("rows of one piece are not read again")


def test_a_program_keeps_its_lines_indentation_and_gaps() -> None:
    found = code_of(rows_of(PROGRAM), never, PAPER)
    assert found is not None
    assert found[0] == PROGRAM


def test_a_typewritten_letter_and_a_list_of_prices_are_no_program() -> None:
    assert code_of(rows_of(LETTER), never, PAPER) is None
    goods = ("Tea", "Milk", "Bread", "Salt")
    prices = "\n".join(f"{name:<20}{number:>4}.50" for number, name in enumerate(goods))
    assert code_of(rows_of(prices), never, PAPER) is None


def test_a_program_in_a_type_of_many_widths_is_left_alone() -> None:
    rows = rows_of(PROGRAM)
    for number, row in enumerate(rows):
        row[0].x1 += (-30, 40, 5, -20, 30, 0)[number]
    assert code_of(rows, never, PAPER) is None


def test_code_is_exact_in_text_html_and_docx() -> None:
    block = Block("code", f"```\n{PROGRAM}\n```")
    document = Document((Page(1, 900, 600, blocks=(block,)),), "e", "m")
    assert block_text(block) == PROGRAM
    assert b"<pre>int main(void) {\n    for (int i = 0; i &lt; 3; i++) {" in to_html(document)
    words = docx.Document(io.BytesIO(to_docx(document)))
    assert PROGRAM in "\n".join(paragraph.text for paragraph in words.paragraphs)


@pytest.mark.parametrize("text", ["```\nnever closed", "a ``` b", "``` x ```"])
def test_a_fence_that_is_none_is_text(text: str) -> None:
    assert list(split_code(text)) == [text]
    assert list(split_code("a\n```py\nx\n```\nb")) == ["a", Code("x"), "b"]
