"""Tables over several pages: whole where a document is written, as they were printed on each page."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import docx
import pytest

from airgap.core.document import Block, Box, Document, Page
from airgap.exporters import export
from airgap.exporters.continued_tables import MAX_CELLS, continued_tables
from airgap.exporters.html_tables import parse_table
from airgap.exporters.markdown import document_markdown, page_markdown

HEADS = ("Item", "Price")
WIDTH, HEIGHT = 1000, 1400


def table(*rows: Sequence[str], x0: float = 100, x1: float = 900) -> Block:
    html = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return Block("table", f"<table>{html}</table>", (Box(x0, 200, x1, 600),))


def text(said: str, label: str = "text") -> Block:
    return Block(label, said, (Box(100, 700, 900, 720),))


def document(*pages: Sequence[Block]) -> Document:
    made = (Page(n, WIDTH, HEIGHT, blocks=tuple(blocks)) for n, blocks in enumerate(pages, 1))
    return Document(tuple(made), "e", "m")


def cells(markdown: str) -> list[list[str]]:
    return [[cell.text for cell in row] for row in parse_table(markdown[markdown.index("<table") :]).rows]


BEGINS = (text("Before."), table(HEADS, ("Tea", "2.50"), ("Milk", "1.20")), text("3", "page_number"))
GOES_ON = (text("Report", "header"), table(HEADS, ("Salt", "0.90")), text("After."))


def test_a_table_with_its_headings_again_is_one() -> None:
    found = document_markdown(document(BEGINS, GOES_ON))
    assert cells(found) == [list(HEADS), ["Tea", "2.50"], ["Milk", "1.20"], ["Salt", "0.90"]]
    assert found.count("<table") == 1
    assert "[The table of page 1 goes on here; it is given whole there.]" in found
    assert found.index("Salt") < found.index("page 2") < found.index("[The table") < found.index("After.")


def test_headings_that_were_read_a_little_differently_are_the_same() -> None:
    other = (table(("ltem", "Price"), ("Salt", "0.90")),)
    assert continued_tables(document(BEGINS, other))[0].headings == 1


def test_three_pages_are_one_table() -> None:
    whole = document(BEGINS, (table(HEADS, ("Salt", "0.90")),), (table(HEADS, ("Rice", "3.00")),))
    found = document_markdown(whole)
    assert [row[0] for row in cells(found)] == ["Item", "Tea", "Milk", "Salt", "Rice"]
    assert found.count("The table of page 1") == 2


@pytest.mark.parametrize(
    ("more", "joined"),
    [
        (table(("Salt", "0.90"), ("Rice", "3.00")), True),
        (table(("Salt", "0.90"), ("Rice", "3.00"), x0=300), False),
        (table(("Salt", "white"), ("Rice", "long")), False),
        (table(("Salt", "0.90", "EUR")), False),
        (table(("0.90", "Salt"), ("3.00", "Rice")), False),
        (
            Block("table", "<table><tr><th>Salt</th><th>1</th></tr><tr><td>a</td><td>2</td></tr></table>"),
            False,
        ),
    ],
    ids=["as before", "another measure", "other kinds", "more columns", "turned round", "other headings"],
)
def test_without_headings_columns_must_agree(more: Block, joined: bool) -> None:
    assert bool(continued_tables(document(BEGINS, (more,)))) is joined


@pytest.mark.parametrize(
    "pages",
    [
        ((*BEGINS, text("The text goes on.")), GOES_ON),
        (BEGINS, (text("Another text."), *GOES_ON)),
        (BEGINS, (), GOES_ON),
        ((table(("a", "b"), ("c", "d")),), (table(("e", "f"), ("g", "h")),)),
        ((text("- 1"),), GOES_ON),
    ],
    ids=["text after", "text before", "a page between", "words alone", "no table"],
)
def test_what_text_or_a_page_parts_is_two_tables(pages: Sequence[Sequence[Block]]) -> None:
    assert continued_tables(document(*pages)) == []


@pytest.mark.parametrize(
    "remark",
    [
        "Table 1 (cont'd)",
        "Tabelle 1 (Fortsetzung)",
        "Tableau 1 (suite)",
        "Таблица 1 (продолжение)",
        "表1(续)",
        "表一接上頁",
    ],
)
def test_a_remark_that_it_goes_on_parts_no_table(remark: str) -> None:
    pages = (
        (*BEGINS, text("(continued on the next page)")),
        (text(remark, "table_caption"), *GOES_ON),
    )
    assert len(continued_tables(document(*pages))) == 1


@pytest.mark.parametrize(("length", "joined"), [(120, 1), (121, 0)])
def test_a_long_text_is_no_remark(length: int, joined: int) -> None:
    said = "continued ".ljust(length, "x")
    assert len(continued_tables(document((*BEGINS, text(said)), GOES_ON))) == joined


def test_pages_and_json_keep_their_own() -> None:
    whole = document(BEGINS, GOES_ON)
    assert "Salt" not in page_markdown(whole.pages[0])
    assert "Item" in page_markdown(whole.pages[1])
    found = json.loads(export("json", whole))
    assert "Salt" in found["pages"][1]["blocks"][1]["text"]
    assert found["continued_tables"] == [{"page": 2, "block": 1, "of_page": 1, "of_block": 1}]


def test_html_and_docx_have_it_whole() -> None:
    whole = document(BEGINS, GOES_ON)
    html = export("html", whole).decode()
    assert html.count("<table>") == 1
    assert html.index("Milk") < html.index("Salt") < html.index('id="page-2"') < html.index("goes on here")
    (made,) = docx.Document(io.BytesIO(export("docx", whole))).tables
    assert [[cell.text for cell in row.cells] for row in made.rows][-1] == ["Salt", "0.90"]


def test_what_cells_hold_and_span_is_kept() -> None:
    one = Block(
        "table",
        "<table><tr><th rowspan=2>A &amp; <b>B</b></th><th colspan=2>C</th></tr><tr><th>D</th><th>E</th></tr>"
        "<tr><td>x</td><td>1</td><td>2</td></tr></table>",
    )
    found = document_markdown(document((one,), (one,)))
    assert found.split("\n")[2] == (
        '<table><tr><th rowspan="2">A &amp; <b>B</b></th><th colspan="2">C</th></tr>'
        "<tr><th>D</th><th>E</th></tr>"
        "<tr><td>x</td><td>1</td><td>2</td></tr><tr><td>x</td><td>1</td><td>2</td></tr></table>"
    )


def test_a_table_does_not_grow_without_bound() -> None:
    rows = [("word", str(n)) for n in range(MAX_CELLS // 5)]
    pages = [(table(HEADS, *rows),) for _ in range(3)]
    found = document_markdown(document(*pages))
    assert found.count("<table") == 2


def test_a_failed_page_has_none() -> None:
    failed = Page(2, 0, 0, "failed", blocks=GOES_ON)
    whole = document(BEGINS)
    assert continued_tables(Document((*whole.pages, failed), "e", "m")) == []
