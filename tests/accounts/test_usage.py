"""What was read for an account, on SQLite and on PostgreSQL, and over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from airgap.accounts.store import ApiKey, Store
from airgap.accounts.usage import RECENT, UsageEvents
from tests.accounts.conftest import ADMIN, SECRET_KEY, Login
from tests.conftest import running_server
from tests.dialects.drawing import pdf, png

NOW = datetime(2026, 2, 3, 12, tzinfo=UTC)
COUNTS = {
    "prompt_chars": 5,
    "completion_chars": 70,
    "prompt_tokens": 11,
    "completion_tokens": 13,
    "input_bytes": 3_000_000_000,
    "pages": 2,
}


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = request.getfixturevalue("database") if request.param == "postgresql" else None
    opened = Store(url, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def events(store: Store) -> UsageEvents:
    return store.usage


def test_events_are_listed_newest_first_and_summed_up(events: UsageEvents) -> None:
    for minute in range(3):
        events.add("user:1", "pdf", COUNTS, None, NOW + timedelta(minutes=minute))
    events.add("user:2", "image", {"pages": 1}, None, NOW)
    found = events.recent(["user:1"])
    assert [event.created_at.minute for event in found] == [2, 1, 0]
    assert {(event.kind, event.input_bytes, event.pages, event.job) for event in found} == {
        ("pdf", 3_000_000_000, 2, None)
    }
    assert events.totals(["user:1"]) == {"events": 3, **{name: 3 * n for name, n in COUNTS.items()}}
    assert events.totals(["user:1", "user:2"])["pages"] == 7
    assert events.totals(["user:9"]) == {"events": 0, **dict.fromkeys(COUNTS, 0)}


def test_a_job_is_one_event_however_many_count_its_pages_at_once(events: UsageEvents) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: events.add("user:1", "job", {"pages": 1}, "j1", NOW), range(20)))
    (event,) = events.recent(["user:1"])
    assert (event.pages, event.job) == (20, "j1")


def test_only_the_newest_are_listed_and_all_are_summed_up(events: UsageEvents) -> None:
    for _ in range(RECENT + 3):
        events.add("user:1", "image", {"pages": 1}, None, NOW)
    assert len(events.recent(["user:1"])) == RECENT
    assert events.totals(["user:1"])["events"] == RECENT + 3


def test_what_is_too_old_is_forgotten(events: UsageEvents) -> None:
    for days in range(5):
        events.add("user:1", "image", {"pages": 1}, None, NOW - timedelta(days=days))
    events.forget(NOW - timedelta(days=2))
    assert events.totals(["user:1"])["events"] == 3


def test_with_an_account_goes_what_was_read_for_it_and_its_keys(store: Store) -> None:
    user, other = store.add_user("alice", "h", "user"), store.add_user("bob", "h", "user")
    store.add_key(ApiKey("a" * 16, user.id, "k", "ff", None, 9, NOW, None))
    store.revoke_key("a" * 16, user.id)
    for caller in (f"user:{user.id}", f"key:{'a' * 16}", f"user:{other.id}"):
        store.usage.add(caller, "image", {"pages": 1}, None, NOW)
    store.deactivate(user.id)
    assert store.usage.recent(store.callers_of(user.id)) == []
    assert len(store.usage.recent([f"user:{other.id}"])) == 1


# --- over HTTP -----------------------------------------------------------------------------------


def usage(client: httpx.Client, headers: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/auth/me/usage", headers=headers).raise_for_status().json()
    return found


def test_requests_are_counted_for_who_sent_them(guarded: httpx.Client, login: Login) -> None:
    alice, bob = (login(name, f"the password of {name}") for name in ("usage-alice", "usage-bob"))
    made = guarded.post("/api/auth/keys", json={"name": "k"}, headers=alice).json()["key"]
    key = {"X-API-Key": made}
    picture, document = png(), pdf(3)
    data = {"prompt": "Read."}
    stream = guarded.post("/api/ocr/image", files={"file": picture}, data=data, headers=alice)
    end = stream.text.splitlines()[-1]
    guarded.post("/pdf/ocr/simple", files={"file": document}, headers=key).raise_for_status()
    by_key, by_name = usage(guarded, alice)
    assert (by_name["kind"], by_name["pages"], by_name["input_bytes"]) == ("image", 1, len(picture))
    assert by_name["prompt_chars"] == len("Read.")
    for name in ("prompt_tokens", "completion_tokens"):
        assert f'"{name}": {by_name[name]}' in end
    assert by_name["completion_chars"] > 0
    assert (by_key["kind"], by_key["pages"], by_key["input_bytes"]) == ("pdf", 3, len(document))
    assert [event["id"] for event in usage(guarded, key)] == [by_key["id"]]
    assert usage(guarded, bob) == []
    total = guarded.get("/api/auth/me/usage/summary", headers=alice).json()
    assert (total["total_events"], total["total_pages"], total["days"]) == (2, 4, 90)
    assert total["total_input_bytes"] == len(picture) + len(document)
    assert total["total_completion_chars"] == by_key["completion_chars"] + by_name["completion_chars"]


def test_what_was_refused_is_no_usage(guarded: httpx.Client, login: Login) -> None:
    carol = login("usage-carol", "the password of carol")
    assert guarded.post("/ocr/image/simple", files={"file": b"no picture"}, headers=carol).status_code >= 400
    assert usage(guarded, carol) == []
    assert guarded.get("/api/auth/me/usage").status_code == 401


def test_a_job_grows_with_its_pages(guarded: httpx.Client, login: Login) -> None:
    dave = login("usage-dave", "the password of dave")
    document = pdf(5)
    job = guarded.post("/jobs", files={"files": ("a.pdf", document)}, headers=dave).json()["id"]
    deadline = time.monotonic() + 60
    while guarded.get(f"/jobs/{job}", headers=dave).json()["status"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (event,) = usage(guarded, dave)
    assert (event["kind"], event["job"], event["pages"]) == ("job", job, 5)
    assert event["input_bytes"] == len(document)
    assert event["completion_tokens"] > 0


@pytest.mark.slow
def test_a_site_that_keeps_none_says_so(tmp_path: Path) -> None:
    settings = {"BACKEND": "fake", "AUTH_ENABLED": "1", "SECRET_KEY": SECRET_KEY, "USAGE_DAYS": "0"}
    settings |= {"BOOTSTRAP_USER": ADMIN[0], "BOOTSTRAP_PASS": ADMIN[1]}
    with (
        running_server(tmp_path, **settings) as url,
        httpx.Client(base_url=url, timeout=60, trust_env=False) as client,
    ):
        body = {"username": ADMIN[0], "password": ADMIN[1]}
        token = client.post("/api/auth/token", data=body).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        client.post("/ocr/image/simple", files={"file": png()}, headers=headers).raise_for_status()
        answer = client.get("/api/auth/me/usage/summary", headers=headers)
    assert answer.status_code == 501
    assert "USAGE_DAYS=0" in answer.json()["error"]["message"]
