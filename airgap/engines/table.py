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
from airgap.settings.engines import EngineSettings


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Where an engine lives and which settings it is built from."""

    target: str  # "module:Class", or "module:function" that makes one
    arguments: Callable[[EngineSettings], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine's name, and why it was chosen, for the log, `/` and `/readyz`."""

    name: str
    reason: str


def _rapidocr(settings: EngineSettings) -> dict[str, Any]:
    return {
        "num_workers": settings.workers,
        "languages": settings.languages,
        "formula_model": settings.formula_model_path,
    }


def _all(settings: EngineSettings) -> dict[str, Any]:
    return {"settings": settings}


def _fake(settings: EngineSettings) -> dict[str, Any]:
    return {"seconds_per_page": settings.fake_seconds_per_page}


ENGINES: dict[str, EngineSpec] = {
    "rapidocr": EngineSpec("airgap.engines.ppocr.engine:RapidOcrEngine", _rapidocr),
    "vllm": EngineSpec("airgap.engines.vllm.replicas:create", _all),
    "transformers": EngineSpec("airgap.engines.transformers.engine:TransformersEngine", _all),
    "openai": EngineSpec("airgap.engines.openai.engine:OpenAiEngine", _all),
    "fake": EngineSpec("airgap.engines.fake:FakeEngine", _fake),
}


def choose_engine(settings: EngineSettings) -> EngineChoice:
    """Settle `BACKEND=auto` by what is on this machine; a named backend is taken at its word."""
    if settings.backend != "auto":
        return EngineChoice(settings.backend, f"BACKEND={settings.backend}")
    missing = missing_for_vllm(settings)
    if missing:
        return EngineChoice("rapidocr", f"BACKEND=auto, and vLLM cannot run here: {'; '.join(missing)}")
    return EngineChoice("vllm", "BACKEND=auto: a CUDA GPU, vLLM and MODEL_PATH are there")


def missing_for_vllm(settings: EngineSettings) -> list[str]:
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


def create_engine(settings: EngineSettings, choice: EngineChoice | None = None) -> Engine:
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


def _create(settings: EngineSettings, name: str) -> Engine:
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
