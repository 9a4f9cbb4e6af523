"""How often: requests of a key in a minute, failed logins of a client. In memory, bounded, per server."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_ENTRIES = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    updated: float


class Rates:
    """A token bucket per name: `burst` at once, refilled over `seconds`."""

    def __init__(self, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str, burst: int) -> int:
        """Take one. Returns 0, or the whole seconds until there is one to take."""
        bucket = self._refilled(name, burst)
        if bucket.tokens < 1:
            return max(1, math.ceil((1 - bucket.tokens) * self._seconds / burst))
        bucket.tokens -= 1
        return 0

    def give_back(self, name: str, burst: int) -> None:
        """Undo one `take`, of an attempt that turned out to be a good one."""
        bucket = self._refilled(name, burst)
        bucket.tokens = min(float(burst), bucket.tokens + 1)

    def _refilled(self, name: str, burst: int) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(name, _Bucket(float(burst), now))
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.updated) * burst / self._seconds)
        bucket.updated = now
        self._buckets.move_to_end(name)
        while len(self._buckets) > MAX_ENTRIES:
            self._buckets.popitem(last=False)
        return bucket
