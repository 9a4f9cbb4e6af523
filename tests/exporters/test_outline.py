"""The outline: in JSON, as contents and ids in HTML, as heading styles in DOCX, as bookmarks in the PDF."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import docx
import pikepdf
import pymupdf
import pytest
from PIL import Image

from airgap.core.document import Block, Box, Document, Page
from airgap.exporters import export
from airgap.exporters.outline import MAX_ENTRIES, Heading, outline
from tests.exporters.factory import PictureSource, failed_page, picture

SIZE = (200, 300)


def head(level: int, text: str, y0: float = 20) -> Block:
    return Block(
        "title" if level == 1 else "sub_title", f"{'#' * level} {text}", (Box(20, y0, 180, y0 + 20),)
    )


def report() -> Document:
    return Document(
        (
            Page(1, *SIZE, blocks=(head(1, "The <whole> & *all*"), head(2, "One", 120))),
            failed_page(2),
            Page(3, *SIZE, blocks=(head(3, "One *and* a bit"), Block("text", "Words."), head(2, "Two", 200))),
        ),
        engine="rapidocr",
        model="PP-OCRv6",
    )


def source() -> PictureSource:
    pages = [picture(SIZE) for _ in range(3)]
    data = io.BytesIO()
    pages[0].save(data, "TIFF", save_all=True, append_images=pages[1:], dpi=(72, 72))
    return PictureSource(dict(enumerate(pages, 1)), data.getvalue())


def test_headings_are_listed_with_their_places() -> None:
    found = outline(report())
    assert found[0] == Heading(1, "The <whole> & all", 1, 0, Box(20, 20, 180, 40))
    assert [(h.level, h.title, h.page, h.block) for h in found[1:]] == [
        (2, "One", 1, 1),
        (3, "One and a bit", 3, 0),
        (2, "Two", 3, 2),
    ]


@pytest.mark.parametrize(
    "block",
    [
        Block("code", "```\n# a comment\n```"),
        Block("header", "# Running"),
        Block("text", "No heading: # here"),
        Block("text", "#hashtag"),
    ],
)
def test_what_is_no_heading_is_not_in_it(block: Block) -> None:
    assert outline(Document((Page(1, *SIZE, blocks=(block,)),), "e", "m")) == []


def test_a_page_that_a_model_wrote_as_one_block_has_its_headings() -> None:
    page = Page(1, *SIZE, blocks=(Block("text", "# All\n\nWords.\n\n## Part\n\nMore."),))
    assert [(h.level, h.title, h.box) for h in outline(Document((page,), "e", "m"))] == [
        (1, "All", None),
        (2, "Part", None),
    ]


def test_an_outline_is_bounded() -> None:
    page = Page(1, *SIZE, blocks=(Block("text", "# a\n" * (MAX_ENTRIES + 5)),))
    assert len(outline(Document((page, page), "e", "m"))) == MAX_ENTRIES


def test_json_lists_them() -> None:
    found = json.loads(export("json", report()))["outline"]
    assert found[1] == {"level": 2, "title": "One", "page": 1, "block": 1, "box": [20, 120, 180, 140]}
    assert len(found) == 4


def test_html_links_each_heading_of_several_pages() -> None:
    text = export("html", report()).decode()
    nav = text[text.index("<nav>") : text.index("</nav>")]
    links = re.findall(r'<a href="#([^"]+)" dir="auto">([^<]*)</a> (\d)', nav)
    assert [(name, page) for _, name, page in links] == [
        ("The &lt;whole&gt; &amp; all", "1"),
        ("One", "1"),
        ("One and a bit", "3"),
        ("Two", "3"),
    ]
    ids = re.findall(r'<h\d id="([^"]+)"', text)
    assert ids == [name for name, _, _ in links]
    assert len(set(ids)) == 4


def test_html_of_one_page_or_without_headings_has_no_contents() -> None:
    whole = report()
    assert "<nav>" not in export("html", replace(whole, pages=whole.pages[:1])).decode()
    assert "<nav>" not in export("html", replace(whole, pages=whole.pages[1:2] * 2)).decode()


def test_docx_has_heading_styles() -> None:
    word = docx.Document(io.BytesIO(export("docx", report())))
    found = [
        (p.style.name, p.text) for p in word.paragraphs if p.style and p.style.name.startswith("Heading")
    ]
    assert found == [
        ("Heading 1", "The <whole> & all"),
        ("Heading 2", "One"),
        ("Heading 3", "One and a bit"),
        ("Heading 2", "Two"),
    ]


def test_the_searchable_pdf_has_bookmarks_at_their_places() -> None:
    data = export("searchable_pdf", report(), source())
    with pymupdf.open("pdf", data) as pdf:
        found = pdf.get_toc(simple=False)
        scale = pdf[0].rect.width / SIZE[0]
    assert [entry[:3] for entry in found] == [
        [1, "The <whole> & all", 1],
        [2, "One", 1],
        [3, "One and a bit", 3],
        [2, "Two", 3],
    ]
    places = [(round(entry[3]["to"].x / scale), round(entry[3]["to"].y / scale)) for entry in found]
    assert places == [(20, 20), (20, 120), (20, 20), (20, 200)]


@pytest.mark.parametrize("turn", [pytest.param(0, marks=pytest.mark.slow), 90])
def test_a_pdf_keeps_its_own_bookmarks_and_one_without_gets_them_however_it_is_turned(
    tmp_path: Path, turn: int
) -> None:
    plain, marked = tmp_path / "plain.pdf", tmp_path / "marked.pdf"
    made = pymupdf.open()
    for _ in range(3):
        made.new_page(width=SIZE[0], height=SIZE[1]).set_rotation(turn)
    made.save(plain)
    made.set_toc([[1, "Its own", 2]])
    made.save(marked)
    titles = {}
    for path in (plain, marked):
        pages = {n: Image.new("RGB", SIZE, "white") for n in (1, 2, 3)}
        original = PictureSource(pages, path.read_bytes(), media_type="application/pdf", kind="pdf")
        data = io.BytesIO(export("searchable_pdf", report(), original))
        with pikepdf.open(data) as pdf, pdf.open_outline() as found:
            titles[path] = [item.title for item in found.root]
    assert titles == {plain: ["The <whole> & all"], marked: ["Its own"]}
