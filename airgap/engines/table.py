"""The table of engines, and the choice among them.

An engine's module is imported when it is chosen, never before: importing this package loads no
model, no torch and no GPU.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airgap.core.engine import Engine
from airgap.core.errors import ConfigurationError, EngineUnavailable
from config import Settings


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Where an engine lives and which settings it is built from."""

    target: str  # "module:Class", or "module:function" that makes one
    arguments: Callable[[Settings], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine's name, and why it was chosen, for the log, `/` and `/readyz`."""

    name: str
    reason: str


def _rapidocr(settings: Settings) -> dict[str, Any]:
    return {"num_workers": settings.workers, "languages": settings.languages}


def _vllm(settings: Settings) -> dict[str, Any]:
    from airgap.engines.vllm.engine import VllmOptions

    return {
        "options": VllmOptions(
            model_path=_model_path(settings),
            model_id=settings.model_id,
            data_dir=settings.data_dir,
            default_mode=settings.default_mode,
            max_crops=settings.max_crops,
            gpu_mem_utilization=settings.gpu_mem_utilization,
            torch_dtype=settings.torch_dtype,
            use_flash_attention=settings.use_flash_attention,
            tensor_parallel_size=settings.tensor_parallel_size,
            data_parallel_size=settings.data_parallel_size,
            distributed_executor_backend=settings.distributed_executor_backend,
            kv_cache_dtype=settings.kv_cache_dtype,
            quantization=settings.quantization,
            max_num_seqs=settings.max_num_seqs,
            max_model_len=settings.max_model_len,
            max_new_tokens=settings.max_new_tokens,
            max_concurrency=settings.max_concurrency or 100 * settings.data_parallel_size,
            max_queue=settings.max_queue,
            num_workers=settings.workers,
            engine_args=settings.vllm_engine_args,
        )
    }


def _model_path(settings: Settings) -> Path:
    if settings.model_path is None:
        raise ConfigurationError(
            "This engine reads with a model from local disk, and MODEL_PATH is not set.",
            "Set MODEL_PATH to the folder that holds the model's config.json.",
        )
    return settings.model_path


def _transformers(settings: Settings) -> dict[str, Any]:
    from airgap.engines.transformers.engine import TransformersOptions

    return {
        "options": TransformersOptions(
            model_path=_model_path(settings),
            model_id=settings.model_id,
            data_dir=settings.data_dir,
            default_mode=settings.default_mode,
            max_crops=settings.max_crops,
            gpu_mem_utilization=settings.gpu_mem_utilization,
            torch_dtype=settings.torch_dtype,
            vision_dtype=settings.vision_dtype,
            use_flash_attention=settings.use_flash_attention,
            max_model_len=settings.max_model_len,
            max_new_tokens=settings.max_new_tokens,
            max_concurrency=settings.max_concurrency,
            max_queue=settings.max_queue,
            num_workers=settings.workers,
            device=settings.torch_device,
        )
    }


def _openai(settings: Settings) -> dict[str, Any]:
    from airgap.engines.openai.engine import OpenAiOptions

    if settings.llm_base_url is None:
        raise ConfigurationError(
            "BACKEND=openai reads on another server, and LLM_BASE_URL is not set.",
            "Set LLM_BASE_URL, such as http://gpu-box:8000/v1.",
        )
    key = settings.llm_api_key
    return {
        "options": OpenAiOptions(
            base_url=settings.llm_base_url,
            api_key=key.get_secret_value() if key else None,
            model=settings.llm_model,
            server=settings.llm_server,
            ca_file=settings.llm_ca_file,
            max_concurrency=settings.max_concurrency,
            max_new_tokens=settings.max_new_tokens,
            # in a list, a server that hangs must leave time for the next engine to read the page
            page_timeout=settings.page_timeout_seconds / (2 if "," in settings.backend else 1),
        )
    }


def _fake(settings: Settings) -> dict[str, Any]:
    return {"seconds_per_page": settings.fake_seconds_per_page}


ENGINES: dict[str, EngineSpec] = {
    "rapidocr": EngineSpec("airgap.engines.ppocr.engine:RapidOcrEngine", _rapidocr),
    "vllm": EngineSpec("airgap.engines.vllm.replicas:create", _vllm),
    "transformers": EngineSpec("airgap.engines.transformers.engine:TransformersEngine", _transformers),
    "openai": EngineSpec("airgap.engines.openai.engine:OpenAiEngine", _openai),
    "fake": EngineSpec("airgap.engines.fake:FakeEngine", _fake),
}


def choose_engine(settings: Settings) -> EngineChoice:
    """Settle `BACKEND=auto` by what is on this machine; a named backend is taken at its word."""
    if settings.backend != "auto":
        return EngineChoice(settings.backend, f"BACKEND={settings.backend}")
    missing = missing_for_vllm(settings)
    if missing:
        return EngineChoice("rapidocr", f"BACKEND=auto, and vLLM cannot run here: {'; '.join(missing)}")
    return EngineChoice("vllm", "BACKEND=auto: a CUDA GPU, vLLM and MODEL_PATH are there")


def missing_for_vllm(settings: Settings) -> list[str]:
    """What stands between this machine and the production engine; empty when nothing does."""
    missing = []
    if not (shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists()):
        missing.append("no CUDA GPU")
    if importlib.util.find_spec("vllm") is None:
        missing.append("vLLM is not installed")
    if settings.model_path is None:
        missing.append("MODEL_PATH is not set")
    elif not (settings.model_path / "config.json").is_file():
        missing.append(f"MODEL_PATH holds no model ({settings.model_path})")
    return missing


def create_engine(settings: Settings, choice: EngineChoice | None = None) -> Engine:
    """Build the chosen engine, or the chosen ones in their order, without starting any.

    Raises `ConfigurationError` for a name not in the table and `EngineUnavailable` when the engine's
    libraries are not installed.
    """
    names = (choice or choose_engine(settings)).name.split(",")
    engines = [_create(settings, name) for name in names]
    if len(engines) == 1:
        return engines[0]
    from airgap.engines.fallback import FallbackEngine

    return FallbackEngine(engines)


def _create(settings: Settings, name: str) -> Engine:
    if name not in ENGINES:
        raise ConfigurationError(
            f"BACKEND={name} is not an engine.", f"Use one of: auto, {', '.join(sorted(ENGINES))}."
        )
    spec = ENGINES[name]
    module_name, class_name = spec.target.split(":")
    try:
        engine_class = getattr(importlib.import_module(module_name), class_name)
    except ImportError as error:
        raise EngineUnavailable(
            f"The engine {name!r} cannot be loaded: {error}.",
            "Install what it needs (requirements.txt for the CPU, requirements-gpu.txt for a GPU), "
            "or choose another BACKEND.",
        ) from error
    engine: Engine = engine_class(**spec.arguments(settings))
    return engine
