"""Log-probabilities of tokens become confidences of blocks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.core.document import Block
from airgap.engines.token_confidence import TokenTrace, with_confidence


def trace(*pieces: tuple[str, list[tuple[str, float]]]) -> TokenTrace:
    made = TokenTrace()
    for text, tokens in pieces:
        made.add(text, tokens)
    return made


def test_the_confidence_of_a_span_is_the_geometric_mean_of_its_tokens() -> None:
    made = trace(
        ("ab", [("a", math.log(0.5)), ("b", math.log(0.5))]),
        ("cd", [("c", math.log(0.8)), ("d", math.log(0.2))]),
    )
    assert made.confidence(0, 2) == pytest.approx(0.5)
    assert made.confidence(2, 4) == pytest.approx(0.4)
    assert made.confidence() == pytest.approx((0.5 * 0.5 * 0.8 * 0.2) ** 0.25)


def test_blocks_get_the_confidence_of_their_own_text() -> None:
    made = trace(("sure", [("sure", 0.0)]), ("maybe", [("may", math.log(0.1)), ("be", math.log(0.9))]))
    blocks = with_confidence(
        [Block("text", "sure"), Block("text", "maybe"), Block("image", "")], [(0, 4), (4, 9), (9, 9)], made
    )
    assert blocks[0].confidence == pytest.approx(1)
    assert blocks[1].confidence == pytest.approx(0.3)
    assert blocks[2].confidence is None


def test_a_character_of_several_tokens_counts_all_of_them() -> None:
    """The tokens of 語 come one by one and spell nothing until the last."""
    made = trace(
        ("", [("", math.log(0.5))]), ("", [("", math.log(0.5))]), ("語", [("\ufffd", math.log(0.5))])
    )
    assert made.length == 1
    assert made.confidence(0, 1) == pytest.approx(0.5)


def test_impossible_numbers_are_left_out() -> None:
    made = trace(("ab", [("a", -math.inf), ("b", math.nan)]), ("c", [("c", 0.0)]))
    assert made.confidence(0, 2) is None
    assert made.confidence() == 1


@given(st.lists(st.tuples(st.sampled_from(["", "a", "bcd"]), st.floats(-5, 0)), max_size=30), st.data())
def test_only_tokens_that_end_in_the_span_count(pieces: list[tuple[str, float]], data: st.DataObject) -> None:
    made = trace(*((text, [(text, logprob)]) for text, logprob in pieces))
    start = data.draw(st.integers(0, made.length))
    end = data.draw(st.integers(start, made.length))
    inside = [p for at, p in zip(made.ends, made.logprobs, strict=True) if start < at <= end]
    expected = math.exp(sum(inside) / len(inside)) if inside else None
    assert made.confidence(start, end) == (pytest.approx(expected) if inside else None)


def test_nothing_has_no_confidence() -> None:
    assert TokenTrace().confidence() is None


def test_shares_never_end_beyond_their_piece() -> None:
    made = trace(("0000", [("", 0.0)]), ("00", [("0", 0.0), ("0", 0.0), ("000", 0.0)]), ("", [("", 0.0)]))
    assert made.ends == sorted(made.ends)
    assert made.ends[-1] == 6


@given(
    st.lists(
        st.tuples(
            st.text(max_size=5),
            st.lists(st.tuples(st.text(max_size=3), st.floats(-50, 0)), min_size=1, max_size=4),
        )
    )
)
def test_is_always_a_probability(pieces: list[tuple[str, list[tuple[str, float]]]]) -> None:
    made = trace(*pieces)
    assert made.length == sum(len(text) for text, _ in pieces)
    assert made.ends == sorted(made.ends)
    confidence = made.confidence()
    assert confidence is None or 0 <= confidence <= 1
