"""Databases and a server with accounts."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import client_of, free_port, running_server

SECRET_KEY = "a secret of at least thirty-two characters"
ADMIN = ("root", "the root's password")
Login = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own."""
    with own_postgresql() as (url, _):
        yield url


@contextmanager
def own_postgresql() -> Iterator[tuple[str, list[str]]]:
    """A PostgreSQL server: its URL, and the command line that `start` and `stop` are put after."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="airgap-pg-"))
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        if "postgres" not in [entry.pw_name for entry in pwd.getpwall()]:
            pytest.skip("there is no user postgres to run PostgreSQL as")
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    binaries, data, port = found[-1].parent, folder / "data", free_port()
    run = [*as_user, str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "airgap", "-N"]
    subprocess.run(run, check=True, capture_output=True, cwd=folder)
    options = f"-p {port} -h 127.0.0.1 -k {folder} -F"
    control = [*as_user, str(binaries / "pg_ctl"), "-D", str(data), "-w"]
    control += ["-o", options, "-l", str(folder / "log")]
    subprocess.run([*control, "start"], check=True, stdout=subprocess.DEVNULL, cwd=folder)
    try:
        yield f"postgresql://airgap@127.0.0.1:{port}/postgres", control
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True, cwd=folder)
        shutil.rmtree(folder)


@pytest.fixture
def database(postgresql: str) -> str:
    """An empty database on that server."""
    import psycopg

    name = f"test_{time.monotonic_ns()}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgresql.rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture(scope="session")
def guarded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guarded")


@pytest.fixture(scope="session")
def guarded_server(guarded_folder: Path) -> Iterator[str]:
    """A server that demands a login, on SQLite."""
    with running_server(
        guarded_folder,
        BACKEND="fake",
        AUTH_ENABLED="1",
        SECRET_KEY=SECRET_KEY,
        BOOTSTRAP_USER=ADMIN[0],
        BOOTSTRAP_PASS=ADMIN[1],
        LOG_FORMAT="json",
        METRICS_LOGIN="1",
    ) as url:
        yield url


@pytest.fixture
def guarded(guarded_server: str) -> Iterator[httpx.Client]:
    with client_of(guarded_server) as client:
        yield client


@pytest.fixture(scope="session")
def login(guarded_server: str) -> Iterator[Login]:
    """Headers of a user, by default the administrator; others are registered first."""
    cache: dict[str, dict[str, str]] = {}
    with client_of(guarded_server) as client:

        def headers(name: str = ADMIN[0], password: str = ADMIN[1]) -> dict[str, str]:
            if name not in cache:
                if name != ADMIN[0]:
                    body = {"username": name, "password": password}
                    client.post("/api/auth/register", json=body, headers=headers()).raise_for_status()
                answer = client.post("/api/auth/token", data={"username": name, "password": password})
                cache[name] = {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}
            return cache[name]

        yield headers
