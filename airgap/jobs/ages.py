"""How long ago something was, though the machine's clock was set forward meanwhile.

A clock that is put right, or wrong, by a day has not let a day pass: what is kept for a day must not be
erased for it. Known are the leaps that were seen while this process ran; after a restart the clock is
believed again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

LEAST_LEAP = 60.0
"""Seconds; less is the clock being slewed, or a busy machine."""


def _clock() -> float:
    return time.time()


def _steady() -> float:
    """Seconds that nobody can set, and that go on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(slots=True)
class _Leap:
    """`until` is the latest that the clock had said before it was set forward `by` so many seconds."""

    until: float
    by: float


class Ages:
    """`look` is to be called now and then, by one thread: a leap is found by the first look after it."""

    def __init__(self, clock: Callable[[], float] = _clock, steady: Callable[[], float] = _steady) -> None:
        self._clock, self._steady = clock, steady
        self._ahead = clock() - steady()
        self._latest = clock()
        self._leaps: list[_Leap] = []

    def look(self) -> None:
        """See whether the clock was set since the last look."""
        now = self._clock()
        ahead = now - self._steady()
        by, self._ahead = ahead - self._ahead, ahead
        if by >= LEAST_LEAP:
            self._leaps.append(_Leap(max(self._latest, now - by), by))
        elif by <= -LEAST_LEAP:
            self._set_back(-by)
        self._latest = max(self._latest, now)

    def _set_back(self, by: float) -> None:
        """Take leaps back, the last first. What is left of it makes things look younger."""
        while self._leaps and by > 0:
            last = self._leaps[-1]
            taken = min(by, last.by)
            by -= taken
            last.by -= taken
            if last.by <= 0:
                self._leaps.pop()

    def of(self, then: float) -> float:
        """Seconds since `then`, a time by the clock, as far as they passed."""
        return self._clock() - then - sum(leap.by for leap in self._leaps if then <= leap.until)
