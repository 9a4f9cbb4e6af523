"""The stand-in keeps what real engines keep: nothing heavy on the event loop."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from PIL import Image

from airgap.core.document import ReadOptions
from airgap.engines import fake


async def test_it_looks_at_pictures_on_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[threading.Thread] = []
    look = fake.dark_rectangles

    def watched(image: Image.Image) -> Any:
        seen.append(threading.current_thread())
        return look(image)

    monkeypatch.setattr(fake, "dark_rectangles", watched)
    async for _ in fake.FakeEngine().read([Image.new("RGB", (9, 9), "white")], ReadOptions()):
        pass
    assert seen
    assert threading.main_thread() not in seen
