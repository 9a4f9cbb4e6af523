"""Qwen-VL on tiny random weights, natively: against transformers' own `generate`, and through the engine."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from airgap.core.document import ReadOptions
from airgap.core.engine import PageRead
from airgap.engines.model_folder import verify
from airgap.engines.transformers.engine import TransformersEngine
from airgap.models import qwen_vl
from tests import tiny_qwen
from tests.engines.started import started
from tests.transformers.conftest import options_for
from tests.vllm.conftest import page

VERSIONS: list[qwen_vl.Version] = ["2", "2.5", "3"]


@pytest.fixture(scope="module", params=VERSIONS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen.make(tmp_path_factory.mktemp("qwen") / request.param, request.param)


def decoder_of(folder: Path) -> Any:
    import torch

    from airgap.engines.transformers.models import Placement
    from airgap.engines.transformers.qwen import QwenDecoder

    return QwenDecoder(verify(folder), Placement(torch.device("cpu"), torch.float32, torch.float32))


def test_tokens_are_those_of_transformers_generate(folder: Path) -> None:
    """Prefill, row cache and positions against the library's own loop; two pages of unlike length at once."""
    import torch

    from airgap.engines.transformers.slot_cache import SlotCache

    decoder = decoder_of(folder)
    pages = [
        decoder.inputs(page(300, 200), ReadOptions(prompt="text", language="ru")),
        decoder.inputs(page(200, 400, seed=1), ReadOptions(prompt="table")),
    ]
    expected = []
    with torch.inference_mode():
        for one in pages:
            ids = torch.tensor([one.ids])
            found = decoder.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                pixel_values=torch.from_numpy(one.patches),
                image_grid_thw=torch.tensor([one.grid]),
                mm_token_type_ids=(ids == tiny_qwen.IDS["<|image_pad|>"]).int(),
                max_new_tokens=12,
                do_sample=False,
            )
            expected.append(found[0, len(one.ids) :].tolist())
        tokens: list[list[int]] = []
        cache, lengths, positions = SlotCache(), [], []
        for row, one in enumerate(pages):
            prefilled = decoder.prefill(one, None)
            cache.put(row, prefilled.cache, len(one.ids))
            tokens.append([int(prefilled.logits.argmax())])
            lengths.append(len(one.ids))
            positions.append(prefilled.position)
        for step in range(11):
            mask = cache.aim([length + step for length in lengths], torch.device("cpu"))
            last = torch.tensor([[row[-1]] for row in tokens])
            where = torch.tensor([[position + step] for position in positions])
            for said, logits in zip(tokens, decoder.decode(last, where, cache, mask), strict=True):
                said.append(int(logits.argmax()))
    assert tokens == expected


async def test_pages_are_read_with_tasks_and_language(folder: Path, data_dir: Path) -> None:
    async with started(TransformersEngine(options_for(folder, data_dir))) as engine:
        assert engine.capabilities.supports_modes is False
        requests = [ReadOptions(prompt=task, language="ru", max_tokens=16) for task in qwen_vl.TASKS]
        ends = await asyncio.gather(*(_read(engine, options) for options in requests))
    for end in ends:
        assert end.raw
        assert end.finish_reason == "length"
        assert end.usage.completion_tokens == 16
        assert end.usage.image_tokens > 0
        assert end.usage.prompt_tokens > end.usage.image_tokens


async def _read(engine: TransformersEngine, options: ReadOptions) -> PageRead:
    async with aclosing(engine.read([page(300, 200)], options)) as events:
        end = [event async for event in events][-1]
    assert isinstance(end, PageRead)
    return end
