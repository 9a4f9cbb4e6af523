"""The engine for other servers against vLLM's own OpenAI server, on the tiny checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from airgap.core.document import ReadOptions
from airgap.core.engine import Delta, PageRead
from airgap.engines.openai.engine import OpenAiEngine
from airgap.engines.transformers.engine import TransformersEngine
from airgap.engines.vllm.plugin import PLUGIN_NAME, SEARCH_PATH
from airgap.settings.engines import EngineSettings
from tests.conftest import free_port
from tests.engines.started import started
from tests.vllm.conftest import HAS_VLLM, NO_VLLM, page

pytestmark = pytest.mark.skipif(not HAS_VLLM, reason=NO_VLLM)


@pytest.fixture(scope="module")
def vllm_server(tiny_model: Path, data_dir: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(tiny_model)]
    command += ["--served-model-name", "deepseek-ocr", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--dtype", "float32", "--max-model-len", "4096", "--max-num-seqs", "4", "--enforce-eager"]
    command += ["--gpu-memory-utilization", "0.2", "--skip-mm-profiling", "--api-key", "secret"]
    command += ["--hf-overrides", json.dumps({"architectures": ["AirgapDeepseekOCRForCausalLM"]})]
    command += [
        "--logits-processors",
        "airgap.engines.vllm.ngram:NoRepeatNgram",
        "--no-enable-prefix-caching",
    ]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, SEARCH_PATH)),
        "VLLM_PLUGINS": PLUGIN_NAME,
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CACHE_ROOT": str(data_dir / "vllm"),
        "VLLM_HOST_IP": "127.0.0.1",
    }
    log = data_dir / "vllm-server.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 400
        while True:
            assert process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < deadline, log.read_text()[-4000:]
            try:
                if httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.5)
        yield f"{url}/v1"
    finally:
        process.terminate()
        process.wait(60)


def settings_for(url: str, **changes: Any) -> EngineSettings:
    return EngineSettings(llm_base_url=url, llm_api_key=SecretStr("secret"), **changes)


@pytest.mark.asyncio(loop_scope="session")
async def test_vllm_s_server_answers_as_the_native_engine(
    vllm_server: str, engine: TransformersEngine
) -> None:
    async with started(OpenAiEngine(settings_for(vllm_server, max_new_tokens=64))) as remote:
        assert remote.server == "vllm"
        assert remote.model == "deepseek-ocr"
        rules: list[dict[str, Any]] = [{}, {"ngram_size": 2, "window_size": 90}]
        for rule in rules:
            options = ReadOptions(prompt="Free OCR.", mode="gundam", max_tokens=24, **rule)
            answers = []
            for one in (remote, engine):
                async with aclosing(one.read([page(700, 500)], options)) as stream:
                    events = [event async for event in stream]
                assert all(isinstance(event, Delta) for event in events[:-1])
                assert isinstance(events[-1], PageRead)
                answers.append(events[-1])
            theirs, ours = answers
            assert theirs.raw == ours.raw
            assert theirs.finish_reason == ours.finish_reason == "length"
            assert theirs.usage.prompt_tokens == ours.usage.prompt_tokens
            assert theirs.usage.completion_tokens == ours.usage.completion_tokens == 24
            assert [block.text for block in theirs.blocks] == [block.text for block in ours.blocks]


@pytest.mark.asyncio(loop_scope="session")
async def test_leaving_early_frees_vllm_s_server(vllm_server: str) -> None:
    async with started(OpenAiEngine(settings_for(vllm_server))) as remote:
        options = ReadOptions(prompt="Free OCR.", max_tokens=2000)
        async with aclosing(remote.read([page(300, 200)], options)) as stream:
            await anext(stream)
        deadline = time.monotonic() + 60
        root = vllm_server.removesuffix("/v1")
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                metrics = (await client.get(f"{root}/metrics")).text
                running = [row for row in metrics.splitlines() if row.startswith("vllm:num_requests_running")]
                if sum(float(row.split()[-1]) for row in running) == 0:
                    break
                assert time.monotonic() < deadline
