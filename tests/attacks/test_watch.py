"""The watch over a server that is attacked: what the attacker does with its own process is not counted."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.watch import Watch
from tests.conftest import free_port, wait_until_ready


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """One that answers `/healthz`, in a process of its own."""
    for name in ("healthz", "readyz"):
        (tmp_path / name).touch()
    log = tmp_path / "log"
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", f"{port}"]
    url = f"http://127.0.0.1:{port}"
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=output) as process,
    ):
        wait_until_ready(url, process, log)
        yield process.pid, url
        process.terminate()


@pytest.mark.slow
def test_it_goes_on_while_the_attacker_holds_its_own_lock(server: tuple[int, str]) -> None:
    pid, url = server
    with Watch(pid, url, every=0.05, control=url) as watch:
        began = time.monotonic()
        sum(range(150_000_000))  # one call in C, which lets no other thread of this process run
        over = time.monotonic()
    assert sum(began < sample.at < over for sample in watch.samples) > 3
    assert len(watch.answering) > 3
    assert len(watch.resting) > 3


def test_it_says_how_many_are_there(server: tuple[int, str]) -> None:
    with Watch(server[0], every=0.01) as watch:
        pass
    assert watch.samples[0].children == 0
    assert watch.samples[0].threads == 1
    assert watch.peak() > 1
