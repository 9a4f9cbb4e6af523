"""A server of this project's, on the CPU engine, run by its own Python; the clients run in theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT, free_port, wait_until_ready
from tests.dialects.reference import own_answer

SERVER_PYTHON = os.environ.get("SERVER_PYTHON", str(ROOT / ".venv" / "bin" / "python"))
KEY = "k"
SAMPLES = ("booklet.pdf", "english.png", "table.png")

# Nothing is looked up elsewhere: neither prices of models, nor a proxy's settings, nor a server of Tika's.
os.environ |= {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "TIKA_CLIENT_ONLY": "True",
    "DO_NOT_TRACK": "1",
    "NO_PROXY": "*",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.clients)
            item.add_marker(pytest.mark.timeout(600))  # the first one waits for the server, too


@dataclass(frozen=True)
class Served:
    """The server's address, and what its own routes read of the samples."""

    url: str
    booklet: dict[str, Any]
    english: dict[str, Any]
    table: dict[str, Any]

    def pages(self) -> list[str]:
        """The booklet's pages as Markdown, figures under their bare names, as other protocols have them."""
        return [page["markdown"].replace("](images/", "](") for page in self.booklet["pages"]]


def sample(name: str) -> Path:
    return ROOT / "samples" / name


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    port, log = free_port(), folder / "server.log"
    url = f"http://127.0.0.1:{port}"
    settings = {"HOST": "127.0.0.1", "PORT": str(port), "DATA_DIR": str(folder), "BACKEND": "rapidocr"}
    with log.open("w") as output:
        process = subprocess.Popen(
            [SERVER_PYTHON, ROOT / "serve_ocr.py"],
            env=os.environ | settings,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until_ready(url, process, log, start_seconds=300)
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as api:
            found = [own_answer(api, sample(name).read_bytes()) for name in SAMPLES]
        yield Served(url, *found)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def open_webui() -> Path:
    """Where the files of Open WebUI lie that load documents."""
    source = Path(sys.executable).parent.parent / "open_webui_source"
    assert source.is_dir(), "tests/clients/setup_env.sh has not been run"
    return source
