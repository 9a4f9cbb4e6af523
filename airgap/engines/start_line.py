"""What may stand behind `python serve_ocr.py`: the words of other servers' start lines, as settings.

    python serve_ocr.py --host 0.0.0.0 --port 9000 --env-file .env
    python serve_ocr.py --ocr-service qwen_remote

The environment says the same and more; what stands in the line wins.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dotenv import load_dotenv

from airgap.core.errors import ConfigurationError
from airgap.engines.table import missing_for_vllm
from config import Settings, load_settings

SERVICES = ("qwen", "qwen_local", "qwen_remote", "deepseek")


def settings_of(arguments: Sequence[str] | None = None) -> Settings:
    """The settings of a start line and the environment. Raises `ConfigurationError`; ends for `--help`.

    `--env-file` sets what the environment leaves unset. `--ocr-service` says which model reads, and where:
    `qwen_remote` on another server, `qwen_local` and `deepseek` here from MODEL_PATH, `qwen` on the other
    server as long as it can, else here.
    """
    line = _parser().parse_args(arguments)
    if line.env_file is not None:
        if not line.env_file.is_file():
            raise ConfigurationError(f"There is no file {line.env_file}.", "Name the file in --env-file.")
        load_dotenv(line.env_file)
    given: dict[str, Any] = {
        name: value for name in ("host", "port") if (value := getattr(line, name)) is not None
    }
    settings = load_settings(**given)
    if line.ocr_service is None:
        return settings
    return load_settings(**given, backend=_backend(line.ocr_service, settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("serve_ocr.py", description="All settings: docs/configuration.md.")
    parser.add_argument("--host", help="HOST")
    parser.add_argument("--port", help="PORT")
    parser.add_argument("--env-file", type=Path, help="a file of NAME=value lines")
    parser.add_argument("--ocr-service", choices=SERVICES, help="which model reads, and where")
    return parser


def _backend(service: str, settings: Settings) -> str:
    if service == "qwen_remote" or (service == "qwen" and settings.llm_base_url and not settings.model_path):
        return "openai"
    local = "transformers" if missing_for_vllm(settings) else "vllm"
    _check_family(service, settings.model_path)
    return f"openai,{local}" if service == "qwen" and settings.llm_base_url else local


def _check_family(service: str, folder: Path | None) -> None:
    """Raise `ConfigurationError` where MODEL_PATH holds no model, or one of another kind."""
    try:
        kind = str(json.loads(((folder or Path()) / "config.json").read_text()).get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        kind = ""
    wanted = "qwen" if service.startswith("qwen") else "deepseek"
    if folder is None or not kind.lower().startswith(wanted):
        raise ConfigurationError(
            f"--ocr-service {service} reads with a model of the {wanted} family, and MODEL_PATH "
            + (f"holds one of kind {kind or 'unknown'!r}." if folder else "is not set."),
            "Set MODEL_PATH to the folder of such a model, or name another service.",
        )
