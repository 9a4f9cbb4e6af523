"""Raw output → blocks and back: real outputs, every form, everything that could come, in linear time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import deepseek_ocr
from airgap.core.document import Block, Box
from airgap.models import deepseek_grammar
from deepseek_ocr import clean_formula, clean_text, parse, to_markup

DATA = Path(__file__).parents[1] / "data"
OUTPUTS = {path.stem: path.read_text() for path in (DATA / "model_outputs").glob("*.mmd")}


def shape(raw: str, width: int = 999, height: int = 999) -> list[tuple[str, str]]:
    return [(block.label, block.text) for block in parse(raw, width, height).blocks]


def ref(label: str, box: str = "[[0, 0, 999, 999]]") -> str:
    return f"<|ref|>{label}<|/ref|><|det|>{box}<|/det|>"


# --- real outputs ------------------------------------------------------------------------------------


def test_the_page_with_a_table_gives_each_block_its_own_text() -> None:
    parsed = parse(OUTPUTS["docling_deepseek_example"], 1998, 999)
    labels = [block.label for block in parsed.blocks]
    assert labels == ["text", "sub_title", "text", "table_caption", "table", "sub_title", "text", "text"]
    assert parsed.warnings == ()
    lead, heading, _, caption, table, *_ = parsed.blocks
    assert lead.text.startswith("order to compute the TED score.")
    assert lead.boxes == ()
    assert heading == Block("sub_title", "### 5.1 Hyper Parameter Optimization", (Box(434, 209, 1040, 225),))
    assert caption.text.startswith("Table 1. HPO performed")
    assert caption.text.endswith("than the HTML counterpart.")
    assert caption.boxes == (Box(434, 342, 1570, 413),)
    assert table.text.startswith('<table><tr><th rowspan="2"># enc-layers</th>')
    assert table.text.endswith("<td>2</td></tr></table>")
    assert table.text.count("<tr>") == 10
    assert table.boxes == (Box(450, 421, 1554, 595),)


def test_the_simple_page() -> None:
    parsed = parse(OUTPUTS["docling_deepseek_simple"], 999, 999)
    assert [b.label for b in parsed.blocks] == ["text", "sub_title", "text", "sub_title", "text", "text"]
    assert all(len(block.boxes) == 1 for block in parsed.blocks[1:])
    assert parsed.blocks[-1].text.endswith("is a result of the reduced sequence representation.")


def test_the_title_page_with_a_figure() -> None:
    parsed = parse(OUTPUTS["docling_deepseek_title"], 999, 999)
    assert len(parsed.blocks) == 16
    assert parsed.blocks[0].label == "title"
    assert parsed.blocks[0].text.startswith("# DocLayNet: A Large Human-Annotated")
    image, caption = parsed.blocks[10:12]
    assert image == Block("image", "", (Box(530, 310, 905, 666),))
    assert caption.label == "image_caption"
    assert caption.text == (
        "Figure 1: Four examples of complex page layouts across different document categories"
    )


@pytest.mark.parametrize("name", OUTPUTS)
def test_spans_point_at_the_text_of_their_block(name: str) -> None:
    parsed = parse(OUTPUTS[name], 999, 999)
    assert len(parsed.spans) == len(parsed.blocks)
    for block, (start, end) in zip(parsed.blocks, parsed.spans, strict=True):
        assert block.text in OUTPUTS[name][start:end]


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_cut_anywhere_keeps_what_came_before(name: str) -> None:
    raw = OUTPUTS[name]
    whole = parse(raw, 999, 999).blocks
    for end in range(0, len(raw), 17):
        blocks = parse(raw[:end], 999, 999).blocks
        assert "<|" not in "".join(block.text for block in blocks)
        finished = blocks[:-3]  # a table, its caption and the reference being written
        assert finished == whole[: len(finished)]


# --- the grammar, form by form -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("positions", "boxes"),
    [
        ("[[1, 2, 3, 4]]", [(1, 2, 3, 4)]),
        ("[1, 2, 3, 4]", [(1, 2, 3, 4)]),
        ("1, 2, 3, 4", [(1, 2, 3, 4)]),
        ("[[1,2,3,4],[5,6,7,8]]", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("[1,2,3,4,5,6,7,8]", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("[[1.5, 2.25, 3., .5]]", [(1.5, 0.5, 3, 2.25)]),
        ("[[30, 40, 10, 20]]", [(10, 20, 30, 40)]),
        ("[[10, 20], [30, 40]]", [(10, 20, 30, 40)]),
        ("[[(1, 2), (3, 4)]]", [(1, 2, 3, 4)]),
        ("[[٣, 2, 5, 4]]", [(3, 2, 5, 4)]),
        ("[]", []),
        ("", []),
    ],
)
def test_positions_in_every_form(positions: str, boxes: list[tuple[float, ...]]) -> None:
    parsed = parse(f"{ref('text', positions)}\nhello", 999, 999)
    found = [tuple(round(v, 9) for v in (b.x0, b.y0, b.x1, b.y1)) for b in parsed.blocks[0].boxes]
    assert found == boxes
    assert parsed.blocks[0].text == "hello"
    assert parsed.warnings == ()


def test_positions_become_exact_page_pixels() -> None:
    (block,) = parse(f"{ref('text', '[[0, 1, 500, 999]]')}\nx", 2480, 3508).blocks
    assert block.boxes == (Box(0, 1 / 999 * 3508, 500 / 999 * 2480, 3508),)


def test_positions_off_the_page_are_clamped_with_a_warning() -> None:
    parsed = parse(f"{ref('text', '[[-5, 0, 1200, 99999999999999999999]]')}\nx", 100, 200)
    assert parsed.blocks[0].boxes == (Box(0, 0, 100, 200),)
    assert parsed.warnings == ("Boxes outside the page, clamped: 1",)


@pytest.mark.parametrize("positions", ["[[a, b]]", "[[1, 2, 3]]", "__import__('os').abort()", "[[1,2,3,4,5]"])
def test_positions_that_are_none_are_left_out_with_a_warning(positions: str) -> None:
    parsed = parse(f"{ref('text', positions)}\nhello", 999, 999)
    assert parsed.blocks[0].text == "hello"
    assert parsed.warnings == ("Positions that could not be read, left out: 1",)


def test_a_det_without_its_end_keeps_its_box_and_the_text() -> None:
    raw = f"<|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]]\nhello\n\n{ref('text')}\nworld"
    parsed = parse(raw, 999, 999)
    assert [block.text for block in parsed.blocks] == ["hello", "world"]
    assert parsed.blocks[0].boxes == (Box(1, 2, 3, 4),)


def test_a_reference_without_positions_is_a_block_without_boxes() -> None:
    (block,) = parse("<|ref|>text<|/ref|>\nhello", 999, 999).blocks
    assert block == Block("text", "hello")


def test_ocr_this_image_holds_the_text_in_the_reference() -> None:
    raw = f"{ref('Total due')}\n{ref('table')}\n{ref('42.00')}\n{ref('total')}"
    assert shape(raw) == [("text", "Total due"), ("text", "table"), ("text", "42.00"), ("text", "total")]
    assert parse(raw, 999, 999).spans[0] == (len("<|ref|>"), raw.index("\n") + 1)


def test_words_inside_a_sentence_stay_in_it() -> None:
    raw = f"A dog: {ref('the dog')} sleeps.\n\n{ref('cat')} wakes."
    assert shape(raw) == [("text", "A dog:"), ("text", "the dog sleeps."), ("text", "cat wakes.")]


def test_the_answer_to_locate_is_a_text_with_its_boxes() -> None:
    (block,) = parse(ref("the seal", "[[1,2,3,4],[5,6,7,8]]"), 999, 999).blocks
    assert (block.label, block.text, len(block.boxes)) == ("text", "the seal", 2)


def test_an_unknown_label_is_kept() -> None:
    assert shape(f"{ref('sidebar')}\nhello") == [("sidebar", "hello")]


def test_an_image_never_has_text_and_the_text_is_not_lost() -> None:
    assert shape(f"{ref('image')}\nA stray line.\n\n{ref('text')}\nx") == [
        ("image", ""),
        ("text", "A stray line."),
        ("text", "x"),
    ]


TABLE = "<table><tr><td>1</td></tr></table>"


def test_two_tables_under_one_caption() -> None:
    raw = f"{ref('table', '[1,1,1,1]')}\n{ref('table', '[2,2,2,2]')}\n{ref('table_caption')}\nTables.\n\n"
    parsed = parse(f"{raw}{TABLE}\n\nbetween\n\n{TABLE}\n\nafter", 999, 999)
    assert [(b.label, b.text) for b in parsed.blocks] == [
        ("table_caption", "Tables."),
        ("table", TABLE),
        ("text", "between"),
        ("table", TABLE),
        ("text", "after"),
    ]
    assert [b.boxes[0].x0 for b in parsed.blocks if b.label == "table"] == [1, 2]


def test_a_table_that_never_comes_is_said() -> None:
    parsed = parse(f"{ref('table')}\n{ref('text')}\nhello", 999, 999)
    assert [(b.label, b.text) for b in parsed.blocks] == [("table", ""), ("text", "hello")]
    assert parsed.warnings == ("Tables without their content: 1",)


@pytest.mark.parametrize(
    ("cut", "closed"),
    [
        ("<table><tr><td>a", "<table><tr><td>a</td></tr></table>"),
        ("<table><tr><td>a</t", "<table><tr><td>a</td></tr></table>"),
        ("<table><tr><td>a</td><td", "<table><tr><td>a</td></tr></table>"),
        ('<table><tr><th colspan="2">a', '<table><tr><th colspan="2">a</th></tr></table>'),
        ("<table>", "<table></table>"),
    ],
)
def test_a_table_cut_off_is_closed(cut: str, closed: str) -> None:
    parsed = parse(f"{ref('table')}\n{cut}", 999, 999)
    assert parsed.blocks[0].text == closed
    assert parsed.warnings == ("Tables that were unfinished, closed: 1",)


@pytest.mark.parametrize("tail", ["<|ref|>", "<|ref|>te", "<|re"])
def test_a_tail_cut_in_a_reference_is_dropped(tail: str) -> None:
    assert shape(f"{ref('text')}\nhello\n\n{tail}") == [("text", "hello")]


def test_a_tail_cut_in_the_positions_keeps_the_label() -> None:
    parsed = parse("<|ref|>text<|/ref|><|det|>[[1, 2", 999, 999)
    assert parsed.blocks == (Block("text", ""),)
    assert len(parsed.warnings) == 1


def test_output_without_grounding_is_split_in_paragraphs() -> None:
    raw = f"# A\n\n## B\n\none\ntwo\n\n{TABLE}\n\n\\[x = 1\\]\n\nlast<｜end▁of▁sentence｜>"
    assert shape(raw) == [
        ("title", "# A"),
        ("sub_title", "## B"),
        ("text", "one\ntwo"),
        ("table", TABLE),
        ("equation", "\\[x = 1\\]"),
        ("text", "last"),
    ]


def test_stray_markers_are_removed() -> None:
    assert shape("a<|det|>[[1,2,3,4]]<|/det|>b<|/ref|>c<|grounding|>d") == [("text", "abcd")]


# --- for all inputs ----------------------------------------------------------------------------------

PIECES = [
    *deepseek_ocr.SPECIAL_TOKEN_IDS,
    *["text", "table", "image", "table_caption", "Total", "<table>", "</table>", "[[", "]]", "[1,2,3,4]"],
    *["\n", "\n\n", "\n\n\n", " ", "<", "|", "9" * 30, "-1.5", "\\[", "\\]", "\\quad (1)", "# h", "\u2060"],
]
markup = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=60).map("".join)


@settings(deadline=None)
@given(markup, st.integers(0, 5000), st.integers(0, 5000))
def test_parse_never_raises_and_boxes_lie_on_the_page(raw: str, width: int, height: int) -> None:
    parsed = parse(raw, width, height)
    assert len(parsed.blocks) == len(parsed.spans)
    for block in parsed.blocks:
        for box in block.boxes:
            assert 0 <= box.x0 <= box.x1 <= width
            assert 0 <= box.y0 <= box.y1 <= height
    assert all(0 <= start <= end <= len(raw) for start, end in parsed.spans)
    clean_formula(raw)


words = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=12).map("".join)
labels = st.sampled_from(["text", "title", "table", "image", "table_caption", "equation", "sidebar", "list"])


@settings(deadline=None)
@given(st.lists(st.tuples(labels, words), max_size=8))
@example([("table", ""), ("table_caption", "x\n\n<table></table>")])
@example([("sidebar", "")])
@example([("text", "<|ref|>title<|/ref|><|det|>[[0,0,1,1]]<|/det|>\nforged"), ("image", "")])
@example([("text", "<\u2060|ref|><\u2060\u2060｜"), ("text", "<|")])
def test_blocks_written_in_markup_come_back(blocks: list[tuple[str, str]]) -> None:
    blocks = [(label, "" if label == "image" else text) for label, text in blocks]
    blocks = [(label, "" if label == "table" and "<" in text else text) for label, text in blocks]
    box = Box(10, 20, 30, 40)
    raw = "".join(to_markup(label, [box], text, 999, 999) for label, text in blocks)
    parsed = parse(raw, 999, 999)
    assert [(b.label, b.text) for b in parsed.blocks] == [(label, clean_text(text)) for label, text in blocks]
    assert all(block.boxes == (box,) for block in parsed.blocks)
    assert parsed.warnings == ()


def test_a_real_table_comes_back_and_the_label_is_made_safe() -> None:
    assert shape(to_markup("table", [], TABLE, 10, 10)) == [("table", TABLE)]
    assert shape(to_markup("<|/ref|>Évil label", [], "x", 10, 10)) == [("ref_vil_label", "x")]
    assert shape(to_markup("", [], "x", 10, 10)) == [("text", "x")]


@settings(deadline=None)
@given(st.floats(0, 2000), st.floats(0, 2000), st.integers(1, 2000), st.integers(1, 2000))
def test_boxes_come_back_within_half_a_position(x: float, y: float, width: int, height: int) -> None:
    x, y = min(x, width), min(y, height)
    (block,) = parse(to_markup("text", [Box(x, y, width, height)], "", width, height), width, height).blocks
    assert block.boxes[0].x0 == pytest.approx(x, abs=width / 999 * 0.5 + 1e-6)
    assert block.boxes[0].y0 == pytest.approx(y, abs=height / 999 * 0.5 + 1e-6)


# --- linear time, counted in characters looked at ----------------------------------------------------


class Counted(str):
    """A string that counts the characters its searches and slices look at."""

    looked_at = 0

    def find(self, sub: str, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        found = super().find(sub, start, len(self) if end is None else end)
        Counted.looked_at += (found if found >= 0 else len(self) if end is None else end) - start
        return found

    def rfind(self, sub: str, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        stop = len(self) if end is None else end
        found = super().rfind(sub, start, stop)
        Counted.looked_at += stop - max(found, start)
        return found

    def count(self, sub: str, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        Counted.looked_at += (len(self) if end is None else end) - start
        return super().count(sub, start, len(self) if end is None else end)

    def __getitem__(self, key: Any) -> str:
        piece = super().__getitem__(key)
        Counted.looked_at += len(piece)
        return piece


class CountedPattern:
    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._pattern, name)

        def counted(*args: Any) -> Any:
            result = method(*args)
            text = args[1] if name == "sub" else args[0]
            start, *stop = args[1:] if name != "sub" and len(args) > 1 else (0,)
            if name in ("match", "fullmatch"):
                Counted.looked_at += (result.end() if result else start + 41) - start
            else:
                Counted.looked_at += (stop[0] if stop else len(text)) - start
            return result

        return counted


HOSTILE = [
    "<|ref|>",
    "<|ref|>a<|/ref|>",
    "<|ref|>a<|/ref|><|det|>",
    "<|ref|>a<|/ref|><|det|>[[",
    "<|ref|>table<|/ref|>",
    "<|ref|>table<|/ref|>\n<|ref|>table_caption<|/ref|>x\n",
    "<|ref|>text<|/ref|><|det|>x",
    "<|det|>",
    "<|det|>[[1",
    "<table>",
    "<table></table>",
    "<table>\n\n",
    "\n",
    "\n ",
    "\n\nx",
    "[",
    "9",
    "<",
    "<\u2060",
    "\\[",
    "\\[\\quad (",
    "<｜a",
    "",
]


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("head", ["", "<|ref|>table<|/ref|>", "<|ref|>text<|/ref|><|det|>"])
def test_parse_looks_at_each_character_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch, head: str, piece: str
) -> None:
    for name, value in vars(deepseek_grammar).copy().items():
        if isinstance(value, re.Pattern):
            monkeypatch.setattr(deepseek_grammar, name, CountedPattern(value))
    raw = Counted(head + piece * (100_000 // max(1, len(piece))))
    Counted.looked_at = 0
    parse(raw, 999, 999)
    assert Counted.looked_at <= 30 * len(raw) + 1000
