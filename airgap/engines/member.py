"""One engine among several: started until it is there, asked how it is. Knows the engine contract alone."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from airgap.core.engine import Engine
from airgap.core.errors import AirgapError

log = logging.getLogger(__name__)

START_AGAIN_SECONDS = 30.0


@dataclass(eq=False)
class Member:
    """`label` is what the log and `/readyz` call it; `failure` is why the last start came to nothing."""

    engine: Engine
    label: str
    started: bool = False
    problem: str = "it is not started"
    failure: AirgapError | None = None
    _under_way: asyncio.Event | None = None

    def usable(self) -> tuple[bool, str]:
        """Whether it can read now, and why not."""
        if not self.started:
            return False, self.problem
        return self.engine.health()

    async def start(self) -> bool:
        """Whether it is there now; never raises what the engine raises."""
        self._under_way = under_way = asyncio.Event()
        try:
            await self.engine.start()
        except AirgapError as error:
            self.failure, self.problem = error, f"it did not start: {error.message}"
            log.warning("engine %s did not start: %s %s", self.label, error.message, error.remedy)
        except Exception as error:
            self.problem = f"it did not start: {type(error).__name__}"
            log.exception("engine %s did not start", self.label)
        else:
            self.started = True
        finally:
            self._under_way = None
            under_way.set()
        return self.started

    @property
    def is_starting(self) -> bool:
        return self._under_way is not None

    async def settled(self) -> None:
        """Return once the start that is under way, if one is, has come to something."""
        if self._under_way is not None:
            await self._under_way.wait()

    async def keep_starting(self, pause: float) -> None:
        """Start it, again and again with `pause` seconds between, until it is there."""
        while True:
            if await self.start():
                break
            await asyncio.sleep(pause)
        log.info("engine %s is there too", self.label)

    async def close(self) -> None:
        self.started, self.problem = False, "it is closed"
        await self.engine.close()
