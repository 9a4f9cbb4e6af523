"""The bounds of a request's rule, to the token; and that following an output costs what is new in it."""

from __future__ import annotations

from typing import Any

import pytest

from deepseek_ocr import WHITELIST_TOKEN_IDS, NgramRule
from process.ngram_norepeat import NgramIndex, banned_tokens, rule_from_extra_args


class Counted(NgramIndex):
    """An index that counts what it takes in."""

    taken = 0

    def append(self, token: int) -> None:
        self.taken += 1
        super().append(token)


@pytest.mark.parametrize("ngram_size", [1, 2, 128])
@pytest.mark.parametrize("window_size", [1, 2, 4096])
def test_sizes_at_the_bounds_are_taken(ngram_size: int, window_size: int) -> None:
    extra = {"ngram_size": ngram_size, "window_size": window_size}
    assert rule_from_extra_args(extra) == NgramRule(ngram_size, window_size, WHITELIST_TOKEN_IDS)


@pytest.mark.parametrize("extra", [{"ngram_size": 129}, {"ngram_size": 3, "window_size": 4097}])
def test_sizes_past_the_bounds_are_refused_by_name(extra: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"^`{list(extra)[-1]}` has to be a whole number from 1 to "):
        rule_from_extra_args(extra)


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_a_whitelist_of_thirty_two_tokens_from_zero_is_taken(kind: Any) -> None:
    extra = {"ngram_size": 3, "whitelist_token_ids": kind(range(32))}
    assert rule_from_extra_args(extra) == NgramRule(3, 90, frozenset(range(32)))


@pytest.mark.parametrize("whitelist", [list(range(33)), [0, True], [0, -1]])
def test_a_whitelist_past_the_bounds_is_refused(whitelist: list[object]) -> None:
    with pytest.raises(ValueError, match=r"^`whitelist_token_ids` has to"):
        rule_from_extra_args({"ngram_size": 3, "whitelist_token_ids": whitelist})


def test_an_empty_whitelist_is_not_the_default_one() -> None:
    assert rule_from_extra_args({"ngram_size": 3, "whitelist_token_ids": []}) == NgramRule(3, 90, frozenset())


def test_an_ngram_that_begins_just_outside_the_window_does_not_count() -> None:
    output = [1, 2, 3, 1]
    assert banned_tokens(output, 2, 4) == {2}
    assert banned_tokens(output, 2, 3) == set()
    assert banned_tokens(output, 2, 5) == {2}


def test_following_takes_in_only_what_is_new() -> None:
    index = Counted(NgramRule(3, 20, frozenset()))
    output = [1, 2, 3, 1, 2]
    for length in (2, 5, 5):
        index.follow(output[:length])
    assert (index.taken, index.banned()) == (5, {3})
    index.follow([*output, 4])
    assert index.taken == 6


def test_token_zero_is_a_token() -> None:
    index = NgramIndex(NgramRule(2, 20, frozenset()))
    index.follow([7, 0, 7])
    assert (len(index), index.banned()) == (3, {0})
