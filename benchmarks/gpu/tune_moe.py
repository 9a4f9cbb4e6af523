"""The best Triton settings for DeepSeek-OCR's experts (64 of 896, 6 a token) on this GPU, as vLLM reads them.

    python -m benchmarks.gpu.tune_moe [--out build/bench-gpu] [--seconds 100]

Writes OUT/moe/E=64,N=896,device_name=….json, for VLLM_TUNED_CONFIG_FOLDER. Prints microseconds of one layer
at each number of tokens: vLLM's default, those that vLLM ships for the H20, the best found. `--dry` counts
what would be tried.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.gpu.report import Results

EXPERTS, WIDTH, HIDDEN, TOP = 64, 896, 1280, 6
TOKENS = (1, 16, 64, 96, 128, 256, 1024, 8192)
SHARED_MEMORY = 200_000  # bytes of a block's tiles; what a card refuses is skipped
Settings = dict[str, int]
Timer = Callable[[int, Settings], float]


def candidates() -> Iterator[Settings]:
    for m, n, k, stages in itertools.product((16, 32, 64, 128), (64, 128), (64, 128), (3, 4, 5)):
        if (m + n) * k * 2 * stages <= SHARED_MEMORY:
            yield {
                "BLOCK_SIZE_M": m,
                "BLOCK_SIZE_N": n,
                "BLOCK_SIZE_K": k,
                "GROUP_SIZE_M": 1 if m < 64 else 16,
                "SPLIT_K": 1,
                "num_warps": 8 if m * n >= 128 * 128 else 4,
                "num_stages": stages,
            }


def worth_trying(settings: Settings, tokens: int) -> bool:
    per_expert = max(1, tokens * TOP // EXPERTS)
    m = settings["BLOCK_SIZE_M"]
    return m <= max(16, 4 * per_expert) and (m >= 64 or tokens <= 1024)


def timer() -> Timer:
    """Microseconds of one layer with some settings, over three sets of weights, past the caches.

    In a CUDA graph, as the engine decodes: launched one by one, the processor's 200 µs hide the GPU's.
    """
    import torch
    from triton.testing import do_bench_cudagraph
    from vllm.model_executor.layers.fused_moe import override_config
    from vllm.model_executor.layers.fused_moe.fused_moe import fused_experts

    generator = torch.Generator("cuda").manual_seed(0)

    def normal(*shape: int) -> Any:
        made = torch.randn(shape, device="cuda", dtype=torch.bfloat16, generator=generator)
        return made / shape[-1] ** 0.5

    weights = [(normal(EXPERTS, 2 * WIDTH, HIDDEN), normal(EXPERTS, HIDDEN, WIDTH)) for _ in range(3)]
    turns = itertools.cycle(weights)
    inputs = {}
    for tokens in TOKENS:
        scores = torch.randn(tokens, EXPERTS, device="cuda", generator=generator)
        values, ids = torch.topk(torch.softmax(scores, -1), TOP)
        inputs[tokens] = (normal(tokens, HIDDEN) * HIDDEN**0.5, values, ids.to(torch.int32))

    def timed(tokens: int, settings: Settings) -> float:
        x, values, ids = inputs[tokens]
        with override_config(settings):
            run = lambda: fused_experts(x, *next(turns), values, ids)  # noqa: E731
            return float(1000 * do_bench_cudagraph(run, rep=12, return_mode="median"))

    return timed


def known() -> dict[int, dict[str, Settings]]:
    """vLLM's default, and the H20's, for each number of tokens."""
    import vllm
    from vllm.model_executor.layers.fused_moe.fused_moe import get_default_config

    configs = Path(vllm.__file__).parent / "model_executor/layers/fused_moe/configs"
    shipped = json.loads((configs / f"E={EXPERTS},N={WIDTH},device_name=NVIDIA_H20.json").read_text())
    h20 = {int(tokens): settings for tokens, settings in shipped.items() if tokens.isdigit()}
    return {
        tokens: {
            "default": get_default_config(tokens, EXPERTS, WIDTH, HIDDEN, TOP, None),
            "h20": {"SPLIT_K": 1, **h20[min(h20, key=lambda key: abs(key - tokens))]},
        }
        for tokens in TOKENS
    }


def search(timed: Timer, seconds: float) -> dict[int, dict[str, Any]]:
    """`{tokens: {"default": µs, "h20": µs, "best": µs, "settings": …}}`.

    One setting after another, so that each is compiled once.
    """
    end = time.monotonic() + seconds
    table: dict[int, dict[str, Any]] = {}
    for tokens, options in known().items():
        times = {name: timed(tokens, settings) for name, settings in options.items()}
        name = min(times, key=lambda name: times[name])
        table[tokens] = {**times, "best": times[name], "settings": options[name]}
    for settings in candidates():
        if time.monotonic() > end:
            print("out of time")
            break
        for tokens in (tokens for tokens in TOKENS if worth_trying(settings, tokens)):
            try:
                took = timed(tokens, settings)
            except Exception as error:  # too much shared memory for this GPU
                print("skipped", settings, type(error).__name__)
                break
            if took < table[tokens]["best"]:
                table[tokens] |= {"best": took, "settings": settings}
    return table


def write(table: dict[int, dict[str, Any]], folder: Path) -> Path:
    """The file that vLLM looks for on this GPU."""
    from vllm.model_executor.layers.fused_moe.fused_moe import get_config_file_name

    folder.mkdir(parents=True, exist_ok=True)
    path: Path = folder / get_config_file_name(EXPERTS, WIDTH, None)
    path.write_text(json.dumps({str(tokens): row["settings"] for tokens, row in table.items()}, indent=1))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench-gpu"))
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--dry", action="store_true")
    options = parser.parse_args()
    results = Results(options.out)
    if options.dry:
        counts = {str(tokens): sum(worth_trying(one, tokens) for one in candidates()) for tokens in TOKENS}
        results.add("tune would try", **counts)
        return
    from vllm.config import VllmConfig, set_current_vllm_config

    with set_current_vllm_config(VllmConfig()):
        table = search(timer(), options.seconds)
    for tokens, row in table.items():
        results.add("experts", tokens=tokens, **row)
    results.add("tuned", file=str(write(table, options.out / "moe")))


if __name__ == "__main__":
    main()
