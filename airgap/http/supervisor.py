"""What runs for the server's life: started again when it breaks, and said in `/readyz` while it is broken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

SETTLED_SECONDS = 5.0
"""What has run for this long is well again."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


class Supervisor:
    """Watches over tasks by name, on one event loop."""

    def __init__(self) -> None:
        self.troubles: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run, and again whenever it breaks, after a pause that grows; until it ends by itself."""
        task = asyncio.create_task(self._keep(name, run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                await self._run(name, run)
            except Exception as error:
                if name not in self.troubles:  # it was well
                    pause = FIRST_PAUSE
                log.exception("%s broke; it is started again in %g s", name, pause)
                self.troubles[name] = f"{name} broke: {type(error).__name__}"
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self.troubles.pop(name, None)
                return

    async def _run(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run to the end. Raises what broke it."""
        task = asyncio.ensure_future(run())
        try:
            await asyncio.wait({task}, timeout=SETTLED_SECONDS)
            if not task.done():
                self.troubles.pop(name, None)
            await task
        finally:
            task.cancel()

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
