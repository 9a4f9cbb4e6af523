"""Accounts over HTTP: who gets in, who does not, and that one does not see the other."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from airgap.accounts.audit import AuditLog
from airgap.accounts.credentials import derived_key, sha256
from tests.accounts.conftest import ADMIN, SECRET_KEY, Login
from tests.conftest import ROOT, running_server
from tests.dialects.drawing import encoded, pdf, png

OPEN = ["/", "/health", "/healthz", "/readyz", "/docs", "/redoc", "/openapi.json"]


def routes(client: httpx.Client) -> list[tuple[str, str]]:
    """Every method and path of the server, from its own description."""
    paths = client.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def test_every_route_is_closed_unless_it_is_known_to_be_open(guarded: httpx.Client) -> None:
    known_open = {*OPEN, "/api/auth/token", "/api/auth/register"}
    found = routes(guarded)
    assert len(found) > 30
    for method, path in found:
        status = guarded.request(method, path.replace("{", "").replace("}", "")).status_code
        assert (status == 401) is (path not in known_open) or path == "/api/auth/register", (
            method,
            path,
            status,
        )


@pytest.mark.parametrize("path", ["/nothing", "/metrics", "/ocr/", "/web", "/docs/x", "/OCR", "/jobs"])
def test_what_is_not_there_is_closed_too(guarded: httpx.Client, path: str) -> None:
    assert guarded.post(path).status_code == 401


@pytest.mark.parametrize("path", OPEN)
def test_probes_and_docs_are_open(guarded: httpx.Client, path: str) -> None:
    assert guarded.get(path).status_code == 200


def test_a_body_is_not_read_before_the_caller_is_known(guarded: httpx.Client) -> None:
    """The server answers although not one byte of the announced body was sent."""
    import socket

    host, port = guarded.base_url.host, guarded.base_url.port
    assert port is not None
    with socket.create_connection((host, port), timeout=20) as connection:
        connection.sendall(
            b"POST /ocr HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100000000\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 401")


def test_a_login_opens_every_dialect(guarded: httpx.Client, login: Login) -> None:
    headers, picture = login(), png()
    chat = {"messages": [{"role": "user", "content": "x"}]}
    answers = [
        guarded.post("/ocr", json={"image": encoded(picture)}, headers=headers),
        guarded.post("/ocr/image/simple", files={"file": picture}, headers=headers),
        guarded.post("/pdf/ocr/simple", files={"file": pdf(1)}, headers=headers),
        guarded.post("/api/ocr/image", files={"file": picture}, headers=headers),
        guarded.post("/v1/chat/completions", json=chat, headers=headers),
        guarded.get("/metrics", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [200] * 6


def test_the_password_form_of_docs(guarded: httpx.Client) -> None:
    scheme = guarded.get("/openapi.json").json()["components"]["securitySchemes"]["Login"]
    url = scheme["flows"]["password"]["tokenUrl"]
    form = {"grant_type": "password", "username": ADMIN[0], "password": ADMIN[1]}
    answer = guarded.post(url, data=form).json()
    assert answer["token_type"] == "bearer"
    me = guarded.get("/api/auth/me", headers={"Authorization": f"Bearer {answer['access_token']}"}).json()
    assert (me["username"], me["role"]) == (*ADMIN[:1], "admin")


def test_an_unknown_name_and_a_wrong_password_look_the_same(guarded: httpx.Client) -> None:
    answers = [
        guarded.post("/api/auth/token", data={"username": name, "password": "wrong password"})
        for name in (ADMIN[0], "nobody-of-this-name")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json()["error"] == answers[1].json()["error"]


def test_many_failed_logins_are_slowed_down(guarded: httpx.Client, login: Login) -> None:
    login("mallory", "mallory's password")
    form = {"username": "mallory", "password": "a wrong guess"}
    statuses = [guarded.post("/api/auth/token", data=form).status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    right = guarded.post("/api/auth/token", data=form | {"password": "mallory's password"})
    assert right.status_code == 429
    assert int(right.headers["retry-after"]) > 0


def test_only_administrators_register_and_make_administrators(guarded: httpx.Client, login: Login) -> None:
    body = {"username": "eve", "password": "eve's password"}
    user = login("user1", "user1's password")
    assert guarded.post("/api/auth/register", json=body).status_code == 401
    assert guarded.post("/api/auth/register", json=body, headers=user).status_code == 403
    made = guarded.post("/api/auth/register", json=body, headers=login())
    assert made.status_code == 201
    assert "password" not in made.text
    assert guarded.post("/api/auth/register", json=body, headers=login()).status_code == 409
    for bad in ({"username": "../x"}, {"username": ""}, {"password": "short"}):
        assert guarded.post("/api/auth/register", json=body | bad, headers=login()).status_code == 422
    assert guarded.get("/api/auth/users", headers=user).status_code == 403
    assert "eve" in [entry["username"] for entry in guarded.get("/api/auth/users", headers=login()).json()]


def test_a_key_works_until_it_is_revoked(guarded: httpx.Client, login: Login) -> None:
    user, other = login("keeper", "keeper's password"), login("other", "other's password")
    made = guarded.post("/api/auth/keys", json={"name": "scanner"}, headers=user).json()
    for headers in ({"X-API-Key": made["key"]}, {"Authorization": f"Bearer {made['key']}"}):
        assert guarded.post("/ocr", json={"image": encoded(png())}, headers=headers).status_code == 200
    listed = guarded.get("/api/auth/keys", headers=user)
    assert made["key"] not in listed.text
    assert [key["id"] for key in listed.json()] == [made["id"]]
    assert guarded.get("/api/auth/keys", headers=other).json() == []
    assert guarded.delete(f"/api/auth/keys/{made['id']}", headers=other).status_code == 404
    key = {"X-API-Key": made["key"]}
    assert guarded.post("/api/auth/keys", json={"name": "more"}, headers=key).status_code == 403
    assert guarded.get("/api/auth/users", headers=key).status_code == 403
    assert guarded.delete(f"/api/auth/keys/{made['id']}", headers=user).status_code == 204
    assert guarded.get("/info", headers=key).status_code == 401


def test_a_key_of_an_administrator_is_no_administrator(guarded: httpx.Client, login: Login) -> None:
    made = guarded.post("/api/auth/keys", json={"name": "root's"}, headers=login()).json()
    assert guarded.get("/api/auth/users", headers={"X-API-Key": made["key"]}).status_code == 403


@pytest.mark.parametrize("change", ["last", "id", "empty"])
def test_a_key_that_is_nearly_right_is_wrong(guarded: httpx.Client, login: Login, change: str) -> None:
    key = guarded.post("/api/auth/keys", json={"name": "near"}, headers=login()).json()["key"]
    last = "A" if key[-1] != "A" else "B"
    wrong = {"last": key[:-1] + last, "id": f"ocr_{'0' * 16}_{key[21:]}", "empty": key[:21]}[change]
    assert guarded.get("/info", headers={"X-API-Key": wrong}).status_code == 401


def test_pages_a_day(guarded: httpx.Client, login: Login) -> None:
    body = {"name": "few pages", "pages_per_day": 4}
    assert guarded.post("/api/auth/keys", json=body, headers=login("user2", "user2's pw")).status_code == 403
    key = guarded.post("/api/auth/keys", json=body, headers=login()).json()["key"]
    headers = {"X-API-Key": key}
    send = {"files": {"file": ("a.pdf", pdf(2))}, "headers": headers}
    assert [guarded.post("/pdf/ocr/simple", **send).status_code for _ in range(2)] == [200, 200]  # type: ignore[arg-type]
    refused = guarded.post("/pdf/ocr/simple", **send)  # type: ignore[arg-type]
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exceeded")
    assert 0 < int(refused.headers["retry-after"]) <= 86400
    assert guarded.get("/info", headers=headers).status_code == 200, "only reading is used up"


def test_requests_a_minute(guarded: httpx.Client, login: Login) -> None:
    body = {"name": "slow", "requests_per_minute": 3}
    key = guarded.post("/api/auth/keys", json=body, headers=login()).json()["key"]
    answers = [guarded.get("/info", headers={"X-API-Key": key}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 20


def test_a_new_password_ends_the_old_logins(guarded: httpx.Client, login: Login) -> None:
    old = login("changer", "the old password")
    change = {"old_password": "the old password", "new_password": "the new password"}
    wrong = change | {"old_password": "not the old one"}
    assert guarded.post("/api/auth/password", json=wrong, headers=old).status_code == 401
    assert guarded.post("/api/auth/password", json=change, headers=old).status_code == 204
    assert guarded.get("/info", headers=old).status_code == 401
    form = {"username": "changer", "password": "the new password"}
    assert guarded.post("/api/auth/token", data=form).status_code == 200


def test_an_account_that_is_ended_has_no_logins_and_no_keys(guarded: httpx.Client, login: Login) -> None:
    gone = login("leaver", "leaver's password")
    key = guarded.post("/api/auth/keys", json={"name": "left"}, headers=gone).json()["key"]
    assert guarded.delete("/api/auth/users/leaver", headers=gone).status_code == 403
    assert guarded.delete("/api/auth/users/leaver", headers=login()).status_code == 204
    assert guarded.delete("/api/auth/users/never-was", headers=login()).status_code == 404
    assert guarded.get("/info", headers=gone).status_code == 401
    assert guarded.get("/info", headers={"X-API-Key": key}).status_code == 401
    form = {"username": "leaver", "password": "leaver's password"}
    assert guarded.post("/api/auth/token", data=form).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Basic cm9vdDpyb290",
        "Bearer a.b.c",
        "bearer x",
        "Bearer \xe9",
        "Bearer " + "x" * 9000,
    ],
)
def test_headers_that_are_no_login(guarded: httpx.Client, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1")}
    assert guarded.get("/info", headers=headers).status_code == 401  # type: ignore[arg-type]


def test_nothing_secret_is_on_the_disk_or_in_the_log(
    guarded: httpx.Client, login: Login, guarded_folder: Path
) -> None:
    prompt = "canary-prompt-7319"
    made = guarded.post("/api/auth/keys", json={"name": "disk"}, headers=login()).json()
    body = {"image": encoded(png()), "prompt": prompt}
    answer = guarded.post("/ocr", json=body, headers={"X-API-Key": made["key"]})
    secret = made["key"].removeprefix(f"ocr_{made['id']}_")
    assert len(secret) == 43  # it may hold an underscore itself
    canaries = [
        prompt,
        answer.json()["text"].split("\n")[0],
        ADMIN[1],
        secret,
        SECRET_KEY,
        login()["Authorization"],
    ]
    for path in guarded_folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [canary for canary in canaries if canary.encode() in content], path


def test_the_audit_log_says_who_read_what_and_never_the_text(
    guarded: httpx.Client, login: Login, guarded_folder: Path
) -> None:
    document = pdf(2)
    me = guarded.get("/api/auth/me", headers=login("auditee", "auditee's password")).json()
    sent = guarded.post(
        "/pdf/ocr/simple", files={"file": ("secret-name.pdf", document)}, headers=login("auditee")
    )
    log = AuditLog(guarded_folder / "data" / "audit", derived_key(SECRET_KEY, "audit"))
    entries = [json.loads(line) for line in log.path.read_text().splitlines()]
    entry = next(e for e in entries if e.get("request_id") == sent.headers["x-request-id"])
    import hashlib

    assert entry["who"] == f"{me['id']} auditee"
    assert entry["inputs"] == [{"sha256": hashlib.sha256(document).hexdigest(), "bytes": len(document)}]
    assert (entry["pages"], entry["outcome"], entry["engine"], entry["kind"]) == (
        {"ok": 2},
        200,
        "fake",
        "pdf",
    )
    assert entry.keys() >= {"time", "model", "model_digest", "prev", "hash"}
    assert "secret-name" not in log.path.read_text()
    assert {"login", "register", "read"} <= {e["event"] for e in entries}
    assert log.verify()[1] == []


@pytest.mark.slow
def test_the_audit_log_alone_names_the_model_that_read(tmp_path: Path) -> None:
    """Without accounts and without a key; the CPU engine's networks by their digest."""
    with running_server(tmp_path, BACKEND="rapidocr", AUDIT_LOG="1") as url:
        httpx.post(f"{url}/ocr/image/simple", files={"file": png()}, trust_env=False).raise_for_status()
    log = AuditLog(tmp_path / "data" / "audit", None)
    (entry,) = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert (entry["who"], entry["engine"], entry["pages"]) == ("anonymous", "rapidocr", {"ok": 1})
    assert len(entry["model_digest"]) == 64
    assert log.verify() == (1, [])


