"""The settings of engines that read with `tests.tiny_checkpoint`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airgap.settings.engines import EngineSettings


def tiny_settings(model: Path, data_dir: Path, **more: Any) -> EngineSettings:
    """What the engines' tests have in common, and `more`, which wins."""
    common = {
        "model_path": model,
        "model_id": "tiny",
        "data_dir": data_dir,
        "base_size": 512,
        "image_size": 512,
        "crop_mode": False,
        "torch_dtype": "fp32",
        "max_model_len": 4096,
        "num_workers": 2,
    }
    return EngineSettings(**{**common, **more})
