"""The product's vLLM engine at DeepSeek-OCR's published size, with random weights: timed, and proved right.

    python -m benchmarks.gpu.vllm_bench bench     pages and tokens a second
    python -m benchmarks.gpu.vllm_bench rule      does the no-repeat rule hold on this GPU's model runner?
    python -m benchmarks.gpu.vllm_bench script    a model that must say a given text: is it what comes out?

What is changed against the product: answers go on to --tokens tokens at temperature 1, since random weights
at temperature 0 loop; the folder is not verified, since it holds no weights. A run is `mode:pages at once`,
and after another colon what is changed in the request: `confidence`, `everytoken`, `norule`, joined by `+`.
`--dry` takes small models and few tokens, for a CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import airgap.engines.vllm.engine
from airgap.core.document import Mode, ReadOptions
from airgap.core.engine import PageRead
from airgap.engines.model_folder import ModelFolder
from airgap.engines.vllm.engine import VllmEngine
from airgap.settings.engines import EngineSettings
from benchmarks.gpu.checkpoint import ARCHITECTURE, folder_of, pages
from benchmarks.gpu.load import Counts, Gpu, measured
from benchmarks.gpu.probe import probe
from benchmarks.gpu.report import STARTED, Results
from deepseek_ocr import WHITELIST_TOKEN_IDS
from process.ngram_norepeat import banned_tokens
from tests import tiny_checkpoint

RUNS = (
    "gundam:128,gundam:128:confidence,gundam:128:everytoken,gundam:1,gundam:16,gundam:64,base:128,"
    "gundam:128:norule,base:1,base:64"
)
COMPILE: dict[str, dict[str, Any]] = {
    "default": {},
    "none": {"compilation_config": {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}},
    "eager": {"enforce_eager": True},
}


@asynccontextmanager
async def started(
    options: argparse.Namespace, folder: ModelFolder, **more: Any
) -> AsyncGenerator[VllmEngine]:
    """The product's engine on a folder that is taken as it is."""
    engine_args = {
        "load_format": "dummy",
        **COMPILE[options.compile],
        **json.loads(options.engine_args),
        **more,
    }
    engine = VllmEngine(
        EngineSettings(
            model_path=folder.path,
            model_id="bench",
            data_dir=options.out,
            base_size=512,
            image_size=512,
            crop_mode=False,
            torch_dtype="fp32" if options.dry else "bf16",
            max_model_len=options.max_model_len,
            max_new_tokens=options.max_model_len - 1000,
            max_concurrency=options.max_concurrency,
            max_queue=4096,
            num_workers=len(os.sched_getaffinity(0)),
            gpu_mem_utilization=options.memory,
            kv_cache_dtype=options.kv_cache_dtype,
            quantization=options.quantization,
            vllm_engine_args=engine_args,
        )
    )
    setattr(airgap.engines.vllm.engine, "verify", lambda path: folder)  # noqa: B010
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def lengthen(engine: Any, tokens: int, changes: str, counts: Counts) -> None:
    """Answers of `tokens` tokens with what `changes` names; what comes is counted."""
    if not hasattr(engine, "_kept"):
        engine._kept = (engine._sampling, engine._outputs, engine._prepared)
    sampling, outputs, prepared = engine._kept

    def long(options: ReadOptions) -> Any:
        params = sampling(options)
        params.ignore_eos, params.max_tokens, params.temperature = True, tokens, 1.0
        if "confidence" in changes:
            params.logprobs = 0
        if "everytoken" in changes:
            params.stream_interval = 1
        if "norule" in changes:
            params.extra_args = None
        return params

    async def counted(*args: Any) -> AsyncGenerator[Any]:
        async with aclosing(outputs(*args)) as stream:
            async for output in stream:
                counts.tokens.append((time.monotonic(), len(output.outputs[0].token_ids)))
                yield output

    async def timed(*args: Any) -> Any:
        at = time.monotonic()
        result = await prepared(*args)
        counts.prepared.append(time.monotonic() - at)
        return result

    engine._sampling, engine._outputs, engine._prepared = long, counted, timed


# --- pages and tokens a second -------------------------------------------------------------------------


async def bench(options: argparse.Namespace, results: Results, where: Path) -> None:
    folder, gpu, at = folder_of(options.size, where), Gpu(), time.monotonic()
    async with started(options, folder) as engine:
        results.add("started", seconds=round(time.monotonic() - at, 1), **settled(engine))
        if not options.no_probe:
            await probed(engine, results)
        counts = Counts()
        for run in options.runs.split(","):
            mode, concurrency, changes = [*run.split(":"), ""][:3]
            left = options.budget - (time.monotonic() - STARTED)
            if left < 10:
                results.add("out of time", run=run)
                continue
            lengthen(engine, options.tokens, changes, counts)
            wanted = ReadOptions(mode=mode, max_tokens=options.tokens)
            total = max(options.rounds * int(concurrency), 1 if options.dry else 3)
            seconds = min(options.seconds, left)
            found = await measured(engine, wanted, int(concurrency), total, seconds, counts, gpu)
            results.add("run", mode=mode, variant=changes or "product", tokens_a_page=options.tokens, **found)


def settled(engine: VllmEngine) -> dict[str, Any]:
    """The machine, the versions, and what vLLM made of its arguments."""
    import torch
    import triton
    import vllm

    config = engine._process.current().vllm_config
    return {
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
        "vllm": vllm.__version__,
        "torch": torch.__version__,
        "triton": triton.__version__,
        "cuda": torch.version.cuda,
        "fitted": engine._fitted,
        "v2_runner": config.use_v2_model_runner,
        "cudagraph": str(config.compilation_config.cudagraph_mode),
        "kv_blocks": config.cache_config.num_gpu_blocks,
    }


