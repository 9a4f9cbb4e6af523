"""The plug-in's model: views in batches against upstream's one by one, and the second family."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airgap.engines.vllm.engine import VllmEngine
from process.image_process import Prepared, prepare
from tests import tiny_checkpoint
from tests.vllm.conftest import options_for, page, read, until

TOLERANCE = 2e-3


@pytest.fixture(scope="module")
def model(tiny_model: Path, data_dir: Path) -> Iterator[Any]:
    """Our model with its weights, in this process."""
    from vllm.config import set_current_vllm_config
    from vllm.distributed import cleanup_dist_env_and_memory
    from vllm.distributed.parallel_state import init_distributed_environment, initialize_model_parallel
    from vllm.engine.arg_utils import EngineArgs
    from vllm.model_executor.model_loader import get_model

    from airgap.engines.model_folder import verify
    from airgap.engines.vllm.plugin import register

    register()
    engine = VllmEngine(options_for(tiny_model, data_dir))
    engine.folder = verify(tiny_model)
    config = EngineArgs(**engine._engine_args()).create_engine_config()
    with set_current_vllm_config(config), pytest.MonkeyPatch.context() as patch:
        # the loader empties an accelerator's cache; vLLM's CPU worker takes that call away, as here
        patch.setattr("torch.accelerator.empty_cache", lambda: None)
        init_distributed_environment(1, 0, f"file://{data_dir}/rendezvous", 0, backend="gloo")
        initialize_model_parallel(1, 1)
        yield get_model(vllm_config=config)
    gc.collect()
    cleanup_dist_env_and_memory()


def inputs(pages: list[Prepared]) -> dict[str, Any]:
    """What vLLM hands to `embed_multimodal` for several pictures of one step."""
    import torch

    packed = [each.packed() for each in pages]
    return {
        "pixel_values": stacked([torch.from_numpy(view) for view, _ in packed]),
        "images_crop": stacked([torch.from_numpy(tiles) for _, tiles in packed]),
        "images_spatial_crop": torch.tensor([each.grid for each in pages]),
    }


def stacked(tensors: list[Any]) -> Any:
    import torch

    return torch.stack(tensors) if len({tensor.shape for tensor in tensors}) == 1 else tensors


def upstream(model: Any, prepared: Prepared) -> Any:
    """The same weights through upstream's own code, for one picture of normalised floats."""
    import torch
    from vllm.model_executor.models.deepseek_ocr import DeepseekOCRForCausalLM

    def normalised(views: np.ndarray) -> Any:
        return torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255 * 2 - 1

    (features,) = DeepseekOCRForCausalLM.embed_multimodal(
        model,
        pixel_values=normalised(prepared.global_view[None]),
        images_crop=normalised(prepared.tiles),
        images_spatial_crop=torch.tensor([prepared.grid]),
    )
    return features


def test_pictures_of_several_modes_are_encoded_as_by_upstream(model: Any) -> None:
    import torch

    pages = [
        prepare(page(500, 400, 1), "tiny"),
        prepare(page(700, 360, 2), "gundam"),
        prepare(page(400, 500, 3), "tiny"),
        prepare(page(360, 700, 4), "gundam"),
        prepare(page(640, 480, 5), "small"),
        prepare(page(700, 360, 6).convert("L").convert("RGB"), "gundam"),
    ]
    with torch.inference_mode():
        together = model.embed_multimodal(**inputs(pages))
        assert pages[-1].grey
        assert [len(features) for features in together] == [each.num_image_tokens for each in pages]
        for prepared, features in zip(pages, together, strict=True):
            expected = upstream(model, prepared)
            assert features.shape == expected.shape
            assert (features - expected).abs().max() <= TOLERANCE * expected.abs().max()


def test_a_batch_larger_than_a_pass_is_encoded_whole(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from airgap.engines.vllm.plugin import models

    views = [torch.from_numpy(prepare(page(seed=seed), "tiny").global_view) for seed in range(5)]
    with torch.inference_mode():
        whole = model.encode_views(views)
        monkeypatch.setattr(models, "MAX_PIXELS_PER_PASS", 2 * 512 * 512)
        in_twos = model.encode_views(views)
    assert len(in_twos) == 5
    for one, other in zip(whole, in_twos, strict=True):
        assert torch.allclose(one, other, atol=TOLERANCE)


def test_the_towers_are_as_deep_as_the_config_says(model: Any) -> None:
    sizes = tiny_checkpoint.Sizes()
    assert len(model.sam_model.blocks) == sizes.sam_layers
    assert len(model.vision_model.transformer.layers) == sizes.clip_layers


@pytest.mark.asyncio(loop_scope="session")
async def test_the_second_family_is_served_and_close_lets_a_page_finish(
    tmp_path: Path, data_dir: Path
) -> None:
    sizes = tiny_checkpoint.Sizes(sam_layers=1, qwen_layers=1)
    folder = tiny_checkpoint.make(tmp_path / "second", family="deepseek-ocr-2", sizes=sizes)
    engine = VllmEngine(options_for(folder, data_dir), shutdown_seconds=120)
    await engine.start()
    assert engine.folder is not None
    assert (engine.folder.family, engine.folder.tile_size) == ("deepseek-ocr-2", 768)
    assert not engine.capabilities.supports_modes
    reading = asyncio.create_task(read(engine, page(800, 700), "gundam", max_tokens=12))
    await until(lambda: engine._active == 1)
    await engine.close()
    deltas, end = await reading
    assert "".join(deltas) == end.raw
    assert end.usage.image_tokens == 256 + 144 * 4 + 1
    assert end.usage.completion_tokens >= 1