def test_log_lines_are_json_with_request_ids(
    guarded: httpx.Client, login: Login, guarded_folder: Path
) -> None:
    headers = login() | {"X-Request-ID": "find-me-1234"}
    guarded.post("/ocr", json={"image": encoded(png())}, headers=headers)
    found: list[dict[str, object]] = []
    deadline = time.monotonic() + 20
    while not found and time.monotonic() < deadline:  # it is written once the answer has gone out
        lines = (guarded_folder / "server.log").read_text().splitlines(keepends=True)
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        found = [entry for entry in entries if entry.get("request_id") == "find-me-1234"]
    (line,) = found
    assert (line["path"], line["status"], line["pages"]) == ("/ocr", 200, {"ok": 1})
    assert str(line["caller"]).endswith(ADMIN[0])


def test_users_are_counted(guarded: httpx.Client, login: Login) -> None:
    before = users_total(guarded, login)
    login("counted", "counted's password")
    assert users_total(guarded, login) == before + 1


def users_total(client: httpx.Client, login: Login) -> float:
    lines = client.get("/metrics", headers=login()).text.splitlines()
    return float(next(line for line in lines if line.startswith("users_total ")).split()[1])


def test_open_registration_and_a_keys_file_on_postgresql(database: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"scanner {sha256('a key from a file')}\n")
    settings: dict[str, Any] = {
        "BACKEND": "fake",
        "AUTH_ENABLED": "1",
        "SECRET_KEY": SECRET_KEY,
        "REGISTRATION": "open",
        "DATABASE_URL": database,
        "API_KEYS_FILE": str(keys),
    }
    with running_server(tmp_path, **settings) as url, httpx.Client(base_url=url, trust_env=False) as client:
        body = {"username": "alice", "password": "alice's password"}
        assert client.post("/api/auth/register", json=body | {"role": "admin"}).status_code == 403
        assert client.post("/api/auth/register", json=body).status_code == 201
        token = client.post("/api/auth/token", data=body).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        frames = client.post("/api/ocr/image", files={"file": png()}, headers=headers).text
        assert '"type": "end"' in frames
        by_file = client.get("/api/auth/me", headers={"X-API-Key": "a key from a file"}).json()
        assert by_file["id"] == "key:file:scanner"
        assert client.get("/metrics").status_code == 200
    with running_server(tmp_path, **settings) as url:
        assert httpx.get(f"{url}/info", headers=headers, trust_env=False).status_code == 200, (
            "logins outlive a restart"
        )


