"""Headers, footers and page numbers: in every output, out of Markdown and text where asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airgap.core.document import Block, Box, Document, Line, Page
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
