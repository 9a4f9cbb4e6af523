"""The rule against its authors' own answers, and the index against the rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepseek_ocr import NGRAM_RULES, WHITELIST_TOKEN_IDS, NgramRule
from process.ngram_norepeat import NgramIndex, banned_tokens, rule_from_extra_args

CASES = json.loads((Path(__file__).parent.parent / "data" / "reference" / "ngram.json").read_text())


def test_every_answer_of_the_authors_rule() -> None:
    assert len(CASES) == 120
    assert any(case["banned"] for case in CASES)
    for case in CASES:
        sizes = case["ngram_size"], case["window_size"]
        assert banned_tokens(case["output_ids"], *sizes, case["whitelist"]) == set(case["banned"])
        index = NgramIndex(NgramRule(*sizes, frozenset(case["whitelist"])))
        index.follow(case["output_ids"])
        assert index.banned() == set(case["banned"])


rules = st.builds(
    NgramRule, st.integers(1, 6), st.integers(1, 20), st.frozensets(st.integers(0, 3), max_size=2)
)
outputs = st.integers(1, 4).flatmap(lambda top: st.lists(st.integers(0, top), max_size=60))


@settings(deadline=None)
@given(outputs, rules)
def test_the_index_agrees_with_the_rule_at_every_step(output: list[int], rule: NgramRule) -> None:
    index = NgramIndex(rule)
    for position in range(len(output) + 1):
        expected = banned_tokens(output[:position], rule.ngram_size, rule.window_size, rule.whitelist)
        assert index.banned() == expected
        if position < len(output):
            index.append(output[position])
    assert len(index) == len(output)


@settings(deadline=None)
@given(st.lists(outputs, max_size=5), rules)
def test_following_another_output_starts_over(several: list[list[int]], rule: NgramRule) -> None:
    """The index sees only its recent tokens, so outputs differ in those or are shorter."""
    index = NgramIndex(rule)
    for number, output in enumerate(several):
        output = [10 * number + token for token in output]
        index.follow([])
        index.follow(output)
        assert index.banned() == banned_tokens(output, rule.ngram_size, rule.window_size, rule.whitelist)


def test_following_a_changed_tail_starts_over() -> None:
    index = NgramIndex(NgramRule(3, 20, frozenset()))
    index.follow([1, 2, 3, 1, 2])
    assert index.banned() == {3}
    index.follow([1, 2, 4, 1, 5, 1, 2])
    assert index.banned() == {4}


def test_tokens_still_being_computed_are_waited_for() -> None:
    index = NgramIndex(NgramRule(2, 20, frozenset()))
    output = [7, 8, 7, -1]
    index.follow(output)
    assert (len(index), index.banned()) == (3, {8})
    output[-1] = 9
    index.follow(output)
    assert (len(index), index.banned()) == (4, set())


def test_the_memory_of_the_index_is_bounded_by_the_window() -> None:
    index = NgramIndex(NgramRule(3, 50, frozenset()))
    for token in range(10_000):
        index.append(token % 997)
    assert len(index._order) <= 50
    assert len(index._next) <= 50


def test_table_cells_are_never_forbidden() -> None:
    rule = NGRAM_RULES["image"]
    index = NgramIndex(rule)
    open_cell, close_cell = sorted(WHITELIST_TOKEN_IDS)
    index.follow([open_cell, close_cell] * 100)
    assert index.banned() == set()
    index.follow([5, 6] * 100)
    assert index.banned() == {5}


def test_a_rule_is_read_from_the_request() -> None:
    assert rule_from_extra_args(None) is None
    assert rule_from_extra_args({"window_size": 3}) is None
    assert rule_from_extra_args({"ngram_size": 30}) == NgramRule(30, 90, WHITELIST_TOKEN_IDS)
    extra = {"ngram_size": 20, "window_size": 50, "whitelist_token_ids": [1, 2]}
    assert rule_from_extra_args(extra) == NgramRule(20, 50, frozenset({1, 2}))


@pytest.mark.parametrize(
    "extra",
    [
        {"ngram_size": 0},
        {"ngram_size": True},
        {"ngram_size": "30"},
        {"ngram_size": 10**6},
        {"ngram_size": 3, "window_size": 0},
        {"ngram_size": 3, "window_size": 10**6},
        {"ngram_size": 3, "window_size": None},
        {"ngram_size": 3, "whitelist_token_ids": "12"},
        {"ngram_size": 3, "whitelist_token_ids": [1.5]},
        {"ngram_size": 3, "whitelist_token_ids": [-1]},
        {"ngram_size": 3, "whitelist_token_ids": list(range(100))},
    ],
)
def test_a_rule_out_of_bounds_is_refused(extra: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"has to"):
        rule_from_extra_args(extra)


@pytest.mark.parametrize("sizes", [(0, 5), (5, 0)])
def test_sizes_below_one_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        banned_tokens([1], *sizes)
    with pytest.raises(ValueError, match="at least 1"):
        NgramIndex(NgramRule(*sizes))