def test_an_installation_reads_its_page_without_an_account(
    guarded: httpx.Client, login: Login, guarded_folder: Path
) -> None:
    """The login that `python -m airgap.accounts.check_login` prints: it reads, and is nobody's."""
    made = subprocess.run(
        [sys.executable, "-m", "airgap.accounts.check_login"],
        cwd=ROOT,
        env=os.environ | {"AUTH_ENABLED": "1", "SECRET_KEY": SECRET_KEY},
        capture_output=True,
        text=True,
        check=True,
    )
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    assert guarded.post("/ocr/image/simple", files={"file": png()}, headers=headers).status_code == 200
    assert guarded.get("/api/auth/users", headers=headers).status_code == 403
    key = {"name": "a key of nobody"}
    assert guarded.post("/api/auth/keys", json=key, headers=headers).status_code == 403
    log = (guarded_folder / "data" / "audit" / "audit.jsonl").read_text()
    assert '"who":"installation check"' in log.replace('": "', '":"')


def test_where_accounts_are_off_there_is_no_such_login() -> None:
    command = [sys.executable, "-m", "airgap.accounts.check_login"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_a_token_of_the_previous_key_is_worth_nothing(guarded: httpx.Client, login: Login) -> None:
    head, body, _ = login()["Authorization"].removeprefix("Bearer ").split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["sub"] = "1"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert guarded.get("/info", headers={"Authorization": f"Bearer {head}.{forged}."}).status_code == 401
