"""Servers whose disk, database or clock can be taken away."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.jobs.conftest import make_server

__all__ = ["make_server"]


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
