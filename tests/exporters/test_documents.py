"""hOCR, ALTO, HTML and DOCX: complete, valid, and deaf to what a page tries to inject."""

import cProfile
import io
import pstats
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import docx
import pytest
from docx.enum.section import WD_ORIENT
from docx.shared import Emu
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from airgap.core.document import Block, Box, Document, Page
from airgap.exporters import export
from airgap.exporters.docx import to_docx
from tests.exporters.factory import (
    TABLE,
    PictureSource,
    blank_page,
    block,
    document,
    failed_page,
    line,
    picture,
    report_page,
)

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parents[1] / "data" / "schema" / "alto-4.4-profile.xsd"))
ALTO = {"a": "http://www.loc.gov/standards/alto/ns-v4#"}
XHTML = {"h": "http://www.w3.org/1999/xhtml"}
HOSTILE = (
    "</p></div><script>alert(1)</script><img src=x onerror=alert(1)><iframe src=//evil.example></iframe>"
    "<a href='javascript:alert(1)'>x</a><svg/onload=alert(1)><style>*{}</style><b onclick=alert(1)>bold</b>"
    "<table onload=x><tr><td style='x' onclick=x rowspan=2>]]>&lt;script&gt; <script>y</script></td></tr>"
    "</table>\x00\x08\x0b\x1b\ufffe\ud800<!-- --><!DOCTYPE x [<!ENTITY e 'x'>]>&e;--><?xml version='1.0'?>![](http://evil/x)"
)
FORMATS = ("html", "hocr", "alto", "docx")


def full_document():
    return document(report_page(1), failed_page(2, "Broken <b>stream</b> -- & more"), blank_page(3))


def hostile_document():
    labels = ("text", "table", "image_caption", "title", HOSTILE[:200], "image")
    blocks = [Block(label, HOSTILE, (Box(1, 1, 150, 60),)) for label in labels]
    blocks.append(Block("text", HOSTILE))
    blocks.append(block("text", "", (1, 1, 50, 50), lines=(line(HOSTILE, 1, 1, 50, 20, confidence=7.5),)))
    return document(Page(1, 200, 300, blocks=tuple(blocks)))


