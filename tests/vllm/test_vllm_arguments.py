"""VLLM_ENGINE_ARGS against the real vLLM: refused before the model's folder is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from airgap.core.errors import ConfigurationError
from airgap.engines.vllm.engine import VllmEngine
from airgap.engines.vllm.given_arguments import known_names
from tests.vllm.conftest import options_for


@pytest.mark.asyncio(loop_scope="session")
async def test_a_misspelt_argument_stops_the_start_before_the_model(tmp_path: Path) -> None:
    no_model = tmp_path / "no-model"
    wrong = options_for(no_model, tmp_path, vllm_engine_args={"max_num_batched_token": 4096})
    with pytest.raises(ConfigurationError, match="VLLM_ENGINE_ARGS") as caught:
        await VllmEngine(wrong).start()
    assert "'max_num_batched_token'" in caught.value.message
    assert "max_num_batched_tokens" in caught.value.message
    with pytest.raises(ConfigurationError) as caught:
        await VllmEngine(options_for(no_model, tmp_path)).start()
    assert "VLLM_ENGINE_ARGS" not in caught.value.message
    assert str(no_model) in caught.value.message


def test_what_the_documents_set_is_known() -> None:
    assert {"enforce_eager", "max_num_batched_tokens", "seed", "speculative_config"} <= known_names()
