"""The server that is attacked: on the fake engine, with accounts, bounds as tight as they go, on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.memory import _tree
from tests.accounts.conftest import ADMIN, SECRET_KEY
from tests.attacks.files import white_png
from tests.conftest import ROOT, free_port, wait_until_ready

SETTINGS = {
    "BACKEND": "fake",
    "AUTH_ENABLED": "1",
    "SECRET_KEY": SECRET_KEY,
    "BOOTSTRAP_USER": ADMIN[0],
    "BOOTSTRAP_PASS": ADMIN[1],
    "MAX_CONCURRENCY": "2",
    "NUM_WORKERS": "2",
    "EXPORT_WORKERS": "1",
    "PIXEL_BUDGET_MEGAPIXELS": "128",
}


@dataclass
class Target:
    """A server to be attacked. `client` has a login; `stranger` has none."""

    pid: int
    client: httpx.Client
    stranger: httpx.Client

    def post(self, path: str, **what: object) -> httpx.Response:
        return self.client.post(path, **what)  # type: ignore[arg-type]

    def commands(self) -> list[bytes]:
        """The command lines of the server's process tree."""
        found = []
        for pid in _tree(self.pid):
            try:
                found.append(Path(f"/proc/{pid}/cmdline").read_bytes())
            except OSError:
                continue
        return found


@contextmanager
def attacked(
    data: Path, around: Callable[[Sequence[str]], Sequence[str]] = lambda command: command
) -> Iterator[Target]:
    """A server whose files are in `data`; `around` makes another command line of its own."""
    port, log = free_port(), data / "server.log"
    named = {"HOST": "127.0.0.1", "PORT": str(port), "DATA_DIR": str(data / "data")}
    with log.open("w") as output:
        process = subprocess.Popen(
            around([sys.executable, "serve_ocr.py"]),
            cwd=ROOT,
            env=os.environ | SETTINGS | named,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process, log)
        with (
            httpx.Client(base_url=url, timeout=400, trust_env=False) as client,
            httpx.Client(base_url=url, timeout=120, trust_env=False) as stranger,
        ):
            form = {"username": ADMIN[0], "password": ADMIN[1]}
            token = client.post("/api/auth/token", data=form).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            # The networks that look at blank pages are loaded with the first, and are nobody's attack.
            client.post("/ocr/image/simple", files={"file": white_png(800, 600)}).raise_for_status()
            yield Target(process.pid, client, stranger)
    finally:
        process.terminate()
        process.wait(30)
