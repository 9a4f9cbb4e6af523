"""The engine of the settings for callers without an event loop: one a process, on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from functools import cache
from pathlib import Path

from airgap.core.document import Document, ReadOptions
from airgap.core.languages import language_code
from airgap.core.opening import FIRST_FRAME
from config import load_settings
from process.pages import open_source
from serve_ocr import create_service


class OwnEngine:
    """Started when it is made. Raises `AirgapError` where it cannot be."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="own-engine").start()
        self._service = create_service(load_settings())
        asyncio.run_coroutine_threadsafe(self._service.engine.start(), self._loop).result()

    def read(self, picture: Path, language: str | None = None) -> Document:
        """The first page of a picture; any thread may call. Raises `AirgapError`."""
        options = ReadOptions(language=language_code(language) if language else None)
        with open_source(
            picture, name=picture.name, limits=self._service.limits, opening=FIRST_FRAME
        ) as source:
            reading = self._service.reader.recognize(source, options)
            return asyncio.run_coroutine_threadsafe(reading, self._loop).result()


_STARTING = threading.Lock()


def own_engine() -> OwnEngine:
    """The one of this process, whichever thread asks first."""
    with _STARTING:
        return _made()


@cache
def _made() -> OwnEngine:
    return OwnEngine()
