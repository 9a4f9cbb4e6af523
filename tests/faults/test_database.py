"""A database server that goes away and comes back: 503 meanwhile, and everything goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.accounts.conftest import own_postgresql
from tests.faults.conftest import LOGIN, WITH_ACCOUNTS, log_in
from tests.jobs.conftest import MakeServer
from tests.jobs.helpers import done, pdf, picture, wait_for

pytestmark = pytest.mark.faults


@dataclass
class Database:
    url: str
    control: list[str]

    def stop(self) -> None:
        subprocess.run([*self.control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        subprocess.run([*self.control, "start"], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def database() -> Iterator[Database]:
    with own_postgresql() as (url, control):
        yield Database(url, control)


def test_gone_and_back(make_server: MakeServer, database: Database) -> None:
    server = make_server(DATABASE_URL=database.url, FAKE_SECONDS_PER_PAGE="0.2", **WITH_ACCOUNTS).start()
    log_in(server)
    job = server.submit(pdf(40))["id"]
    server.wait(job, lambda found: done(found) >= 4)
    database.stop()
    for _ in range(3):
        answers = [
            server.client.get(f"/jobs/{job}"),
            server.client.post("/ocr/image/simple", files={"file": ("a.png", picture())}),
            server.client.post("/api/auth/token", data=LOGIN),
            server.client.post("/jobs", files=[("files", ("a.pdf", pdf(2)))]),
        ]
        assert [answer.status_code for answer in answers] == [503] * 4, [answer.text for answer in answers]
        assert all(answer.json()["error"]["remedy"] for answer in answers)
    assert server.client.get("/healthz").status_code == 200
    database.start()
    wait_for(lambda: server.client.get(f"/jobs/{job}").status_code == 200)
    assert server.finish(job)["ledger"]["ok"] == 40
    assert server.finish(server.submit(pdf(2))["id"])["ledger"]["ok"] == 2
