"""One vLLM engine kept alive: started off the event loop, watched, and made anew when it dies.

Knows the life of an `AsyncLLM` and nothing about pages or prompts. Imports nothing of vLLM: what makes
the engine is handed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

from airgap.core.errors import AirgapError, EngineUnavailable
from airgap.monitoring import metrics

log = logging.getLogger(__name__)

State = Literal["new", "starting", "ready", "restarting", "failed", "closed"]

WATCH_SECONDS = 0.2
FIRST_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0


class EngineProcess:
    """`make` builds an `AsyncLLM`, blocking; `check` is awaited on each new one and raises if it is unfit.

    At most `max_restarts` restarts are tried within `window` seconds, each after twice the wait of the
    last; then the state is `failed` and stays so.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        check: Callable[[Any], Awaitable[None]],
        *,
        max_restarts: int = 5,
        window: float = 900.0,
    ) -> None:
        self._make = make
        self._check = check
        self._max_restarts = max_restarts
        self._window = window
        self._restarts: deque[float] = deque()
        self._llm: Any = None
        self._watcher: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vllm-start")
        self.state: State = "new"
        self.reason = "not started"
        self.restarts = 0

    async def start(self) -> None:
        """Raises what `make` or `check` raise."""
        self._become("starting", "the engine is loading the model")
        try:
            await self._build()
        except BaseException:
            self._become("failed", "the engine did not start")
            raise
        self._watcher = asyncio.create_task(self._watch(), name="vllm-watch")

    def current(self) -> Any:
        """The living `AsyncLLM`. Raises `EngineUnavailable` where there is none."""
        if self.state == "ready" and not self._llm.errored:
            return self._llm
        retry_after = None if self.state in ("failed", "closed", "new") else 15
        reason = "the engine process died" if self.state == "ready" else self.reason
        raise EngineUnavailable(f"The engine is not ready: {reason}.", retry_after=retry_after)

    def health(self) -> tuple[bool, str]:
        if self.state == "ready" and self._llm.errored:
            return False, "the engine process died"
        return self.state == "ready", self.reason

    async def close(self) -> None:
        """Stop watching and stop the engine. May be called twice."""
        if self.state == "closed":
            return
        self._become("closed", "the engine was shut down")
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        await self._stop()
        self._thread.shutdown(wait=False)

    def _become(self, state: State, reason: str) -> None:
        self.state, self.reason = state, reason

    async def _build(self) -> None:
        building = self._thread.submit(self._make)
        try:
            self._llm = await asyncio.shield(asyncio.wrap_future(building))
        except asyncio.CancelledError:
            building.add_done_callback(_shut_down_late)
            raise
        try:
            await self._check(self._llm)
        except BaseException:
            await self._stop()
            raise
        self._become("ready", "the engine is ready")

    async def _stop(self) -> None:
        llm, self._llm = self._llm, None
        if llm is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, llm.shutdown)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._llm.errored:
                log.error("the vLLM engine process died; restarting it")
                if not await self._restart():
                    return

    async def _restart(self) -> bool:
        """Whether the engine is back."""
        backoff = FIRST_BACKOFF_SECONDS
        self._become("restarting", "the engine process died and is being restarted")
        await self._stop()
        while self._may_restart():
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)
            self._restarts.append(time.monotonic())
            self.restarts += 1
            metrics.engine_restarted("vllm")
            try:
                await self._build()
            except AirgapError as error:
                log.error("restart %d failed: %s", self.restarts, error.message)
            except Exception:
                log.exception("restart %d failed", self.restarts)
            else:
                log.warning("the vLLM engine is back after restart %d", self.restarts)
                return True
        self._become("failed", f"the engine died and {self._max_restarts} restarts did not help; see the log")
        log.critical("giving up on the vLLM engine after %d restarts", self._max_restarts)
        return False

    def _may_restart(self) -> bool:
        while self._restarts and time.monotonic() - self._restarts[0] > self._window:
            self._restarts.popleft()
        return len(self._restarts) < self._max_restarts


def _shut_down_late(building: Future[Any]) -> None:
    """An engine whose start was cancelled comes up all the same, and goes down at once: on the thread that
    made it, for by then there may be no event loop."""
    if not building.cancelled() and building.exception() is None:
        building.result().shutdown()
