"""What lives as long as the server: started again when it breaks, closed whatever fails, told in /readyz."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airgap.core.errors import JobsUnavailable
from airgap.http import service, supervisor
from airgap.http.supervisor import Supervisor
from config import Settings
from serve_ocr import create_app


async def until(condition: object) -> None:
    async with asyncio.timeout(20):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_what_breaks_is_started_again_and_said_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(supervisor, "SETTLED_SECONDS", 0.05)
    runs = 0
    well = asyncio.Event()

    async def sweep() -> None:
        nonlocal runs
        runs += 1
        if not well.is_set():
            raise OSError("gone")
        await asyncio.Event().wait()

    watch = Supervisor()
    watch.watch("the sweep", sweep)
    await until(lambda: runs >= 3)
    assert watch.troubles == {"the sweep": "the sweep broke: OSError"}
    well.set()
    await until(lambda: not watch.troubles)
    await watch.close()


async def test_what_ends_by_itself_is_no_trouble() -> None:
    async def once() -> None:
        pass

    watch = Supervisor()
    watch.watch("once", once)
    await until(lambda: not watch._tasks)
    assert watch.troubles == {}


class Part:
    """One that breaks wherever it is told to."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.closed = False

    async def prepare(self) -> None:
        if self.broken == "prepare":
            raise JobsUnavailable("The database is not there.")

    async def start(self) -> None:
        if self.broken == "start":
            raise RuntimeError

    def trouble(self) -> str | None:
        return "the disk is on fire" if self.broken == "trouble" else None

    async def close(self) -> None:
        self.closed = True
        if self.broken == "close":
            raise RuntimeError


def app_with(tmp_path: Path, *parts: Part) -> TestClient:
    app = create_app(Settings(backend="fake", data_dir=tmp_path, enable_jobs=False))
    app.state.service.parts += parts
    return TestClient(app)


def test_everything_is_closed_even_if_one_part_fails(tmp_path: Path) -> None:
    parts = Part("close"), Part()
    with app_with(tmp_path, *parts) as client:
        assert tempfile.gettempdir().startswith(str(tmp_path))
        service = client.app.state.service  # type: ignore[attr-defined]
        scratch = service.scratch.path
    assert all(part.closed for part in parts)
    assert not scratch.exists()
    assert not tempfile.gettempdir().startswith(str(tmp_path))


@pytest.mark.parametrize("broken", ["start", "trouble"])
def test_readiness_is_red_with_the_reason(tmp_path: Path, broken: str) -> None:
    with app_with(tmp_path, Part(broken)) as client:
        for _ in range(200):
            answer = client.get("/readyz")
            if answer.status_code == 503 and "starting" not in answer.json()["reason"]:
                break
        assert answer.json()["reason"] in ("part broke: RuntimeError", "the disk is on fire")
        assert client.get("/healthz").status_code == 200


def test_a_part_that_cannot_work_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(JobsUnavailable), app_with(tmp_path, Part("prepare")):
        pass


def test_a_database_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "jobs.sqlite").write_bytes(b"this is no database, whatever its name says" * 100)
    app = create_app(Settings(backend="fake", data_dir=tmp_path))
    with pytest.raises(JobsUnavailable, match="cannot be opened"), TestClient(app):
        pass


@pytest.mark.parametrize(
    ("memory_gb", "cores", "asked", "expected"),
    [
        (64, 16, {}, 16),
        (8, 16, {}, 4),
        (8, 2, {}, 2),
        (1, 16, {}, 1),
        (8, 16, {"num_workers": 12}, 12),
        (8, 16, {"pdf_page_memory_mb": 512, "image_memory_mb": 1024}, 8),
    ],
)
def test_decoding_processes_fit_into_the_memory_together(
    memory_gb: int,
    cores: int,
    asked: dict[str, Any],
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "memory_bytes", lambda: memory_gb << 30)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(cores))
    settings = Settings(backend="fake", data_dir=tmp_path, **asked)
    assert create_app(settings).state.service.limits.render_workers == expected
