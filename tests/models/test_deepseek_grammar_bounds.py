"""The grammar to the character: ids, labels, bounds, spans and warnings."""

from __future__ import annotations

import pytest

from airgap.core.document import Block, Box
from airgap.models import deepseek_grammar as grammar
from airgap.models.deepseek_grammar import (
    SPECIAL_TOKEN_IDS,
    clean_formula,
    clean_text,
    parse,
    strip_special,
    to_markup,
)

WHOLE = (Box(0, 0, 999, 999),)


def ref(label: str, positions: str = "[[0, 0, 999, 999]]") -> str:
    return f"<|ref|>{label}<|/ref|><|det|>{positions}<|/det|>"


def shape(raw: str) -> list[tuple[str, str]]:
    return [(block.label, block.text) for block in parse(raw, 999, 999).blocks]


def warnings(raw: str) -> tuple[str, ...]:
    return parse(raw, 999, 999).warnings


def test_the_special_tokens_are_the_models_own() -> None:
    assert dict(SPECIAL_TOKEN_IDS) == {
        "<｜begin▁of▁sentence｜>": 0,
        "<｜end▁of▁sentence｜>": 1,
        "<｜▁pad▁｜>": 2,
        "<image>": 128815,
        "<|ref|>": 128816,
        "<|/ref|>": 128817,
        "<|det|>": 128818,
        "<|/det|>": 128819,
        "<|grounding|>": 128820,
        "<td>": 128821,
        "</td>": 128822,
        "<tr>": 128823,
        "</tr>": 128824,
        "<|User|>": 128825,
        "<|Assistant|>": 128826,
    }


@pytest.mark.parametrize(
    "label",
    [
        *(
            "title",
            "sub_title",
            "text",
            "list",
            "code",
            "formula",
            "equation",
            "header",
            "footer",
            "footnote",
        ),
        *("image_caption", "figure", "figure_caption", "chart", "page_number"),
        *("table_caption", "table_footnote"),
    ],
)
def test_a_label_that_is_known_needs_no_line_of_its_own(label: str) -> None:
    assert shape(f"{ref(label)}words on its line") == [(label, "words on its line")]
    assert shape(f"{ref(label + 'x')}words on its line") == [("text", f"{label}xwords on its line")]


def test_tables_and_images_are_known_too() -> None:
    assert shape(f"{ref('table')}<table><tr><td>1</td></tr></table>")[0][0] == "table"
    assert shape(f"{ref('image')}words") == [("image", ""), ("text", "words")]


@pytest.mark.parametrize(
    ("tail", "kept"),
    [("<|", ""), ("<|ref", ""), ("<|/de", ""), ("<｜end▁of", ""), ("<", "<"), ("<t", "<t"), ("<|no", "<|no")],
)
def test_a_marker_cut_off_at_the_end_is_dropped(tail: str, kept: str) -> None:
    assert strip_special(f"words {tail}") == f"words {kept}"
    assert strip_special(tail) == kept


def test_only_the_end_is_looked_at_for_half_a_marker() -> None:
    long = "<|" + "x" * 30
    assert strip_special(long) == long
    longest = max(SPECIAL_TOKEN_IDS, key=len)
    assert strip_special("a" + longest[:-1]) == "a"
    assert strip_special("a < b <|ref") == "a < b "


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  <center> a </center> ", "a"),
        ("<center>a", "<center>a"),
        ("a</center>", "a</center>"),
        ("a\n\n\nb", "a\n\nb"),
        ("a\n\nb", "a\n\nb"),
        ("x \\coloneqq y \\eqqcolon z", "x := y =: z"),
        ("\\coloneqqA", "\\coloneqqA"),
    ],
)
def test_text_is_cleaned(text: str, clean: str) -> None:
    assert clean_text(text) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (r"\[ a \]", r"\[a\]"),
        (r"x \[ a \quad (1) \] y \[ b \] z", r"x \[a\] y \[b\] z"),
        (r"\[ a \quad (ii) \]", r"\[a\]"),
        (r"\[ a \quad (x > 0) \]", r"\[a \quad (x > 0)\]"),
        (r"\[ a \quad b \quad (2.1) \]", r"\[a \quad b\]"),
        (r"\[ a", r"\[ a"),
        (r"a \]", r"a \]"),
        ("\\[ a \n b \\]\nx", "\\[ a \n b \\]\nx"),
        (r"\[\]", r"\[\]"),
        (r"\[ \quad (1) \]", r"\[\]"),
    ],
)
def test_formulas_are_cleaned(text: str, clean: str) -> None:
    assert clean_formula(text) == clean


def test_positions_become_pixels_exactly() -> None:
    (block,) = parse(ref("text", "[[0, 333, 666, 999]]") + "\na", 1000, 500).blocks
    assert block.boxes == (Box(0.0, 333 / 999 * 500, 666 / 999 * 1000, 500.0),)


