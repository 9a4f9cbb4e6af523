"""What has to be mended in vLLM's Triton kernels before they compile.

SAM's global attention (`vllm/model_executor/models/deepencoder.py`, 0.32) reads `LOG2E`, a plain float of its
module. Triton takes a module's names into a kernel only as `constexpr`, and refuses it while vLLM
profiles its memory: no DeepSeek-OCR starts on any GPU. CPUs never take this path.

Knows vLLM's modules; knows nothing about models, requests or the engine.
"""

from __future__ import annotations

from vllm.model_executor.models import deepencoder
from vllm.triton_utils import HAS_TRITON, tl


def mend() -> None:
    """Make the constants that the kernels read ones that Triton takes. May be called more than once."""
    if HAS_TRITON and not isinstance(deepencoder.LOG2E, tl.constexpr):
        deepencoder.LOG2E = tl.constexpr(deepencoder.LOG2E)
