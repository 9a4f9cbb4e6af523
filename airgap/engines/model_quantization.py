"""Whether a folder's quantised weights are ones that the engine can read, and in what way they are quantised.

vLLM reads AWQ, GPTQ, FP8 and compressed-tensors (INT8 among them); SAM and DeepSeek-OCR's projector it makes
without quantisation, so a folder that quantised those too is refused. Knows config.json and names of
tensors; knows nothing about files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airgap.core.errors import ConfigurationError

READ = ("awq", "gptq", "fp8", "compressed-tensors")
_PLAIN_PARTS = ("sam_model.", "projector.")
_PACKED = (".qweight", ".weight_packed", ".weight_scale", ".weight_scale_inv", ".absmax", ".weight.absmax")
REMEDY = (
    "Use the published weights (QUANTIZATION=fp8 makes them smaller while they load), or a folder whose "
    f"decoder alone is quantised, in one of: {', '.join(READ)}."
)


def quantization(config: Mapping[str, Any], tensors: Collection[str]) -> str | None:
    """The method, None where nothing is quantised. Raises `ConfigurationError` with the reason."""
    settings = config.get("quantization_config") or config.get("compression_config")
    packed = sorted(name for name in tensors if name.endswith(_PACKED))
    if settings is None:
        if packed:
            raise ConfigurationError(
                f"The tensor {packed[0]} is quantised, and config.json has no quantization_config.", REMEDY
            )
        return None
    method = settings.get("quant_method") if isinstance(settings, Mapping) else None
    if method not in READ:
        raise ConfigurationError(
            f"The weights are quantised with {method!r:.80}, which the engine does not read.", REMEDY
        )
    towers = [name for name in packed if any(part in name for part in _PLAIN_PARTS)]
    if towers:
        raise ConfigurationError(
            f"The tensor {towers[0]} is quantised; the engine reads that part in 16 bits alone.",
            REMEDY,
        )
    return str(method)
