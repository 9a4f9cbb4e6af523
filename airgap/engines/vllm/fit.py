"""How vLLM fits the GPUs that are here: attention, share of memory, pages at once; or why it cannot start.

One pure function over what the machine says, what the site set and what the model needs, so that every card
can be tried without having it. What is refused here would else fail minutes later, in the middle of loading.

The sizes of work space are assumptions (an H200 took half of them); weights and cache are arithmetic.
Knows no vLLM and no torch.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airgap.core.errors import ConfigurationError, EngineUnavailable
from airgap.engines.model_folder import ModelFolder
from airgap.engines.vllm.hardware import Gpu, Hardware, hardware
from airgap.engines.vllm.share import PAGES_OF_AN_ENGINE, Share
from airgap.settings.engines import EngineSettings

log = logging.getLogger(__name__)

GIB = 1 << 30
MIN_CAPABILITY = (7, 5)  # CUDA 13 has no code for older GPUs
FP8_CACHE_CAPABILITY = (8, 9)  # where a Triton kernel can read and write it
FLASH_CAPABILITY = (8, 0)
BF16_CAPABILITY = (8, 0)
DRIVERS: Mapping[int, str] = {12: "525", 13: "580"}  # CUDA's release notes: the oldest driver of each major
PAGE_TOKENS = 2000  # of prompt and answer, on a dense page
MOST_SEQS = 256
SMALL = 16 * GIB
WORK, SMALL_WORK = 2 * GIB, GIB  # activations and CUDA graphs, with the batch below
BATCHED_TOKENS, SMALL_BATCHED_TOKENS = 8192, 2048
SPARE = 300 << 20  # of what is free: CUDA's own context
FP8_WEIGHTS = 0.6  # of 16 bits: embeddings, norms and vision towers stay

Bits = Literal["bf16", "fp16", "fp32"]


@dataclass(frozen=True, slots=True)
class Need:
    """What a model and a site ask for. `weights` and `token` (cache of one token) are bytes on one GPU."""

    weights: int
    token: int
    dtype: Bits = "bf16"
    max_model_len: int = 8192
    max_concurrency: int = 100
    max_num_seqs: int | Literal["memory"] | None = None
    ceiling: float = 0.75
    use_flash_attention: Literal["auto", "true", "false"] = "auto"
    kv_cache_dtype: Literal["auto", "fp8"] = "auto"
    quantization: str | None = None
    torch_cuda: tuple[int, int] | None = None


def need_of(
    folder: ModelFolder, settings: EngineSettings, torch_cuda: str | None, pages: int = PAGES_OF_AN_ENGINE
) -> Need:
    """What this model asks for with these settings and `pages` at once, on each of the GPUs that share it.

    Raises `ConfigurationError` where weights that are quantised already are to be quantised again.
    """
    if folder.quantization and settings.quantization:
        raise ConfigurationError(
            f"QUANTIZATION is {settings.quantization}, and the weights are {folder.quantization} already.",
            "Unset QUANTIZATION: how the weights are quantised stands in the folder's config.json.",
        )
    wide = 4 if settings.torch_dtype == "fp32" else 2
    weights = folder.parameters * wide
    if folder.quantization:
        weights = sum(path.stat().st_size for path in folder.path.rglob("*.safetensors"))
    elif settings.quantization:
        weights = int(weights * FP8_WEIGHTS)
    token = _cache_numbers(folder) * (1 if settings.kv_cache_dtype == "fp8" else wide)
    share = settings.tensor_parallel_size
    return Need(
        weights=weights // share,
        token=max(1, token // share),
        dtype=settings.torch_dtype,
        max_model_len=settings.max_model_len,
        max_concurrency=pages,
        max_num_seqs=settings.max_num_seqs,
        ceiling=settings.gpu_mem_utilization,
        use_flash_attention=settings.use_flash_attention,
        kv_cache_dtype=settings.kv_cache_dtype,
        quantization=settings.quantization or folder.quantization,
        torch_cuda=_version(torch_cuda),
    )


def _cache_numbers(folder: ModelFolder) -> int:
    """Keys and values of one token, over all layers."""
    config = json.loads((folder.path / "config.json").read_text(encoding="utf-8"))
    text = config.get("language_config") or config.get("text_config") or config
    heads = text["num_attention_heads"]
    size = text.get("head_dim") or text["hidden_size"] // heads
    return int(2 * text["num_hidden_layers"] * (text.get("num_key_value_heads") or heads) * size)


def _version(text: str | None) -> tuple[int, int] | None:
    major, _, minor = (text or "").partition(".")
    return (int(major), int(minor or 0)) if major.isdigit() else None


def fit(need: Need, found: Hardware | None) -> dict[str, Any]:
    """Arguments of vLLM's `AsyncEngineArgs`. Raises `EngineUnavailable` with what to do.

    Where the machine says nothing about its GPUs, nothing is refused and vLLM is left to choose.
    """
    if found is None or not found.gpus:
        return {**attention(need, None), "max_num_seqs": _asked_seqs(need)}
    _check_driver(need, found)
    weakest = min(found.gpus, key=lambda gpu: gpu.capability)
    _check_capability(need, weakest)
    sized = [gpu for gpu in found.gpus if gpu.total is not None]
    smallest = min(sized, key=lambda gpu: gpu.total or 0, default=None)
    memory = _memory(need, smallest) if smallest else {"max_num_seqs": _asked_seqs(need)}
    return {**attention(need, weakest.capability), **memory}


# --- attention ---------------------------------------------------------------------------------------


def attention(need: Need, capability: tuple[int, int] | None) -> dict[str, Any]:
    """Which attention the decoder and the vision towers run; None leaves it to vLLM.

    vLLM's own choice needs a compiler that the image does not hold on compute capability 10.x, and with an
    8-bit cache anywhere but on 9.0.
    """
    safe = {"attention_backend": "TRITON_ATTN", "mm_encoder_attn_backend": "TORCH_SDPA"}
    if need.use_flash_attention == "false" or (capability and capability < FLASH_CAPABILITY):
        return safe
    backend = "FLASH_ATTN" if need.use_flash_attention == "true" else None
    if backend is None and capability is not None:
        if capability[0] == 10:
            backend = "FLASH_ATTN"
        elif need.kv_cache_dtype == "fp8" and capability[0] != 9:
            backend = "TRITON_ATTN"
    return {"attention_backend": backend, "mm_encoder_attn_backend": None}


# --- driver and compute capability -------------------------------------------------------------------


def _check_driver(need: Need, found: Hardware) -> None:
    if not (need.torch_cuda and found.driver_cuda) or found.driver_cuda[0] >= need.torch_cuda[0]:
        return
    spoken, wanted = (".".join(map(str, version)) for version in (found.driver_cuda, need.torch_cuda))
    raise EngineUnavailable(
        f"The NVIDIA driver {found.driver} speaks CUDA {spoken}; PyTorch here is built for CUDA {wanted}.",
        f"Install driver {DRIVERS.get(need.torch_cuda[0], 'of that CUDA')} or later on the host.",
    )


def _check_capability(need: Need, gpu: Gpu) -> None:
    for least, asked, remedy in _demands(need):
        if asked and gpu.capability < least:
            has, wanted = (f"{major}.{minor}" for major, minor in (gpu.capability, least))
            raise EngineUnavailable(
                f"{gpu.name} has compute capability {has}; {asked} needs {wanted} or later.", remedy
            )


def _demands(need: Need) -> Iterator[tuple[tuple[int, int], str, str]]:
    """Least capability, what needs it (empty: nothing does), what to do."""
    other = "Use a newer GPU (CUDA_VISIBLE_DEVICES chooses among several), or BACKEND=rapidocr."
    yield MIN_CAPABILITY, "vLLM", other
    yield BF16_CAPABILITY, "TORCH_DTYPE=bf16" if need.dtype == "bf16" else "", "Set TORCH_DTYPE=fp16."
    flash = "USE_FLASH_ATTENTION=true" if need.use_flash_attention == "true" else ""
    yield FLASH_CAPABILITY, flash, "Set USE_FLASH_ATTENTION=auto."
    cache = "KV_CACHE_DTYPE=fp8" if need.kv_cache_dtype == "fp8" else ""
    yield FP8_CACHE_CAPABILITY, cache, "Set KV_CACHE_DTYPE=auto."


# --- memory ------------------------------------------------------------------------------------------


def _memory(need: Need, gpu: Gpu) -> dict[str, Any]:
    """The share to take, at most the ceiling and at most what is free, and the batch that fits into it."""
    assert gpu.total is not None
    share = _share(need, gpu)
    small = gpu.total < SMALL
    cache = int(share * gpu.total) - need.weights - (SMALL_WORK if small else WORK)
    if cache < need.max_model_len * need.token:
        raise _too_small(need, gpu, share)
    held = max(1, cache // (PAGE_TOKENS * need.token))
    seqs = min(_asked_seqs(need), held) if small or need.max_num_seqs == "memory" else _asked_seqs(need)
    tokens = SMALL_BATCHED_TOKENS if small else BATCHED_TOKENS
    return {"gpu_memory_utilization": share, "max_num_seqs": seqs, "max_num_batched_tokens": tokens}


def _share(need: Need, gpu: Gpu) -> float:
    assert gpu.total is not None
    if gpu.free is None:
        return need.ceiling
    return min(need.ceiling, max(0, (gpu.free - SPARE) * 1000 // gpu.total) / 1000)


def _asked_seqs(need: Need) -> int:
    if isinstance(need.max_num_seqs, int):
        return min(need.max_num_seqs, need.max_concurrency)
    return min(MOST_SEQS, need.max_concurrency) if need.max_num_seqs == "memory" else need.max_concurrency


def _too_small(need: Need, gpu: Gpu, share: float) -> EngineUnavailable:
    assert gpu.total is not None
    work = SMALL_WORK if gpu.total < SMALL else WORK
    page = need.max_model_len * need.token
    wanted = need.weights + work + page
    message = (
        f"{gpu.name} gives {share * gpu.total / GIB:.1f} GiB of its {gpu.total / GIB:.1f}; the model takes "
        f"{need.weights / GIB:.1f}, work space about {work / GIB:.0f}, a page of MAX_MODEL_LEN tokens "
        f"{page / GIB:.1f}."
    )
    remedies = [*_remedies(need, gpu, share, wanted), "use a GPU with more memory", "a smaller model"]
    remedy = ", or ".join(remedies)
    return EngineUnavailable(message, f"{remedy[0].upper()}{remedy[1:]}.")


def _remedies(need: Need, gpu: Gpu, share: float, wanted: int) -> Iterator[str]:
    """Each of these alone lets it start, by the same arithmetic."""
    assert gpu.total is not None
    if gpu.free is not None and share < need.ceiling and wanted <= need.ceiling * gpu.total:
        yield "free the GPU's memory: another program holds a part of it"
    enough = wanted / gpu.total
    if share == need.ceiling and enough <= 0.95 and wanted <= (gpu.free or gpu.total) - SPARE:
        yield f"set GPU_MEM_UTILIZATION={enough + 0.005:.2f}"
    given = share * gpu.total
    saved = int((1 - FP8_WEIGHTS) * need.weights)
    if need.quantization is None and gpu.capability >= FLASH_CAPABILITY and wanted - saved <= given:
        yield "set QUANTIZATION=fp8"
    room = (given - wanted) // need.token + need.max_model_len
    if room >= 3000:
        yield f"set MAX_MODEL_LEN={int(room // 1024 * 1024) or 1024}"


# --- here --------------------------------------------------------------------------------------------


def fitted(folder: ModelFolder, settings: EngineSettings, share: Share) -> dict[str, Any]:
    """`fit` for the GPUs of this machine. Blocks; imports torch, so the environment must be set before."""
    from torch.version import cuda

    found = hardware()
    if found is not None:  # what other engines of this server took of their GPUs is not this one's business
        found = found.only(share.devices)
    arguments = fit(need_of(folder, settings, cuda, share.pages), found)
    log.info("GPUs: %s; vLLM gets %s", found or "nvidia-smi says nothing", arguments)
    return arguments
