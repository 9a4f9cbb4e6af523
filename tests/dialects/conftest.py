"""A server inside the test's own process, so that a test can hold its engine and look at it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL.Image import Image

import serve_ocr
from airgap.core.document import ReadOptions
from airgap.core.engine import Delta, PageRead
from airgap.engines.fake import FakeEngine
from airgap.http.service import Service
from config import load_settings
from tests.conftest import free_port


class GatedEngine(FakeEngine):
    """Stops after the first piece of each page until the gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    async def _read(self, images: Sequence[Image], options: ReadOptions) -> AsyncGenerator[Delta | PageRead]:
        first = True
        async for event in super()._read(images, options):
            while not first and not self.gate.is_set():
                await asyncio.sleep(0.005)
            yield event
            first = False


@dataclass
class InProcess:
    url: str
    service: Service
    engine: GatedEngine

    def wait_until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come to pass"
            time.sleep(0.01)

    def is_idle(self) -> bool:
        """Nothing is read, nobody is waiting, and no upload lies about."""
        left = [path for path in self.service.uploads.rglob("*") if path.name != ".lock"]
        return self.engine.running == 0 and self.service.reader.requests == 0 and not left


@contextmanager
def in_process(data_dir: Path, **settings: Any) -> Iterator[InProcess]:
    """Serve on a thread with a `GatedEngine`, its gate open."""
    port = free_port()
    app = serve_ocr.create_app(load_settings(backend="fake", data_dir=data_dir, **settings))
    service: Service = app.state.service
    engine = GatedEngine()
    engine.gate.set()
    service.engine = service.reader.engine = engine
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    held = InProcess(f"http://127.0.0.1:{port}", service, engine)
    try:
        held.wait_until(lambda: server.started and service.started)
        yield held
    finally:
        engine.gate.set()
        server.should_exit = True
        thread.join(30)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[InProcess]:
    with in_process(tmp_path) as running:
        yield running
