"""Work on many items at once whose results come in order. It knows neither pages nor engines."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def in_order(
    items: Iterable[Item], work: Callable[[Item], Coroutine[Any, Any, Result]], ahead: int
) -> AsyncGenerator[Result, None]:
    """Yield `work(item)` for each item, in order, with at most `ahead` of them under way.

    Leaving the loop early cancels what is under way and waits until it has stopped.
    """
    remaining = iter(items)
    flight: deque[asyncio.Task[Result]] = deque()
    try:
        while True:
            flight.extend(asyncio.create_task(work(item)) for item in islice(remaining, ahead - len(flight)))
            if not flight:
                return
            result = await flight[0]
            flight.popleft()
            yield result
    finally:
        for task in flight:
            task.cancel()
        await asyncio.gather(*flight, return_exceptions=True)
