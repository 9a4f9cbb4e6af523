"""Who is told that a job has ended, how often, and what is kept of it, without the server."""

from __future__ import annotations

import asyncio
import fcntl
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airgap.core.errors import NotFound, UrlRefused
from airgap.jobs import webhooks
from airgap.jobs.tables import Counts, Job
from airgap.jobs.webhooks import PAUSES, Waiting, Webhooks, _locked, _read
from config import load_settings
from tests.jobs.in_process.test_rows import job
from tests.jobs.test_webhooks import SECRET, Receiver

JOB = job(1).id


class Told:
    """Stands for the jobs of which somebody is told."""

    def __init__(self) -> None:
        self.rows = {JOB: job(1, status="done", finished_at=5.0)}

    async def job(self, caller: str | None, job_id: str) -> Job:
        assert caller is None
        if job_id not in self.rows:
            raise NotFound("none")
        return self.rows[job_id]

    async def counts(self, jobs: list[Job]) -> dict[str, Counts]:
        return {found.id: Counts(2, 0, 0, 0.0) for found in jobs}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def hooks(receiver: Receiver, tmp_path: Path) -> Webhooks:
    allowed = (receiver.address,)
    settings = load_settings(data_dir=tmp_path, webhook_allowlist=allowed, webhook_secret=SECRET)
    return Webhooks(settings, Told())  # type: ignore[arg-type]


def waiting(tmp_path: Path) -> Path:
    return tmp_path / "webhooks" / f"{JOB}.json"


async def test_an_address_that_took_it_is_told_once(
    hooks: Webhooks, receiver: Receiver, tmp_path: Path
) -> None:
    await hooks.expect(job(1), receiver.url)
    assert _read(waiting(tmp_path)) == Waiting(JOB, receiver.url, 0, 0.0)
    assert (tmp_path / "webhooks").stat().st_mode & 0o777 == 0o700
    assert hooks._due() == [waiting(tmp_path)]
    await hooks._tell(waiting(tmp_path))
    headers, body = receiver.got.get(timeout=10)
    event = json.loads(body)
    assert set(event) == {"type", "timestamp", "data"}
    assert (event["type"], event["data"]["id"], event["data"]["filenames"]) == ("job.ended", JOB, [])
    assert abs(event["timestamp"] - time.time()) < 60
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == f"job_{JOB}"
    assert hooks._signed(JOB, b"x").keys() == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert not waiting(tmp_path).exists()


@pytest.mark.parametrize("status", [199, 300, 302, 404, 500])
async def test_what_is_not_taken_is_tried_again_later(
    hooks: Webhooks, receiver: Receiver, tmp_path: Path, status: int
) -> None:
    receiver.statuses = [status]
    await hooks.expect(job(1), receiver.url)
    before = time.time()
    await hooks._tell(waiting(tmp_path))
    found = _read(waiting(tmp_path))
    assert found is not None
    assert found.attempts == 1
    assert before + 10 <= found.not_before <= time.time() + 10
    assert hooks._due() == []


async def test_pauses_grow_and_the_address_is_given_up(hooks: Webhooks, tmp_path: Path) -> None:
    assert PAUSES == (10, 60, 300, 1800, 7200, 21_600, 43_200)
    assert (webhooks.LOOK_SECONDS, webhooks.ANSWER_SECONDS, webhooks.AT_ONCE) == (1.0, 10.0, 8)
    await hooks.expect(job(1), "http://x/")
    for attempt, pause in enumerate(PAUSES):
        before = time.time()
        hooks._settle(waiting(tmp_path), Waiting(JOB, "http://x/", attempt), "status 500")
        found = _read(waiting(tmp_path))
        assert found is not None
        assert (found.attempts, found.url) == (attempt + 1, "http://x/")
        assert before + pause <= found.not_before <= time.time() + pause
    hooks._settle(waiting(tmp_path), Waiting(JOB, "http://x/", len(PAUSES)), "status 500")
    assert not waiting(tmp_path).exists()


