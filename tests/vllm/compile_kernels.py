"""Compile the Triton kernels that DeepSeek-OCR runs in vLLM for a GPU that is not there.

    python -m tests.vllm.compile_kernels CAPABILITY [--plain]        such as 90, for compute capability 9.0

Prints one JSON object: `compiled`, the bytes of machine code of each kernel; `refused`, what the compiler
said; `plain_globals`, the names that kernels of the loaded modules read and that are no `constexpr`.
`--plain` leaves out what `airgap.engines.vllm.plugin.triton_mend` mends.

The kernels are launched by vLLM's own functions, on CPU tensors with the published model's sizes, by a
driver that compiles and never runs. Not covered: what torch.compile generates, and kernels in C++.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
import triton.backends
from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase
from triton.runtime import driver
from triton.runtime.jit import JITFunction

PAGES, VOCABULARY, MAX_TOKENS = 100, 129_280, 8192
EXPERTS, WIDTH, HIDDEN, CHOSEN = 64, 896, 1280, 6
HEADS, HEAD_SIZE, BLOCK = 10, 128, 16


class Absent(DriverBase):
    """The driver of a GPU that is not there."""

    launcher_cls = None

    def __init__(self, capability: int = 90) -> None:
        self.target = GPUTarget("cuda", capability, 32)

    @classmethod
    def is_active(cls) -> bool:
        return True

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int = 0) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")

    def map_python_to_cpp_type(self, ty: str) -> str:
        return "int"

    def get_benchmarker(self) -> Any:
        raise NotImplementedError("nothing runs here")


def pretend(capability: int) -> None:
    """Have vLLM's CPU build take Triton for usable: it asks for a backend of that name."""
    backends = triton.backends.backends
    backends["cpu"] = triton.backends.Backend(backends["nvidia"].compiler, Absent)
    from vllm.triton_utils import HAS_TRITON

    assert HAS_TRITON
    del backends["cpu"]
    driver.set_active(Absent(capability))
    torch.cuda.get_device_capability = lambda device=None: divmod(capability, 10)
    launch = JITFunction.run

    def compile_only(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> Any:
        name = self.fn.__name__
        try:
            kernel = launch(self, *args, grid=grid, warmup=True, **options)
        except Exception as error:
            REFUSED[name] = f"{type(error).__name__}: {error}"[-2000:]
            return None
        COMPILED.setdefault(name, []).append(len(kernel.asm["cubin"]))
        return kernel

    JITFunction.run = compile_only


COMPILED: dict[str, list[int]] = {}
REFUSED: dict[str, str] = {}


# --- what a page's way through the model launches -----------------------------------------------------


def towers(dtype: torch.dtype) -> None:
    """SAM's global attention over a view of 1024, 640 and 512 pixels."""
    from vllm.model_executor.models.deepencoder import deepencoder_rel_pos_attention

    for side in (64, 40, 32):
        q = torch.zeros(1, 12, side * side, 64, dtype=dtype)
        bias = torch.zeros(1, 12, side * side, side, dtype=dtype)
        deepencoder_rel_pos_attention(q, q, q, bias, bias, side, 0.125)


def experts(dtype: torch.dtype) -> None:
    """The routed experts, both products, at the sizes vLLM chooses for one page, a full batch, a prefill."""
    import triton.language as tl
    from vllm.model_executor.layers.fused_moe import fused_moe

    for tokens in (1, PAGES, MAX_TOKENS):
        settings = fused_moe.get_default_config(tokens, EXPERTS, WIDTH, HIDDEN, CHOSEN, None)
        for rows, columns in ((2 * WIDTH, HIDDEN), (HIDDEN, WIDTH)):
            slots = torch.zeros(tokens * CHOSEN + EXPERTS * 64, dtype=torch.int32)
            fused_moe.invoke_fused_moe_triton_kernel(
                torch.zeros(tokens, columns, dtype=dtype),
                torch.zeros(EXPERTS, rows, columns, dtype=dtype),
                torch.zeros(tokens, CHOSEN, rows, dtype=dtype),
                None, None, torch.zeros(tokens, CHOSEN), slots, slots[: len(slots) // 16 + 1],
                torch.zeros(1, dtype=torch.int32), rows == HIDDEN, CHOSEN, settings,
                {torch.bfloat16: tl.bfloat16, torch.float16: tl.float16}[dtype],
                False, False, False, False, False,
            )  # fmt: skip


def attention(dtype: torch.dtype) -> None:
    """The decoder's attention and cache where FlashAttention is not taken, in 16 bits and in 8."""
    attend(dtype, dtype, "auto")
    if driver.active.get_current_target().arch >= 89:
        attend(dtype, torch.float8_e4m3fn, "fp8")


def attend(dtype: torch.dtype, kept: torch.dtype, cache_dtype: str) -> None:
    from vllm.v1.attention.ops import triton_reshape_and_cache_flash as caching
    from vllm.v1.attention.ops.triton_unified_attention import unified_attention
    from vllm.v1.kv_cache_interface import get_kv_quant_mode

    caching._is_supported_kv_cache_dtype = lambda cache_dtype: True  # it asks the platform, a CPU
    one = torch.ones(1)
    cache = torch.zeros(64, BLOCK, HEADS, HEAD_SIZE, dtype=kept)
    for queries in (PAGES, MAX_TOKENS):
        new = torch.zeros(queries, HEADS, HEAD_SIZE, dtype=dtype)
        slots = torch.zeros(queries, dtype=torch.int64)
        caching.triton_reshape_and_cache_flash(new, new, cache, cache, slots, cache_dtype, one, one)
        segments = torch.zeros(128, HEADS, 16, HEAD_SIZE)
        unified_attention(
            q=new,
            k=cache,
            v=cache,
            out=torch.zeros_like(new),
            cu_seqlens_q=ints(PAGES + 1),
            max_seqlen_q=queries // PAGES,
            seqused_k=ints(PAGES),
            max_seqlen_k=MAX_TOKENS,
            softmax_scale=HEAD_SIZE**-0.5,
            causal=True,
            window_size=(-1, -1),
            block_table=torch.zeros(PAGES, MAX_TOKENS // BLOCK, dtype=torch.int32),
            softcap=0.0,
            q_descale=None,
            k_descale=one.expand(PAGES, HEADS),
            v_descale=one.expand(PAGES, HEADS),
            seq_threshold_3D=128,
            num_par_softmax_segments=16,
            softmax_segm_output=segments,
            softmax_segm_max=segments[..., 0].contiguous(),
            softmax_segm_expsum=segments[..., 0].contiguous(),
            kv_quant_mode=get_kv_quant_mode(cache_dtype),
        )


def steps(dtype: torch.dtype) -> None:
    """What the model runner does around the model in each step."""
    from vllm.v1.worker.gpu import buffer_utils, input_batch
    from vllm.v1.worker.gpu.block_table import BlockTables

    buffer_utils.is_uva_available = lambda: False  # no pinned memory without a driver
    pages, positions, cpu = ints(PAGES), torch.zeros(MAX_TOKENS, dtype=torch.int64), torch.device("cpu")
    starts, tokens = ints(PAGES + 1), torch.zeros(PAGES, MAX_TOKENS, dtype=torch.int32)
    none = torch.zeros(PAGES, 0, dtype=torch.int64)
    sampled = torch.zeros(PAGES, 1, dtype=torch.int64)
    input_batch.prepare_prefill_inputs(
        ints(MAX_TOKENS), torch.zeros(1, PAGES, dtype=torch.int32), pages, starts, tokens, pages, pages
    )
    input_batch.prepare_pos_seq_lens(pages, starts, pages, positions, ints(PAGES))
    input_batch.combine_sampled_and_draft_tokens(
        ints(MAX_TOKENS), pages, sampled, starts, pages, pages, none, starts, PAGES
    )
    input_batch.get_num_sampled_and_rejected(pages, pages, starts, pages, pages)
    input_batch.post_update(pages, pages, sampled, None, sampled, pages, pages, starts, tokens, pages)
    input_batch.post_update(pages, pages, sampled, tokens, sampled, pages, pages, starts, tokens, pages)
    staged = buffer_utils.StagedWriteTensor((PAGES, MAX_TOKENS), torch.int32, cpu)
    staged.stage_write(0, 0, [1, 2, 3])
    staged.apply_write()
    tables = BlockTables([BLOCK], PAGES, MAX_TOKENS, [MAX_TOKENS // BLOCK], cpu)
    tables.gather_block_tables(pages, PAGES)
    tables.compute_slot_mappings(pages, starts, positions, MAX_TOKENS)


def sampling(dtype: torch.dtype) -> None:
    """Temperature, the choice of a token, its log-probability, penalties."""
    from vllm.v1.worker.gpu.sample import gumbel, logprob, min_p, penalties

    logits, pages = torch.zeros(PAGES, VOCABULARY), ints(PAGES)
    floats, longs = torch.zeros(PAGES), torch.zeros(PAGES, dtype=torch.int64)
    gumbel.apply_temperature(logits, pages, floats)
    gumbel.gumbel_sample(logits, pages, floats, longs, longs, True, False)
    logprob.compute_topk_scores(logits, 0, longs)
    min_p.apply_min_p(logits, pages, floats)
    mask = torch.zeros(PAGES, VOCABULARY // 32, dtype=torch.int32)
    counts = torch.zeros(PAGES, VOCABULARY, dtype=torch.int32)
    penalties.apply_penalties(logits, pages, pages, pages, floats, floats, floats, mask, counts)
    penalties.bincount(pages, counts[:, :MAX_TOKENS], pages, pages, mask, counts, MAX_TOKENS)


PARTS: tuple[Callable[[torch.dtype], None], ...] = (towers, experts, attention, steps, sampling)


def ints(count: int) -> torch.Tensor:
    return torch.zeros(count, dtype=torch.int32)


# --- what kernels read from their modules ---------------------------------------------------------------


def plain_globals() -> Iterator[str]:
    """`module.kernel: name` for each name that a kernel of a loaded vLLM module reads and Triton refuses."""
    for module_name, module in sorted(sys.modules.items()):
        if not module_name.startswith(("vllm.", "airgap.")):
            continue
        for kernel in list(vars(module).values()):
            if isinstance(kernel, JITFunction) and kernel.module == module_name:
                yield from (f"{module_name}.{kernel.fn.__name__}: {name}" for name in _read_by(kernel))


def _read_by(kernel: Any) -> list[str]:
    kernel.cache_key  # noqa: B018  fills the table of what it reads
    values = {name: value for (name, _), (value, _) in kernel.used_global_vals.items()}
    accepted = (triton.language.constexpr, triton.language.dtype)
    refused = [name for name, value in values.items() if not isinstance(value, accepted)]
    return [name for name in refused if not inspect.isclass(values[name])]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capability", type=int)
    parser.add_argument("--plain", action="store_true")
    arguments = parser.parse_args()
    pretend(arguments.capability)
    if not arguments.plain:
        import airgap.engines.vllm.plugin.models  # noqa: F401  its import mends
    dtype = torch.bfloat16 if arguments.capability >= 80 else torch.float16
    for part in PARTS:
        part(dtype)
    json.dump({"compiled": COMPILED, "refused": REFUSED, "plain_globals": list(plain_globals())}, sys.stdout)


if __name__ == "__main__":
    main()
