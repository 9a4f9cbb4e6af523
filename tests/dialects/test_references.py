"""References as strings, and streamed text without them."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.core.document import Page
from airgap.dialects.markup import MAX_REFERENCE_CHARS, MarkupFilter
from airgap.dialects.references import extracted_text, find_references, truss_fields

OUTPUTS = sorted((Path(__file__).parent.parent / "data" / "model_outputs").glob("*.mmd"))
# What the Truss does, as it documents its fields: the strings between the tags, whole and in parts.
PATTERN = re.compile(r"(<\|ref\|>(.*?)<\|/ref\|><\|det\|>(.*?)<\|/det\|>)", re.DOTALL)

TITLE = "<|ref|>title<|/ref|><|det|>[[1,2,3,4]]<|/det|>"
FIGURE = "<|ref|>image<|/ref|><|det|>[[5,6,7,8]]<|/det|>"
TEXT = f"{TITLE}\n# A\n\n\n\n{FIGURE}\nEnd"

FRAGMENTS = st.lists(
    st.sampled_from(
        [
            "<|ref|>",
            "<|/ref|>",
            "<|det|>",
            "<|/det|>",
            "<|",
            "|>",
            "<",
            "text",
            "[[1,2,3,4]]",
            "\n",
            "\n\n",
            "é",
        ]
    ),
    max_size=60,
).map("".join)


@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: path.stem)
def test_real_outputs_give_what_the_pattern_gives(path: Path) -> None:
    raw = path.read_text()
    assert [tuple(reference) for reference in find_references(raw)] == PATTERN.findall(raw)


def test_extracted_text_numbers_the_figures() -> None:
    assert extracted_text(TEXT) == "\n# A\n\n\n\n![](image_0.jpg)\n\nEnd"


def test_fields_of_the_truss() -> None:
    fields = truss_fields(Page(1, 30, 40, raw=TEXT), "read", "model")
    assert fields["references"] == [
        [TITLE, "title", "[[1,2,3,4]]"],
        [FIGURE, "image", "[[5,6,7,8]]"],
    ]
    assert fields["image_references"] == [FIGURE]
    assert fields["other_references"] == [TITLE]
    assert (fields["image_size"], fields["prompt_used"], fields["model_name"]) == ([30, 40], "read", "model")
    assert fields["has_bounding_boxes"] is True


@given(FRAGMENTS)
def test_nothing_but_references_is_lost(raw: str) -> None:
    parts = [reference.whole for reference in find_references(raw)]
    assert len(extracted_text(raw)) >= len(raw) - sum(map(len, parts))


def test_markup_is_taken_out() -> None:
    assert MarkupFilter.clean(TEXT) == "# A\n\nEnd"


def test_words_in_a_reference_without_boxes_stay() -> None:
    assert MarkupFilter.clean("see <|ref|>Fig. 1<|/ref|> there") == "see Fig. 1 there"


def test_a_truncated_reference_is_dropped() -> None:
    assert MarkupFilter.clean("A\n<|ref|>text<|/ref|><|det|>[[1,2") == "A\n"


@given(FRAGMENTS, st.lists(st.integers(0, 200), max_size=20))
def test_however_the_text_is_cut_the_result_is_one(raw: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    markup = MarkupFilter()
    pieces = [markup.feed(raw[a:b]) for a, b in itertools.pairwise(edges)]
    joined = "".join(pieces) + markup.flush()
    assert joined == MarkupFilter.clean(raw)
    assert not re.search("\n{3}", joined)


def test_an_endless_reference_is_text_in_bounded_memory() -> None:
    markup = MarkupFilter()
    out = "".join(markup.feed("<|ref|>" if i == 0 else "word ") for i in range(10_000)) + markup.flush()
    assert out == "<|ref|>" + "word " * 9_999
    assert len(markup._held) <= MAX_REFERENCE_CHARS
