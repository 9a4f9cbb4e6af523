"""The engine without vLLM on a full-size file of random weights: pages and tokens a second."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import airgap.engines.transformers.engine as module
from airgap.core.document import ReadOptions
from airgap.engines.transformers.engine import TransformersEngine
from airgap.settings.engines import EngineSettings
from benchmarks.gpu.checkpoint import folder_of
from benchmarks.gpu.load import Counts, Gpu, measured
from benchmarks.gpu.report import Results

NEVER = frozenset({-1})


async def bench(options: argparse.Namespace, results: Results, where: Path) -> None:
    at, gpu, counts = time.monotonic(), Gpu(), Counts()
    folder = folder_of("tiny" if options.dry else "full", where, weights=True)
    results.add("weights written", seconds=round(time.monotonic() - at, 1))
    engine, at = TransformersEngine(settings(options, folder.path)), time.monotonic()
    await engine.start()
    facts = {"attention": engine.attention, "rows": engine.max_concurrency, "device": engine.device}
    results.add("started", engine="transformers", seconds=round(time.monotonic() - at, 1), **facts)
    type(engine._decoder).eos_ids = NEVER
    module._events = counted(module._events, counts)
    try:
        for run in options.runs.split(","):
            mode, concurrency = run.split(":")
            wanted = ReadOptions(mode=mode, max_tokens=options.tokens, temperature=1.0)
            count = int(concurrency)
            found = await measured(engine, wanted, count, max(2, count), options.seconds, counts, gpu)
            results.add("run", mode=mode, variant="transformers", tokens_a_page=options.tokens, **found)
    finally:
        await engine.close()


def settings(options: argparse.Namespace, folder: Path) -> EngineSettings:
    return EngineSettings(
        model_path=folder,
        model_id="bench",
        data_dir=options.out,
        base_size=512,
        image_size=512,
        crop_mode=False,
        torch_dtype="fp32" if options.dry else "bf16",
        max_model_len=2048 if options.dry else 8192,
        max_new_tokens=1000,
        max_concurrency=64,
        max_queue=4096,
        num_workers=len(os.sched_getaffinity(0)),
    )


def counted(events: Any, counts: Counts) -> Any:
    async def wrapped(*args: Any) -> AsyncGenerator[Any]:
        async with aclosing(events(*args)) as stream:
            async for event in stream:
                if not isinstance(event, str):
                    counts.tokens.append((time.monotonic(), 1))
                yield event

    return wrapped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench-gpu"))
    parser.add_argument("--runs", default="gundam:1,gundam:16,gundam:64")
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=25)
    parser.add_argument("--dry", action="store_true")
    options = parser.parse_args()
    options.out = options.out.resolve()
    if options.dry:
        options.runs, options.tokens = "tiny:1,tiny:2", 8
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as folder:
        asyncio.run(bench(options, Results(options.out), Path(folder) / "model"))


if __name__ == "__main__":
    main()
