"""Which GPUs the vLLM engine starts on, with which attention and how much memory; no GPU is needed to say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airgap.core.errors import ConfigurationError, EngineUnavailable
from airgap.engines.model_folder import ModelFolder
from airgap.engines.vllm.fit import BATCHED_TOKENS, GIB, Need, attention, fit, need_of
from airgap.engines.vllm.hardware import Gpu, Hardware, hardware, read
from airgap.settings.engines import EngineSettings

PUBLISHED = Need(weights=6_672_212_480, token=61_440, torch_cuda=(13, 0))
FP8 = replace(PUBLISHED, weights=int(PUBLISHED.weights * 0.6), quantization="fp8")
TABLE = """\
0, GPU-5ea9, NVIDIA H100 80GB HBM3, 9.0, 81559, 81000, 580.95.05
1, GPU-77ab, NVIDIA A10, 8.6, 23028, 22500, 580.95.05
"""


def card(gib: float, capability: tuple[int, int] = (8, 6), free: float | None = None) -> Gpu:
    """A card nothing runs on, but for half a GiB, unless `free` says otherwise."""
    return Gpu("a card", capability, int(gib * GIB), int((gib - 0.5 if free is None else free) * GIB))


def machine(*gpus: Gpu, cuda: tuple[int, int] = (13, 0)) -> Hardware:
    return Hardware(gpus, "580.95", cuda)


def refusal(need: Need, found: Hardware) -> EngineUnavailable:
    with pytest.raises(EngineUnavailable) as caught:
        fit(need, found)
    assert caught.value.remedy != EngineUnavailable.default_remedy
    return caught.value


# --- the machine -------------------------------------------------------------------------------------


def test_nvidia_smis_table() -> None:
    found = read(TABLE, None, (13, 0))
    assert found is not None
    assert (found.driver, found.driver_cuda) == ("580.95.05", (13, 0))
    assert found.gpus[0] == Gpu("NVIDIA H100 80GB HBM3", (9, 0), 81559 << 20, 81000 << 20)
    assert found.gpus[1].capability == (8, 6)


@pytest.mark.parametrize(
    ("visible", "names"),
    [("1", ["A10"]), ("1,0", ["A10", "H100"]), ("GPU-77ab", ["A10"]), ("GPU-77", ["A10"]), ("", [])],
)
def test_only_the_gpus_that_the_process_may_see(visible: str, names: list[str]) -> None:
    found = read(TABLE, visible, None)
    assert found is not None
    assert [gpu.name.split()[1] for gpu in found.gpus] == names


def test_what_nvidia_smi_does_not_know() -> None:
    found = read("0, GPU-1, NVIDIA GB10, 12.1, [N/A], [N/A], 580.1\n", None, None)
    assert found == Hardware((Gpu("NVIDIA GB10", (12, 1)),), "580.1")
    assert read("No devices were found\n", None, None) is None
    assert read("0, GPU-1, A100, [N/A], 1, 1, 580.1\n", None, None) is None
    assert read(TABLE, "MIG-5ea9/1/0", None) is None


def test_an_engine_is_fitted_to_its_own_gpus() -> None:
    """Its neighbour, which was started before, has filled the first."""
    found = machine(card(24, free=1), card(24))
    with pytest.raises(EngineUnavailable):
        fit(PUBLISHED, found)
    assert fit(PUBLISHED, found.only((1,)))["gpu_memory_utilization"] == PUBLISHED.ceiling
    assert found.only(()) == found
    assert found.only((0, 5)).gpus == found.gpus[:1]


@pytest.mark.parametrize(("script", "gpus"), [("cat table", 2), ("exit 9", None)])
def test_the_command_is_asked(
    script: str, gpus: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "table").write_text(TABLE)
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\ncd {tmp_path} && {script}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = hardware()
    assert (found and len(found.gpus)) == gpus


def test_no_command() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        assert hardware() is None


# --- attention ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capability", "decoder", "towers"),
    [
        (None, None, None),
        ((7, 5), "TRITON_ATTN", "TORCH_SDPA"),
        ((8, 0), None, None),
        ((8, 9), None, None),
        ((9, 0), None, None),
        ((10, 0), "FLASH_ATTN", None),
        ((10, 3), "FLASH_ATTN", None),
        ((12, 0), None, None),
    ],
)
def test_attention_of_each_generation(
    capability: tuple[int, int] | None, decoder: str | None, towers: str | None
) -> None:
    assert attention(PUBLISHED, capability) == {
        "attention_backend": decoder,
        "mm_encoder_attn_backend": towers,
    }


@pytest.mark.parametrize("capability", [None, (7, 5), (9, 0), (10, 0)])
def test_without_flash_attention_the_towers_leave_it_too(capability: tuple[int, int] | None) -> None:
    found = attention(replace(PUBLISHED, use_flash_attention="false"), capability)
    assert found == {"attention_backend": "TRITON_ATTN", "mm_encoder_attn_backend": "TORCH_SDPA"}


@pytest.mark.parametrize(
    ("capability", "decoder"),
    [((8, 9), "TRITON_ATTN"), ((9, 0), None), ((10, 0), "FLASH_ATTN"), ((12, 0), "TRITON_ATTN")],
)
def test_attention_that_reads_an_8_bit_cache_without_a_compiler(
    capability: tuple[int, int], decoder: str | None
) -> None:
    assert attention(replace(PUBLISHED, kv_cache_dtype="fp8"), capability)["attention_backend"] == decoder


# --- refusals ----------------------------------------------------------------------------------------


def test_a_driver_that_is_too_old() -> None:
    error = refusal(PUBLISHED, machine(card(80), cuda=(12, 4)))
    assert "12.4" in error.message
    assert "13.0" in error.message
    assert "580" in error.remedy


@pytest.mark.parametrize("cuda", [(13, 0), (13, 2), (14, 0)])
def test_a_driver_of_the_same_major_or_newer(cuda: tuple[int, int]) -> None:
    assert fit(PUBLISHED, machine(card(80), cuda=cuda))


@pytest.mark.parametrize(
    ("capability", "changes", "said", "remedy"),
    [
        ((7, 0), {}, "7.5", "BACKEND=rapidocr"),
        ((6, 1), {"dtype": "fp16"}, "7.5", "BACKEND=rapidocr"),
        ((7, 5), {}, "TORCH_DTYPE=bf16", "TORCH_DTYPE=fp16"),
        ((7, 5), {"dtype": "fp16", "use_flash_attention": "true"}, "8.0", "USE_FLASH_ATTENTION=auto"),
        ((8, 6), {"kv_cache_dtype": "fp8"}, "8.9", "KV_CACHE_DTYPE=auto"),
    ],
)
def test_a_compute_capability_that_is_too_small(
    capability: tuple[int, int], changes: dict[str, Any], said: str, remedy: str
) -> None:
    error = refusal(replace(PUBLISHED, **changes), machine(card(80, capability)))
    assert said in error.message
    assert remedy in error.remedy


def test_the_weakest_of_several_gpus_decides() -> None:
    refusal(PUBLISHED, machine(card(80, (9, 0)), card(16, (7, 5))))


def test_turing_starts_in_fp16() -> None:
    found = fit(replace(PUBLISHED, dtype="fp16"), machine(card(16, (7, 5))))
    assert found["attention_backend"] == "TRITON_ATTN"


# --- memory ------------------------------------------------------------------------------------------


def test_a_large_card_is_used_as_before() -> None:
    assert fit(PUBLISHED, machine(card(80, (9, 0)))) == {
        "attention_backend": None,
        "mm_encoder_attn_backend": None,
        "gpu_memory_utilization": 0.75,
        "max_num_seqs": 100,
        "max_num_batched_tokens": BATCHED_TOKENS,
    }


@pytest.mark.parametrize(("gib", "need"), [(12, PUBLISHED), (10.5, PUBLISHED), (8, FP8)])
def test_small_cards_start_under_the_ceiling(gib: float, need: Need) -> None:
    found = fit(need, machine(card(gib, (8, 9))))
    assert found["gpu_memory_utilization"] <= need.ceiling
    assert 1 <= found["max_num_seqs"] < 30
    assert found["max_num_batched_tokens"] < BATCHED_TOKENS


def test_the_share_falls_where_another_program_holds_memory() -> None:
    share = fit(PUBLISHED, machine(card(24, free=14)))["gpu_memory_utilization"]
    assert 0.5 < share < 14 / 24


def test_every_setting_that_a_refusal_names_lets_it_start() -> None:
    """As far as the same arithmetic goes."""
    found = machine(card(8, (8, 9), free=7.9))
    remedy = refusal(PUBLISHED, found).remedy
    assert "QUANTIZATION=fp8" in remedy
    assert fit(FP8, found)
    ten = machine(card(10, free=9.9))
    remedy = refusal(PUBLISHED, ten).remedy
    (share,) = re.findall(r"GPU_MEM_UTILIZATION=([\d.]+)", remedy)
    assert fit(replace(PUBLISHED, ceiling=float(share)), ten)
    (length,) = re.findall(r"MAX_MODEL_LEN=(\d+)", remedy)
    assert fit(replace(PUBLISHED, max_model_len=int(length)), ten)


def test_a_full_card_is_said_to_be_full() -> None:
    error = refusal(PUBLISHED, machine(card(80, free=2)))
    assert error.remedy.startswith("Free the GPU's memory")
    assert "GPU_MEM_UTILIZATION=" not in error.remedy


def test_a_card_that_is_too_small_for_anything() -> None:
    error = refusal(PUBLISHED, machine(card(4)))
    assert error.remedy == "Use a GPU with more memory, or a smaller model."


def test_pages_at_once_by_memory() -> None:
    wide = replace(PUBLISHED, max_concurrency=256, max_num_seqs="memory")
    assert fit(wide, machine(card(140, (9, 0))))["max_num_seqs"] == 256
    assert 70 < fit(wide, machine(card(24)))["max_num_seqs"] < 100
    half = replace(wide, token=wide.token // 2)
    assert 140 < fit(half, machine(card(24)))["max_num_seqs"] < 200
    assert fit(replace(wide, max_num_seqs=7), machine(card(24)))["max_num_seqs"] == 7
    assert fit(replace(wide, max_num_seqs=None), None)["max_num_seqs"] == 256


def test_where_the_machine_says_nothing_vllm_is_left_to_choose() -> None:
    for found in (None, Hardware(())):
        assert fit(PUBLISHED, found) == {
            "attention_backend": None,
            "mm_encoder_attn_backend": None,
            "max_num_seqs": 100,
        }
    assert fit(PUBLISHED, machine(Gpu("GB10", (12, 1))))["max_num_seqs"] == 100


# --- what a folder and the settings ask for ----------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    text = {
        "num_hidden_layers": 12,
        "num_attention_heads": 10,
        "num_key_value_heads": 10,
        "hidden_size": 1280,
    }
    (tmp_path / "config.json").write_text(json.dumps({"language_config": text}))
    (tmp_path / "model.safetensors").write_bytes(bytes(1000))
    return ModelFolder(tmp_path, "DeepseekOCRForCausalLM", "deepseek-ocr", 640, 2710, 3_336_106_240, False)


def options(folder: ModelFolder, **changes: Any) -> EngineSettings:
    return EngineSettings(model_path=folder.path, data_dir=folder.path, **changes)


def test_what_the_published_model_needs(folder: ModelFolder) -> None:
    assert need_of(folder, options(folder), "13.0") == PUBLISHED
    two = need_of(folder, options(folder, tensor_parallel_size=2, kv_cache_dtype="fp8"), None)
    assert (two.weights, two.token, two.torch_cuda) == (PUBLISHED.weights // 2, 15_360, None)
    assert need_of(folder, options(folder, torch_dtype="fp32"), None).token == 122_880
    assert need_of(folder, options(folder, quantization="fp8"), None).weights == FP8.weights


def test_quantised_weights_take_what_they_take_on_disk(folder: ModelFolder) -> None:
    assert need_of(replace(folder, quantization="awq"), options(folder), None).weights == 1000
    with pytest.raises(ConfigurationError, match="awq"):
        need_of(replace(folder, quantization="awq"), options(folder, quantization="fp8"), None)


def test_qwens_configurations(folder: ModelFolder) -> None:
    text = {"num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2, "hidden_size": 1536}
    for config in (text, {"text_config": text}):
        (folder.path / "config.json").write_text(json.dumps(config))
        assert need_of(folder, options(folder), None).token == 28 * 2 * 2 * 128 * 2
