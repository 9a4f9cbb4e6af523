"""An engine that runs for as long as a fixture or a test needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar


class Startable(Protocol):
    async def start(self) -> None: ...

    async def close(self) -> None: ...


Some = TypeVar("Some", bound=Startable)


@asynccontextmanager
async def started(engine: Some) -> AsyncIterator[Some]:
    """Start, hand out, and close whatever happens between; one that does not start is not closed."""
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()
