"""A second engine that reads a page for comparison, started when it is first asked for.

Knows the engine contract alone. What the comparison finds is `process.crosscheck`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from contextvars import Context
from dataclasses import replace

from PIL.Image import Image

from airgap.core.document import Page, ReadOptions
from airgap.core.engine import Engine, PageRead
from airgap.core.errors import AirgapError, EngineFailed
from process.crosscheck import compare

log = logging.getLogger(__name__)


class SecondReader:
    """`make` builds the engine; `timeout` is in seconds for one page, waiting included."""

    def __init__(self, make: Callable[[], Engine], *, timeout: float) -> None:
        self._make = make
        self._timeout = timeout
        self._loading: asyncio.Task[Engine] | None = None

    async def read(self, image: Image, options: ReadOptions) -> tuple[str, PageRead]:
        """The engine's name and its reading. Raises `AirgapError`."""
        try:
            async with asyncio.timeout(self._timeout):
                engine = await self._started()
                async with aclosing(engine.read([image], ReadOptions(language=options.language))) as events:
                    async for event in events:
                        if isinstance(event, PageRead):
                            return engine.name, event
        except TimeoutError as error:
            raise EngineFailed(f"The second engine took longer than {self._timeout:g} s.") from error
        raise EngineFailed("The second engine ended without a result.")

    async def _started(self) -> Engine:
        """Loaded once, whoever of those that wait for it goes away."""
        if self._loading is None or (self._loading.done() and self._loading.exception() is not None):
            self._loading = asyncio.create_task(self._load(), context=Context())
        return await asyncio.shield(self._loading)

    async def _load(self) -> Engine:
        engine = self._make()
        await engine.start()
        return engine

    async def checked(self, page: Page, first: str, image: Image, options: ReadOptions) -> Page:
        """`page`, as engine `first` read it, with `disagreements`, or with a warning why there are none."""
        try:
            name, read = await self.read(image, options)
        except AirgapError as error:
            return _without(page, error.message)
        except Exception as error:
            log.exception("the second engine broke")
            return _without(page, f"the second engine broke ({type(error).__name__})")
        if name == (page.engine or first):
            return _without(page, f"the engine {name} cannot check itself")
        return replace(page, disagreements=compare(page.blocks, read.blocks, name))

    async def close(self) -> None:
        loading, self._loading = self._loading, None
        if loading is not None:
            (engine,) = await asyncio.gather(loading, return_exceptions=True)
            if not isinstance(engine, BaseException):
                await engine.close()


def _without(page: Page, why: str) -> Page:
    return replace(page, warnings=(*page.warnings, f"The page was not cross-checked: {why.rstrip('.')}."))
