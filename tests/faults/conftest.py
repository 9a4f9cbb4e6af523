"""Servers whose disk, database or clock can be taken away."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.accounts.conftest import ADMIN, SECRET_KEY
from tests.jobs.conftest import make_server
from tests.jobs.helpers import Server

__all__ = ["make_server"]

WITH_ACCOUNTS = {
    "AUTH_ENABLED": "1",
    "SECRET_KEY": SECRET_KEY,
    "BOOTSTRAP_USER": ADMIN[0],
    "BOOTSTRAP_PASS": ADMIN[1],
}

LOGIN = {"username": ADMIN[0], "password": ADMIN[1]}


def log_in(server: Server) -> None:
    """Have the server's client go on as its administrator."""
    token = server.client.post("/api/auth/token", data=LOGIN).raise_for_status().json()["access_token"]
    server.client.headers["Authorization"] = f"Bearer {token}"


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own, of this size, at `folder`."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 MiB for DATA_DIR."""
    if os.geteuid() != 0:
        pytest.skip("mounting a disk takes root")
    with mounted(tmp_path / "disk", "200m") as folder:
        yield folder
