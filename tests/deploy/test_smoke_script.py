"""The health check and smoke test, against a real server and against silence."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT, free_port, running_server

SMOKE = ROOT / "deploy" / "smoke" / "smoke.py"


def smoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SMOKE, *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def cpu_server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("smoke"), BACKEND="rapidocr") as url:
        yield url


def test_it_reads_its_page(cpu_server):
    done = smoke("--url", cpu_server, "--wait", "60")
    assert (done.returncode, done.stdout) == (0, "ready, and the page was read\n")


def test_ready_alone_reads_nothing(cpu_server):
    assert smoke("--url", cpu_server, "--ready").stdout == "ready\n"


def test_proxies_in_the_environment_are_ignored(cpu_server, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert smoke("--url", cpu_server, "--ready").returncode == 0


def test_silence_is_a_failure_that_says_why():
    url = f"http://127.0.0.1:{free_port()}"
    for option in ("--ready", "--gateway"):
        done = smoke("--url", url, option)
        assert done.returncode == 1
        assert "refused" in done.stdout


@pytest.mark.slow
def test_a_server_that_reads_nothing_is_not_taken_for_one_that_reads(tmp_path):
    with running_server(tmp_path, BACKEND="fake") as url:
        done = smoke("--url", url, "--wait", "60")
    assert done.returncode == 1
    assert "without ['SEALED', 'DELIVERY', '2718']" in done.stdout


def test_a_data_folder_that_cannot_be_written_stops_the_start_and_is_named(tmp_path):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"
    environment = os.environ | {"DATA_DIR": str(folder), "BACKEND": "fake"}
    done = subprocess.run(
        [sys.executable, "serve_ocr.py"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"DATA_DIR {folder} cannot be written by user {os.geteuid()}, group {os.getegid()}" in done.stderr
    assert f"chown {os.geteuid()}:{os.getegid()}" in done.stderr
