"""The engine for cross-checks is loaded once, whoever waits for it."""

from __future__ import annotations

import asyncio

import pytest
from PIL import Image

from airgap.core.document import Page, ReadOptions
from airgap.core.errors import EngineUnavailable
from airgap.engines.fake import FakeEngine
from process.second_reader import SecondReader

PICTURE = Image.new("RGB", (60, 40), "white")


class Slow(FakeEngine):
    """Starts when it is let, and breaks as often as it is told to."""

    starts = 0

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.failures = failures
        self.is_closed = False

    async def start(self) -> None:
        self.starts += 1
        await self.let.wait()
        if self.starts <= self.failures:
            raise EngineUnavailable("Not now.")
        await super().start()

    async def close(self) -> None:
        self.is_closed = True
        await super().close()


async def test_who_goes_away_while_it_loads_takes_nothing_from_the_next() -> None:
    engine = Slow()
    second = SecondReader(lambda: engine, timeout=20)
    for _ in range(5):
        reading = asyncio.create_task(second.read(PICTURE, ReadOptions()))
        await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    waiting = [asyncio.create_task(second.read(PICTURE, ReadOptions())) for _ in range(3)]
    engine.let.set()
    assert [name for name, _ in await asyncio.gather(*waiting)] == ["fake"] * 3
    assert engine.starts == 1
    await second.close()
    assert engine.is_closed


async def test_what_did_not_start_is_started_again() -> None:
    engine = Slow(failures=1)
    engine.let.set()
    second = SecondReader(lambda: engine, timeout=20)
    page = Page(1, 60, 40)
    failed = await second.checked(page, "vllm", PICTURE, ReadOptions())
    assert failed.warnings == ("The page was not cross-checked: Not now.",)
    assert (await second.read(PICTURE, ReadOptions()))[0] == "fake"
    await second.close()


async def test_nothing_is_closed_that_was_never_asked_for() -> None:
    await SecondReader(Slow, timeout=20).close()
