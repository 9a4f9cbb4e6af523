"""Servers that are told to end, or just end, at any time: jobs go on, and nothing is left behind."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.jobs.conftest import MakeServer
from tests.jobs.helpers import Server, done, pdf, picture

pytestmark = pytest.mark.faults
PAGES = 30


class Crowd:
    """Clients that read pictures all the time, whether or not there is a server."""

    def __init__(self, url: str, clients: int = 4) -> None:
        self.answers: list[int] = []
        self._url = url
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(10 * n,)) for n in range(clients)]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _read(self, bar: int) -> None:
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as client:
            while not self._over.wait(0.02):
                with suppress(httpx.TransportError):
                    answer = client.post("/ocr/image/simple", files={"file": ("a.png", picture(40 + bar))})
                    self.answers.append(answer.status_code)
                    if answer.status_code == 200:
                        assert f" {60 + bar} " in answer.json()["text"], answer.text


def leftovers(server: Server, data: Path) -> list[Path]:
    """Uploads of servers that are no more."""
    return [path for path in data.glob("uploads/*/*") if path.name != ".lock"]


def test_told_to_end_during_a_job(make_server: MakeServer) -> None:
    server = make_server(FAKE_SECONDS_PER_PAGE="0.2").start()
    job = server.submit(pdf(PAGES))["id"]
    for least in (3, 12):
        server.wait(job, lambda found, least=least: done(found) >= least)  # type: ignore[misc]
        assert server.process is not None
        server.process.terminate()
        assert server.process.wait(30) in (0, -15)
        server.start()
    assert server.finish(job)["ledger"]["ok"] == PAGES


def test_killed_at_random_with_people_at_work(make_server: MakeServer, tmp_path: Path) -> None:
    chance = random.Random(7)
    server = make_server(FAKE_SECONDS_PER_PAGE="0.05").start()
    jobs = [server.submit(pdf(PAGES))["id"] for _ in range(3)]
    with Crowd(server.url) as crowd:
        for _ in range(4):
            time.sleep(chance.uniform(0.2, 2))
            server.kill()
            server.start()
        for job in jobs:
            assert server.finish(job)["ledger"]["ok"] == PAGES
    assert 200 in crowd.answers
    assert set(crowd.answers) <= {200, 503}
    server.stop()
    assert leftovers(server, tmp_path / "data") == []
