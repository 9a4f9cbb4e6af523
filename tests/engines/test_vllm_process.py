"""An engine process is made anew when it dies, within bounds, and never left half alive."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from airgap.core.errors import EngineUnavailable
from airgap.engines.vllm import process as vllm_process
from airgap.engines.vllm.process import EngineProcess


class Llm:
    """What `EngineProcess` needs of an `AsyncLLM`."""

    def __init__(self) -> None:
        self.errored = False
        self.shut_down = 0

    def shutdown(self) -> None:
        self.shut_down += 1


class Factory:
    """Makes engines as told: an exception in `plan` is raised, anything else makes an engine."""

    def __init__(self, *plan: Exception | None) -> None:
        self._plan: Iterator[Exception | None] = iter(plan)
        self.made: list[Llm] = []
        self.threads: set[int] = set()

    def __call__(self) -> Llm:
        self.threads.add(threading.get_ident())
        problem = next(self._plan, None)
        if problem is not None:
            raise problem
        self.made.append(Llm())
        return self.made[-1]


class Gated(Factory):
    """Makes an engine once its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def __call__(self) -> Llm:
        self.gate.wait(20)
        return super().__call__()


async def started_and_cancelled(process: EngineProcess) -> None:
    starting = asyncio.create_task(process.start())
    await until(lambda: process.state == "starting")
    await asyncio.sleep(0.02)
    starting.cancel()
    await starting


async def fit(llm: Any) -> None:
    assert not llm.errored


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_process, "WATCH_SECONDS", 0.005)
    monkeypatch.setattr(vllm_process, "FIRST_BACKOFF_SECONDS", 0.005)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_starts_off_the_event_loop_and_closes_once() -> None:
    factory = Factory()
    process = EngineProcess(factory, fit)
    assert process.health() == (False, "not started")
    with pytest.raises(EngineUnavailable, match="not started"):
        process.current()
    await process.start()
    assert process.current() is factory.made[0]
    assert process.health()[0]
    assert factory.threads.isdisjoint({threading.get_ident()})
    await process.close()
    await process.close()
    assert factory.made[0].shut_down == 1
    with pytest.raises(EngineUnavailable):
        process.current()


async def test_a_dead_engine_is_said_at_once_and_replaced() -> None:
    factory = Factory()
    process = EngineProcess(factory, fit)
    await process.start()
    factory.made[0].errored = True
    assert process.health() == (False, "the engine process died")
    with pytest.raises(EngineUnavailable) as caught:
        process.current()
    assert caught.value.retry_after
    await until(lambda: process.health()[0])
    assert process.current() is factory.made[1]
    assert factory.made[0].shut_down == 1
    assert process.restarts == 1
    await process.close()


async def test_keeps_trying_within_the_bound() -> None:
    factory = Factory(None, OSError("no memory"), EngineUnavailable("not yet"), None)
    process = EngineProcess(factory, fit, max_restarts=3)
    await process.start()
    factory.made[0].errored = True
    await until(lambda: process.health()[0])
    assert process.restarts == 3
    await process.close()


async def test_gives_up_after_the_bound_and_says_so() -> None:
    factory = Factory(None, *[OSError("broken")] * 10)
    process = EngineProcess(factory, fit, max_restarts=2)
    await process.start()
    factory.made[0].errored = True
    await until(lambda: process.state == "failed")
    assert process.restarts == 2
    healthy, reason = process.health()
    assert not healthy
    assert "2 restarts did not help" in reason
    with pytest.raises(EngineUnavailable) as caught:
        process.current()
    assert caught.value.retry_after is None
    await process.close()


async def test_restarts_long_ago_do_not_count() -> None:
    factory = Factory()
    process = EngineProcess(factory, fit, max_restarts=1, window=0.0)
    await process.start()
    for number in range(3):
        factory.made[number].errored = True
        await until(lambda number=number: len(factory.made) == number + 2 and process.health()[0])
    assert process.restarts == 3
    await process.close()


async def test_an_engine_that_fails_its_check_is_shut_down() -> None:
    factory = Factory()

    async def unfit(llm: Any) -> None:
        raise EngineUnavailable("wrong tokenizer")

    process = EngineProcess(factory, unfit)
    with pytest.raises(EngineUnavailable, match="wrong tokenizer"):
        await process.start()
    assert factory.made[0].shut_down == 1
    assert process.state == "failed"
    await process.close()


async def test_a_start_that_is_cancelled_leaves_no_engine_behind() -> None:
    factory = Gated()
    process = EngineProcess(factory, fit)
    with pytest.raises(asyncio.CancelledError):
        await started_and_cancelled(process)
    factory.gate.set()
    await until(lambda: factory.made and factory.made[0].shut_down == 1)
    await process.close()


def test_an_engine_that_comes_up_after_its_server_is_gone_goes_down() -> None:
    async def start_and_leave(process: EngineProcess) -> None:
        with pytest.raises(asyncio.CancelledError):
            await started_and_cancelled(process)
        await process.close()

    factory = Gated()
    process = EngineProcess(factory, fit)
    asyncio.run(start_and_leave(process))
    factory.gate.set()
    process._thread.shutdown(wait=True)
    assert [llm.shut_down for llm in factory.made] == [1]
