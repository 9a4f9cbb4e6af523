"""Does what vLLM brings for this GPU work: imports, a kernel of each kind against a reference, SAM's.

    python -m benchmarks.gpu.check [--out build/bench-gpu]

Must pass before anything is timed. SAM's attention is tried as vLLM ships it too: what Triton says to it is
noted, and is no failure.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.gpu.report import Results

MODULES = (
    "vllm._custom_ops",
    "vllm.v1.engine.async_llm",
    "vllm.v1.worker.gpu_worker",
    "vllm.v1.worker.gpu.model_runner",
    "vllm.v1.attention.backends.flash_attn",
    "vllm.v1.attention.backends.triton_attn",
    "airgap.engines.vllm.plugin.models",
    "airgap.engines.vllm.ngram",
)
TOLERANCE = 0.02  # of bfloat16 against float32, relative

SAM = """
import sys, torch
if "mended" in sys.argv:
    import airgap.engines.vllm.plugin.models
from vllm.model_executor.models.deepencoder import deepencoder_rel_pos_attention
q, k, v = (torch.randn(1, 12, 1600, 64, device="cuda", dtype=torch.bfloat16) for _ in range(3))
h, w = (torch.randn(1, 12, 1600, 40, device="cuda", dtype=torch.bfloat16) for _ in range(2))
o = deepencoder_rel_pos_attention(q, k, v, h, w, 40, 0.125)
bias = (h[..., :, None] + w[..., None, :]).reshape(1, 12, 1600, 1600).float()
r = torch.nn.functional.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=bias)
print(float((o.float() - r).norm() / r.norm()))
"""


def imports() -> list[str]:
    """What does not load."""
    failed = []
    for name in MODULES:
        try:
            importlib.import_module(name)
        except Exception as error:
            failed.append(f"{name}: {error!r}"[:300])
    return failed


def relative(found: Any, reference: Any) -> float:
    return float((found.float() - reference).norm() / reference.norm())


def normalised() -> float:
    """A kernel of vLLM's own extension."""
    import torch

    importlib.import_module("vllm._custom_ops")
    x = torch.randn(64, 1280, device="cuda", dtype=torch.bfloat16)
    out = torch.empty_like(x)
    torch.ops._C.rms_norm(out, x, torch.ones(1280, device="cuda", dtype=torch.bfloat16), 1e-6)
    return relative(out, x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6))


def attended() -> float:
    """FlashAttention at the decoder's sizes, over two pages of different length."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention
    from vllm.v1.attention.backends.fa_utils import get_flash_attn_version
    from vllm.vllm_flash_attn import flash_attn_varlen_func

    q, k, v = (torch.randn(256, 10, 128, device="cuda", dtype=torch.bfloat16) for _ in range(3))
    ends = torch.tensor([0, 100, 256], device="cuda", dtype=torch.int32)
    lengths = {"max_seqlen_q": 156, "cu_seqlens_q": ends, "max_seqlen_k": 156, "cu_seqlens_k": ends}
    out = flash_attn_varlen_func(q, k, v, causal=True, fa_version=get_flash_attn_version(), **lengths)
    parts = [[t[a:b].float().transpose(0, 1) for t in (q, k, v)] for a, b in ((0, 100), (100, 256))]
    wanted = [scaled_dot_product_attention(*part, is_causal=True).transpose(0, 1) for part in parts]
    return relative(out, torch.cat(wanted))


def routed() -> float:
    """Which experts a token takes."""
    import torch
    import vllm._custom_ops as ops

    scores = torch.randn(100, 64, device="cuda")
    weights = torch.empty(100, 6, device="cuda")
    ids, source = (torch.empty(100, 6, device="cuda", dtype=torch.int32) for _ in range(2))
    ops.topk_softmax(weights, ids, source, scores, False)
    return relative(weights, torch.softmax(scores, -1).topk(6).values)


def sam(*arguments: str) -> tuple[float | None, str]:
    """SAM's attention in a process of its own: the error, or what was said."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"TRITON_CACHE_DIR": cache, "TRITON_ALLOW_NON_CONSTEXPR_GLOBALS": "0"}
        command = [sys.executable, "-c", SAM, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or [""])[-1][:300]
    return float(done.stdout.split()[-1]), ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench-gpu"))
    results = Results(parser.parse_args().out)
    import torch

    if not torch.cuda.is_available():
        results.add(
            "check", failed="PyTorch sees no GPU: nvidia-smi, the driver, and the container's GPUs first"
        )
        return 1
    capability = torch.cuda.get_device_capability()
    results.add("machine", gpu=torch.cuda.get_device_name(), capability=capability, torch=torch.__version__)
    failed = imports()
    results.add("imports", failed=failed)
    errors: dict[str, float | None] = {"rms_norm": normalised(), "topk_softmax": routed()}
    if capability >= (8, 0):
        errors["flash_attention"] = attended()
    errors["sam_attention"], said = sam("mended")
    results.add("kernels", errors=errors, sam_said=said, sam_as_shipped=sam()[1] or "compiles")
    return bool(failed) or any(error is None or error > TOLERANCE for error in errors.values())


if __name__ == "__main__":
    sys.exit(main())
