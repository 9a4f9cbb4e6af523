"""What is open, what is closed, how a credential is found, and what is noted of those who try."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Scope
from starlette.websockets import WebSocketDisconnect

from airgap.accounts import credentials, login_audit
from airgap.accounts.caller import ANONYMOUS, INSTALLATION, Caller, get_admin, get_caller, security
from airgap.accounts.check_login import main as check_login
from airgap.accounts.guard import OPEN_PATHS, OPEN_PREFIXES, credential_of
from airgap.accounts.install import audit_log, open_audit_log
from airgap.core.errors import ConfigurationError, Forbidden
from serve_ocr import create_app
from tests.accounts.conftest import ADMIN, SECRET_KEY
from tests.accounts.in_process.asking import (
    Headers,
    client,
    entries,
    folder,
    log_in,
    quick_hashing,
    refused,
    root,
    settings_of,
    throttled,
)
from tests.dialects.drawing import png
from tests.jobs.helpers import wait_for

__all__ = ["client", "folder", "quick_hashing", "root"]


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
        "/openapi.json", "/api/auth/token", "/api/auth/register", "/auth/token", "/auth/register",
        "/api/auth/oidc/login", "/api/auth/oidc/callback", "/api/auth/oidc/token",
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
        return found.path if found else None

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
