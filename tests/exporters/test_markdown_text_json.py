"""Markdown, plain text and JSON."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.core.document import Block, Box, Page
from airgap.core.errors import InvalidOption
from airgap.exporters import ALIASES, EXPORTERS, Source, export, exporter_name
from airgap.exporters.figures import figures
from airgap.exporters.html_tables import Table, parse_table, split_tables
from airgap.exporters.json_export import document_from_dict, document_to_dict
from airgap.exporters.markdown import document_markdown, page_markdown
from airgap.exporters.text import document_text, page_text, plain_text
from tests.exporters.factory import (
    TABLE,
    PictureSource,
    blank_page,
    block,
    document,
    failed_page,
    picture,
    report_page,
)


def test_unknown_format_is_refused_and_the_valid_ones_are_named() -> None:
    with pytest.raises(InvalidOption) as caught:
        export("../../etc/passwd", document())
    assert caught.value.code == "invalid_option"
    assert all(name in caught.value.remedy for name in EXPORTERS)


def test_aliases_are_names_of_formats() -> None:
    assert [exporter_name(f" {alias.upper()} ") for alias in ALIASES] == list(ALIASES.values())


def test_a_format_made_from_the_original_says_so_when_there_is_none() -> None:
    with pytest.raises(InvalidOption, match="original"):
        export("annotated", document(), None)


def test_importing_the_room_imports_no_exporter() -> None:
    rooms = "('airgap.exporters.', 'docx')"
    code = f"import sys, airgap.exporters; print([m for m in sys.modules if m.startswith({rooms})])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_exporter_can_be_imported() -> None:
    assert all(callable(exporter.function) for exporter in EXPORTERS.values())


def test_picture_source_fulfils_the_protocol() -> None:
    assert isinstance(PictureSource({1: picture()}), Source)


def test_markdown_of_a_page() -> None:
    assert export("md", document()).decode() == (
        "# Annual report\n\n"
        "The first line of it and the **second** one.\n\n"
        "## Figures\n\n"
        "![](images/1_1.jpg)\n\n![](images/1_2.jpg)\n\n"
        "<center>Figure 1: two views</center>\n\n"
        f"{TABLE}\n\n"
        "\\[ a^2 + b^2 = c^2 \\]\n\n"
        "![](images/1_3.jpg)\n"
    )


def test_links_and_figures_have_the_same_names() -> None:
    page = report_page(7)
    assert [f.name for f in figures(page)] == ["7_1.jpg", "7_2.jpg", "7_3.jpg"]
    assert all(f"](x/{f.name})" in page_markdown(page, "x/") for f in figures(page))


def test_no_page_is_left_out_of_several() -> None:
    text = document_markdown(document(report_page(4), failed_page(5, "Broken\n# stream"), blank_page(6)))
    pages = text.split("\n\n---\n\n")
    assert [page.split("\n")[0] for page in pages] == [
        "<!-- page 4 -->",
        "<!-- page 5 -->",
        "<!-- page 6 -->",
    ]
    assert pages[1].split("\n\n")[1] == (
        "> **Page 5 could not be read**: Broken # stream (page_render_failed)"
    )
    assert pages[2].split("\n\n")[1] == "<!-- page 6 is blank -->\n"


def test_a_page_read_badly_and_empty_says_why() -> None:
    page = Page(3, 10, 10, status="degraded", warnings=("no engine reads this script",))
    assert page_markdown(page) == "> **Page 3 has no text**: no engine reads this script"


def test_a_picture_without_a_box_gets_no_link() -> None:
    page = Page(1, 10, 10, blocks=(Block("image", ""), Block("text", "After.")))
    assert page_markdown(page) == "After."


def test_equation_numbers_go_when_asked() -> None:
    page = Page(1, 10, 10, blocks=(block("equation", "\\[ x = 1 \\quad (3) \\]"),))
    assert page_markdown(page) == "\\[ x = 1 \\quad (3) \\]"
    assert page_markdown(page, clean_formulas=True) == "\\[x = 1\\]"


def test_text_of_a_page() -> None:
    assert page_text(report_page()) == (
        "Annual report\n\n"
        "The first line of it and the second one.\n\n"
        "Figures\n\n"
        "Figure 1: two views\n\n"
        "Item\tPrice\nTea & milk\t2.50\tEUR\n\t3.00\tUSD\n\n"
        "\\[ a^2 + b^2 = c^2 \\]"
    )


def test_pages_of_text_are_separated_by_form_feeds_and_failures_shown() -> None:
    text = document_text(document(failed_page(1), report_page(2)))
    assert (
        text.split("\f")[0]
        == "[Page 1 could not be read: The page could not be drawn. (page_render_failed)]\n"
    )


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("a < b and c > d", "a < b and c > d"),
        ("2*3*4 snake_case_name 2 * 3 * 4", "2*3*4 snake_case_name 2 * 3 * 4"),
        ("*leaning* and **bold** and `code`", "leaning and bold and code"),
        ("H<sub>2</sub>O, x<sup>2</sup><br>next", "H2O, x2\nnext"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a\tb\n1\t2"),
        ("before <table><tr><td>cut", "before\ncut"),
        ("<table><tr><td>a &lt;b&gt; c<br>d</td><td><b>e</b> < f</td></tr></table>", "a <b> c d\te < f"),
        ("![alt](images/1_1.jpg) [here](https://example.org/x)", "alt here"),
        ("> quoted\n> text", "quoted\ntext"),
        ("日本語 **太字** текст", "日本語 太字 текст"),
    ],
)
def test_marks_are_taken_off(markdown: str, expected: str) -> None:
    assert plain_text(markdown) == expected


@given(st.text(alphabet="<>table/drh !-[]()*_`#|&;=\"'\n x1", max_size=300))
def test_any_text_becomes_plain_text(text: str) -> None:
    assert "\n\n\n" not in plain_text(text)


@pytest.mark.parametrize(
    "piece",
    ["<td a=", "<table", "<!--", "**a", "*a ", "[a](/", "| -", "# a ", "<td rowspan=", "&", "_x", "a\n"],
)
def test_hostile_repetition_is_read_to_the_end(piece: str) -> None:
    """Half a megabyte; what takes squared time would run into the time limit of the whole suite."""
    count = 250_000 // len(piece)
    assert plain_text(f"<table>{piece * count}</table>\n{piece * count}end").endswith("end")


def test_spans_that_overlap_or_explode_are_cut() -> None:
    table = parse_table(
        "<table><tr><td rowspan=99999999 colspan=0>a</td><td colspan=9999>b</td></tr><tr><td>c</table>"
    )
    height, width, placed = table.placed()
    assert (height, width) == (2, 201)
    assert [(r, c, cell.text, cell.rowspan, cell.colspan) for r, c, cell in placed] == [
        (0, 0, "a", 1, 1),
        (0, 1, "b", 1, 200),
        (1, 0, "c", 1, 1),
    ]


@given(st.lists(st.lists(st.tuples(st.integers(0, 250), st.integers(0, 250)), max_size=6), max_size=6))
def test_no_two_cells_share_a_place(rows: list[list[tuple[int, int]]]) -> None:
    html = "".join(
        "<tr>" + "".join(f"<td rowspan={r} colspan='{c}'>x</td>" for r, c in row) + "</tr>" for row in rows
    )
    height, width, placed = parse_table(f"<table>{html}</table>").placed()
    places = [
        (r + i, c + j) for r, c, cell in placed for i in range(cell.rowspan) for j in range(cell.colspan)
    ]
    assert len(places) == len(set(places))
    assert all(r < height and c < width for r, c in places)


def test_tables_and_text_keep_their_order() -> None:
    parts = list(split_tables("one <TABLE border=1><tr><td>a</td></tr></TABLE> two <table><tr><td>b"))
    assert [part if isinstance(part, str) else part.rows[0][0].text for part in parts] == [
        "one ",
        "a",
        " two ",
        "b",
    ]
    assert isinstance(parts[1], Table)


def test_a_table_within_a_cell_gives_its_text_to_the_cell() -> None:
    table = parse_table(
        "<table><tr><td>a<table><tr><td>b</td><td>c</td></tr></table></td><td>d</td></tr></table>"
    )
    assert [[cell.text for cell in row] for row in table.rows] == [["a b c", "d"]]


def test_json_holds_every_field_and_reads_back() -> None:
    original = document(report_page(), failed_page(2), blank_page(3))
    data = json.loads(export("json", original))
    assert data["schema_version"] == 1
    assert data["ledger"] == {"expected": 3, "ok": 2, "degraded": 0, "failed": 1}
    assert data["pages"][0]["blocks"][1]["lines"][1] == {
        "text": "and the second one.",
        "box": [10, 56, 150, 70],
        "confidence": 0.9,
    }
    assert data["pages"][1]["error"]["code"] == "page_render_failed"
    assert document_from_dict(data) == original


@given(
    st.text(),
    st.lists(st.tuples(*[st.integers(0, 10**6)] * 4), max_size=3),
    st.sampled_from(["ok", "degraded"]),
)
def test_json_round_trip(text: str, boxes: list[tuple[int, ...]], status) -> None:
    page = Page(1, 5, 5, status=status, raw=text, blocks=(Block(text, text, tuple(Box(*b) for b in boxes)),))
    assert document_from_dict(json.loads(json.dumps(document_to_dict(document(page))))) == document(page)


def test_lone_surrogates_do_not_stop_an_export() -> None:
    broken = document(Page(1, 10, 10, blocks=(block("text", "a\ud800b"),)))
    for name in ("markdown", "text", "json"):
        assert export(name, broken).decode("utf-8")
