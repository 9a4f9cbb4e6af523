"""With accounts on, a job is its caller's alone, and its pages count against the caller's quota."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx

from tests.accounts.conftest import Login, guarded, guarded_folder, guarded_server, login
from tests.jobs.helpers import pdf, wait_for

__all__ = ["guarded", "guarded_folder", "guarded_server", "login"]


def submit(client: httpx.Client, pages: int, headers: dict[str, str]) -> httpx.Response:
    return client.post("/jobs", files={"files": ("a.pdf", pdf(pages))}, headers=headers)


def test_nobody_sees_or_touches_somebody_elses_job(guarded: httpx.Client, login: Login) -> None:
    one, two = login("one", "the password of one"), login("two", "the password of two")
    job = submit(guarded, 2, one).json()["id"]
    assert submit(guarded, 1, {}).status_code == 401
    for method, path in (
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/result"),
        ("GET", "/pages/0.jpg"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("DELETE", ""),
    ):
        assert guarded.request(method, f"/jobs/{job}{path}", headers=two).status_code == 404
    assert guarded.get("/jobs", headers=two).json()["jobs"] == []
    assert [found["id"] for found in guarded.get("/jobs", headers=one).json()["jobs"]] == [job]
    assert guarded.delete(f"/jobs/{job}", headers=one).status_code == 204


def test_pages_of_jobs_count_against_the_quota(guarded: httpx.Client, login: Login) -> None:
    made = guarded.post(
        "/api/auth/keys", json={"name": f"k{time.monotonic_ns()}", "pages_per_day": 3}, headers=login()
    )
    assert made.status_code == 201, made.text
    key = {"X-API-Key": made.json()["key"]}
    job = submit(guarded, 3, key).json()["id"]
    wait_for(lambda: guarded.get(f"/jobs/{job}", headers=key).json()["status"] == "done")
    refused = submit(guarded, 1, key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exceeded")
    guarded.delete(f"/jobs/{job}", headers=key)


def test_an_administrator_sees_and_erases_jobs_but_reads_nothing_of_them(
    guarded: httpx.Client, login: Login, guarded_folder: Path
) -> None:
    user, root = login("watched", "the password of watched"), login()
    job = submit(guarded, 1, user).json()["id"]
    wait_for(lambda: guarded.get(f"/jobs/{job}", headers=user).json()["status"] == "done")
    assert guarded.get("/jobs", params={"everyone": "true"}, headers=user).status_code == 403
    listed = guarded.get("/jobs", params={"everyone": "true", "id": job}, headers=root).json()["jobs"]
    me = guarded.get("/api/auth/me", headers=user).json()["id"]
    assert [(found["id"], found["owner"]) for found in listed] == [(job, me)]
    assert guarded.get(f"/jobs/{job}", headers=root).json()["owner"] == me
    for path in ("/result", "/events", "/pages/0.jpg", "/files/0"):
        assert guarded.get(f"/jobs/{job}{path}", headers=root).status_code == 404, path
    assert guarded.post(f"/jobs/{job}/retry", headers=root).status_code == 404
    key = guarded.post("/api/auth/keys", json={"name": "root's"}, headers=root).json()["key"]
    assert guarded.get(f"/jobs/{job}", headers={"X-API-Key": key}).status_code == 404
    assert guarded.post(f"/jobs/{job}/cancel", headers=root).status_code == 200
    assert guarded.delete(f"/jobs/{job}", headers=root).status_code == 204
    assert guarded.get(f"/jobs/{job}", headers=user).status_code == 404
    text = (guarded_folder / "data" / "audit" / "audit.jsonl").read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    noted = [(entry["event"], entry["who"]) for entry in entries if entry.get("job") == job]
    assert noted[-3:] == [("job_seen", "user:1"), ("job_cancelled", "user:1"), ("job_erased", "user:1")]
    assert ("jobs_listed", "user:1") in [(entry["event"], entry["who"]) for entry in entries]
