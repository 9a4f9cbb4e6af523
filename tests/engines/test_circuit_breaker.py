"""A server that fails is left alone, and asked again by one caller."""

from __future__ import annotations

import pytest

from airgap.core.errors import EngineUnavailable
from airgap.engines.openai.circuit_breaker import CircuitBreaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(3, 30, clock)
    for _ in range(3):
        breaker.check("it")
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    clock = Clock()
    breaker = CircuitBreaker(3, 30, clock)
    for outcome in (breaker.failed, breaker.failed, breaker.succeeded, breaker.failed, breaker.failed):
        breaker.check("it")
        outcome()
    assert breaker.seconds_left() == 0
    breaker.failed()
    assert breaker.seconds_left() == 30
    with pytest.raises(EngineUnavailable, match="3 times") as caught:
        breaker.check("it")
    assert caught.value.retry_after == 30


def test_one_caller_tries_and_its_success_closes() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30
    breaker.check("it")
    with pytest.raises(EngineUnavailable):
        breaker.check("it")
    breaker.succeeded()
    breaker.check("it")
    breaker.check("it")


def test_its_failure_opens_again() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 31
    breaker.check("it")
    breaker.failed()
    assert breaker.seconds_left() == 30


def test_a_caller_that_never_came_back_blocks_for_one_period() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30
    breaker.check("it")
    clock.now += 29
    with pytest.raises(EngineUnavailable):
        breaker.check("it")
    clock.now += 1
    breaker.check("it")
