"""The vLLM engine reads pages: in every mode, in a crowd, and as the engine contract says."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import aclosing
from pathlib import Path

import pytest
from PIL import Image

from airgap.core.document import AnswerShape, Mode, ReadOptions
from airgap.core.engine import Delta, Engine
from airgap.core.errors import ConfigurationError, EngineUnavailable, InvalidOption
from airgap.engines.model_folder import write_manifest
from airgap.engines.vllm.engine import VllmEngine
from airgap.engines.vllm.requests import TOKENS_PER_LIVE_PIECE, TOKENS_PER_PIECE
from deepseek_ocr import num_image_tokens, strip_special
from process.ngram_norepeat import banned_tokens
from tests import tiny_checkpoint
from tests.vllm.conftest import options_for, page, read, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_fulfils_the_protocol(engine: VllmEngine) -> None:
    assert isinstance(engine, Engine)
    assert engine.device == "cpu"
    assert engine.health() == (True, "the engine is ready")
    assert engine.folder is not None
    assert engine.folder.family == "deepseek-ocr"


@pytest.mark.parametrize(
    ("mode", "size"),
    [
        ("tiny", (500, 400)),
        ("small", (900, 500)),
        ("base", (700, 1000)),
        ("gundam", (600, 600)),
        ("gundam", (1300, 640)),
    ],
)
async def test_reads_in_every_mode(engine: VllmEngine, mode: Mode, size: tuple[int, int]) -> None:
    deltas, end = await read(engine, page(*size), mode, confidence=True)
    assert "".join(deltas) == end.raw
    assert len(deltas) > 1
    assert end.raw
    assert end.usage.image_tokens == num_image_tokens(mode, *size)
    assert end.usage.prompt_tokens == end.usage.image_tokens + len("\nFree OCR.") + 1
    assert end.usage.completion_tokens == 24
    assert end.finish_reason == "length"
    assert end.confidence is not None
    assert 0 < end.confidence <= 1
    assert all(block.confidence is None or 0 < block.confidence <= 1 for block in end.blocks)
    assert any(block.confidence for block in end.blocks)


async def test_confidence_is_computed_where_it_is_asked_for(engine: VllmEngine) -> None:
    _, without = await read(engine, page())
    _, asked = await read(engine, page(), confidence=True)
    assert without.raw == asked.raw
    assert without.confidence is None
    assert {block.confidence for block in without.blocks} == {None}
    assert asked.confidence is not None


async def test_text_comes_by_pieces_and_more_of_them_where_somebody_takes_it(engine: VllmEngine) -> None:
    """The first token comes alone; a piece of special tokens alone may have no text."""
    pieces = {live: (await read(engine, page(), live=live, max_tokens=65))[0] for live in (False, True)}
    assert "".join(pieces[False]) == "".join(pieces[True])
    assert 3 <= len(pieces[False]) <= 1 + 64 / TOKENS_PER_PIECE
    assert 10 <= len(pieces[True]) <= 1 + 64 / TOKENS_PER_LIVE_PIECE


async def test_the_picture_and_the_mode_make_a_difference(engine: VllmEngine) -> None:
    raws = [
        (await read(engine, page(seed=seed), mode))[1].raw for seed in (1, 2) for mode in ("tiny", "small")
    ]
    assert len(set(raws)) == 4


async def test_eight_pages_in_three_modes_at_once_read_as_each_alone(engine: VllmEngine) -> None:
    modes: list[Mode] = ["tiny", "small", "base", "tiny", "small", "tiny", "tiny", "small"]
    pages = [page(300 + 20 * i, 400, seed=i) for i in range(8)]
    alone = [
        (await read(engine, image, mode, confidence=True))[1]
        for image, mode in zip(pages, modes, strict=True)
    ]
    results = await asyncio.gather(
        *(read(engine, image, mode, confidence=True) for image, mode in zip(pages, modes, strict=True))
    )
    crowd = [end for _, end in results]
    assert [end.raw for end in crowd] == [end.raw for end in alone]
    assert [end.usage for end in crowd] == [end.usage for end in alone]
    for one, other in zip(crowd, alone, strict=True):
        assert one.confidence == pytest.approx(other.confidence, rel=1e-3)
    assert len({end.raw for end in alone}) == 8


async def test_tiles_that_sum_to_zero_do_not_stop_the_engine(engine: VllmEngine) -> None:
    """Half black, half white is -1 and +1 in equal parts; upstream then drops the tiles and dies."""
    image = Image.new("RGB", (1280, 640), "black")
    image.paste("white", (640, 0, 1280, 640))
    _, end = await read(engine, image, "gundam", max_tokens=4)
    assert end.usage.image_tokens == num_image_tokens("gundam", 1280, 640)
    assert engine.health()[0]


async def test_answers_a_prompt_without_a_picture(engine: VllmEngine) -> None:
    deltas, end = await read(engine, None, prompt="Say something.")
    assert "".join(deltas) == end.raw
    assert end.usage.image_tokens == 0
    assert end.usage.prompt_tokens == len("Say something.") + 1


async def test_obeys_the_no_repeat_rule(engine: VllmEngine) -> None:
    """With pairs forbidden, every token is one that the rule allows after those before it."""
    _, free = await read(engine, page(seed=5), max_tokens=80, ngram_size=30, window_size=90)
    _, bound = await read(engine, page(seed=5), max_tokens=80, ngram_size=2, window_size=40)
    tokenizer = engine._process.current().get_tokenizer()
    ids = tokenizer.encode(bound.raw, add_special_tokens=False)
    assert len(ids) == bound.usage.completion_tokens - (bound.finish_reason == "stop")
    forbidden = [banned_tokens(ids[:i], 2, 40, {128821, 128822}) for i in range(len(ids))]
    assert not [token for token, banned in zip(ids, forbidden, strict=True) if token in banned]
    assert any(forbidden)
    assert free.raw != bound.raw


async def test_bounds_of_a_request(engine: VllmEngine) -> None:
    _, end = await read(engine, page(), max_tokens=3)
    assert (end.usage.completion_tokens, end.finish_reason) == (3, "length")
    with pytest.raises(InvalidOption):
        await read(engine, page(), prompt="x" * 7000)
    with pytest.raises(InvalidOption):
        await read(engine, page(), prompt="<image> and <image>")
    assert engine.health()[0]


async def test_leaving_the_stream_early_ends_the_request_in_the_engine(engine: VllmEngine) -> None:
    llm = engine._process.current()
    async with aclosing(engine.read([page()], ReadOptions(mode="tiny", max_tokens=1000))) as stream:
        assert isinstance(await anext(stream), Delta)
        assert llm.output_processor.get_num_unfinished_requests() == 1
    assert llm.output_processor.get_num_unfinished_requests() == 0
    assert engine._active == 0


async def test_a_cancelled_task_ends_its_request(engine: VllmEngine) -> None:
    llm = engine._process.current()
    task = asyncio.create_task(read(engine, page(), max_tokens=1000))
    await until(lambda: llm.output_processor.get_num_unfinished_requests() == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert llm.output_processor.get_num_unfinished_requests() == 0


async def test_code_beside_the_weights_was_not_imported(engine: VllmEngine, tiny_model: Path) -> None:
    assert (tiny_model / "modeling_deepseekocr.py").is_file()
    assert not (tiny_model.parent / "imported").exists()


async def test_a_flipped_byte_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    folder = tiny_checkpoint.make(tmp_path / "tiny")
    write_manifest(folder)
    shard = folder / "model-00001-of-000001.safetensors"
    with shard.open("r+b") as file:
        file.seek(-1000, 2)
        byte = file.read(1)[0]
        file.seek(-1000, 2)
        file.write(bytes([byte ^ 1]))
    engine = VllmEngine(options_for(folder, tmp_path))
    with pytest.raises(ConfigurationError, match=shard.name):
        await engine.start()
    assert not engine.health()[0]
    with pytest.raises(EngineUnavailable):
        await read(engine, page())
    await engine.close()


async def test_a_tokenizer_that_loses_line_breaks_is_refused(tmp_path: Path) -> None:
    """What transformers makes of a folder that was saved again under another model_type."""
    folder = tiny_checkpoint.make(tmp_path / "tiny", weights=False)
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"deepseek_vl_v2"', '"DeepseekOCR"'))
    with pytest.raises(ConfigurationError, match="model_type"):
        await VllmEngine(options_for(folder, tmp_path)).start()


SCHEMA = {
    "type": "object",
    "properties": {"a": {"enum": ["x", "y"]}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        (
            AnswerShape("json", json.dumps(SCHEMA)),
            r'\s*\{\s*"a"\s*:\s*"[xy]"\s*\}\s*',
        ),
        (AnswerShape("regex", "[a-c]{3}-[0-9]{2}"), r"[a-c]{3}-[0-9]{2}"),
        (AnswerShape("choice", '["invoice", "letter"]'), r"invoice|letter"),
        (AnswerShape("grammar", 'root ::= "yes" | "no"'), r"yes|no"),
    ],
)
async def test_answers_are_held_to_a_shape(engine: VllmEngine, shape: AnswerShape, fits: str) -> None:
    """The weights are random: without the shape they would say anything."""
    _, end = await read(engine, page(), prompt="What is it?", shape=shape, max_tokens=64)
    assert re.fullmatch(fits, strip_special(end.raw)), end.raw


async def test_a_shape_that_cannot_be_is_refused(engine: VllmEngine) -> None:
    with pytest.raises(InvalidOption, match="refused"):
        await read(engine, page(), shape=AnswerShape("regex", "(unclosed"))
