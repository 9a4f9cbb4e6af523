"""The container engine of these tests: the one that answers, else a `dockerd` that is stopped at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

WORK = ROOT / "build" / "image-test"
_RUN = Path("/run/airgap-ocr-test")


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command whose output is kept. Fails with that output unless `check=False`."""
    check = options.pop("check", True)
    settings: dict[str, Any] = {"capture_output": True, "timeout": 900, "env": environment()} | options
    done = subprocess.run([str(part) for part in command], text=True, **settings)
    if check and done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def docker(*arguments: str | Path, **options: Any) -> str:
    return run("docker", *arguments, **options).stdout.strip()


def environment() -> dict[str, str]:
    """What an administrator's shell holds: no setting of ours, and nothing of pytest's."""
    names = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "COMPOSE_FILE")
    # Debian's docker.io has the classic builder alone.
    return {name: os.environ[name] for name in names if name in os.environ} | {"DOCKER_BUILDKIT": "0"}


@contextmanager
def answering_engine() -> Iterator[None]:
    """Until it ends, `docker` works, and so does `docker compose`, whichever of its versions is there."""
    with _compose_as_plugin():
        if run("docker", "info", check=False).returncode == 0:
            yield
            return
        assert os.geteuid() == 0, "no container engine answers; only root can start one"
        with _own_daemon():
            yield


@contextmanager
def _own_daemon() -> Iterator[None]:
    _RUN.mkdir(mode=0o755, exist_ok=True)
    WORK.mkdir(parents=True, exist_ok=True)
    os.environ["DOCKER_HOST"] = f"unix://{_RUN}/docker.sock"
    folders = ["--data-root", WORK / "docker", "--exec-root", _RUN / "exec", "--pidfile", _RUN / "pid"]
    with (WORK / "dockerd.log").open("w") as log:
        process = subprocess.Popen(
            ["dockerd", *map(str, folders), "--host", os.environ["DOCKER_HOST"], "--group", "docker"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 60
        while run("docker", "info", check=False).returncode:
            ended = process.poll() is not None or time.monotonic() > deadline
            assert not ended, (WORK / "dockerd.log").read_text()
            time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        del os.environ["DOCKER_HOST"]


@contextmanager
def _compose_as_plugin() -> Iterator[None]:
    """`docker compose` as people type it, where only `docker-compose` is installed."""
    if run("docker", "compose", "version", check=False).returncode == 0:
        yield
        return
    config = WORK / "docker-config"
    plugin = config / "cli-plugins" / "docker-compose"
    plugin.parent.mkdir(parents=True, exist_ok=True)
    plugin.write_text(
        "#!/bin/sh\n"
        '[ "$1" != docker-cli-plugin-metadata ] || exec echo \'{"SchemaVersion": "0.1.0", "Vendor": "x"}\'\n'
        f'[ "$1" != compose ] || shift\nexec {shutil.which("docker-compose")} "$@"\n'
    )
    plugin.chmod(0o755)
    os.environ["DOCKER_CONFIG"] = str(config)
    try:
        yield
    finally:
        del os.environ["DOCKER_CONFIG"]
