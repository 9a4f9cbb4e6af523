"""Every Triton kernel that the model runs compiles for every GPU named, down to machine code, without one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

CAPABILITIES = (75, 80, 89, 90, 100, 120)
SAM = "_deepencoder_rel_pos_attention_kernel"
KERNELS = {
    SAM,
    "fused_moe_kernel",
    "kernel_unified_attention",
    "reduce_segments",
    "reshape_and_cache_kernel_flash",
    "_apply_write_kernel",
    "_bincount_kernel",
    "_combine_sampled_and_draft_tokens_kernel",
    "_compute_slot_mappings_kernel",
    "_gather_block_tables_kernel",
    "_get_num_sampled_and_rejected_kernel",
    "_gumbel_sample_kernel",
    "_min_p_kernel",
    "_penalties_kernel",
    "_post_update_kernel",
    "_prepare_pos_seq_lens_kernel",
    "_prepare_prefill_inputs_kernel",
    "_ranks_kernel",
    "_temperature_kernel",
    "_topk_log_softmax_kernel",
}


def compiled(cache: Path, *arguments: str, globals_allowed: bool = False) -> dict[str, Any]:
    """What `tests.vllm.compile_kernels` says, with nothing compiled before."""
    environment = os.environ | {
        "TRITON_CACHE_DIR": str(cache),
        "TRITON_ALLOW_NON_CONSTEXPR_GLOBALS": "1" if globals_allowed else "0",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "tests.vllm.compile_kernels", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=380)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_every_kernel_compiles(capability: int, tmp_path: Path) -> None:
    found = compiled(tmp_path, str(capability))
    assert found["refused"] == {}
    assert set(found["compiled"]) == KERNELS
    assert min(min(sizes) for sizes in found["compiled"].values()) > 1000
    assert found["plain_globals"] == []


def test_triton_refuses_sam_s_attention_as_vllm_ships_it(tmp_path: Path) -> None:
    """Should this fail with a new vLLM, `plugin/triton_mend.py` is not needed any more."""
    found = compiled(tmp_path, "90", "--plain")
    assert list(found["refused"]) == [SAM]
    assert "LOG2E" in found["refused"][SAM]
    assert found["plain_globals"] == [f"vllm.model_executor.models.deepencoder.{SAM}: LOG2E"]


def test_the_offline_environment_lets_upstreams_classes_compile_too(tmp_path: Path) -> None:
    assert compiled(tmp_path, "90", "--plain", globals_allowed=True)["refused"] == {}


def test_the_compiler_is_the_one_that_the_gpu_image_holds() -> None:
    (locked,) = re.findall(
        r"^triton==([\d.]+)", (ROOT / "deploy/lock/requirements-gpu.lock").read_text(), re.M
    )
    assert version("triton") == locked
