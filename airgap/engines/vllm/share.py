"""What each of several vLLM engines in one server has of its GPUs and its pages."""

from __future__ import annotations

from dataclasses import dataclass

from airgap.settings.engines import EngineSettings

PAGES_OF_AN_ENGINE = 100


@dataclass(frozen=True, slots=True)
class Share:
    """`pages` at once; of DATA_PARALLEL_SIZE engines this one is `number`, from 0.

    It has the GPUs `devices`, numbered as the process sees them; empty leaves the choice to vLLM.
    """

    pages: int
    number: int = 0
    devices: tuple[int, ...] = ()


def whole(settings: EngineSettings) -> Share:
    """Of an engine that has no other beside it."""
    return Share(settings.max_concurrency or PAGES_OF_AN_ENGINE)


def shares(settings: EngineSettings) -> list[Share]:
    """MAX_CONCURRENCY is of all engines together. On Ray the cluster gives out the GPUs."""
    engines, wide = settings.data_parallel_size, settings.tensor_parallel_size
    pages = -(-(settings.max_concurrency or PAGES_OF_AN_ENGINE * engines) // engines)
    on_ray = settings.distributed_executor_backend == "ray"
    return [
        Share(pages, number, () if on_ray else tuple(range(number * wide, (number + 1) * wide)))
        for number in range(engines)
    ]
