"""Servers with jobs, and a PostgreSQL for several of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.accounts.conftest import database, postgresql
from tests.jobs.helpers import Server

__all__ = ["database", "postgresql"]

MakeServer = Callable[..., Server]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Makes servers, each with a folder of its own for its logs; they are stopped at the end."""
    made: list[Server] = []

    def make(data: Path | None = None, **settings: str) -> Server:
        made.append(Server(tmp_path / f"server-{len(made)}", data or tmp_path / "data", **settings))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture(scope="session")
def jobs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for tests that leave it as they found it."""
    folder = tmp_path_factory.mktemp("jobs")
    server = Server(folder / "server", folder / "data").start()
    yield server
    server.stop()
