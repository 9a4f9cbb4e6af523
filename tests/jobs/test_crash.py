"""Servers that are killed: what was read is never read again, nothing is lost, and the result is the same.

JOBS_PAGES, JOBS_KILLS and JOBS_RUNS make the first test as hard as one likes (`make test-jobs`).
"""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from airgap.core.errors import JobsUnavailable
from airgap.jobs.keeping import Presence
from airgap.jobs.plan import Input, Spec
from airgap.jobs.quota import Quota
from airgap.jobs.reading import MAX_TRIES, JobReading, Threads
from airgap.jobs.service import Jobs, _new_job
from airgap.jobs.store import JobStore
from airgap.jobs.tables import Server, Tables, Wanted
from config import Settings
from serve_ocr import create_service
from tests.jobs.conftest import MakeServer
from tests.jobs.helpers import Server as JobServer
from tests.jobs.helpers import named, pages_on_disk, pdf, repeated, wait_for

PAGES = int(os.environ.get("JOBS_PAGES", "48"))
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
        assert list(data.glob(f"jobs/{job}/pages/*/*.tries"))  # what is counted against a page that kills
        server.start()
        again = set(server.reads("begin")[begun:])
        assert not again & {named(index) for index in finished}
    if KILLS > 2:
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


@pytest.mark.slow
def test_two_servers_stop_a_job_share_another_and_one_is_killed(
    make_server: MakeServer, database: str
) -> None:
    pages = 60
    settings = {"FAKE_SECONDS_PER_PAGE": "0.4", "DATABASE_URL": database}
    first, second = make_server(**settings), make_server(**settings)
    with ThreadPoolExecutor() as pool:
        list(pool.map(JobServer.start, (first, second)))
    hanging = first.submit(pdf(pages), prompt="hang")["id"]
    for server in (first, second):
        wait_for(lambda server=server: server.metric("ocr_pages_reading") > 0)  # type: ignore[misc]
    assert first.client.post(f"/jobs/{hanging}/cancel").json()["status"] == "cancelled"
    assert first.metric("ocr_pages_reading") == 0
    wait_for(lambda: second.metric("ocr_pages_reading") == 0)
    for server in (first, second):
        server.log.unlink()

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


async def test_a_page_that_killed_its_server_again_and_again_is_given_up(tmp_path: Path) -> None:
    service = create_service(Settings(backend="fake", data_dir=tmp_path))
    store, tables = JobStore(tmp_path / "jobs"), Tables(None, tmp_path / "jobs")
    reading = JobReading(
        server="here",
        reader=service.reader,
        limits=service.limits,
        tables=tables,
        store=store,
        threads=Threads(),
        quota=Quota(),
    )
    spec = Spec("f" * 32, "me", (Input("000000", "a.pdf"),))
    folder = store.folder(spec.id)
    folder.input("").mkdir(parents=True)
    folder.input("000000").write_bytes(pdf(2))
    folder.write_spec(spec)
    tables.add(_new_job(spec, None, None))
    assert (await reading.open(spec.id, 0)).first == (0, 1)
    for _ in range(MAX_TRIES):
        folder.note_try(0)
    await reading.read_run(spec.id, 0, 0)
    assert (await reading.read_run(spec.id, 0, 1)).complete
    first, second = folder.page(0), folder.page(1)
    assert first is not None
    assert first.page.error is not None
    assert (first.page.status, first.page.error.code) == ("failed", "engine_failed")
    assert second is not None
    assert second.page.status == "ok"
    await reading.close()
    tables.close()


def test_who_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    observer, neighbour = Presence(tmp_path), Presence(tmp_path)
    observer.enter()
    neighbour.enter()
    here = neighbour.next_beat()
    far, slow = Server("far", "another machine", 1), Server("slow", "another machine", 7)
    assert observer.dead([observer.next_beat(), here, far, slow]) == []
    monkeypatch.setattr("airgap.jobs.keeping.DEAD_AFTER_SECONDS", 0.0)
    moved = Server("slow", "another machine", 8)
    assert observer.dead([observer.next_beat(), neighbour.next_beat(), far, moved]) == ["far"]
    neighbour.leave()
    assert observer.dead([neighbour.next_beat()]) == [neighbour.id]
    assert observer.dead([observer.next_beat()]) == []
    observer.forget(neighbour.id)
    observer.leave()


async def test_a_folder_that_is_not_the_shared_one_is_refused(tmp_path: Path, database: str) -> None:
    shared = Tables(database, tmp_path)
    shared.agree("store", "the id of another folder")
    shared.close()
    settings = Settings(backend="fake", data_dir=tmp_path, database_url=SecretStr(database))
    service = create_service(settings)
    jobs = Jobs(settings, service.reader, service.limits, service.tasks, None)
    with pytest.raises(JobsUnavailable, match="DATA_DIR"):
        await jobs.jobs(Wanted("me"))
    await jobs.close()
