"""Servers that are killed: what was read is never read again, nothing is lost, and the result is the same.

JOBS_PAGES, JOBS_KILLS and JOBS_RUNS make the first test as hard as one likes (`make test-jobs`).
"""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.reading import MAX_TRIES
from tests.jobs.conftest import MakeServer
from tests.jobs.helpers import Server, named, pages_on_disk, pdf, repeated, wait_for

PAGES = int(os.environ.get("JOBS_PAGES", "60"))
KILLS = int(os.environ.get("JOBS_KILLS", "2"))
RUNS = int(os.environ.get("JOBS_RUNS", "1"))
SECONDS = "0.1"


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("run", range(RUNS))
def test_killed_servers_lose_nothing_and_read_nothing_twice(make_server: MakeServer, run: int) -> None:
    chance = random.Random(run)
    document = pdf(PAGES)
    server = make_server(FAKE_SECONDS_PER_PAGE=SECONDS).start()
    unbroken = server.submit(document)
    assert server.finish(unbroken["id"])["status"] == "done"
    expected = server.result(unbroken["id"])

    job = server.submit(document)["id"]
    data = server.log.parent.parent / "data"
    killed_at = sorted(chance.sample(range(1, PAGES - 8), KILLS))
    for count in killed_at:
        wait_for(lambda count=count: len(pages_on_disk(data, job)) >= count)  # type: ignore[misc]
        time.sleep(chance.random() * float(SECONDS))
        server.kill()
        finished = pages_on_disk(data, job)
        begun = len(server.reads("begin"))
        assert len(finished) < PAGES
        server.start()
        again = set(server.reads("begin")[begun:])
        assert not again & {named(index) for index in finished}
    assert server.process is not None
    server.process.terminate()  # and once as a person would
    assert server.process.wait(30) in (0, -15)
    finished = pages_on_disk(data, job)
    begun = len(server.reads("begin"))
    server.start()
    assert server.finish(job)["ledger"] == {
        "expected": PAGES,
        "ok": PAGES,
        "degraded": 0,
        "failed": 0,
        "pending": 0,
    }
    assert not set(server.reads("begin")[begun:]) & {named(index) for index in finished}
    assert server.result(job) == expected


def test_two_servers_share_a_job_and_one_is_killed(make_server: MakeServer, database: str) -> None:
    pages = 60
    settings = {"FAKE_SECONDS_PER_PAGE": "0.4", "DATABASE_URL": database}
    first, second = make_server(**settings), make_server(**settings)
    with ThreadPoolExecutor() as pool:
        list(pool.map(Server.start, (first, second)))
    job = first.submit(pdf(pages))["id"]
    wait_for(lambda: len(first.reads("end")) > 4 and len(second.reads("end")) > 4)
    data = first.log.parent.parent / "data"
    second.kill()
    finished = {named(index) for index in pages_on_disk(data, job)}
    begun = len(first.reads("begin"))
    assert first.finish(job)["ledger"]["ok"] == pages

    assert pages_on_disk(data, job) == set(range(pages))
    assert not set(first.reads("begin")[begun:]) & finished
    assert not repeated([page for page in first.reads("end") + second.reads("end") if page in finished])
    assert not repeated(first.reads("end"))
    assert {named(index) for index in range(pages)} == set(first.reads("end")) | set(second.reads("end"))


def test_a_page_that_kills_its_server_again_and_again_is_given_up(make_server: MakeServer) -> None:
    server = make_server(FAKE_SECONDS_PER_PAGE="600").start()
    job = server.submit(pdf(1))["id"]
    wait_for(lambda: len(server.reads("begin")) == 1)
    server.kill()
    (tries,) = (server.log.parent.parent / "data").glob("jobs/*/pages/000/000000.tries")
    assert tries.read_bytes() == b"."
    tries.write_bytes(b"." * MAX_TRIES)
    server.start()
    ended = server.finish(job)
    assert (ended["status"], ended["ledger"]["failed"]) == ("failed", 1)
    assert len(server.reads("begin")) == 1


def test_a_folder_that_is_not_the_shared_one_is_refused(make_server: MakeServer, database: str) -> None:
    first = make_server(DATABASE_URL=database).start()
    assert first.finish(first.submit(pdf(1))["id"])["status"] == "done"
    stranger = Server(first.log.parent, first.log.parent / "elsewhere", DATABASE_URL=database).start()
    try:
        answer = stranger.client.get("/jobs")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "jobs_unavailable")
        assert "DATA_DIR" in answer.json()["error"]["message"]
    finally:
        stranger.stop()
