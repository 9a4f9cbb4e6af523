"""The contract over every engine of the table that runs without a model folder.

The others run it where their libraries are: `tests/transformers` and `tests/vllm`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from airgap.core.engine import Engine
from airgap.core.errors import AirgapError, ConfigurationError, EngineUnavailable
from airgap.engines.table import ENGINES, EngineChoice, create_engine
from config import Settings
from tests.engines.contract import EngineContract, page
from tests.engines.started import started

__all__ = ["page"]

# `openai` reads on a server of ours; a list falls over to its second engine when the first fails.
HERE = ["fake", "rapidocr", "openai", "openai,rapidocr"]


@pytest_asyncio.fixture(params=HERE, scope="class", loop_scope="module")
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    settings: dict[str, Any] = {"backend": request.param}
    if "openai" in request.param:
        settings["llm_base_url"] = f"{request.getfixturevalue('cpu_server')}/v1"
    async with started(create_engine(Settings(**settings), EngineChoice(request.param, "test"))) as built:
        yield built


@pytest.mark.asyncio(loop_scope="module")
class TestEngines(EngineContract):
    pass


def test_an_engine_is_given_the_settings_themselves(tmp_path: Path) -> None:
    settings = Settings(model_path=tmp_path, llm_base_url="http://127.0.0.1:9/v1", max_crops=3)
    for name in ("vllm", "transformers", "openai"):
        engine: Any = create_engine(settings, EngineChoice(name, "test"))
        assert engine.settings is settings


@pytest.mark.parametrize(
    ("name", "missing"),
    [("vllm", "MODEL_PATH"), ("transformers", "MODEL_PATH"), ("openai", "LLM_BASE_URL")],
)
def test_an_engine_says_which_setting_it_lacks(name: str, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{missing} is not set"):
        create_engine(Settings(), EngineChoice(name, "test"))


def test_an_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(AirgapError, match="nonsense"):
        create_engine(Settings(), EngineChoice("nonsense", "test"))


def test_an_engine_without_its_libraries_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ENGINES["fake"].__class__("engines.not_there:Engine", lambda settings: {})
    monkeypatch.setitem(ENGINES, "fake", missing)
    with pytest.raises(EngineUnavailable) as caught:
        create_engine(Settings(backend="fake"), EngineChoice("fake", "test"))
    assert "Install" in caught.value.remedy