class Outline(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("name", FORMATS)
def test_the_failed_page_is_there_and_says_why(name: str) -> None:
    data = export(name, full_document())
    text = docx_text(data) if name == "docx" else data.decode()
    assert "page_render_failed" in text
    assert "Broken" in text


def test_html_holds_the_page() -> None:
    page = Outline(export("html", full_document(), PictureSource({1: picture()})).decode())
    tags = [tag for tag, _ in page.tags]
    assert tags.count("section") == 3
    assert (tags.count("h1"), tags.count("h2"), tags.count("img")) == (1, 1, 3)
    cells = [
        (tag, attributes.get("rowspan"), attributes.get("colspan"))
        for tag, attributes in page.tags
        if tag in "tdth"
    ]
    assert ("th", None, "2") in cells
    assert ("td", "2", None) in cells
    assert "second one." in page.text
    assert "Tea & milk" in page.text


@pytest.mark.parametrize("tag", ["strong", "em", "u", "sub", "sup"])
def test_html_keeps_the_styles_of_letters(tag: str) -> None:
    page = Page(1, 200, 300, blocks=(Block("text", f"a <{tag}>b</{tag}>", (Box(0, 0, 90, 20),)),))
    assert f'<p dir="auto">a <{tag}>b</{tag}></p>' in export("html", Document((page,), "e", "m")).decode()


def test_html_without_the_original_names_its_figures() -> None:
    text = export("html", full_document()).decode()
    assert "<img" not in text
    assert text.count('<figure class="missing"') == 3


def test_html_lets_nothing_through() -> None:
    text = export("html", hostile_document(), PictureSource({1: picture()})).decode()
    page = Outline(text)
    allowed = {"html", "head", "meta", "title", "style", "body", "section", "p", "h1"}
    allowed |= {"ul", "li", "table", "tr", "td", "th", "strong", "figure", "img", "br"}
    assert {tag for tag, _ in page.tags} <= allowed
    names = {name for tag, attributes in page.tags if tag not in {"meta", "html"} for name in attributes}
    assert names <= {
        "id",
        "class",
        "dir",
        "rowspan",
        "colspan",
        "alt",
        "width",
        "height",
        "src",
        "data-status",
    }
    assert all((a["src"] or "").startswith("data:image/jpeg;base64,") for tag, a in page.tags if tag == "img")
    assert "default-src 'none'" in text
    assert "]]><script> y" in page.text
    assert [tag for tag, _ in page.tags].count("style") == 1


@pytest.mark.parametrize("name", ["html", "hocr", "alto"])
def test_there_is_no_reference_to_anything_outside(name: str) -> None:
    page = Outline(export(name, hostile_document(), PictureSource({1: picture()})).decode())
    assert page.tags
    for _, attributes in page.tags:
        for attribute in ("src", "srcset", "href", "xlink:href", "action", "data", "poster", "background"):
            assert (attributes.get(attribute) or "data:").startswith("data:")


@pytest.mark.parametrize("make", [full_document, hostile_document, document])
def test_alto_is_valid(make) -> None:
    tree = etree.fromstring(export("alto", make(), PictureSource({1: picture()})))
    SCHEMA.assertValid(tree)


def test_alto_holds_the_page() -> None:
    tree = etree.fromstring(export("alto", full_document()))
    pages = tree.findall(".//a:Page", ALTO)
    assert [page.get("PHYSICAL_IMG_NR") for page in pages] == ["1", "2", "3"]
    assert pages[1].get("QUALITY") == "Missing"
    words = [string.get("CONTENT") for string in pages[0].iterfind(".//a:String", ALTO)]
    assert words[:7] == ["Annual", "report", "The", "first", "line", "of", "it"]
    first = pages[0].findall(".//a:TextLine", ALTO)[1]
    assert [float(first.get(name)) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")] == [10, 40, 180, 14]
    assert len(pages[0].findall(".//a:Illustration", ALTO)) == 3
    tags = {tag.get("ID"): tag.get("LABEL") for tag in tree.iterfind(".//a:LayoutTag", ALTO)}
    assert tags[pages[0].find(".//a:TextBlock", ALTO).get("TAGREFS")] == "title"


def test_hocr_is_well_formed_and_holds_boxes() -> None:
    tree = etree.fromstring(export("hocr", full_document(), PictureSource({})))
    pages = tree.findall(".//h:div[@class='ocr_page']", XHTML)
    assert [page.get("title") for page in pages] == [
        'image "report"; bbox 0 0 200 300; ppageno 0',
        'image "report"; bbox 0 0 0 0; ppageno 1',
        'image "report"; bbox 0 0 200 300; ppageno 2',
    ]
    assert "page_render_failed" in pages[1].get("data-error")
    (first, *_) = pages[0].findall(".//h:span[@class='ocr_line']", XHTML)
    assert first.get("title") == "bbox 10 10 190 30"
    words = pages[0].findall(".//h:span[@class='ocrx_word']", XHTML)
    assert words[0].text == "Annual"
    assert re.fullmatch(r"bbox 10 10 \d+ 30; x_wconf 97", words[0].get("title"))
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_hocr_of_hostile_text_is_well_formed() -> None:
    tree = etree.fromstring(
        export("hocr", hostile_document(), PictureSource({}, name='a"; bbox 0 0 9 9; x "b'))
    )
    assert not tree.findall(".//h:script", XHTML)
    assert tree.find(".//h:div[@class='ocr_page']", XHTML).get("title").count(";") == 2


def docx_text(data: bytes) -> str:
    word = docx.Document(io.BytesIO(data))
    cells = [cell.text for table in word.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(paragraph.text for paragraph in word.paragraphs), *cells])


def test_docx_holds_headings_paragraphs_tables_and_figures() -> None:
    word = docx.Document(io.BytesIO(export("docx", full_document(), PictureSource({1: picture()}))))
    styles = {one.text: one.style.name for one in word.paragraphs if one.style}
    assert styles["Annual report"] == "Heading 1"
    assert styles["Figures"] == "Heading 2"
    assert styles["Figure 1: two views"] == "Caption"
    (body,) = (p for p in word.paragraphs if p.text == "The first line of it and the second one.")
    assert [(run.text, run.bold) for run in body.runs][1] == ("second", True)
    (table,) = word.tables
    grid = [[cell.text for cell in row.cells] for row in table.rows]
    assert grid == [
        ["Item", "Price", "Price"],
        ["Tea & milk", "2.50", "EUR"],
        ["Tea & milk", "3.00", "USD"],
    ]
    assert len(word.inline_shapes) == 3
    assert word.inline_shapes[0].width / word.inline_shapes[0].height == pytest.approx(80 / 60, rel=0.02)


def test_docx_has_the_pages_sizes() -> None:
    """A4, a page scanned a little askew, a table on its side, a receipt, and more than Word can do."""
    sizes = ((595, 842), (600, 835), (842, 595), (227, 600), (3000, 4000))
    pages = [
        Page(number, 100, 100, width_pt=width, height_pt=height, blocks=(block(),))
        for number, (width, height) in enumerate(sizes, 1)
    ]
    word = docx.Document(io.BytesIO(export("docx", document(*pages))))
    found = [
        (round(Emu(one.page_width or 0).pt), round(Emu(one.page_height or 0).pt)) for one in word.sections
    ]
    assert found == [(595, 842), (842, 595), (227, 600), (1188, 1584)]
    assert [one.orientation for one in word.sections][:2] == [WD_ORIENT.PORTRAIT, WD_ORIENT.LANDSCAPE]
    receipt = word.sections[2]
    margins = (receipt.left_margin or 0) + (receipt.right_margin or 0)
    assert margins < (receipt.page_width or 0) / 3


def test_docx_of_hostile_text_opens_and_links_nowhere() -> None:
    data = export("docx", hostile_document(), PictureSource({1: picture()}))
    assert "alert(1)" in docx_text(data)
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        assert 'TargetMode="External"' not in parts.read("word/_rels/document.xml.rels").decode()


def test_a_table_too_wide_for_word_becomes_text() -> None:
    wide = "<table><tr>" + "<td>x</td>" * 100 + "</tr></table>"
    word = docx.Document(
        io.BytesIO(export("docx", document(Page(1, 10, 10, blocks=(block("table", wide),)))))
    )
    assert not word.tables
    assert word.paragraphs[0].text.count("x") == 100


def test_pages_that_cannot_be_drawn_leave_notes_for_figures() -> None:
    for name in ("html", "docx"):
        data = export(name, document(), PictureSource({}))
        text = docx_text(data) if name == "docx" else data.decode()
        assert text.count("could not be drawn") == 3


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120), st.sampled_from(["text", "table", "image", "x" * 40]), st.booleans())
def test_any_text_gives_valid_files(text: str, label: str, boxed: bool) -> None:
    boxes = (Box(5.0, 5.0, 90.0, 40.0),) if boxed else ()
    pages = document(
        Page(1, 100, 100, blocks=(Block(label, text, boxes), Block("table", TABLE + text, boxes)))
    )
    SCHEMA.assertValid(etree.fromstring(export("alto", pages)))
    etree.fromstring(export("hocr", pages))
    assert {tag for tag, _ in Outline(export("html", pages).decode()).tags}.isdisjoint(
        {"script", "iframe", "a"}
    )
    docx.Document(io.BytesIO(export("docx", pages)))


