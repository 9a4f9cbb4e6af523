"""As many vLLM engines as `data_parallel_size` says, each an `AsyncLLM` with GPUs of its own.

vLLM's own data parallelism is not used: for a mixture of experts it runs the copies in lockstep with the
experts spread over all GPUs, so that each step waits for the slowest and one dead copy takes all along.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from airgap.core.engine import Engine
from airgap.engines.replicated import ReplicatedEngine
from airgap.engines.vllm.engine import VllmEngine
from airgap.engines.vllm.share import shares
from airgap.settings.engines import EngineSettings


def create(settings: EngineSettings) -> Engine:
    """One engine, or several that share the threads which prepare pages."""
    if settings.data_parallel_size == 1:
        return VllmEngine(settings)
    threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="prepare")
    engines = [VllmEngine(settings, share, threads=threads) for share in shares(settings)]
    return ReplicatedEngine(engines, closed=lambda: threads.shutdown(wait=False, cancel_futures=True))
