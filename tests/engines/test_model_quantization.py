"""Quantised folders are read, or refused with the reason."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from airgap.engines.model_folder import verify
from tests.engines.test_model_folder import SHARD, change_config, folder, refusal  # noqa: F401  a fixture

PACKED = "model.layers.1.mlp.experts.0.up_proj"
METHODS: dict[str, tuple[dict[str, Any], dict[str, tuple[str, list[int]]]]] = {
    "awq": (
        {"quant_method": "awq", "bits": 4, "modules_to_not_convert": ["sam_model", "vision_model"]},
        {
            f"{PACKED}.qweight": ("I32", [8, 2]),
            f"{PACKED}.qzeros": ("I32", [1, 2]),
            f"{PACKED}.scales": ("F16", [1, 16]),
        },
    ),
    "gptq": (
        {"quant_method": "gptq", "bits": 4},
        {f"{PACKED}.qweight": ("I32", [2, 8]), f"{PACKED}.g_idx": ("I32", [16])},
    ),
    "compressed-tensors": (  # INT8
        {"quant_method": "compressed-tensors", "format": "int-quantized"},
        {f"{PACKED}.weight": ("I8", [16, 8]), f"{PACKED}.weight_scale": ("BF16", [16, 1])},
    ),
    "fp8": (
        {"quant_method": "fp8", "activation_scheme": "dynamic"},
        {f"{PACKED}.weight": ("F8_E4M3", [16, 8]), f"{PACKED}.weight_scale_inv": ("F32", [1, 1])},
    ),
}
BYTES = {"I32": 4, "F32": 4, "F16": 2, "BF16": 2, "I8": 1, "F8_E4M3": 1, "F4": 1}


def weights(folder: Path, tensors: dict[str, tuple[str, list[int]]]) -> None:  # noqa: F811
    header, offset = {}, 0
    for name, (dtype, shape) in tensors.items():
        end = offset + BYTES[dtype] * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    (folder / SHARD).write_bytes(struct.pack("<Q", len(text)) + text + bytes(offset))


@pytest.mark.parametrize("method", METHODS)
def test_what_vllm_reads(folder: Path, method: str) -> None:  # noqa: F811
    settings, tensors = METHODS[method]
    change_config(folder, quantization_config=settings)
    weights(folder, tensors)
    found = verify(folder)
    assert found.quantization == method
    assert f"quantised, {method}" in found.summary()


def test_a_folder_as_published_is_not_quantised(folder: Path) -> None:  # noqa: F811
    assert verify(folder).quantization is None


@pytest.mark.parametrize("method", ["bitsandbytes", "exl2", None, 4])
def test_what_nothing_here_reads(folder: Path, method: Any) -> None:  # noqa: F811
    change_config(folder, quantization_config={"quant_method": method})
    error = refusal(folder)
    assert repr(method) in error.message
    assert "QUANTIZATION=fp8" in error.remedy


@pytest.mark.parametrize("part", ["model.sam_model.blocks.0.attn.qkv", "model.projector.layers"])
def test_parts_that_are_made_without_quantisation(folder: Path, part: str) -> None:  # noqa: F811
    change_config(folder, quantization_config=METHODS["awq"][0])
    weights(folder, {f"{part}.qweight": ("I32", [8, 2])})
    assert part in refusal(folder).message


def test_quantised_weights_whose_config_does_not_say_so(folder: Path) -> None:  # noqa: F811
    weights(folder, METHODS["gptq"][1])
    assert "quantization_config" in refusal(folder).message


def test_numbers_of_an_unknown_type_are_not_called_damage(folder: Path) -> None:  # noqa: F811
    weights(folder, {"lm_head.weight": ("F4", [16, 4])})
    error = refusal(folder)
    assert "F4" in error.message
    assert "damaged" not in error.message