@pytest.mark.parametrize(
    "piece", ["- a\n", "a\n\n", "|a|\n\n", "<table><tr>" + "<td colspan=2>x</td>" * 25 + "</tr></table>"]
)
def test_docx_takes_time_in_proportion(piece: str) -> None:
    """Counted in calls, which do not depend on the machine."""

    def calls(pieces: int) -> int:
        profile = cProfile.Profile()
        block = Block("text", piece * pieces)
        profile.runcall(to_docx, Document((Page(1, 100, 100, blocks=(block,)),), "e", "m"))
        return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]

    few, many, more = calls(10), calls(60), calls(110)
    assert more - many < 1.2 * (many - few)


def test_docx_spans_in_all_directions() -> None:
    html = (
        "<table><tr><th rowspan=2 colspan=2>a</th><td>b</td></tr><tr><td>c</td></tr>"
        "<tr><td>d</td><td colspan=2>e</td></tr></table>"
    )
    data = to_docx(Document((Page(1, 100, 100, blocks=(Block("table", html),)),), "e", "m"))
    (table,) = docx.Document(io.BytesIO(data)).tables
    texts = [[cell.text for cell in row.cells] for row in table.rows]
    assert texts == [["a", "a", "b"], ["a", "a", "c"], ["d", "e", "e"]]


def _list() -> Document:
    texts = (
        "- outer",
        "  - inner",
        "    - innermost",
        "  - inner again",
        "- outer again",
        "Words.",
        "  - alone",
    )
    return document(Page(1, 200, 300, blocks=tuple(Block("text", text) for text in texts)))


def test_html_has_lists_within_lists() -> None:
    text = re.sub(r' dir="auto"|\n', "", export("html", _list()).decode())
    assert (
        "<ul><li>outer<ul><li>inner<ul><li>innermost</li></ul></li><li>inner again</li></ul></li>"
        "<li>outer again</li></ul><p>Words.</p><ul><li>alone</li></ul></section>"
    ) in text


def test_docx_has_lists_within_lists() -> None:
    word = docx.Document(io.BytesIO(export("docx", _list())))
    assert [paragraph.style and paragraph.style.name for paragraph in word.paragraphs] == [
        *("List Bullet", "List Bullet 2", "List Bullet 3", "List Bullet 2", "List Bullet"),
        *("Normal", "List Bullet"),
    ]


def test_markdown_keeps_how_deep_an_item_stands() -> None:
    found = export("markdown", _list()).decode()
    assert "- outer\n\n  - inner\n\n    - innermost\n\n  - inner again\n" in found
    page = Page(1, 200, 300, blocks=(Block("text", "     no code"), Block("text", "  - an item")))
    assert export("markdown", document(page)).decode() == "no code\n\n  - an item\n"
