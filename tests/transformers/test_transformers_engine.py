"""The native engine: streams, many pages at once, leaving early, loops, FlashAttention, DeepSeek-OCR-2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from airgap.core.document import ReadOptions
from airgap.core.engine import Delta, PageRead
from airgap.core.errors import ConfigurationError, EngineUnavailable, InvalidOption
from airgap.engines.transformers.engine import TransformersEngine
from tests import tiny_checkpoint, tiny_qwen
from tests.conftest import running_server
from tests.engines.contract import page as printed_page
from tests.engines.started import started
from tests.transformers.conftest import options_for
from tests.vllm.conftest import HAS_VLLM, LONG_CYCLE, NO_VLLM, page


async def read(engine: TransformersEngine, image: Any, **options: Any) -> tuple[list[str], PageRead]:
    options = {"mode": "tiny", "prompt": "Free OCR.", "max_tokens": 24, **options}
    async with aclosing(engine.read([image] if image else [], ReadOptions(**options))) as stream:
        events = [event async for event in stream]
    *deltas, end = events
    assert isinstance(end, PageRead)
    return [delta.text for delta in deltas if isinstance(delta, Delta)], end


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def looping(
    tmp_path_factory: pytest.TempPathFactory, data_dir: Path
) -> AsyncIterator[TransformersEngine]:
    """After "." a row of empty cells that never ends, after "!" a cycle longer than the rule's window."""
    cycle = dict(zip(LONG_CYCLE, [[c] for c in (*LONG_CYCLE[1:], LONG_CYCLE[0])], strict=True))
    script = {**cycle, "!": [LONG_CYCLE[0]], ".": ["<td>"], "<td>": ["</td>"], "</td>": ["<td>"]}
    folder = tmp_path_factory.mktemp("model") / "looping"
    tiny_checkpoint.make(folder, sizes=tiny_checkpoint.SCRIPTED, script=script)
    async with started(
        TransformersEngine(options_for(folder, data_dir, max_model_len=8192, max_new_tokens=8000))
    ) as engine:
        yield engine


@pytest.mark.asyncio(loop_scope="session")
async def test_it_streams(engine: TransformersEngine) -> None:
    deltas, end = await read(engine, page())
    assert len(deltas) > 5
    assert "".join(deltas) == end.raw
    assert (end.usage.completion_tokens, end.usage.image_tokens) == (24, 73)
    assert end.confidence is not None
    assert 0 < end.confidence <= 1


@pytest.mark.asyncio(loop_scope="session")
async def test_pages_are_decoded_together_and_read_as_alone(engine: TransformersEngine) -> None:
    images = [page(seed=seed) for seed in range(6)]
    alone = [(await read(engine, image, max_tokens=8 + 4 * i))[1] for i, image in enumerate(images)]
    assert engine._batch is not None
    widest = 0

    async def watch() -> None:
        nonlocal widest
        while True:
            widest = max(widest, engine._batch.widest if engine._batch else 0)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    crowd = await asyncio.gather(
        *(read(engine, image, max_tokens=8 + 4 * i) for i, image in enumerate(images))
    )
    watching.cancel()
    assert [end.raw for _, end in crowd] == [end.raw for end in alone]
    assert 1 < widest <= engine.max_concurrency == 4


@pytest.mark.asyncio(loop_scope="session")
async def test_leaving_early_frees_the_row(engine: TransformersEngine) -> None:
    async with aclosing(engine.read([page()], ReadOptions(mode="tiny", max_tokens=2000))) as stream:
        await anext(stream)
    assert engine._batch is not None
    async with asyncio.timeout(60):
        while engine._batch.widest:
            await asyncio.sleep(0.01)


@pytest.mark.asyncio(loop_scope="session")
async def test_a_prompt_too_long_is_refused_and_the_next_page_is_read(
    tiny_model: Path, data_dir: Path
) -> None:
    short = options_for(tiny_model, data_dir).model_copy(update={"max_model_len": 100})
    async with started(TransformersEngine(short)) as engine:
        with pytest.raises(InvalidOption, match="tokens of 100"):
            await read(engine, page(), prompt="word " * 50)
        _, end = await read(engine, page(), max_tokens=500)
        assert end.finish_reason == "length"
        assert end.usage.prompt_tokens + end.usage.completion_tokens == 100


@pytest.mark.asyncio(loop_scope="session")
async def test_the_n_gram_rule_holds(engine: TransformersEngine) -> None:
    _, end = await read(engine, page(), max_tokens=120, ngram_size=2, window_size=200)
    ids = engine._decoder.tokenizer.encode(end.raw, add_special_tokens=False).ids
    pairs = [pair for pair in pairwise(ids) if not {128821, 128822} & set(pair)]
    assert len(pairs) == len(set(pairs))


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("prompt", ["Free OCR.", "Free OCR!"])
async def test_a_loop_is_stopped_and_cut(looping: TransformersEngine, prompt: str) -> None:
    _, end = await read(looping, page(), prompt=prompt, max_tokens=8000)
    assert end.finish_reason == "repetition"
    assert end.status == "degraded"
    assert end.usage.completion_tokens < 7000
    assert sum(len(block.text) for block in end.blocks) < len(end.raw) / 4


