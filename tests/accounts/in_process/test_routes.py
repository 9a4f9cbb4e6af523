"""Accounts over HTTP in this process: each answer to the field, each refusal to the code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Scope
from starlette.websockets import WebSocketDisconnect

from airgap.accounts import credentials, login_audit
from airgap.accounts.audit import AuditLog
from airgap.accounts.caller import ANONYMOUS, INSTALLATION, Caller, get_admin, get_caller, security
from airgap.accounts.check_login import main as check_login
from airgap.accounts.guard import OPEN_PATHS, OPEN_PREFIXES, credential_of
from airgap.accounts.install import audit_log, open_audit_log
from airgap.core.errors import ConfigurationError, Forbidden
from config import Settings
from serve_ocr import create_app
from tests.accounts.conftest import ADMIN, SECRET_KEY
from tests.dialects.drawing import pdf, png
from tests.jobs.helpers import wait_for

Headers = dict[str, str]
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def settings_of(folder: Path, **settings: Any) -> Settings:
    known = {"bootstrap_user": ADMIN[0], "bootstrap_pass": ADMIN[1], "secret_key": SECRET_KEY}
    return Settings(backend="fake", data_dir=folder, **{"auth_enabled": True, **known, **settings})


@pytest.fixture(scope="module", autouse=True)
def quick_hashing() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(credentials, "PasswordHasher", lambda: QUICK)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def client(folder: Path, quick_hashing: None) -> Iterator[TestClient]:
    with TestClient(create_app(settings_of(folder, key_pages_per_day=4))) as opened:
        yield opened


def log_in(client: TestClient, name: str, password: str) -> Headers:
    answer = client.post("/api/auth/token", data={"username": name, "password": password})
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


@pytest.fixture
def root(client: TestClient) -> Headers:
    return log_in(client, *ADMIN)


def user(client: TestClient, root: Headers, name: str) -> Headers:
    body = {"username": name, "password": f"{name} and her horse"}
    client.post("/api/auth/register", json=body, headers=root).raise_for_status()
    return log_in(client, name, body["password"])


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audit/audit.jsonl").read_text().splitlines()]


def throttled(folder: Path) -> int:
    """How many tries were summed up so far."""
    return sum(entry["tries"] for entry in entries(folder) if entry["event"] == "login_throttled")


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def recent(when: str) -> bool:
    found = datetime.fromisoformat(when)
    return abs((found if found.tzinfo else found.replace(tzinfo=UTC)) - datetime.now(UTC)) < timedelta(
        minutes=2
    )


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
    return client.post("/pdf/ocr", files={"file": pdf(pages)}, headers=headers)


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


def test_what_is_open_and_what_is_closed(client: TestClient, root: Headers) -> None:
    for path in ("/", "/health", "/healthz", "/readyz", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200, path
    assert client.get("/metrics").status_code == 403, "open to its clients, and asks for no login"
    for path in ("/info", "/jobs", "/uix", "/docs/x", "/nothing", "/api/auth/me"):
        answer = client.get(path)
        assert refused(answer) == (401, "unauthorized"), path
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert client.get("/ui/nothing.js").status_code in (404, 501), "not there, or no page was built"
    for header in ({"Authorization": "Bearer nonsense"}, {"X-API-Key": "nonsense"}):
        assert refused(client.get("/info", headers=header)) == (401, "unauthorized")
        assert client.get("/healthz", headers=header).status_code == 200
    with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/anything"):
        pass
    assert caught.value.code == 1008


def test_what_is_open_is_a_short_list() -> None:
    assert {
        "/", "/health", "/healthz", "/readyz", "/ui", "/docs", "/docs/oauth2-redirect", "/redoc", "/api/docs",
        "/openapi.json", "/api/auth/token", "/api/auth/register",
    } == OPEN_PATHS  # fmt: skip
    assert OPEN_PREFIXES == ("/static-offline-docs/", "/ui/")


def test_metrics_are_closed_where_the_site_says_so(tmp_path: Path) -> None:
    with TestClient(create_app(settings_of(tmp_path, metrics_login=True))) as client:
        assert refused(client.get("/metrics")) == (401, "unauthorized")
        assert client.get("/metrics", headers=log_in(client, *ADMIN)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, None),
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bEARER   abc  "}, "abc"),
        ({"authorization": "Basic abc"}, None),
        ({"authorization": "Bearer"}, None),
        ({"authorization": "Bearer  "}, None),
        ({"x-api-key": "k"}, "k"),
        ({"x-api-key": ""}, None),
        ({"authorization": "Basic abc", "x-api-key": "k"}, "k"),
        ({"authorization": "Bearer abc", "x-api-key": "k"}, "abc"),
    ],
)
def test_where_a_credential_stands(headers: Headers, found: str | None) -> None:
    assert credential_of(headers) == found  # type: ignore[arg-type]


def test_who_asks_where_nobody_is_asked() -> None:
    scope: Scope = {"type": "http"}
    request: Any = type("Asked", (), {"scope": scope})()
    assert get_caller(request) is ANONYMOUS
    scope["caller"] = "nonsense"
    assert get_caller(request) is ANONYMOUS
    with pytest.raises(Forbidden):
        get_admin(request)
    scope["caller"] = admin = Caller("user:1", "root", "admin")
    assert get_admin(request) is admin
    assert (ANONYMOUS.is_anonymous, INSTALLATION.is_anonymous) == (True, False)
    assert (ANONYMOUS.role, ANONYMOUS.user_id, ANONYMOUS.account) == ("user", None, "")
    assert security(False) == []


def test_the_description_tells_both_ways_to_log_in(client: TestClient) -> None:
    schemes = client.get("/openapi.json").json()["components"]["securitySchemes"]
    assert schemes.keys() == {"Login", "API key"}
    assert schemes["Login"]["flows"]["password"]["tokenUrl"] == "/api/auth/token"
    assert (schemes["API key"]["in"], schemes["API key"]["name"]) == ("header", "X-API-Key")


def test_where_a_log_is_kept(tmp_path: Path) -> None:
    def path(**settings: Any) -> Path | None:
        found = open_audit_log(settings_of(tmp_path, **settings))
        return None if found is None else found.path

    kept = tmp_path / "audit/audit.jsonl"
    assert path() == kept
    assert path(audit_log=False) is None
    assert path(auth_enabled=False) is None
    assert path(auth_enabled=False, audit_log=True, secret_key=None) == kept
    assert audit_log(settings_of(tmp_path, auth_enabled=False, secret_key=None))._key is None
    assert audit_log(settings_of(tmp_path))._key == credentials.derived_key(SECRET_KEY, "audit")
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        path(secret_key="short")


def test_the_login_of_the_installation(
    client: TestClient,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert check_login() == 0
    assert capsys.readouterr().out == "", "with accounts off there is none"
    monkeypatch.setenv("AUTH_ENABLED", "1")
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    assert check_login() == 0
    headers = {"Authorization": f"Bearer {capsys.readouterr().out.strip()}"}
    me = client.get("/api/auth/me", headers=headers).json()
    assert (me["id"], me["username"], me["role"]) == ("installation", "check", "user")
    assert client.post("/ocr/image/simple", files={"file": png()}, headers=headers).status_code == 200
    assert [e["who"] for e in entries(folder) if e["event"] == "read"][-1] == "installation check"
    monkeypatch.setenv("SECRET_KEY", "short")
    assert check_login() == 2
    said = capsys.readouterr()
    assert (said.out, "SECRET_KEY" in said.err) == ("", True)


def test_tries_that_were_refused_unread_are_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_audit, "MAX_SUMS", 2)
    with TestClient(create_app(settings_of(tmp_path))) as client:
        for name in ("first", "second", "third", "fourth"):
            for _ in range(13):
                client.post("/api/auth/token", data={"username": name, "password": "x"})
        assert [entry["event"] for entry in entries(tmp_path)] == ["login"] * 40
    noted = [entry for entry in entries(tmp_path) if entry["event"] == "login_throttled"]
    assert [entry["tries"] for entry in noted] == [3, 3, 6]
    assert [entry["client"] for entry in noted] == ["testclient", "testclient", "others"]
    assert noted[2]["account"] == "others"
    assert {entry["who"] for entry in noted} == {"anonymous"}


def test_sums_are_written_after_a_while_and_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert login_audit.SUMMED_SECONDS == 60.0
    assert login_audit.MAX_SUMS == 1000
    monkeypatch.setattr(login_audit, "SUMMED_SECONDS", 0.0)
    with TestClient(create_app(settings_of(tmp_path))) as client:
        for _ in range(12):
            client.post("/api/auth/token", data={"username": "first", "password": "x"})
        wait_for(lambda: client.get("/healthz").is_success and throttled(tmp_path) == 2)
        assert client.app.state.login_audit.trouble() is None  # type: ignore[attr-defined]
    assert throttled(tmp_path) == 2


def test_without_a_log_nothing_is_noted(tmp_path: Path) -> None:
    with TestClient(create_app(settings_of(tmp_path, audit_log=False))) as client:
        root = log_in(client, *ADMIN)
        client.post("/api/auth/token", data={"username": "first", "password": "x"})
        body = {"username": "someone", "password": "a fine password"}
        assert client.post("/api/auth/register", json=body, headers=root).status_code == 201
        assert client.post("/ocr/image/simple", files={"file": png()}, headers=root).status_code == 200
    assert not (tmp_path / "audit").exists()


def test_an_application_without_accounts_asks_nobody(tmp_path: Path) -> None:
    app: FastAPI = create_app(settings_of(tmp_path, auth_enabled=False, audit_log=True))
    with TestClient(app) as client:
        assert client.post("/ocr/image/simple", files={"file": png()}).status_code == 200
        assert client.post("/api/auth/token", data={"username": "a", "password": "b"}).status_code == 404
    assert [entry["who"] for entry in entries(tmp_path)] == ["anonymous"]
