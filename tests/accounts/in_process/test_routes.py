"""Accounts over HTTP in this process: each answer to the field, each refusal to the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airgap.accounts import credentials
from airgap.accounts.audit import AuditLog
from config import Settings
from serve_ocr import create_app
from tests.accounts.conftest import ADMIN, SECRET_KEY
from tests.accounts.in_process.asking import (
    Headers,
    client,
    entries,
    folder,
    log_in,
    quick_hashing,
    recent,
    refused,
    root,
    settings_of,
    user,
)
from tests.dialects.drawing import pdf, png

__all__ = ["client", "folder", "quick_hashing", "root"]


def test_a_login_is_a_bearer_token(client: TestClient, folder: Path) -> None:
    form = {"username": ADMIN[0], "password": ADMIN[1], "grant_type": "password"}
    answer = client.post("/api/auth/token", data=form).json()
    assert answer.keys() == {"access_token", "token_type", "expires_in"}
    assert (answer["token_type"], answer["expires_in"]) == (
        "bearer",
        60 * Settings().access_token_expire_minutes,
    )
    noted = entries(folder)[-1]
    assert (noted["event"], noted["who"], noted["client"], noted["outcome"]) == (
        "login",
        f"user:1 {ADMIN[0]}",
        "testclient",
        "ok",
    )


def test_a_login_that_failed_is_noted(client: TestClient, folder: Path) -> None:
    answer = client.post("/api/auth/token", data={"username": "noone", "password": "x"})
    assert refused(answer) == (401, "unauthorized")
    assert answer.headers.get("WWW-Authenticate") in (None, "Bearer")
    noted = entries(folder)[-1]
    assert (noted["event"], noted["who"], noted["outcome"]) == ("login", "anonymous", "unauthorized")
    assert noted["account"].startswith("unknown:")
    assert noted["client"] == "testclient"


def test_who_i_am(client: TestClient, root: Headers) -> None:
    assert client.get("/api/auth/me", headers=root).json() == {
        "id": "user:1",
        "username": ADMIN[0],
        "role": "admin",
        "pages_per_day": None,
        "requests_per_minute": None,
    }


def test_an_account_is_made_listed_and_ended(client: TestClient, root: Headers, folder: Path) -> None:
    body = {"username": "anna", "password": "anna and her horse"}
    answer = client.post("/api/auth/register", json=body, headers=root)
    made = answer.json()
    assert answer.status_code == 201
    assert made.keys() == {"id", "username", "role", "active", "created_at"}
    assert (made["username"], made["role"], made["active"]) == ("anna", "user", True)
    assert recent(made["created_at"])
    noted = entries(folder)[-1]
    assert (noted["event"], noted["who"], noted["account"]) == ("register", "user:1", f"user:{made['id']}")
    anna = log_in(client, "anna", "anna and her horse")
    assert refused(client.post("/api/auth/register", json=body, headers=root)) == (409, "conflict")
    assert refused(client.post("/api/auth/register", json=body, headers=anna)) == (403, "forbidden")
    assert refused(client.post("/api/auth/register", json=body)) == (401, "unauthorized")
    assert refused(client.get("/api/auth/users", headers=anna)) == (403, "forbidden")
    listed = client.get("/api/auth/users", headers=root).json()
    assert [found for found in listed if found["id"] == made["id"]] == [made]
    assert refused(client.delete("/api/auth/users/anna", headers=anna)) == (403, "forbidden")
    assert client.delete("/api/auth/users/anna", headers=root).status_code == 204
    noted = entries(folder)[-1]
    assert (noted["event"], noted["who"], noted["account"]) == ("deactivate", "user:1", "anna")
    assert refused(client.get("/api/auth/me", headers=anna)) == (401, "unauthorized")
    assert refused(client.delete("/api/auth/users/nobody", headers=root)) == (404, "not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"username": "x" * 65},
        {"password": "p" * 257},
        {"role": "owner"},
        {"username": None},
    ],
)
def test_registrations_out_of_bounds(client: TestClient, root: Headers, change: Headers) -> None:
    body = {"username": "someone", "password": "a fine password"} | change
    assert refused(client.post("/api/auth/register", json=body, headers=root)) == (422, "invalid_option")


def test_an_administrator_makes_administrators(client: TestClient, root: Headers) -> None:
    body = {"username": "second", "password": "a fine password", "role": "admin"}
    assert client.post("/api/auth/register", json=body, headers=root).json()["role"] == "admin"
    second = log_in(client, "second", "a fine password")
    assert client.get("/api/auth/users", headers=second).status_code == 200


def test_open_registration_is_for_users(tmp_path: Path) -> None:
    with TestClient(create_app(settings_of(tmp_path, registration="open"))) as client:
        body = {"username": "walkin", "password": "a fine password"}
        assert client.post("/api/auth/register", json=body).json()["role"] == "user"
        admin = body | {"username": "walkin2", "role": "admin"}
        assert refused(client.post("/api/auth/register", json=admin)) == (403, "forbidden")
        assert entries(tmp_path)[-1]["who"] == "anonymous"


def test_a_password_is_changed_by_its_owner(client: TestClient, root: Headers, folder: Path) -> None:
    headers = user(client, root, "berta")
    body = {"old_password": "berta and her horse", "new_password": "another fine one"}
    wrong = client.post("/api/auth/password", json=body | {"old_password": "wrong"}, headers=headers)
    assert refused(wrong) == (401, "unauthorized")
    noted = entries(folder)[-1]
    assert (noted["event"], noted["who"], noted["outcome"]) == ("password", "anonymous", "unauthorized")
    assert noted["account"].endswith(" berta")
    for bad in ({"old_password": "x" * 257}, {"new_password": "x" * 257}):
        answer = client.post("/api/auth/password", json=body | bad, headers=headers)
        assert refused(answer) == (422, "invalid_option")
    made = client.post("/api/auth/keys", json={"name": "k"}, headers=headers).json()
    key = {"X-API-Key": made["key"]}
    assert refused(client.post("/api/auth/password", json=body, headers=key)) == (403, "forbidden")
    assert client.post("/api/auth/password", json=body, headers=headers).status_code == 204
    noted = entries(folder)[-1]
    assert (noted["event"], noted["who"].startswith("user:")) == ("password", True)
    assert refused(client.get("/api/auth/me", headers=headers)) == (401, "unauthorized")
    log_in(client, "berta", "another fine one")


def test_a_key_is_shown_once(client: TestClient, root: Headers, folder: Path) -> None:
    headers = user(client, root, "carla")
    mine = client.get("/api/auth/me", headers=headers).json()["id"]
    answer = client.post("/api/auth/keys", json={"name": "scanner"}, headers=headers)
    made = answer.json()
    assert answer.status_code == 201
    assert made.keys() == {"id", "name", "key"}
    assert made["key"].startswith(f"ocr_{made['id']}_")
    noted = entries(folder)[-1]
    assert (noted["event"], noted["who"]) == ("key_made", mine)
    (kept,) = client.get("/api/auth/keys", headers=headers).json()
    assert recent(kept.pop("created_at"))
    assert kept == {
        "id": made["id"],
        "name": "scanner",
        "user_id": int(mine.removeprefix("user:")),
        "requests_per_minute": None,
        "pages_per_day": None,
        "revoked_at": None,
    }
    key = {"X-API-Key": made["key"]}
    me = client.get("/api/auth/me", headers=key).json()
    assert (me["id"], me["username"], me["pages_per_day"]) == (f"key:{made['id']}", "carla/scanner", 4)
    assert refused(client.post("/api/auth/keys", json={"name": "k"}, headers=key)) == (403, "forbidden")
    assert refused(client.get("/api/auth/users", headers=key)) == (403, "forbidden")
    assert client.delete(f"/api/auth/keys/{made['id']}", headers=headers).status_code == 204
    assert refused(client.delete(f"/api/auth/keys/{made['id']}", headers=headers)) == (404, "not_found")
    (kept,) = client.get("/api/auth/keys", headers=headers).json()
    assert recent(kept["revoked_at"])
    assert refused(client.get("/api/auth/me", headers=key)) == (401, "unauthorized")
    assert [entry["event"] for entry in entries(folder)][-1] == "key_revoked"
    assert entries(folder)[-1]["who"] == mine


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": ""}, 422),
        ({"name": "n" * 101}, 422),
        ({"name": "n", "requests_per_minute": 0}, 422),
        ({"name": "n", "requests_per_minute": 1_000_001}, 422),
        ({"name": "n", "pages_per_day": 0}, 422),
        ({"name": "n", "pages_per_day": 1_000_000_001}, 422),
        ({"name": "n"}, 201),
        ({"name": "n" * 100, "requests_per_minute": 1, "pages_per_day": 1}, 201),
        ({"name": "n", "requests_per_minute": 1_000_000, "pages_per_day": 1_000_000_000}, 201),
    ],
)
def test_the_bounds_of_a_key(client: TestClient, root: Headers, body: dict[str, Any], status: int) -> None:
    assert client.post("/api/auth/keys", json=body, headers=root).status_code == status


def test_only_administrators_set_rates_and_quotas(client: TestClient, root: Headers) -> None:
    headers = user(client, root, "dora")
    for extra in ({"requests_per_minute": 5}, {"pages_per_day": 5}):
        answer = client.post("/api/auth/keys", json={"name": "k", **extra}, headers=headers)
        assert refused(answer) == (403, "forbidden")
    made = client.post(
        "/api/auth/keys", json={"name": "k", "requests_per_minute": 2, "pages_per_day": 9}, headers=root
    ).json()
    key = {"X-API-Key": made["key"]}
    me = client.get("/api/auth/me", headers=key).json()
    assert (me["requests_per_minute"], me["pages_per_day"]) == (2, 9)
    over = client.get("/api/auth/me", headers=key)
    assert over.status_code == 200 or refused(over) == (429, "quota_exceeded")
    over = client.get("/api/auth/me", headers=key)
    assert refused(over) == (429, "quota_exceeded")
    assert int(over.headers["Retry-After"]) > 0
    assert client.get("/healthz", headers=key).status_code == 200, "what is open asks nobody"


def read(client: TestClient, headers: Headers, pages: int = 1) -> Any:
    answer: Any = client.post("/pdf/ocr", files={"file": pdf(pages)}, headers=headers)
    return answer


def test_pages_are_taken_before_they_are_read_and_settled_after(client: TestClient, root: Headers) -> None:
    headers = user(client, root, "emma")
    made = client.post("/api/auth/keys", json={"name": "k"}, headers=headers).json()
    key = {"X-API-Key": made["key"]}
    assert read(client, key, 5).status_code == 429
    assert client.post("/ocr/image/simple", files={"file": b"no picture"}, headers=key).status_code == 415
    assert read(client, key, 3).status_code == 200
    over = read(client, key, 2)
    assert refused(over) == (429, "quota_exceeded")
    assert "1 of the 4" in over.json()["error"]["message"]
    assert client.post("/ocr/image/simple", files={"file": png()}, headers=key).status_code == 200
    assert refused(read(client, key)) == (429, "quota_exceeded")
    assert refused(client.post("/jobs", files={"files": pdf(1)}, headers=key)) == (429, "quota_exceeded")
    assert refused(client.post("/jobs/", files={"files": pdf(1)}, headers=key))[0] in (307, 429)
    assert client.get("/jobs", headers=key).status_code == 200, "looking is not reading"
    assert client.get("/api/auth/me", headers=key).status_code == 200
    assert read(client, headers).status_code == 200, "a person's login has no quota"


def test_what_was_read_is_noted(client: TestClient, root: Headers, folder: Path) -> None:
    answer = client.post("/ocr/image/simple", files={"file": png()}, headers=root)
    noted = [entry for entry in entries(folder) if entry["event"] == "read"][-1]
    assert noted["request_id"] == answer.headers["X-Request-ID"]
    assert (noted["who"], noted["kind"], noted["outcome"]) == (f"user:1 {ADMIN[0]}", "image", 200)
    assert (noted["engine"], noted["model"], noted["model_digest"]) == ("fake", "fake", None)
    assert noted["pages"] == {"ok": 1}
    assert [entry["bytes"] for entry in noted["inputs"]] == [len(png())]
    assert len(noted["inputs"][0]["sha256"]) == 64
    assert "job" not in noted
    assert AuditLog(folder / "audit", credentials.derived_key(SECRET_KEY, "audit")).verify()[1] == []
