"""Qwen2-VL on both local engines: one tiny checkpoint, float32, greedy, the same answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from airgap.core.document import ReadOptions
from airgap.core.engine import PageRead
from airgap.engines.transformers.engine import TransformersEngine
from airgap.engines.vllm.engine import VllmEngine
from airgap.models import qwen_vl
from tests import tiny_qwen
from tests.engines.started import started
from tests.transformers.conftest import options_for
from tests.vllm.conftest import HAS_VLLM, NO_VLLM, page
from tests.vllm.conftest import options_for as vllm_options_for

pytestmark = [
    pytest.mark.skipif(not HAS_VLLM, reason=NO_VLLM),
    pytest.mark.asyncio(loop_scope="session"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen.make(tmp_path_factory.mktemp("qwen") / "2")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def native(folder: Path, data_dir: Path) -> AsyncIterator[TransformersEngine]:
    async with started(TransformersEngine(options_for(folder, data_dir))) as engine:
        yield engine


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def vllm(folder: Path, data_dir: Path) -> AsyncIterator[VllmEngine]:
    async with started(VllmEngine(vllm_options_for(folder, data_dir, gpu_mem_utilization=0.2))) as engine:
        yield engine


@pytest.mark.parametrize("task", [*qwen_vl.TASKS, "What is the date?"])
@pytest.mark.parametrize("size", [(300, 200), (900, 1300)])
async def test_the_same_answers(
    native: TransformersEngine, vllm: VllmEngine, task: str, size: tuple[int, int]
) -> None:
    options = ReadOptions(prompt=task, language="zh-Hant", max_tokens=16, confidence=True)
    ends = []
    for engine in (native, vllm):
        async with aclosing(engine.read([page(*size)], options)) as events:
            end = [event async for event in events][-1]
        assert isinstance(end, PageRead)
        ends.append(end)
    ours, theirs = ends
    assert ours.raw == theirs.raw
    assert ours.usage.prompt_tokens == theirs.usage.prompt_tokens
    assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-3)
