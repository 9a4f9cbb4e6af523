"""Several engines of one kind side by side, as one: each page goes to the one that has the fewest.

An engine that dies costs the pages that were in it, and no more: those are marked to be read again where
another engine runs. Each restarts by itself, and meanwhile the others read. `/readyz` says how many of how
many run, and why the rest do not; a metric counts them.

Knows the engine contract alone; which process or GPU is behind an engine is not its business.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from PIL.Image import Image

from airgap.core.document import ReadOptions
from airgap.core.engine import Capabilities, Delta, Engine, PageRead
from airgap.core.errors import ConfigurationError, EngineBusy, EngineFailed, EngineUnavailable
from airgap.engines.member import START_AGAIN_SECONDS, Member
from airgap.monitoring import metrics

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 15


@dataclass(eq=False)
class _Replica(Member):
    """`pages` are in it now; `turn` is when it was last given one."""

    pages: int = 0
    turn: int = 0

    @contextmanager
    def holding(self, turn: int) -> Iterator[None]:
        self.pages += 1
        self.turn = turn
        try:
            yield
        finally:
            self.pages -= 1


class ReplicatedEngine:
    """`closed` is called once, after all engines were closed: it frees what they share.

    Name, model, device and capabilities are those of the first engine that runs.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        *,
        start_again_seconds: float = START_AGAIN_SECONDS,
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        self._replicas = [_Replica(engine, f"{engine.name} {n}") for n, engine in enumerate(engines)]
        self._pause = start_again_seconds
        self._closed = closed
        self._starting: list[asyncio.Task[None]] = []
        self._turns = 0
        metrics.count_engines(lambda: len(self._running()), lambda: len(engines) - len(self._running()))

    @property
    def _first(self) -> Engine:
        return next(iter(self._running()), self._replicas[0]).engine

    @property
    def name(self) -> str:
        return self._first.name

    @property
    def model(self) -> str:
        return self._first.model

    @property
    def device(self) -> str:
        return f"{len(self._replicas)} × {self._first.device}"

    @property
    def model_digest(self) -> str | None:
        """That of each engine: they read with one model."""
        return self._first.model_digest

    @property
    def capabilities(self) -> Capabilities:
        return self._first.capabilities

    @property
    def max_concurrency(self) -> int:
        """Of all engines together."""
        return sum(replica.engine.max_concurrency for replica in self._replicas)

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the first engine, which checks the model and leaves compiled kernels behind, then the others
        beside the reading.

        Raises what the first engine raised where the settings are wrong or no engine can be started.
        """
        for replica in self._replicas:
            replica.problem = "it is starting"
        for replica in self._replicas:
            if await replica.start():
                others = [other for other in self._replicas if not other.started]
                self._starting = [asyncio.create_task(other.keep_starting(self._pause)) for other in others]
                return
            if isinstance(replica.failure, ConfigurationError):
                break
        raise self._replicas[0].failure or EngineUnavailable(self.health()[1])

    async def close(self) -> None:
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(replica.close() for replica in self._replicas))
        closed, self._closed = self._closed, lambda: None
        closed()

    def _running(self) -> list[_Replica]:
        return [replica for replica in self._replicas if replica.usable()[0]]

    def health(self) -> tuple[bool, str]:
        """Whether any engine can read now; how many do, and what is wrong with the others."""
        states = [(replica.label, *replica.usable()) for replica in self._replicas]
        running = sum(usable for _, usable, _ in states)
        problems = [f"{label}: {why}" for label, usable, why in states if not usable]
        return running > 0, "; ".join([f"{running} of {len(states)} engines run", *problems])

    # --- reading ---------------------------------------------------------------------------------

    async def read(
        self, images: Sequence[Image], options: ReadOptions
    ) -> AsyncGenerator[Delta | PageRead, None]:
        """See `airgap.core.engine.Engine`. The error of an engine that broke has `read_again` set where
        another one runs."""
        tried: list[_Replica] = []
        while replica := self._least_loaded(tried):
            self._turns += 1
            begun = False
            try:
                with replica.holding(self._turns):
                    async with aclosing(replica.engine.read(images, options)) as events:
                        async for event in events:
                            begun = True
                            yield event
                return
            except EngineBusy:
                raise
            except EngineUnavailable:  # it died between the choice and the reading
                if begun:
                    raise
                tried.append(replica)
            except EngineFailed as error:
                error.read_again = self._least_loaded([replica]) is not None
                raise
        raise EngineUnavailable(
            f"No engine can read now: {self.health()[1]}.", retry_after=RETRY_AFTER_SECONDS
        )

    def _least_loaded(self, besides: Collection[_Replica]) -> _Replica | None:
        """Of those with equally few pages, the one that was given none for longest."""
        candidates = [replica for replica in self._running() if replica not in besides]
        return min(candidates, key=lambda replica: (replica.pages, replica.turn), default=None)
