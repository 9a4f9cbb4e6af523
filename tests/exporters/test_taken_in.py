"""Documents as they are sent, what archives say of them, the little that is read of Markdown: at bounds."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airgap.core.document import PageError
from airgap.core.errors import InvalidOption
from airgap.exporters.active_content import Finding, in_words
from airgap.exporters.archive import Archive, sha256_of
from airgap.exporters.document_in import DocumentIn, parse_document
from airgap.exporters.fences import Code, split_code
from airgap.exporters.json_export import document_to_dict
from airgap.exporters.rich_text import Paragraph, Run, inline, rich_text
from airgap.exporters.searchable_pdf import _can_be_wrapped, _dots
from airgap.exporters.writing import _formats, resolution_of, suffix_of
from tests.exporters.factory import PictureSource, document, picture

# --- documents that are sent ---------------------------------------------------------------------

Path_ = tuple[str | int, ...]


def sent(*changes: tuple[Path_, Any]) -> bytes:
    """The JSON of one page with two blocks, with values put at places in it."""
    data: dict[str, Any] = {
        "engine": "e",
        "pages": [{"number": 1, "width": 200, "height": 300, "blocks": [{"label": "text", "text": "a"}]}],
    }
    for path, value in changes:
        at: Any = data
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
    return json.dumps(data).encode()


PAGE: Path_ = ("pages", 0)
BLOCK: Path_ = ("pages", 0, "blocks", 0)


def refused(*changes: tuple[Path_, Any]) -> bool:
    try:
        parse_document(sent(*changes))
    except InvalidOption:
        return True
    return False


@pytest.mark.parametrize(
    ("path", "fits", "does_not"),
    [
        ((*PAGE, "number"), 1, 0),
        ((*PAGE, "number"), 1_000_000, 1_000_001),
        ((*PAGE, "width"), 0, -1),
        ((*PAGE, "width"), 1_000_000, 1_000_001),
        ((*PAGE, "height"), 1_000_000, 1_000_001),
        ((*PAGE, "height"), 0, -1),
        ((*PAGE, "width_pt"), 0.5, 0),
        ((*PAGE, "width_pt"), 1_000_000, 1_000_001),
        ((*PAGE, "height_pt"), 0.5, 0),
        ((*PAGE, "height_pt"), 1_000_000, 1_000_001),
        ((*PAGE, "engine"), "e" * 200, "e" * 201),
        ((*PAGE, "model"), "e" * 200, "e" * 201),
        ((*PAGE, "coverage"), 1, 1.01),
        ((*PAGE, "coverage"), 0, -0.01),
        ((*PAGE, "reviews"), [], [{}]),
        ((*PAGE, "status"), "degraded", "good"),
        ((*BLOCK, "label"), "l" * 100, "l" * 101),
        ((*BLOCK, "engine"), "e" * 200, "e" * 201),
        ((*BLOCK, "confidence"), 1, 1.01),
        ((*BLOCK, "boxes"), [[0, 0, 200, 300]], [[0, 0, 201, 300]]),
        ((*BLOCK, "boxes"), [[5, 5, 5, 5]], [[5, 5, 4, 5]]),
        ((*BLOCK, "boxes"), [[5, 5, 5, 5]], [[5, 5, 5, 4]]),
        ((*BLOCK, "boxes"), [[0, 0, 1, 300]], [[0, 0, 1, 301]]),
        ((*BLOCK, "lines"), [{"text": "a", "box": [0, 0, 200, 1]}], [{"text": "a", "box": [0, 0, 201, 1]}]),
        (("engine",), "e" * 200, "e" * 201),
        (("model",), "e" * 200, "e" * 201),
        (("mode",), "m" * 50, "m" * 51),
        (("filename",), "f" * 1000, "f" * 1001),
    ],
)
def test_what_a_document_may_say(path: Path_, fits: Any, does_not: Any) -> None:
    assert not refused((path, fits))
    assert refused((path, does_not))


def test_how_much_a_page_may_hold() -> None:
    page = DocumentIn.model_json_schema()["$defs"]["PageIn"]["properties"]
    most = {
        name: part.get("maxItems") or part.get("anyOf", [{}])[0].get("maxItems")
        for name, part in page.items()
    }
    held = ("blocks", "disagreements", "unread", "reviews")
    assert {name: most[name] for name in held} == dict.fromkeys(held, 20_000)
    doubt = {"kind": "number", "reading": "1", "other_reading": "2", "engine": "e" * 200}
    assert not refused(((*PAGE, "disagreements"), [doubt]))
    assert refused(((*PAGE, "disagreements"), [doubt | {"engine": "e" * 201}]))
    review = {"kind": "doubt", "decision": "accepted", "reviewed_at": "2026-01-02T03:04:05+02:00"}
    assert not refused(((*PAGE, "reviews"), [review | {"reviewed_by": "b" * 200}]))
    assert refused(((*PAGE, "reviews"), [review | {"reviewed_by": "b" * 201}]))
    assert refused((("pages",), []))


def test_pages_come_in_order_and_once() -> None:
    page = {"number": 2, "width": 1, "height": 1}
    for numbers, fine in (((1, 2, 5), True), ((2, 1), False), ((2, 2), False)):
        assert refused((("pages",), [page | {"number": number} for number in numbers])) is not fine


def test_what_nobody_said_is_filled_in() -> None:
    read = parse_document(json.dumps({"pages": [{"number": 3, "width": 5, "height": 6}]}).encode())
    [page] = read.pages
    assert (read.engine, read.model, read.mode, read.filename) == ("", "", None, None)
    assert (page.status, page.finish_reason, page.raw, page.blocks, page.unread) == ("ok", "stop", "", (), ())
    assert (page.usage.prompt_tokens, page.usage.completion_tokens) == (0, 0)
    assert (page.usage.image_tokens, page.usage.seconds) == (0, 0.0)
    assert (page.coverage, page.reviews, page.warnings, page.error) == (None, (), (), None)


def test_who_reviewed_is_who_sends_and_when_is_told_in_utc() -> None:
    review = {"kind": "doubt", "decision": "accepted", "reviewed_at": "2026-01-02T03:04:05.9+02:00"}
    data = sent(((*PAGE, "reviews"), [review, review | {"reviewed_by": "bob"}]))
    found = [parse_document(data, login).pages[0].reviews for login in (None, "clara")]
    assert [[entry.reviewed_by for entry in reviews] for reviews in found] == [[None, "bob"], ["clara"] * 2]
    assert {entry.reviewed_at for entry in found[0]} == {"2026-01-02T01:04:05+00:00"}


def test_what_is_wrong_is_named_five_times_at_most() -> None:
    with pytest.raises(InvalidOption) as caught:
        parse_document(json.dumps({"pages": [{}, {}, {}]}).encode())
    assert caught.value.message.count("`") == 10
    assert "`pages.0.number`" in caught.value.message
    with pytest.raises(InvalidOption, match="`document`"):
        parse_document(b"nonsense")


# --- archives ------------------------------------------------------------------------------------


def test_every_file_of_an_archive_has_its_checksum(tmp_path: Path) -> None:
    source = PictureSource({1: picture()}, path=b"the original")
    path = tmp_path / "a.zip"
    with Archive(path, ("markdown", "json", "images")) as archive:
        archive.add("a/b.png", document(), source)
        archive.add_failure("c.pdf", PageError("code", "message", "remedy"))
    with zipfile.ZipFile(path) as opened:
        manifest = json.loads(opened.read("manifest.json"))
        members = {name: hashlib.sha256(opened.read(name)).hexdigest() for name in opened.namelist()}
        kinds = {(info.compress_type, info.external_attr >> 16) for info in opened.infolist()}
    members.pop("manifest.json")
    assert {name for name in members if "/images/" not in name} == {"a/b/b.md", "a/b/b.json", "a/b/b.raw.mmd"}
    assert manifest["sha256"] == members
    assert kinds == {(zipfile.ZIP_DEFLATED, 0o644)}
    good, bad = manifest["inputs"]
    assert (good["sha256"], good["name"], good["filename"]) == (sha256_of(b"the original"), "a/b", "a/b.png")
    assert bad["error"]["code"] == "code"
    assert manifest["manifest_version"] == 1
    assert "a/b/b.raw.mmd" in members
    data = tmp_path / "data"
    data.write_bytes(b"the original")
    assert sha256_of(data) == sha256_of(b"the original") == hashlib.sha256(b"the original").hexdigest()


def test_an_archive_that_fails_has_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Archive(tmp_path / "a.zip", ("text",)):
        _ = 1 / 0
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        assert opened.namelist() == []


def test_what_results_are_called() -> None:
    assert suffix_of(("text",)) == (".txt", "text/plain; charset=utf-8")
    assert suffix_of(("text", "json")) == suffix_of(("zip",)) == (".zip", "application/zip")
    assert (_formats(("zip",)), _formats(("zip", "text"))) == (("markdown", "json"), ("text",))


@pytest.mark.parametrize(
    ("width", "points", "dpi"),
    [(200, 100.0, 144), (300, 72.0, 300), (9000, 72.0, 600), (10, 72.0, 36), (20, 72.0, 36), (37, 72.0, 37)],
)
def test_at_which_resolution_pages_were_read(width: int, points: float, dpi: int) -> None:
    changes = (((*PAGE, "width"), width), ((*PAGE, "width_pt"), points))
    assert resolution_of(parse_document(sent(*changes))) == dpi
    assert resolution_of(parse_document(sent())) == 144


# --- active content in words ---------------------------------------------------------------------


def said(*found: tuple[str, int | None, str]) -> str:
    return in_words([Finding(kind, page, None, "", name) for kind, page, name in found])  # type: ignore[arg-type]


def test_what_was_found_is_said_shortly() -> None:
    assert said(("a", None, "")) == "a (document)"
    assert said(("a", 3, ""), ("b", None, "x"), ("a", 3, "")) == "a (page 3), b (document: 'x')"
    assert said(*(("a", n, "") for n in (None, 1, 2))) == "a (document, pages 1, 2)"
    ten = ", ".join(str(n) for n in range(1, 11))
    assert said(*(("a", n, "") for n in range(1, 11))) == f"a (pages {ten})"
    assert said(*(("a", n, "") for n in range(1, 13))) == f"a (pages {ten} and 2 more)"
    five = ", ".join(f"'{n}'" for n in range(5))
    assert said(*(("a", None, str(n)) for n in range(5))) == f"a (document: {five})"
    assert said(*(("a", None, str(n)) for n in range(6))) == f"a (document: {five} and 1 more)"
    assert said(("a", None, "n" * 41)) == f"a (document: '{'n' * 40}')"
    assert said() == ""


# --- Markdown ------------------------------------------------------------------------------------


def runs(text: str) -> list[tuple[str, list[str]]]:
    return [(run.text, sorted(run.styles)) for run in inline(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a <b>b</b> c", [("a ", []), ("b", ["bold"]), (" c", [])]),
        ("<strong>a</strong><i>b</i><em>c</em>", [("a", ["bold"]), ("bc", ["italic"])]),
        ("<u>a</u><sub>b</sub><sup>c</sup>", [("a", ["underline"]), ("b", ["sub"]), ("c", ["sup"])]),
        ("a<br/>b", [("a\nb", [])]),
        ("<b>a", [("a", ["bold"])]),
        ("a</b>b", [("ab", [])]),
        ("<div>a</div>", [("a", [])]),
        ("**a** *b* __c__", [("a", ["bold"]), (" ", []), ("b", ["italic"]), (" ", []), ("c", ["bold"])]),
        ("[a](http://b) ![c](d.png) &amp;", [("a c &", [])]),
        ("a<!-- b -->c", [("ac", [])]),
        ("\\*a\\*", [("*a*", [])]),
        ("<b>" * 17 + "a", [("a", ["bold"])]),
        ("<b>" * 16 + "</b>" * 16 + "a", [("a", [])]),
    ],
)
def test_runs_of_one_style(text: str, expected: list[tuple[str, list[str]]]) -> None:
    assert runs(text) == expected


def test_sixteen_styles_at_once_are_the_most() -> None:
    assert runs("<b>" * 20 + "</b>" * 16 + "a") == [("a", [])]


@pytest.mark.parametrize(
    ("text", "level", "item", "words"),
    [
        ("# a", 1, False, "a"),
        ("   ###### a", 6, False, "a"),
        ("    # a", 0, False, "# a"),
        ("####### a", 0, False, "####### a"),
        ("- a", 0, True, "a"),
        ("            • a", 0, True, "a"),
        ("             • a", 0, False, "• a"),
        ("-a", 0, False, "-a"),
    ],
)
def test_headings_and_items(text: str, level: int, item: bool, words: str) -> None:
    [found] = rich_text(text)
    assert isinstance(found, Paragraph)
    assert (found.level, found.item, found.code, found.runs) == (level, item, False, (Run(words),))


def test_rows_between_pipes_are_a_table() -> None:
    above, table, below = rich_text("a\n| b | c |\n|---|:-:|\n|d|\n||\ne")
    assert isinstance(above, Paragraph)
    assert isinstance(below, Paragraph)
    assert not isinstance(table, Paragraph)
    assert [[cell.text for cell in row] for row in table.rows] == [["b", "c"], ["d"]]
    assert below.runs == (Run("||\ne"),)
    [one] = rich_text("|d|")
    assert not isinstance(one, Paragraph)
    [rule] = rich_text("|-")
    assert isinstance(rule, Paragraph)


def test_a_tab_before_an_item_is_four_spaces() -> None:
    assert [item.indent for item in rich_text("- a\n\t- b\n \t- c") if isinstance(item, Paragraph)] == [
        0,
        4,
        4,
    ]


def test_code_between_fences() -> None:
    assert list(split_code("```\na\n```")) == [Code("a")]
    assert list(split_code("a\n\n```py\nb\n\nc\n```  \nd\n```\n```")) == [
        "a\n",
        Code("b\n\nc"),
        "d",
        Code(""),
    ]
    assert list(split_code("```a`\nb\n```\nc")) == ["```a`\nb\n```\nc"]
    [found] = rich_text("```\n*a*\n```")
    assert found == Paragraph((Run("*a*"),), code=True)


# --- pictures that become pages ------------------------------------------------------------------


def saved(mode: str, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (10, 10)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind", "kept"),
    [
        *(("RGB", "JPEG", True), ("CMYK", "JPEG", True), ("L", "PNG", True), ("1", "PNG", True)),
        *(("P", "PNG", True), ("I;16", "PNG", True), ("RGB", "TIFF", True), ("RGBA", "PNG", False)),
        *(("LA", "PNG", False), ("RGB", "BMP", False), ("RGB", "WEBP", False)),
    ],
)
def test_which_pictures_go_into_a_pdf_as_they_are(mode: str, kind: str, kept: bool) -> None:
    assert _can_be_wrapped(saved(mode, kind)) is kept


def test_pictures_that_are_none_or_let_the_paper_through_are_drawn_anew() -> None:
    assert _can_be_wrapped(b"nonsense") is False
    assert _can_be_wrapped(saved("RGB", "PNG", transparency=(0, 0, 0))) is False
    assert _dots(saved("L", "PNG", dpi=(200, 200)), 300) == (300, 300)
    assert _dots(saved("L", "TIFF", dpi=(200, 100)), 300) == pytest.approx((200, 100))


def test_a_document_that_was_sent_is_the_one_that_was_written() -> None:
    data = document_to_dict(document())
    again = document_to_dict(parse_document(json.dumps(data).encode()))
    assert again["pages"] == data["pages"]
