"""Native PyTorch engines on small random weights, on the CPU.

Run in the environment that `tests/vllm/setup_env.sh` makes:
`.venv-vllm/bin/python -m pytest tests/transformers`. Elsewhere the tests skip and say why.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from airgap.engines.transformers.engine import TransformersEngine
from airgap.settings.engines import EngineSettings
from tests import tiny_checkpoint
from tests.engines.started import started
from tests.tiny_settings import tiny_settings
from tests.vllm.conftest import small_machine

__all__ = ["small_machine"]

HAS_TORCH = find_spec("torch") is not None and find_spec("transformers") is not None
NO_TORCH = "torch and transformers are not installed; tests/vllm/setup_env.sh makes an environment with them"


def pytest_configure(config: pytest.Config) -> None:
    if HAS_TORCH:  # the libraries warn of each other; in this environment that is no error
        config.addinivalue_line("filterwarnings", "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(600))
            if not HAS_TORCH:
                item.add_marker(pytest.mark.skip(reason=NO_TORCH))


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint.make(tmp_path_factory.mktemp("model") / "tiny")


def options_for(model: Path, data_dir: Path, **changes: Any) -> EngineSettings:
    """What the tests' engines are built from; `changes` are settings."""
    own = {"max_new_tokens": 2048, "max_concurrency": 4, "torch_device": "cpu"}
    return tiny_settings(model, data_dir, **{**own, **changes})


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(tiny_model: Path, data_dir: Path) -> AsyncIterator[TransformersEngine]:
    async with started(TransformersEngine(options_for(tiny_model, data_dir))) as engine:
        yield engine
