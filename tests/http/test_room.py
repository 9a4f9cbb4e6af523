"""Room on the disk: promised before it is taken, given back, and a clear answer where there is none."""

from __future__ import annotations

import errno
import io
import shutil
from pathlib import Path
from typing import cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from airgap.core.errors import StorageFull
from airgap.http import room
from airgap.http.room import Room
from config import Settings
from serve_ocr import create_app


def disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = shutil._ntuple_diskusage(100 << 30, 0, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def large_picture() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((1500, 1500), 90).save(buffer, "PNG")
    return buffer.getvalue()


def test_what_is_promised_is_not_promised_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk(monkeypatch, room.KEPT_FREE + 100)
    found = Room(tmp_path / "not there yet" / "uploads")
    found.take(60)
    with pytest.raises(StorageFull):
        found.take(60)
    found.give(60)
    found.take(100)


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    return TestClient(create_app(Settings(backend="fake", data_dir=tmp_path)))


def send(client: TestClient, data: bytes) -> int:
    answer = client.post("/ocr/image/simple", files={"file": ("a.png", data)})
    if answer.status_code == 503:
        error = answer.json()["error"]
        assert (error["code"], answer.headers["retry-after"]) == ("storage_full", "30")
        assert "DATA_DIR" in error["remedy"]
    return answer.status_code


def test_no_room_is_said_before_anything_is_taken(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client:
        data = large_picture()
        assert len(data) > room.IN_MEMORY
        assert send(client, data) == 200
        disk(monkeypatch, room.KEPT_FREE + len(data))
        assert send(client, data) == 503
        disk(monkeypatch, room.KEPT_FREE + 3 * len(data))
        for _ in range(3):  # given back each time
            assert send(client, data) == 200


def test_a_disk_that_fills_meanwhile_is_said_too(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with client:
        monkeypatch.setattr(shutil, "copyfileobj", full)
        assert send(client, large_picture()) == 503
        assert (
            list(cast(FastAPI, client.app).state.service.settings.data_dir.glob("uploads/*/upload-*")) == []
        )
