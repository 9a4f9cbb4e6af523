"""Two engines of the real vLLM side by side: one is killed, the other reads its pages, and it comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from airgap.core.document import Page, ReadOptions
from airgap.core.errors import EngineFailed
from airgap.engines.replicated import ReplicatedEngine
from airgap.engines.vllm.engine import VllmEngine
from airgap.engines.vllm.replicas import create
from process.defaults import Defaults
from process.pipeline import OnDelta, Reader
from tests.engines.started import started
from tests.vllm.conftest import options_for, page, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOTH = "2 of 2 engines run"
LONG = ReadOptions(prompt="Go on!", mode="tiny", max_tokens=400)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(scripted_model: Path, data_dir: Path) -> AsyncIterator[ReplicatedEngine]:
    options = options_for(scripted_model, data_dir, data_parallel_size=2, max_concurrency=4)
    engine = create(options)
    assert isinstance(engine, ReplicatedEngine)
    async with started(engine):
        await until(lambda: engine.health()[1] == BOTH, 240)
        yield engine


def engines_of(pair: ReplicatedEngine) -> list[VllmEngine]:
    return [replica.engine for replica in pair._replicas]  # type: ignore[misc]


def reader_of(pair: ReplicatedEngine) -> Reader:
    return Reader(pair, Defaults(None, "tiny"), max_concurrency=8, max_queue=8, page_timeout=300)


def kill(engine: VllmEngine) -> None:
    (core,) = engine._process.current().engine_core.resources.engine_manager.processes
    os.kill(core.pid, signal.SIGKILL)


async def in_flight(pair: ReplicatedEngine, *hear: OnDelta | None) -> list[asyncio.Task[Page]]:
    """A page for each entry, in the engines in turn, every one of them begun."""
    reader = reader_of(pair)
    tasks = [
        asyncio.create_task(reader._read([page(seed=seed)], LONG, 1, on_delta))
        for seed, on_delta in enumerate(hear)
    ]
    for engine in engines_of(pair):
        states = engine._process.current().output_processor.request_states
        await until(lambda states=states: sum(_begun(state) for state in states.values()) == len(hear) / 2)
    return tasks


def _begun(state: Any) -> bool:
    return state.detokenizer.num_output_tokens() > 0


async def test_a_killed_engine_costs_no_page_and_comes_back(pair: ReplicatedEngine) -> None:
    first, second = engines_of(pair)
    assert (first._active, second._active) == (0, 0)
    tasks = await in_flight(pair, None, None, None, None)
    assert (first._active, second._active) == (2, 2)
    kill(first)
    await until(lambda: pair.health() != (True, BOTH))
    healthy, reason = pair.health()
    assert healthy
    assert reason.startswith("1 of 2 engines run; vllm 0: the engine process died")
    pages = await asyncio.gather(*tasks)
    assert [page.usage.completion_tokens for page in pages] == [400] * 4
    again = [page for page in pages if any("broke off" in warning for warning in page.warnings)]
    assert len(again) == 2
    assert second.restarts == 0
    await until(lambda: pair.health() == (True, BOTH), 240)
    assert first.restarts == 1
    tasks = await in_flight(pair, None, None)
    assert (first._active, second._active) == (1, 1)
    await asyncio.gather(*tasks)


async def test_vllms_own_metrics_count_both(pair: ReplicatedEngine) -> None:
    labels = [{"model_name": "tiny", "engine": str(number)} for number in range(2)]
    before = [REGISTRY.get_sample_value("vllm:generation_tokens_total", label) for label in labels]
    assert all(before)
    await asyncio.gather(*await in_flight(pair, None, None))
    after = [REGISTRY.get_sample_value("vllm:generation_tokens_total", label) for label in labels]
    assert [b - a for a, b in zip(before, after, strict=True)] == [400, 400]  # type: ignore[operator]


async def test_a_page_that_was_being_streamed_fails_and_the_other_does_not(pair: ReplicatedEngine) -> None:
    """Last in this file: the engine that is killed is not waited for."""
    heard: list[str] = []
    tasks = await in_flight(pair, heard.append, heard.append)
    await until(lambda: len(heard) > 1)
    kill(engines_of(pair)[0])
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(end) for end in ended} == {EngineFailed, Page}
