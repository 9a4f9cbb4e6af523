"""Our DeepSeek-OCR models for vLLM, as an out-of-tree plug-in.

vLLM looks for entry points of the group `vllm.general_plugins` in each of its processes. The
`.dist-info` folder beside this file holds ours, so the plug-in is found wherever this folder and the
project's root are on the path; nothing is installed.

The architectures have names of their own. vLLM only logs a plug-in that fails to load; under upstream's
names it would then quietly run upstream's classes, under ours it stops with an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

PLUGIN_NAME = "airgap_ocr"
SEARCH_PATH = (Path(__file__).parents[4], Path(__file__).parent)
"""The folders that have to be on the path of every process: the code, and the entry point."""

ARCHITECTURES: Mapping[str, str] = MappingProxyType(
    {
        "DeepseekOCRForCausalLM": "AirgapDeepseekOCRForCausalLM",
        "DeepseekOCR2ForCausalLM": "AirgapDeepseekOCR2ForCausalLM",
    }
)
"""The architecture in a checkpoint's config.json → the one that serves it."""


def register() -> None:
    """Make the architectures known to vLLM. Called by vLLM; may be called more than once."""
    from vllm import ModelRegistry

    for ours in ARCHITECTURES.values():
        ModelRegistry.register_model(ours, f"airgap.engines.vllm.plugin.models:{ours}")
