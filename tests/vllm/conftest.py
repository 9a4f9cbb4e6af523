"""The real vLLM on the real architecture with small random weights, on the CPU.

Run in the environment that `setup_env.sh` makes: `.venv-vllm/bin/python -m pytest tests/vllm`. Elsewhere
the tests skip and say why. An engine takes half a minute to start, so each is shared.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from airgap.core.document import Mode, ReadOptions
from airgap.core.engine import Delta, PageRead
from airgap.engines.vllm.engine import VllmEngine
from airgap.settings.engines import EngineSettings
from tests import tiny_checkpoint
from tests.engines.started import started
from tests.tiny_settings import tiny_settings

HAS_VLLM = find_spec("vllm") is not None
NO_VLLM = "vLLM is not installed; tests/vllm/setup_env.sh makes an environment that has it"

# After "." comes a row of empty cells that never ends, after "!" a cycle that the n-gram rule's window
# is too short for.
LONG_CYCLE = [chr(code) for code in range(33, 127) if chr(code) not in "!."]


def pytest_configure(config: pytest.Config) -> None:
    if HAS_VLLM:  # vLLM and its dependencies warn of each other; in this environment that is no error
        config.addinivalue_line("filterwarnings", "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(400))
            if not HAS_VLLM:
                item.add_marker(pytest.mark.skip(reason=NO_VLLM))


@pytest.fixture(scope="session", autouse=True)
def small_machine() -> Iterator[None]:
    """What vLLM's CPU build is told about this machine.

    Left to itself it binds every engine to the same core of two, and leaves the other one idle.
    """
    kept = dict(os.environ)
    own = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
    os.environ |= own
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, with code beside them that must never run."""
    folder = tiny_checkpoint.make(tmp_path_factory.mktemp("model") / "tiny")
    marker = folder.parent / "imported"
    for name in ("modeling_deepseekocr.py", "configuration_deepseek_v2.py"):
        (folder / name).write_text(f"open({str(marker)!r}, 'w').close()\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {
        "AutoConfig": "modeling_deepseekocr.DeepseekOCRConfig",
        "AutoModel": "modeling_deepseekocr.DeepseekOCRForCausalLM",
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def scripted_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cycle = zip(LONG_CYCLE, [*LONG_CYCLE[1:], LONG_CYCLE[0]], strict=True)
    script = {
        **{one: [two] for one, two in cycle},
        "!": [LONG_CYCLE[0]],
        ".": ["<td>"],
        "<td>": ["</td>"],
        "</td>": ["<td>"],
    }
    folder = tmp_path_factory.mktemp("model") / "scripted"
    return tiny_checkpoint.make(folder, sizes=tiny_checkpoint.SCRIPTED, script=script)


def options_for(model: Path, data_dir: Path, **changes: Any) -> EngineSettings:
    """What the tests' engines are built from; `changes` are settings."""
    own = {
        "max_new_tokens": 3900,
        "max_concurrency": 8,
        "max_queue": 8,
        "vllm_engine_args": {"max_num_batched_tokens": 4096},
    }
    return tiny_settings(model, data_dir, **{**own, **changes})


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(tiny_model: Path, data_dir: Path) -> AsyncIterator[VllmEngine]:
    async with started(VllmEngine(options_for(tiny_model, data_dir))) as engine:
        yield engine


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def scripted(scripted_model: Path, data_dir: Path) -> AsyncIterator[VllmEngine]:
    options = options_for(scripted_model, data_dir, max_concurrency=2, max_queue=2)
    async with started(VllmEngine(options, shutdown_seconds=0.1)) as engine:
        yield engine


def page(width: int = 500, height: int = 400, seed: int = 0) -> Image.Image:
    """Noise in blocks of 20 pixels: every page another, nothing lost by scaling."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 20, width // 20, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST)


async def read(
    engine: VllmEngine, image: Image.Image | None, mode: Mode = "tiny", **options: Any
) -> tuple[list[str], PageRead]:
    """The deltas and the end of one page."""
    options = {"prompt": "Free OCR.", "max_tokens": 24, **options}
    images = [] if image is None else [image]
    async with aclosing(engine.read(images, ReadOptions(mode=mode, **options))) as stream:
        events = [event async for event in stream]
    assert isinstance(events[-1], PageRead)
    deltas = [event for event in events[:-1] if isinstance(event, Delta)]
    assert len(deltas) == len(events) - 1
    return [event.text for event in deltas], events[-1]


async def until(condition: Any, seconds: float = 120.0) -> None:
    """Wait for `condition()`; a hang becomes a failure."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)