async def probed(engine: VllmEngine, results: Results) -> None:
    """The vision towers alone, inside the engine's process."""
    try:
        found = await engine._process.current().collective_rpc(probe, timeout=120)
    except Exception as error:
        results.add("probe failed", error=f"{type(error).__name__}: {error}"[:400])
    else:
        results.add("probe", **found[0])


# --- the no-repeat rule, and a text that must come out ---------------------------------------------------


async def rule(options: argparse.Namespace, results: Results, where: Path) -> None:
    """Greedy answers of random weights: none of the tokens may be one that a rule of 3-grams forbids."""
    sizes = [3, 5, 30, 1, 3, 5, 30, 1]  # of a mixed batch; 1 is no rule
    async with started(options, folder_of(options.size, where)) as engine:
        answers = await asyncio.gather(
            *(_ids(engine, number, size, min(options.tokens, 300)) for number, size in enumerate(sizes))
        )
    applied = broken = 0
    for size, answer in zip(sizes, answers, strict=True):
        bans = [_banned(answer[:end], size) for end in range(len(answer))]
        applied += sum(map(bool, bans))
        broken += sum(token in ban for token, ban in zip(answer, bans, strict=True))
    results.add("rule", tokens=sum(map(len, answers)), steps_with_a_ban=applied, broken=broken)
    if broken or not applied:
        raise SystemExit(f"the rule was broken {broken} times, and applied {applied} times")


async def _ids(engine: Any, number: int, ngram_size: int, tokens: int) -> list[int]:
    options = ReadOptions(mode="tiny", max_tokens=tokens, ngram_size=ngram_size, window_size=90)
    sampling = VllmEngine._sampling

    def long(options: ReadOptions) -> Any:
        params = sampling(engine, options)
        params.ignore_eos, params.repetition_detection = True, None
        return params

    engine._sampling = long
    got: list[int] = []
    async with aclosing(
        engine._outputs(engine._process.current(), [pages(8)[number % 8]], options)
    ) as stream:
        async for output in stream:
            got += output.outputs[0].token_ids
    return got


def _banned(so_far: list[int], size: int) -> set[int]:
    return set(banned_tokens(so_far, size, 90, WHITELIST_TOKEN_IDS)) if size > 1 else set()


async def script(options: argparse.Namespace, results: Results, where: Path) -> None:
    """24 pages at once, in three modes, from a model that says one text alone."""
    order = "".join(dict.fromkeys("The quick brown fx jmp over a lzy dg"))  # each character once
    successors = {"\n": order[0], ".": order[0], **dict(pairwise(order))}
    sizes = replace(tiny_checkpoint.SCRIPTED, hidden=256, heads=2)
    tiny_checkpoint.make(where, sizes=sizes, script=successors)
    folder = ModelFolder(where, *ARCHITECTURE, 0, 0, False)  # type: ignore[arg-type]
    modes: tuple[Mode, ...] = ("tiny",) if options.dry else ("tiny", "base", "gundam")
    async with started(options, folder, load_format="safetensors") as engine:

        async def one(number: int) -> str:
            wanted = ReadOptions(mode=modes[number % len(modes)], prompt="Free OCR.", max_tokens=64)
            async with aclosing(engine.read([pages(4)[number % 4]], wanted)) as events:
                end = [event async for event in events][-1]
            assert isinstance(end, PageRead)
            return end.raw

        said = await asyncio.gather(*(one(number) for number in range(4 if options.dry else 24)))
    right = sum(order in text for text in said)
    results.add("script", expected=order, said=sorted(set(said))[:3], right=right, of=len(said))
    if right < len(said):
        raise SystemExit(f"{len(said) - right} of {len(said)} pages say something else")


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("what", choices=["bench", "rule", "script"])
    found.add_argument("--out", type=Path, default=Path("build/bench-gpu"))
    found.add_argument("--size", choices=["full", "tiny"], default="full")
    found.add_argument("--runs", default=RUNS)
    found.add_argument("--tokens", type=int, default=1000)
    found.add_argument("--rounds", type=int, default=2, help="pages per lane")
    found.add_argument("--seconds", type=float, default=25, help="no page is begun later than this in a run")
    found.add_argument("--budget", type=float, default=420, help="seconds for all runs")
    found.add_argument("--compile", choices=COMPILE, default="default")
    found.add_argument("--max-concurrency", type=int, default=128)
    found.add_argument("--max-model-len", type=int, default=8192)
    found.add_argument("--memory", type=float, default=0.75)
    found.add_argument("--kv-cache-dtype", choices=["auto", "fp8"], default="auto")
    found.add_argument("--quantization", choices=["fp8"])
    found.add_argument("--engine-args", default="{}", help="further arguments of vLLM, as JSON")
    found.add_argument("--no-probe", action="store_true")
    found.add_argument("--dry", action="store_true")
    return found


def main() -> None:
    options = parser().parse_args()
    options.out = options.out.resolve()
    if options.dry:
        options.size, options.tokens, options.rounds, options.max_model_len = "tiny", 8, 1, 2048
        options.max_concurrency, options.runs = 4, "tiny:1,tiny:2:confidence"
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    results = Results(options.out)
    stage = {"bench": bench, "rule": rule, "script": script}[options.what]
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as folder:
        try:
            asyncio.run(stage(options, results, Path(folder) / "model"))
        except Exception as error:
            results.add("failed", stage=options.what, error=f"{type(error).__name__}: {error}"[:1000])
            raise


if __name__ == "__main__":
    main()
