"""Pages a day hold: in parallel, over jobs, over the keys of one user."""

from __future__ import annotations

import asyncio
import io
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.accounts.conftest import ADMIN, SECRET_KEY
from tests.conftest import client_of, running_server
from tests.dialects.drawing import encoded, pdf, png

PAGES = 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that gives every user's keys a few pages a day."""
    with running_server(
        tmp_path_factory.mktemp("quotas"),
        BACKEND="fake",
        AUTH_ENABLED="1",
        SECRET_KEY=SECRET_KEY,
        BOOTSTRAP_USER=ADMIN[0],
        BOOTSTRAP_PASS=ADMIN[1],
        KEY_PAGES_PER_DAY=str(PAGES),
    ) as url:
        yield url


class User:
    """An account with as many keys as it likes."""

    def __init__(self, server: str, name: str) -> None:
        self.client = client_of(server)
        root = self.token(*ADMIN)
        body = {"username": name, "password": f"the password of {name}!"}
        self.client.post("/api/auth/register", json=body, headers=root).raise_for_status()
        self.login = self.token(name, body["password"])

    def token(self, name: str, password: str) -> dict[str, str]:
        answer = self.client.post("/api/auth/token", data={"username": name, "password": password})
        return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}

    def key(self) -> dict[str, str]:
        made = self.client.post("/api/auth/keys", json={"name": "k"}, headers=self.login)
        return {"X-API-Key": made.raise_for_status().json()["key"]}

    def read(self, headers: dict[str, str], pages: int = 1) -> httpx.Response:
        return self.client.post("/pdf/ocr/simple", files={"file": ("a.pdf", pdf(pages))}, headers=headers)

    def job(self, headers: dict[str, str], pages: int, prompt: str = "read") -> str:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            for number in range(pages):
                file.writestr(f"{number}.png", png())
        sent = {"files": [("files", ("a.zip", archive.getvalue()))], "data": {"prompt": prompt}}
        answer = self.client.post("/jobs", headers=headers, **sent)  # type: ignore[arg-type]
        return str(answer.raise_for_status().json()["id"])

    def ended(self, headers: dict[str, str], job: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.client.get(f"/jobs/{job}", headers=headers).json()
            if found["status"] in ("done", "failed", "cancelled"):
                return found
            time.sleep(0.1)
        raise AssertionError("the job did not end")


@pytest.fixture
def user(server: str, request: pytest.FixtureRequest) -> Iterator[User]:
    made = User(server, request.node.name[:50].replace("[", ".").replace("]", ""))
    yield made
    made.client.close()


async def test_parallel_requests(server: str, user: User) -> None:
    key = user.key()
    async with httpx.AsyncClient(base_url=server, timeout=120, trust_env=False) as client:

        async def read(number: int) -> int:
            if number % 2:
                return (await client.post("/ocr", json={"image": encoded(png())}, headers=key)).status_code
            return (await client.post("/api/ocr/image", files={"file": png()}, headers=key)).status_code

        statuses = Counter(await asyncio.gather(*map(read, range(20))))
    assert statuses == {200: PAGES, 429: 20 - PAGES}


def test_a_document_with_more_pages_than_are_left(user: User) -> None:
    key = user.key()
    assert user.read(key, PAGES + 1).status_code == 429
    assert user.read(key, PAGES - 1).status_code == 200
    refused = user.read(key, 2)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exceeded")
    assert "1 of the 6" in refused.json()["error"]["message"]
    assert user.read(key, 1).status_code == 200
    assert user.read(key, 1).status_code == 429


def test_streams_and_chats(user: User) -> None:
    key = user.key()
    stream = user.client.post("/api/ocr/pdf", files={"file": pdf(PAGES + 1)}, headers=key)
    assert stream.status_code == 429
    parts = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded(png())}"}}]
    chat = {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, *parts]}]}
    statuses = [
        user.client.post("/v1/chat/completions", json=chat, headers=key).status_code for _ in range(8)
    ]
    assert statuses == [200] * PAGES + [429] * 2


def test_what_is_not_read_is_not_counted(user: User) -> None:
    key = user.key()
    for _ in range(PAGES + 2):
        bad = user.client.post("/ocr/image/simple", files={"file": b"no picture"}, headers=key)
        assert bad.status_code in (400, 415)
    assert user.read(key, PAGES).status_code == 200


def test_the_keys_of_a_user_share_its_pages(user: User) -> None:
    assert user.read(user.key(), PAGES).status_code == 200
    assert [user.read(user.key()).status_code for _ in range(3)] == [429] * 3
    assert user.read(user.login).status_code == 200, "a person's login has no quota"


@pytest.mark.slow
def test_a_job_of_more_pages_than_are_left_is_not_begun(user: User) -> None:
    key = user.key()
    job = user.ended(key, user.job(key, PAGES + 1))
    assert (job["status"], job["ledger"]["ok"]) == ("failed", 0)
    assert "7 pages are wanted, and 6 of the 6" in job["reason"]
    fits = user.ended(key, user.job(key, PAGES))
    assert (fits["status"], fits["ledger"]["ok"]) == ("done", PAGES)
    over = user.client.post("/jobs", files=[("files", ("a.png", png()))], headers=key)
    assert over.status_code == 429


@pytest.mark.slow
def test_ones_own_job_is_ones_own_also_over_the_quota(user: User) -> None:
    key = user.key()
    job = user.job(key, PAGES)
    user.ended(key, job)
    assert user.read(key).status_code == 429
    for method, path in (
        ("GET", f"/jobs/{job}"),
        ("GET", f"/jobs/{job}/result"),
        ("GET", f"/jobs/{job}/events"),
        ("GET", "/jobs"),
        ("POST", f"/jobs/{job}/cancel"),
        ("DELETE", f"/jobs/{job}"),
    ):
        assert user.client.request(method, path, headers=key).status_code in (200, 204), path


@pytest.mark.slow
def test_reading_again_costs_again(user: User) -> None:
    key = user.key()
    job = user.job(key, 4, prompt="fail")
    assert user.ended(key, job)["ledger"]["failed"] == 4
    refused = user.client.post(f"/jobs/{job}/retry", headers=key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exceeded")
    assert user.client.get(f"/jobs/{job}", headers=key).json()["ledger"]["failed"] == 4, "nothing is lost"
    assert user.read(key, PAGES - 4).status_code == 200


@pytest.mark.slow
def test_a_key_with_a_quota_of_its_own_has_its_own_count(server: str, user: User) -> None:
    root = user.token(*ADMIN)
    keys = [
        user.client.post("/api/auth/keys", json={"name": "own", "pages_per_day": 2}, headers=root).json()[
            "key"
        ]
        for _ in range(2)
    ]
    statuses = [user.read({"X-API-Key": key}, 2).status_code for key in (*keys, *keys)]
    assert statuses == [200, 200, 429, 429]
