"""vLLM's own metrics of several engines in one process, each under its number in the label `engine`.

Importing this module imports vLLM. vLLM's logger takes down the metrics of any other in the process when
it is made; so there is one, made with the first engine, and the engines' loggers hand their figures to it.
"""

from __future__ import annotations

import threading
from typing import Any

from vllm.config import VllmConfig
from vllm.v1.metrics.loggers import PrometheusStatLogger

_lock = threading.Lock()
_shared: list[PrometheusStatLogger] = []


def _metrics(vllm_config: VllmConfig, engines: int) -> PrometheusStatLogger:
    with _lock:
        if not _shared:
            _shared.append(PrometheusStatLogger(vllm_config, list(range(engines))))
            _shared[0].log_engine_initialized()
        return _shared[0]


def stat_logger(number: int, engines: int) -> type[PrometheusStatLogger]:
    """The class to hand to the `AsyncLLM` of engine `number` of `engines`."""

    class OfOneEngine(PrometheusStatLogger):
        def __init__(self, vllm_config: VllmConfig, engine_indexes: list[int] | None = None) -> None:
            self._all = _metrics(vllm_config, engines)

        def record(
            self,
            scheduler_stats: Any,
            iteration_stats: Any,
            mm_cache_stats: Any = None,
            engine_idx: int = 0,
        ) -> None:
            self._all.record(scheduler_stats, iteration_stats, mm_cache_stats, number)

        def record_admission_rejection(self, reason: str) -> None:
            self._all.record_admission_rejection(reason)

        def record_sleep_state(self, sleep: int = 0, level: int = 0) -> None:
            """No engine here is put to sleep."""

        def log_engine_initialized(self) -> None:
            """Said once, for all engines, when the metrics were made."""

    return OfOneEngine