async def test_after_a_clock_was_set_back_nobody_waits_longer_than_a_pause(
    hooks: Webhooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hooks.expect(job(1), "http://x/")
    hooks._settle(waiting(tmp_path), Waiting(JOB, "http://x/", 0), "status 500")
    now = time.time()
    for back, due in (
        (0, []),
        (5, [waiting(tmp_path)]),
        (86_400, [waiting(tmp_path)]),
        (-11, [waiting(tmp_path)]),
    ):
        monkeypatch.setattr(time, "time", lambda back=back: now - back)
        assert hooks._due() == due


async def test_nobody_is_told_of_a_job_that_goes_on_or_is_gone(
    hooks: Webhooks, receiver: Receiver, tmp_path: Path
) -> None:
    await hooks.expect(job(1), receiver.url)
    jobs: Told = hooks._jobs  # type: ignore[assignment]
    jobs.rows[JOB] = job(1, status="running")
    await hooks._tell(waiting(tmp_path))
    found = _read(waiting(tmp_path))
    assert found is not None
    assert found.attempts == 0
    del jobs.rows[JOB]
    await hooks._tell(waiting(tmp_path))
    assert not waiting(tmp_path).exists()
    await hooks._tell(waiting(tmp_path))
    assert receiver.got.empty()


async def test_an_address_that_cannot_be_reached_is_tried_again(hooks: Webhooks, tmp_path: Path) -> None:
    said = await hooks._send(Waiting(JOB, "http://elsewhere.example/"), job(1))
    assert said == "UrlRefused"
    gone = Receiver()
    gone.server.shutdown()
    gone.server.server_close()
    allowed = load_settings(data_dir=tmp_path, webhook_allowlist=(gone.address,), webhook_secret=SECRET)
    assert await Webhooks(allowed, Told())._send(Waiting(JOB, gone.url), job(1)) == "ConnectError"  # type: ignore[arg-type]


async def test_of_several_servers_one_tells(hooks: Webhooks, receiver: Receiver, tmp_path: Path) -> None:
    await hooks.expect(job(1), receiver.url)
    path = waiting(tmp_path)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with _locked(path) as found:
            assert found is None
        await hooks._tell(path)
        assert path.exists()
    with _locked(path) as found:
        assert found == Waiting(JOB, receiver.url)
    path.write_text("nonsense")
    assert (hooks._due(), _read(path)) == ([], None)


async def test_between_two_looks_there_is_a_pause(hooks: Webhooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "LOOK_SECONDS", 60)
    looks: list[float] = []
    looked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def due() -> list[Path]:
        looks.append(time.monotonic())
        loop.call_soon_threadsafe(looked.set)
        return []

    monkeypatch.setattr(hooks, "_due", due)
    telling = asyncio.create_task(hooks.start())
    await asyncio.wait_for(looked.wait(), 20)
    await asyncio.sleep(0.2)
    telling.cancel()
    assert len(looks) == 1


async def test_telling_goes_on_until_the_server_stops(
    hooks: Webhooks, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "LOOK_SECONDS", 0.01)
    jobs: Told = hooks._jobs  # type: ignore[assignment]
    jobs.rows = {job(n).id: job(n, status="done", finished_at=5.0) for n in range(1, 11)}
    for row in jobs.rows.values():
        await hooks.expect(row, receiver.url)
    await hooks.prepare()
    telling = asyncio.create_task(hooks.start())
    async with asyncio.timeout(20):
        while list((tmp_path / "webhooks").iterdir()):
            await asyncio.sleep(0.01)
    assert receiver.got.qsize() == 10
    assert hooks.trouble() is None
    telling.cancel()
    await hooks.close()
    silent = Webhooks(load_settings(data_dir=tmp_path), Told())  # type: ignore[arg-type]
    await silent.start()
    for url in (receiver.url, "http://x/"):
        with pytest.raises(UrlRefused) as refused:
            silent.check(url)
        assert refused.value.remedy == webhooks.ALLOW
    with pytest.raises(UrlRefused) as refused:
        hooks.check("http://x/")
    assert refused.value.remedy == webhooks.ALLOW
    hooks.check(receiver.url)