@pytest.mark.parametrize(
    ("positions", "note"),
    [
        ("[[0, 0, 999, 999]]", ()),
        ("[[0, 0, 1000, 999]]", ("Boxes outside the page, clamped: 1",)),
        ("[[-1, 0, 999, 999]]", ("Boxes outside the page, clamped: 1",)),
        ("[[-1, 0, 9, 9], [0, 0, 5, 5], [0, 0, 5, 1005]]", ("Boxes outside the page, clamped: 2",)),
        ("[[1, 2, 3]]", ("Positions that could not be read, left out: 1",)),
        ("[[1, 2, 3, 4, 5]]", ("Positions that could not be read, left out: 1",)),
        ("[[1, 2, 3, x]]", ("Positions that could not be read, left out: 1",)),
    ],
)
def test_what_was_odd_about_positions_is_counted(positions: str, note: tuple[str, ...]) -> None:
    assert warnings(ref("text", positions) + "\na") == note


def test_positions_that_cannot_be_read_are_skipped_up_to_a_bound() -> None:
    words = "w" * 4090
    assert shape(ref("text", words) + "\na") == [("text", "a")]
    assert shape(ref("text", "x" * 4094) + "\na") == [("text", "a")]
    assert shape(ref("text", "x" * 4095) + "\na") != [("text", "a")]


def test_the_digits_of_a_number_are_bounded() -> None:
    (block,) = parse(ref("text", f"[[{'0' * 19}7, 0, 9, 9]]") + "\na", 999, 999).blocks
    assert block.boxes == (Box(7, 0, 9, 9),)
    (block,) = parse(ref("text", f"[[{'0' * 20}7, 0, 9, 9]]") + "\na", 999, 999).blocks
    assert block.boxes == (Box(0, 0, 9, 9),)


def test_spans_are_those_of_the_texts() -> None:
    raw = f"lead\n\n{ref('title')}\nA title\n\n{ref('text')}\nwords"
    parsed = parse(raw, 999, 999)
    assert [raw[start:end].strip() for start, end in parsed.spans] == ["lead", "A title", "words"]
    image = f"{ref('image')}\n\n{ref('text')}\nwords"
    (start, end), _ = parse(image, 999, 999).spans
    assert start == end == image.index("\n")


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("a" * 40, True),
        ("a" * 41, False),
        ("A", False),
        ("1a", False),
        ("a-b_9", True),
    ],
)
def test_an_unknown_label_has_a_form_and_a_line_of_its_own(label: str, found: bool) -> None:
    assert (shape(f"{ref(label)}\nwords")[0] == (label, "words")) is found
    assert shape(f"{ref('text')}\nx\n{ref('alabel')} \t\r   \nwords")[1] == ("alabel", "words")
    assert shape(f"{ref('text')}\nx\n{ref('alabel')}        \nwords")[1][0] == "text"


def test_words_in_references_are_text_and_go_on_after_them() -> None:
    assert shape(f"{ref('Hello')}, world\n{ref('Bye')}") == [("text", "Hello, world"), ("text", "Bye")]
    parsed = parse(f"{ref('Hello')}, world", 999, 999)
    assert parsed.blocks[0].boxes == WHOLE
    assert parsed.spans == ((len("<|ref|>"), len(f"{ref('Hello')}, world")),)
    assert shape(ref("", "[]")) == []
    assert shape(ref("")) == [("text", "")]
    assert shape(f"{ref('text')}\n{ref('Word')}") == [("text", "text"), ("text", "Word")]


def test_a_table_and_its_caption_get_their_own_texts() -> None:
    html = "<table><tr><td>1</td></tr></table>"
    for tail in ("_caption", "_footnote"):
        raw = f"{ref('table', '[[1, 1, 2, 2]]')}\n{ref(f'table{tail}')}\nTable 1.\n{html}\nafter"
        assert shape(raw) == [(f"table{tail}", "Table 1."), ("table", html), ("text", "after")]
        assert parse(raw, 999, 999).blocks[1].boxes == (Box(1, 1, 2, 2),)
    two = (
        f"{ref('table', '[[1, 1, 2, 2]]')}\n{ref('table')}\n{ref('table_caption')}\nT.\n{html}\n\nmid\n{html}"
    )
    assert shape(two) == [("table_caption", "T."), ("table", html), ("text", "mid"), ("table", html)]
    assert warnings(two) == ()


def test_a_table_without_its_content_is_told() -> None:
    raw = f"{ref('table')}\n{ref('text')}\nwords"
    assert shape(raw) == [("table", ""), ("text", "words")]
    assert warnings(raw) == ("Tables without their content: 1",)
    assert parse(raw, 999, 999).blocks[0].boxes == WHOLE
    assert warnings(f"{ref('table')}\n{ref('table_caption')}\nOnly words") == (
        "Tables without their content: 1",
    )
    empty = to_markup("table", WHOLE, "", 999, 999)
    assert (shape(empty), warnings(empty)) == ([("table", "")], ())


