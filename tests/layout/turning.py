"""Where something turns: bounds are tested on both sides and as near as whole pixels allow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def first(values: Iterable[T], holds: Callable[[T], object]) -> T:
    """The first value for which something holds; it holds for all after it and for none before."""
    tried = list(values)
    answers = [bool(holds(value)) for value in tried]
    assert True in answers, "it never holds"
    turn = answers.index(True)
    assert turn > 0, "it holds from the beginning"
    assert all(answers[turn:]), f"it holds again and again: {list(zip(tried, answers, strict=True))}"
    return tried[turn]