@pytest.mark.asyncio(loop_scope="session")
async def test_flash_attention_is_never_silent(tiny_model: Path, data_dir: Path) -> None:
    auto = TransformersEngine(options_for(tiny_model, data_dir))
    await auto.start()
    assert auto.attention.startswith("SDPA: FlashAttention needs a CUDA GPU")
    await auto.close()
    wanted = TransformersEngine(options_for(tiny_model, data_dir, use_flash_attention="true"))
    with pytest.raises(EngineUnavailable, match="USE_FLASH_ATTENTION=true"):
        await wanted.start()
    with pytest.raises(EngineUnavailable, match="CUDA"):
        await TransformersEngine(options_for(tiny_model, data_dir, torch_device="cuda")).start()


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("dtype", "vision"), [("bf16", "same"), ("bf16", "fp32")])
async def test_number_formats(tiny_model: Path, data_dir: Path, dtype: str, vision: str) -> None:
    import torch

    async with started(
        TransformersEngine(options_for(tiny_model, data_dir, torch_dtype=dtype, vision_dtype=vision))
    ) as engine:
        model = engine._decoder.model
        assert model.lm_head.weight.dtype == torch.bfloat16
        expected = torch.float32 if vision == "fp32" else torch.bfloat16
        assert {p.dtype for p in model.sam.parameters()} == {expected}
        assert {p.dtype for p in model.clip.parameters()} == {expected}
        _, end = await read(engine, page(), max_tokens=4)
        assert end.usage.completion_tokens == 4


@pytest.mark.asyncio(loop_scope="session")
async def test_closing_ends_what_is_read(tiny_model: Path, data_dir: Path) -> None:
    engine = TransformersEngine(options_for(tiny_model, data_dir))
    await engine.start()
    reading = asyncio.create_task(read(engine, page(), max_tokens=2000))
    while engine._batch is not None and not engine._batch.widest:
        await asyncio.sleep(0.01)
    await engine.close()
    with pytest.raises(EngineUnavailable):
        await reading
    with pytest.raises(EngineUnavailable):
        await read(engine, page())
    assert not engine.health()[0]


@pytest.mark.asyncio(loop_scope="session")
async def test_a_folder_that_is_not_right_is_refused(
    tiny_model: Path, data_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError):
        await TransformersEngine(options_for(tmp_path, data_dir)).start()


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.skipif(not HAS_VLLM, reason=NO_VLLM)
async def test_deepseek_ocr_2_answers_as_on_vllm(tmp_path: Path, data_dir: Path) -> None:
    from airgap.engines.vllm.engine import VllmEngine
    from tests.vllm.conftest import options_for as vllm_options_for

    folder = tiny_checkpoint.make(
        tmp_path / "two", family="deepseek-ocr-2", sizes=tiny_checkpoint.Sizes(qwen_layers=2)
    )
    native = TransformersEngine(options_for(folder, data_dir))
    vllm = VllmEngine(vllm_options_for(folder, data_dir, gpu_mem_utilization=0.2))
    answers = []
    for engine in (native, vllm):
        await engine.start()
        try:
            pages = [page(500, 400), page(1300, 900, seed=3)]
            answers.append([(await read(engine, one, mode=None, confidence=True))[1] for one in pages])  # type: ignore[arg-type]
        finally:
            await engine.close()
    for ours, theirs in zip(*answers, strict=True):
        assert replace(ours, confidence=None, blocks=()) == replace(theirs, confidence=None, blocks=())
        assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-3)
    assert answers[0][0].usage.image_tokens == 257
    assert answers[0][1].usage.image_tokens == 257 + 6 * 144


def test_ocr_with_a_language_on_qwen(tmp_path: Path) -> None:
    import base64
    import io

    folder = tiny_qwen.make(tmp_path / "qwen")
    buffer = io.BytesIO()
    printed_page().save(buffer, "PNG")
    body = {
        "image_base64": base64.b64encode(buffer.getvalue()).decode(),
        "prompt": "markdown",
        "sampling": {"max_tokens": 8},
    }
    settings: dict[str, Any] = {
        "BACKEND": "transformers",
        "MODEL_PATH": str(folder),
        "MODEL_ID": "tiny-qwen",
        "TORCH_DTYPE": "fp32",
        "MAX_NEW_TOKENS": "16",
    }
    with running_server(tmp_path, 300, **settings) as url:
        answers = {}
        for language in ("ru", "zh-Hant"):
            answer = httpx.post(
                f"{url}/ocr", json=body | {"language": language}, timeout=200, trust_env=False
            )
            assert answer.status_code == 200, answer.text
            answers[language] = answer.json()
    assert answers["ru"]["raw_output"]
    assert answers["ru"]["model_name"] == "tiny-qwen"
    assert answers["ru"]["raw_output"] != answers["zh-Hant"]["raw_output"]
    lengths = [answers[language]["usage"]["prompt_tokens"] for language in ("ru", "zh-Hant")]
    assert lengths[1] - lengths[0] == len("Traditional Chinese") - len("Russian")  # a token is a byte