@pytest.mark.parametrize(
    ("cut", "closed"),
    [
        ("<table><tr><td>1", "<table><tr><td>1</td></tr></table>"),
        ("<table><tr><th>1", "<table><tr><th>1</th></tr></table>"),
        ("<table><tr><td>1</td>", "<table><tr><td>1</td></tr></table>"),
        (
            '<table border="1"><tr a="b"><td c="d">1',
            '<table border="1"><tr a="b"><td c="d">1</td></tr></table>',
        ),
        ("<table><tr><td>1</td></tr><t", "<table><tr><td>1</td></tr></table>"),
        ("<table>", "<table></table>"),
    ],
)
def test_a_table_that_was_cut_off_is_closed(cut: str, closed: str) -> None:
    assert shape(f"{ref('table')}\n{cut}") == [("table", closed)]
    assert warnings(f"{ref('table')}\n{cut}") == ("Tables that were unfinished, closed: 1",)
    assert shape(cut) == [("table", closed)]
    assert warnings(f"{ref('table')}\n{closed}") == ()


def test_text_without_references_is_cut_into_pieces() -> None:
    table = "<table><tr><td>1</td></tr></table>"
    raw = f"# One\n\n## Two\n\n###### Six\n\n####### Seven\n \t\nwords\nmore\n\n\\[ x \\]\n\n{table}tail"
    assert shape(raw) == [
        ("title", "# One"),
        ("sub_title", "## Two"),
        ("sub_title", "###### Six"),
        ("text", "####### Seven"),
        ("text", "words\nmore"),
        ("equation", "\\[ x \\]"),
        ("table", table),
        ("text", "tail"),
    ]
    assert all(block.boxes == () for block in parse(raw, 999, 999).blocks)
    assert shape("\\[ x") == [("text", "\\[ x")]
    assert shape("x \\]") == [("text", "x \\]")]
    assert shape("#\n\n# \n\n") == [("text", "#"), ("text", "#")]


@pytest.mark.parametrize(
    ("tail", "blocks"),
    [
        ("x" * 100, [("text", "lead")]),
        ("x" * 101, [("text", "lead"), ("text", "x" * 101)]),
        ("x\ny", [("text", "lead"), ("text", "x\ny")]),
    ],
)
def test_a_reference_that_was_cut_off(tail: str, blocks: list[tuple[str, str]]) -> None:
    raw = f"lead\n\n<|ref|>{tail}"
    assert shape(raw) == blocks
    assert warnings(raw) == (f"{grammar._CUT}: 1",)
    assert warnings(f"{ref('text')}\na\n<|ref|>te") == (f"{grammar._CUT}: 1",)
    assert warnings("<|ref|>text<|/ref|><|det|>[[1, 2") == (f"{grammar._CUT}: 1",)


def test_a_reference_within_another_begins_anew() -> None:
    assert shape(f"<|ref|>lost {ref('title')}\nwords") == [("text", "lost"), ("title", "words")]


def test_markup_is_what_the_model_would_write() -> None:
    boxes = (Box(0, 0, 50, 100), Box(-5, 10, 120, 130))
    assert to_markup("title", boxes, " words ", 100, 200) == (
        "<|ref|>title<|/ref|><|det|>[[0,0,500,500],[0,50,999,649]]<|/det|>\nwords\n\n"
    )
    assert to_markup("text", (), "a", 0, 0) == "<|ref|>text<|/ref|><|det|>[]<|/det|>\na\n\n"
    assert "[[0,0,0,0]]" in to_markup("text", (Box(1, 2, 3, 4),), "a", 0, 0)
    assert "[[999,999,999,999]]" in to_markup("text", (Box(1, 1, 1, 1),), "a", 1, 1)
    assert to_markup("image", (), "dropped", 9, 9).endswith("<|/det|>\n\n\n")


@pytest.mark.parametrize(
    ("label", "written"),
    [
        ("Title", "title"),
        ("a b!c", "a_b_c"),
        ("9_-x", "x"),
        ("", "text"),
        ("---", "text"),
        ("a" * 41, "a" * 40),
    ],
)
def test_labels_are_reduced_to_what_a_label_is(label: str, written: str) -> None:
    assert to_markup(label, (), "a", 9, 9).startswith(f"<|ref|>{written}<|/ref|>")


@pytest.mark.parametrize("text", ["<|ref|>x<|/ref|>", "<\u2060|x", "<｜x｜>", "a <|det|> b"])
def test_words_on_a_page_cannot_forge_markup(text: str) -> None:
    raw = to_markup("text", WHOLE, text, 999, 999)
    assert parse(raw, 999, 999).blocks == (Block("text", text, WHOLE),)
