"""Pages annotated as in OmniDocBench: worked examples whose figures can be counted by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airgap.evaluation.matching import Pair, match
from airgap.evaluation.omnidocbench import PageScore, read_pages, score_page, summary
from airgap.evaluation.teds import teds


def item(number: int, category: str, text: str = "", **more: Any) -> dict[str, Any]:
    return {"anno_id": number, "category_type": category, "order": number, "text": text, **more}


def score(tmp_path: Path, items: list[dict[str, Any]], markdown: str, relations: list[Any] = []) -> PageScore:  # noqa: B006
    path = tmp_path / "truth.json"
    page = {"page_info": {"image_path": "p.jpg"}, "layout_dets": items, "extra": {"relation": relations}}
    path.write_text(json.dumps([page]))
    return score_page(read_pages(path)[0], markdown)


TITLE = "The river in winter"
FIRST = "It froze over in the first days of January."
SECOND = "Skaters came from all the villages around."
RIGHT = f"{TITLE}\n\n{FIRST}\n\n{SECOND}"

WORDS = [
    item(1, "title", TITLE),
    item(2, "text_block", FIRST),
    item(3, "text_block", SECOND),
    item(9, "footer", "The river, page 7"),
]


def test_a_page_read_right(tmp_path: Path) -> None:
    markdown = f"# {RIGHT}"
    found = score(tmp_path, WORDS, markdown)
    assert (found.text, found.order, found.headings) == (0, 0, (1, 1, 1))


def test_headers_and_footers_do_not_count_on_either_side(tmp_path: Path) -> None:
    markdown = RIGHT
    for footer in ("", "\n\nThe river, page 7"):
        found = score(tmp_path, WORDS, markdown + footer)
        assert (found.text, found.order, found.headings) == (0, 0, (0, 1, 0))


def test_paragraphs_cut_and_joined_otherwise_are_the_same_text(tmp_path: Path) -> None:
    joined = f"{TITLE}\n\n{FIRST} {SECOND}"
    cut = RIGHT.replace("in the first", "in the\n\nfirst")
    assert score(tmp_path, WORDS, joined).text == 0
    assert score(tmp_path, WORDS, cut).text == 0


def test_blocks_that_changed_places_cost_order_and_no_text(tmp_path: Path) -> None:
    markdown = f"{TITLE}\n\n{SECOND}\n\n{FIRST}"
    found = score(tmp_path, WORDS, markdown)
    assert found.text == 0
    assert found.order == pytest.approx(2 / 3)


def test_what_is_missing_and_what_is_wrong_counts_by_letters(tmp_path: Path) -> None:
    found = score(
        tmp_path, [WORDS[0], item(2, "text_block", "1234567890")], "The river in winter\n\n12345x7890"
    )
    assert found.text == pytest.approx(1 / (len("Theriverinwinter") + 10))


def test_text_that_a_page_break_cut_is_made_whole(tmp_path: Path) -> None:
    items = [item(1, "text_block", "A line that ends in the mid"), item(2, "text_block", "dle of a word.")]
    relations = [{"relation_type": "truncated", "source_anno_id": 1, "target_anno_id": 2}]
    assert score(tmp_path, items, "A line that ends in the middle of a word.", relations).text == 0


def test_a_formula_counts_only_where_it_was_read_as_text(tmp_path: Path) -> None:
    items = [*WORDS[:3], item(4, "equation_isolated", latex="$$E = m c^2 + a + b + x$$")]
    right = RIGHT
    assert score(tmp_path, items, right).text == 0
    assert score(tmp_path, items, f"{right}\n\n$$E=mc^2$$").text == 0
    assert (score(tmp_path, items, f"{right}\n\nE=mc2+a+b+y").text or 0) > 0


def test_tables_are_matched_by_likeness_and_a_missing_one_is_zero(tmp_path: Path) -> None:
    a = "<table><tr><td>one</td><td>two</td></tr><tr><td>3</td><td>4</td></tr></table>"
    b = "<table><tr><td>quite another text</td></tr></table>"
    items = [item(1, "table", html=a), item(2, "table", html=b)]
    assert score(tmp_path, items, f"{b}\n\n{a}").teds == (1.0, 1.0)
    assert score(tmp_path, items, a).teds == (1.0, 0.0)


def test_teds_of_worked_examples() -> None:
    truth = "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>"
    assert teds(truth, truth) == 1.0
    assert teds(truth.replace(">d<", ">x<"), truth) == pytest.approx(1 - 1 / 6)
    assert teds(truth.replace(">d<", ">x<"), truth, structure_only=True) == 1.0
    assert teds(truth.replace("<td>d</td>", ""), truth, structure_only=True) == pytest.approx(1 - 1 / 6)
    spanned = '<table><tr><td colspan="2">ab</td></tr><tr><td>c</td><td>d</td></tr></table>'
    assert teds(spanned, truth, structure_only=True) == pytest.approx(1 - 2 / 6)
    assert teds("no table", truth) == 0.0


def test_every_true_block_is_in_one_pair() -> None:
    truth = ["abcdef", "ghijkl", "nothing like it"]
    pairs = match(truth, ["abcdefghijkl", "zzzz"])
    assert sorted(index for pair in pairs for index in pair.truth) == [0, 1, 2]
    assert Pair((0, 1), (0,)) in pairs


def test_the_figures_of_several_pages(tmp_path: Path) -> None:
    scores = [
        PageScore("a", 0.2, 0.0, (1.0,), (1.0,), (1, 2, 1)),
        PageScore("b", None, None, (0.5, 0.0), (1.0, 1.0), (1, 2, 3)),
    ]
    mean = summary(scores)
    assert (mean.text, mean.order, mean.teds, mean.teds_structure) == (0.2, 0.0, 0.5, 1.0)
    assert (mean.heading_recall, mean.heading_precision) == (0.5, 0.5)
    assert summary([]).text is None


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text('{"pages": 1}')
    with pytest.raises(ValueError, match=r"truth\.json: not an annotation"):
        read_pages(path)
