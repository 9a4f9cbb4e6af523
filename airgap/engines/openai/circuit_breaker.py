"""Leaves a server alone that keeps failing, and asks it again after a while.

    closed --(failures in a row)--> open --(time)--> half open --(one success)--> closed
                                     ^                   |
                                     +----(failure)------+

Half open lets one caller through; the others are refused until that one knows. Knows nothing about HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from airgap.core.errors import EngineUnavailable


class CircuitBreaker:
    """`failures` in a row open it for `seconds`. One event loop uses it; `clock` is for tests."""

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._failures = 0
        self._opened: float | None = None
        self._probe: float | None = None  # when the one caller of the half-open state went through

    def seconds_left(self) -> float:
        """How long callers are still refused; 0 where one may try."""
        if self._opened is None:
            return 0.0
        return max(0.0, self._opened + self._seconds - self._clock())

    def check(self, whom: str) -> None:
        """Raise `EngineUnavailable` where the server is to be left alone."""
        if self._opened is None:
            return
        left = self.seconds_left()
        if not left and self._probe is not None:  # a probe that never came back counts for one period
            left = max(0.0, self._probe + self._seconds - self._clock())
        if left:
            raise EngineUnavailable(
                f"{whom} failed {self._failures} times in a row and is left alone for now.",
                retry_after=max(1, round(left)),
            )
        self._probe = self._clock()

    def succeeded(self) -> None:
        self._failures = 0
        self._opened = self._probe = None

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= self._limit or self._probe is not None:
            self._opened, self._probe = self._clock(), None
