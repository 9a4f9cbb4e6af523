"""Real servers on real ports, shared by the session; what clients send them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageDraw

pytest_plugins = ["tests.tripwire.plugin"]

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90


def free_port() -> int:
    """A port on loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_server(
    data_dir: Path, start_seconds: float = START_SECONDS, cwd: Path = ROOT, /, **settings: str
) -> Iterator[str]:
    """Start `serve_ocr.py` in `cwd` as a person would, wait until it is ready, yield its URL, stop it."""
    port = free_port()
    log = data_dir / "server.log"
    environment = os.environ | {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATA_DIR": str(data_dir / "data"),
        **settings,
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, ROOT / "serve_ocr.py"], cwd=cwd, env=environment, stdout=output, stderr=output
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process, log, start_seconds)
        yield url
    finally:
        process.terminate()
        assert process.wait(30) in (0, -15), log.read_text()


def wait_until_ready(
    url: str, process: subprocess.Popen[bytes], log: Path, start_seconds: float = START_SECONDS
) -> None:
    """Return once `/readyz` answers 200; fail with the log when the server ends or takes too long."""
    deadline = time.monotonic() + start_seconds
    with client_of(url, timeout=5) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
    pytest.fail(f"the server did not become ready:\n{log.read_text()}")


def client_of(url: str, timeout: float = 60) -> httpx.Client:
    """A client of a server on loopback: it reads no list of certificates, which takes 20 ms."""
    return httpx.Client(base_url=url, timeout=timeout, trust_env=False, verify=False)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on the fake engine."""
    with running_server(tmp_path_factory.mktemp("server"), BACKEND="fake") as url:
        yield url


@pytest.fixture(scope="session")
def cpu_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on the embedded CPU engine."""
    with running_server(tmp_path_factory.mktemp("cpu_server"), BACKEND="rapidocr") as url:
        yield url


@pytest.fixture
def api(server: str) -> Iterator[httpx.Client]:
    """A client of the server on the fake engine."""
    with client_of(server) as client:
        yield client


@pytest.fixture
def cpu_api(cpu_server: str) -> Iterator[httpx.Client]:
    """A client of the server on the embedded CPU engine."""
    with client_of(cpu_server, timeout=120) as client:
        yield client


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Two dark rectangles, which the fake engine reads as their own coordinates."""
    image = Image.new("RGB", (400, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((40, 30, 199, 89), fill="black")
    draw.rectangle((40, 150, 359, 209), fill="black")
    path = tmp_path / "two boxes.png"
    image.save(path)
    return path


@pytest.fixture
def nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}"
