"""The published names find their places; what does not fit is refused by name."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import pytest

from airgap.core.errors import ConfigurationError
from tests import tiny_checkpoint
from tests.transformers import published


def test_the_list_is_the_published_file_s() -> None:
    names = published.listed()
    assert names == published.derive()
    assert len(names) == 2710
    assert sum(prod(shape) for shape in names.values()) == 3_336_106_240


def meta_model(config: dict[str, Any] | None = None) -> Any:
    import torch

    from airgap.engines.transformers.deepseek_model.architecture import DeepseekOcr

    with torch.device("meta"):
        return DeepseekOcr(config or published.CONFIG)


def test_all_published_names_map_without_a_leftover() -> None:
    from airgap.engines.transformers.deepseek_model.weights import load_meta

    model = meta_model()
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_336_106_240
    load_meta(model, "deepseek-ocr", published.listed())


@pytest.mark.parametrize("name", ["model.layers.3.mlp.experts.63.up_proj.weight", "model.image_newline"])
def test_a_missing_tensor_is_named(name: str) -> None:
    from airgap.engines.transformers.deepseek_model.weights import load_meta

    names = published.listed()
    del names[name]
    with pytest.raises(ConfigurationError, match="missing"):
        load_meta(meta_model(), "deepseek-ocr", names)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("model.layers.0.mlp.experts.0.up_proj.weight", (896, 1280)),  # layer 0 has none
        ("model.layers.3.mlp.experts.64.up_proj.weight", (896, 1280)),
        ("model.layers.12.input_layernorm.weight", (1280,)),
        ("model.stranger.weight", (1,)),
        ("model.norm.weight", (1281,)),
    ],
)
def test_a_stranger_or_another_shape_is_refused(name: str, shape: tuple[int, ...]) -> None:
    from airgap.engines.transformers.deepseek_model.weights import load_meta

    with pytest.raises(ConfigurationError):
        load_meta(meta_model(), "deepseek-ocr", {name: shape})


@pytest.mark.parametrize("family", ["deepseek-ocr", "deepseek-ocr-2"])
def test_a_checkpoint_comes_back_number_by_number(family: tiny_checkpoint.Family, tmp_path: Path) -> None:
    import json

    import torch
    from safetensors.torch import load_file

    from airgap.engines.transformers.deepseek_model.architecture import DeepseekOcr, DeepseekOcr2
    from airgap.engines.transformers.deepseek_model.weights import load, parts

    sizes = tiny_checkpoint.Sizes(qwen_layers=2)
    folder = tiny_checkpoint.make(tmp_path, family=family, sizes=sizes)
    config = json.loads((folder / "config.json").read_text())
    kind = DeepseekOcr if family == "deepseek-ocr" else DeepseekOcr2
    model = kind(config).to(torch.bfloat16)
    shards = list(folder.glob("*.safetensors"))
    load(model, family, shards)
    loaded = dict(model.named_parameters())
    for name, tensor in load_file(shards[0]).items():
        for part in parts(family, name, tensor.shape[0]):
            place = loaded[part.target]
            if part.expert is not None:
                place = place[part.expert]
            if part.half is not None:
                place = place[: len(place) // 2] if part.half == 0 else place[len(place) // 2 :]
            assert torch.equal(place, tensor if part.stop is None else tensor[part.start : part.stop])


@pytest.mark.parametrize("change", [{"use_mla": True}, {"topk_method": "noaux_tc"}, {"norm_topk_prob": True}])
def test_a_decoder_of_another_kind_is_refused(change: dict[str, Any]) -> None:
    config = published.CONFIG | {"language_config": published.CONFIG["language_config"] | change}  # type: ignore[operator]
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        meta_model(config)
