"""What happens to pages when clients leave, the queue is full, the model loops, or the engine dies."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import aclosing
from typing import Any

import pytest

from airgap.core.document import ReadOptions
from airgap.core.errors import EngineBusy, EngineFailed, EngineUnavailable
from airgap.engines.vllm.engine import VllmEngine
from tests.vllm.conftest import page, read, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENDLESS = ReadOptions(prompt="Go on!", mode="tiny", max_tokens=3900)


async def endless(engine: VllmEngine, started: asyncio.Event) -> list[Any]:
    """Read a page whose answer is long, and say when it has begun."""
    events = []
    async with aclosing(engine.read([page()], ENDLESS)) as stream:
        async for event in stream:
            events.append(event)
            started.set()
    return events


async def begun(engine: VllmEngine) -> asyncio.Task[list[Any]]:
    started = asyncio.Event()
    task = asyncio.create_task(endless(engine, started))
    async with asyncio.timeout(120):
        await started.wait()
    return task


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_client_that_leaves_frees_its_place_for_the_next(scripted: VllmEngine) -> None:
    """The engine holds two pages at a time: the third begins when one of them is left."""
    first, second = await begun(scripted), await begun(scripted)
    started = asyncio.Event()
    third = asyncio.create_task(endless(scripted, started))
    await until(lambda: scripted._active == 3)
    assert not started.is_set()
    before = asyncio.get_running_loop().time()
    await cancelled(first)
    async with asyncio.timeout(60):
        await started.wait()
    print(f"the place was free after {asyncio.get_running_loop().time() - before:.2f} s")
    assert not second.done()
    await cancelled(second, third)
    assert scripted._active == 0


async def test_a_full_queue_says_when_to_come_back(scripted: VllmEngine) -> None:
    tasks = [await begun(scripted), await begun(scripted)]
    tasks += [asyncio.create_task(endless(scripted, asyncio.Event())) for _ in range(2)]
    await until(lambda: scripted._active == 4)
    with pytest.raises(EngineBusy) as caught:
        await read(scripted, page())
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 1
    await cancelled(*tasks)
    assert (await read(scripted, page(), max_tokens=2))[1].usage.completion_tokens == 2


async def test_a_loop_is_caught_and_its_tokens_bounded(scripted: VllmEngine) -> None:
    """The script repeats empty cells for ever, which the n-gram rule lets pass."""
    deltas, end = await read(scripted, page(), prompt="Free OCR.", max_tokens=2048)
    assert end.finish_reason == "repetition"
    assert end.status == "degraded"
    assert end.usage.completion_tokens < 600
    assert "".join(deltas) == end.raw
    assert any("repeat" in warning for warning in end.warnings)
    assert sum(len(block.text) for block in end.blocks) < len(end.raw) / 2


async def test_a_loop_longer_than_the_window_of_the_rule_is_caught(scripted: VllmEngine) -> None:
    _, end = await read(scripted, page(), prompt="Go on!", max_tokens=3900)
    assert end.finish_reason == "repetition"
    assert end.usage.completion_tokens < 2600
    assert sum(len(block.text) for block in end.blocks) < 300


async def test_an_honest_answer_is_not_cut(scripted: VllmEngine) -> None:
    _, end = await read(scripted, page(), prompt="Go on!", max_tokens=90, confidence=True)
    assert end.finish_reason == "length"
    assert end.status == "ok"
    assert len(end.raw) == 90
    assert end.confidence == pytest.approx(1, abs=0.3)


async def test_a_killed_engine_comes_back_by_itself(scripted: VllmEngine) -> None:
    in_flight = [await begun(scripted), await begun(scripted)]
    llm = scripted._process.current()
    (core,) = llm.engine_core.resources.engine_manager.processes
    os.kill(core.pid, signal.SIGKILL)
    async with asyncio.timeout(30):
        results = await asyncio.gather(*in_flight, return_exceptions=True)
    assert [type(result) for result in results] == [EngineFailed, EngineFailed]
    healthy, reason = scripted.health()
    assert not healthy
    assert "died" in reason
    with pytest.raises(EngineUnavailable):
        await read(scripted, page())
    await until(lambda: scripted.health()[0], 240)
    assert scripted.restarts == 1
    assert (await read(scripted, page(), max_tokens=5))[1].usage.completion_tokens == 5


async def test_closing_stops_what_runs(scripted: VllmEngine) -> None:
    """Last in this file: the shared engine is gone afterwards."""
    task = await begun(scripted)
    async with asyncio.timeout(60):
        await scripted.close()
        result = (await asyncio.gather(task, return_exceptions=True))[0]
    assert isinstance(result, EngineFailed)
    assert scripted.health() == (False, "the engine was shut down")
    with pytest.raises(EngineUnavailable):
        await read(scripted, page())
    await scripted.close()
