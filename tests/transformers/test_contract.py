"""The engine contract over the engines that need torch, on a model that says one known page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from airgap.core.engine import Engine
from airgap.engines.table import EngineChoice, create_engine
from config import Settings
from tests.engines import scripted_page
from tests.engines.contract import EngineContract
from tests.engines.started import started
from tests.vllm.conftest import HAS_VLLM, NO_VLLM


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted_page.make(tmp_path_factory.mktemp("model") / "scripted")


def settings_for(backend: str, model: Path, data_dir: Path) -> dict[str, Any]:
    return {
        "backend": backend,
        "model_path": model,
        "data_dir": data_dir,
        "torch_dtype": "fp32",
        "torch_device": "cpu",
        "max_concurrency": 3,
        "base_size": 512,
        "image_size": 512,
        "crop_mode": False,
        "max_model_len": 4096,
        "max_new_tokens": 2048,
        "num_workers": 2,
        "gpu_mem_utilization": 0.2,
        "vllm_engine_args": {
            "enforce_eager": True,
            "max_num_batched_tokens": 4096,
            "skip_mm_profiling": True,
        },
    }


@pytest_asyncio.fixture(scope="class", loop_scope="session")
async def engine(request: pytest.FixtureRequest, scripted: Path, data_dir: Path) -> AsyncIterator[Engine]:
    """The engine that the class names."""
    backend = request.cls.backend
    settings = Settings(**settings_for(backend, scripted, data_dir))
    async with started(create_engine(settings, EngineChoice(backend, "test"))) as engine:
        yield engine


class Contract(EngineContract):
    backend: str
    reads = False


@pytest.mark.asyncio(loop_scope="session")
class TestTransformers(Contract):
    backend = "transformers"


@pytest.mark.skipif(not HAS_VLLM, reason=NO_VLLM)
@pytest.mark.asyncio(loop_scope="session")
class TestVllm(Contract):
    backend = "vllm"
