"""With accounts on, a job is its caller's alone, and its pages count against the caller's quota."""

from __future__ import annotations

import time

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
    job = submit(guarded, 4, key).json()["id"]
    wait_for(lambda: guarded.get(f"/jobs/{job}", headers=key).json()["status"] == "done")
    refused = submit(guarded, 1, key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exceeded")
    guarded.delete(f"/jobs/{job}", headers=key)
