"""Headers, footers and page numbers: in every output, out of Markdown and text where asked for."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import docx
import pytest

from airgap.core.document import Block, Box, Document, Line, Page
from airgap.exporters import export
from airgap.exporters.document_in import parse_document
from airgap.exporters.figures import figures
from airgap.exporters.json_export import page_from_dict, page_to_dict
from airgap.exporters.markdown import page_markdown
from airgap.exporters.text import document_text, page_text

BOX = Box(0, 0, 10, 10)
PAGE = Page(
    1,
    100,
    100,
    blocks=(
        Block("header", "Annual report", (BOX,)),
        Block("text", "Words.", (BOX,)),
        Block("image", "", (BOX,)),
        Block("page_number", "12", (BOX,)),
    ),
)


def test_json_has_the_formula_of_an_equation_without_what_surrounds_it() -> None:
    texts = {"$$x^2$$": "x^2", "\\[ x \\]": "x", "$$ $$": None, "E = mc2": None, "$$a$$, $$b$$": None}
    blocks = tuple(Block("equation", text) for text in texts)
    said = page_to_dict(replace(PAGE, blocks=(*blocks, Block("text", "$$x$$"))))["blocks"]
    assert [block.get("latex") for block in said] == [*texts.values(), None]
    assert page_from_dict(page_to_dict(replace(PAGE, blocks=blocks))).blocks == blocks


def test_all_is_kept_unless_asked_otherwise() -> None:
    assert page_markdown(PAGE) == "Annual report\n\nWords.\n\n![](images/1_1.jpg)\n\n12"


def test_the_text_alone_is_given_where_asked_for_and_json_has_all() -> None:
    page = replace(PAGE, furniture="drop")
    assert page_markdown(page) == "Words.\n\n![](images/1_1.jpg)"
    assert page_text(page) == "Words."
    assert document_text(Document((page,), "e", "m")) == "Words.\n"
    kept = page_to_dict(page)
    assert [block["label"] for block in kept["blocks"]] == ["header", "text", "image", "page_number"]
    assert page_from_dict(kept) == page


def test_a_page_of_furniture_alone_does_not_pass_for_blank() -> None:
    page = replace(PAGE, blocks=PAGE.blocks[:1], furniture="drop")
    assert page_markdown(page) == "Annual report"


@pytest.mark.parametrize(
    ("block", "markdown"),
    [
        (Block("equation", "", (BOX,), lines=(Line("E = m[c]2", BOX),)), r"![E = m\[c\]2](images/1_1.jpg)"),
        (Block("equation", "$$E = mc^2$$", (BOX,)), "$$E = mc^2$$"),
        (Block("equation", "", ()), "<!-- page 1 is blank -->"),
    ],
)
def test_an_equation_without_a_formula_is_a_picture(block: Block, markdown: str) -> None:
    page = Page(1, 100, 100, blocks=(block,))
    assert page_markdown(page) == markdown
    assert len(list(figures(page))) == markdown.startswith("![")


def _printed(number: int, header: str | None, footer: str | None) -> Page:
    blocks = [Block("text", f"Words of page {number}.", (Box(10, 40, 90, 50),))]
    if header:
        blocks.insert(0, Block("header", header, (Box(10, 2, 90, 8),)))
    if footer:
        blocks.append(Block("page_number", footer, (Box(40, 92, 60, 98),)))
    return Page(number, 100, 100, blocks=tuple(blocks))


def _sections(*pages: Page) -> list[tuple[str, str]]:
    word = docx.Document(io.BytesIO(export("docx", Document(pages, "e", "m"))))
    return [(_said(section.header), _said(section.footer)) for section in word.sections]


def _said(part: Any) -> str:
    return "\n".join(paragraph.text for paragraph in part.paragraphs)


def test_docx_has_them_as_the_headers_and_footers_of_sections() -> None:
    pages = (_printed(1, None, None), _printed(2, "Report", "2"), _printed(3, "Report", "3"))
    assert _sections(*pages) == [("", ""), ("Report", "2"), ("Report", "3")]
    word = docx.Document(io.BytesIO(export("docx", Document(pages, "e", "m"))))
    assert [p.text for p in word.paragraphs if p.text] == [f"Words of page {n}." for n in (1, 2, 3)]


def test_docx_pages_with_the_same_ones_share_a_section() -> None:
    assert _sections(*(_printed(n, "Report", None) for n in (1, 2, 3))) == [("Report", "")]
    assert _sections(*(_printed(n, None, None) for n in (1, 2))) == [("", "")]


def test_docx_takes_a_header_away_where_a_page_has_none() -> None:
    assert _sections(_printed(1, "Report", None), _printed(2, None, None)) == [("Report", ""), ("", "")]


def test_docx_keeps_them_in_the_text_where_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airgap.exporters.docx.MAX_SECTIONS", 2)
    pages = tuple(_printed(n, f"Sheet {n}", None) for n in range(1, 5))
    assert _sections(*pages) == [("", "")]
    word = docx.Document(io.BytesIO(export("docx", Document(pages, "e", "m"))))
    assert [p.text for p in word.paragraphs if p.text][::2] == [f"Sheet {n}" for n in range(1, 5)]


def test_html_has_them_as_header_and_footer_of_their_page() -> None:
    numbered_above = Block("page_number", "7", (Box(40, 2, 60, 8),))
    beside = Block("margin", "2 Feb 2024", (Box(0, 20, 5, 80),))
    page = _printed(1, "Report", "2")
    page = replace(page, blocks=(numbered_above, *page.blocks, beside))
    text = export("html", Document((page,), "e", "m")).decode()
    assert [
        tag + said for tag, said in re.findall(r"<(header|footer|aside)>\n<p dir=\"auto\">(.*)</p>", text)
    ] == [
        "header7",
        "headerReport",
        "footer2",
        "aside2 Feb 2024",
    ]


def test_a_document_that_is_sent_back_is_written_as_it_was_asked_for() -> None:
    whole = Document((replace(PAGE, furniture="drop"),), "e", "m")
    sent = parse_document(export("json", whole))
    assert export("markdown", sent) == export("markdown", whole)
    assert b"Annual report" not in export("markdown", sent)
