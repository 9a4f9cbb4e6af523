"""As many vLLM engines as `data_parallel_size` says, each an `AsyncLLM` with GPUs of its own.

vLLM's own data parallelism is not used: for a mixture of experts it runs the copies in lockstep with the
experts spread over all GPUs, so that each step waits for the slowest and one dead copy takes all along.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from airgap.core.engine import Engine
from airgap.engines.replicated import ReplicatedEngine
from airgap.engines.vllm.engine import VllmEngine, VllmOptions


def create(options: VllmOptions) -> Engine:
    """One engine, or several that share the threads which prepare pages.

    `max_concurrency` is of all together: each gets its share of the pages.
    """
    number = options.data_parallel_size
    if number == 1:
        return VllmEngine(options)
    threads = ThreadPoolExecutor(options.num_workers, thread_name_prefix="prepare")
    engines = [VllmEngine(each, threads=threads) for each in shares(options)]
    return ReplicatedEngine(engines, closed=lambda: threads.shutdown(wait=False, cancel_futures=True))


def shares(options: VllmOptions) -> list[VllmOptions]:
    """The options of each engine. On Ray the cluster gives out the GPUs."""
    number, wide = options.data_parallel_size, options.tensor_parallel_size
    places = -(-options.max_concurrency // number)
    on_ray = options.distributed_executor_backend == "ray"
    return [
        replace(
            options,
            engine_number=engine,
            max_concurrency=places,
            devices=() if on_ray else tuple(range(engine * wide, (engine + 1) * wide)),
        )
        for engine in range(number)
    ]
