"""vLLM and the native engine on one checkpoint: float32, greedy; the same tokens, logits within 1e-3."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from airgap.core.document import Mode, ReadOptions
from airgap.core.engine import PageRead
from airgap.engines.transformers.engine import TransformersEngine
from airgap.engines.vllm.engine import VllmEngine
from tests.engines.started import started
from tests.transformers.conftest import options_for
from tests.vllm.conftest import HAS_VLLM, NO_VLLM, page
from tests.vllm.conftest import options_for as vllm_options_for

pytestmark = pytest.mark.skipif(not HAS_VLLM, reason=NO_VLLM)

SMALL, LARGE = (500, 400), (1300, 700)
CASES: list[tuple[Mode, tuple[int, int]]] = [
    ("tiny", LARGE),
    ("small", LARGE),
    ("base", LARGE),
    ("large", LARGE),
    ("gundam", SMALL),
    ("gundam", LARGE),
]
TOKENS = 20
REQUESTS = count()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def native(tiny_model: Path, data_dir: Path) -> AsyncIterator[TransformersEngine]:
    async with started(TransformersEngine(options_for(tiny_model, data_dir))) as engine:
        yield engine


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def vllm(tiny_model: Path, data_dir: Path) -> AsyncIterator[VllmEngine]:
    async with started(VllmEngine(vllm_options_for(tiny_model, data_dir, gpu_mem_utilization=0.3))) as engine:
        yield engine


async def vllm_tokens(engine: VllmEngine, image: Any, options: ReadOptions) -> list[dict[int, float]]:
    """For each generated token: the chosen one first, then the likeliest, with log-probabilities."""
    llm = engine._process.current()
    request_id = f"parity-{next(REQUESTS)}"
    prompt = await engine._prompt(llm, [image], options, request_id)
    sampling = engine._sampling(options)
    sampling.logprobs = 20
    steps: list[dict[int, float]] = []
    async with aclosing(llm.generate(prompt, sampling, request_id)) as outputs:
        async for output in outputs:
            completion = output.outputs[0]
            for token, found in zip(completion.token_ids, completion.logprobs, strict=True):
                chosen = {token: found[token].logprob}
                steps.append(chosen | {i: entry.logprob for i, entry in found.items()})
    return steps


def native_tokens(engine: TransformersEngine, image: Any, options: ReadOptions) -> list[tuple[int, Any]]:
    """For each generated token: its id and all log-probabilities."""
    import queue

    import torch

    from airgap.engines.transformers.batch import Finished, Job, Token

    decoder, events = engine._decoder, queue.SimpleQueue[Any]()
    rows: list[Any] = []
    prefill, decode = decoder.prefill, decoder.decode

    def watched_prefill(*args: Any) -> Any:
        result = prefill(*args)
        rows.append(torch.log_softmax(result.logits.float(), -1))
        return result

    def watched_decode(*args: Any) -> Any:
        result = decode(*args)
        rows.append(torch.log_softmax(result[0].float(), -1))
        return result

    decoder.prefill, decoder.decode = watched_prefill, watched_decode
    try:
        inputs = decoder.inputs(image, options)
        assert engine._batch is not None
        engine._batch.submit(Job(inputs, len(inputs.ids), engine._sampling(options), events.put))
        ids = []
        while not isinstance(event := events.get(timeout=300), Finished):
            assert isinstance(event, Token), event
            ids.append(event.id)
    finally:
        del decoder.prefill, decoder.decode
    return list(zip(ids, rows, strict=False))


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("mode", "size"), CASES)
@pytest.mark.parametrize("prompt", ["Free OCR.", "<|grounding|>Convert the document to markdown."])
async def test_the_same_tokens_and_logits(
    native: TransformersEngine, vllm: VllmEngine, mode: Mode, size: tuple[int, int], prompt: str
) -> None:
    options = ReadOptions(prompt=prompt, mode=mode, max_tokens=TOKENS, ngram_size=4, window_size=20)
    image = page(*size, seed=len(prompt))
    theirs = await vllm_tokens(vllm, image, options)
    ours = native_tokens(native, image, options)
    assert [token for token, _ in ours] == [next(iter(step)) for step in theirs]
    for (_, logprobs), step in zip(ours, theirs, strict=True):
        for token, logprob in step.items():
            assert abs(float(logprobs[token]) - logprob) < 1e-3


@pytest.mark.asyncio(loop_scope="session")
async def test_the_same_page_through_the_contract(native: TransformersEngine, vllm: VllmEngine) -> None:
    options = ReadOptions(mode="tiny", max_tokens=40, confidence=True)
    ends = []
    for engine in (native, vllm):
        async with aclosing(engine.read([page()], options)) as events:
            ends.append([event async for event in events][-1])
    ours, theirs = ends
    assert isinstance(ours, PageRead)
    assert isinstance(theirs, PageRead)
    assert replace(ours, confidence=None, blocks=()) == replace(theirs, confidence=None, blocks=())
    assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-3)
    assert [(block.label, block.text) for block in ours.blocks] == [
        (block.label, block.text) for block in theirs.blocks
    ]
