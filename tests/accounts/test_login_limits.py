"""Wrong passwords are few, whoever sends them, however many at once, and from behind whatever gateway."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.parse
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from airgap.accounts.service import WRONG_PASSWORDS
from tests.accounts.conftest import ADMIN, SECRET_KEY, Login
from tests.conftest import running_server


async def test_many_guesses_at_once_are_no_more_than_one_after_the_other(
    guarded_server: str, login: Login
) -> None:
    login("raced", "raced's password")

    async with httpx.AsyncClient(base_url=guarded_server, timeout=120, trust_env=False) as client:

        async def guess(number: int) -> int:
            password = "raced's password" if number == 59 else f"guess {number}"
            form = {"username": "raced", "password": password}
            return (await client.post("/api/auth/token", data=form)).status_code

        statuses = Counter(await asyncio.gather(*map(guess, range(60))))
    assert statuses[401] + statuses[200] == WRONG_PASSWORDS
    assert statuses[429] == 60 - WRONG_PASSWORDS


@pytest.mark.slow
def test_right_passwords_use_nothing_up(guarded: httpx.Client, login: Login) -> None:
    login("often", "often's password")
    form = {"username": "often", "password": "often's password"}
    statuses = {guarded.post("/api/auth/token", data=form).status_code for _ in range(WRONG_PASSWORDS + 3)}
    assert statuses == {200}


@pytest.mark.slow
def test_changing_the_password_is_limited_too(guarded: httpx.Client, login: Login) -> None:
    headers = login("guesser", "guesser's password")
    body = {"old_password": "not it", "new_password": "a new password"}
    statuses = [guarded.post("/api/auth/password", json=body, headers=headers).status_code for _ in range(13)]
    assert statuses == [401] * WRONG_PASSWORDS + [429] * 3


def log_in(url: str, password: str, forwarded: str, source: str) -> int:
    """The status of a login that comes from the address `source` and says that it is `forwarded`'s."""
    target = httpx.URL(url)
    body = urllib.parse.urlencode({"username": ADMIN[0], "password": password}).encode()
    head = (
        f"POST /api/auth/token HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {forwarded}\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    address = (target.host, target.port or 80)
    with socket.create_connection(address, timeout=60, source_address=(source, 0)) as connection:
        connection.sendall(head.encode() + body)
        return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.slow
def test_the_gateway_tells_clients_apart_and_nobody_else_does(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "BACKEND": "fake",
        "AUTH_ENABLED": "1",
        "SECRET_KEY": SECRET_KEY,
        "BOOTSTRAP_USER": ADMIN[0],
        "BOOTSTRAP_PASS": ADMIN[1],
        "TRUSTED_PROXIES": "127.0.0.2, 10.9.0.0/16",
    }
    gateway, stranger = "127.0.0.2", "127.0.0.1"
    with running_server(tmp_path, **settings) as url:
        for _ in range(WRONG_PASSWORDS):
            assert log_in(url, "wrong", "10.0.0.66", gateway) == 401
        assert log_in(url, ADMIN[1], "10.0.0.66", gateway) == 429
        assert log_in(url, ADMIN[1], "10.0.0.5", gateway) == 200, "another machine behind the same gateway"
        tries = [log_in(url, "wrong", f"10.1.0.{number}", stranger) for number in range(WRONG_PASSWORDS + 5)]
        assert tries == [401] * WRONG_PASSWORDS + [429] * 5, "a header of one's own walks round nothing"


@pytest.mark.slow
def test_the_audit_log_says_whose_logins_failed_from_where(tmp_path: Path) -> None:
    """Names of nobody are not written out, and what was refused unread is one sum."""
    settings: dict[str, Any] = {
        "BACKEND": "fake",
        "AUTH_ENABLED": "1",
        "SECRET_KEY": SECRET_KEY,
        "BOOTSTRAP_USER": ADMIN[0],
        "BOOTSTRAP_PASS": ADMIN[1],
        "TRUSTED_PROXIES": "127.0.0.2",
    }
    with running_server(tmp_path, **settings) as url:
        for name in (ADMIN[0], "my-secret-password", "my-secret-password"):
            form = {"username": name, "password": "wrong"}
            httpx.post(f"{url}/api/auth/token", data=form, trust_env=False)
        for _ in range(WRONG_PASSWORDS + 7):
            log_in(url, "wrong", "10.0.0.66", "127.0.0.2")
    text = (tmp_path / "data" / "audit" / "audit.jsonl").read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    first, second, third = [entry for entry in entries if entry.get("client") == "127.0.0.1"]
    assert (first["event"], first["account"], first["outcome"]) == ("login", "user:1 root", "unauthorized")
    assert second["account"] == third["account"]
    assert second["account"].startswith("unknown:")
    assert "my-secret-password" not in text
    elsewhere = [entry for entry in entries if entry.get("client") == "10.0.0.66"]
    assert [entry["event"] for entry in elsewhere] == ["login"] * WRONG_PASSWORDS + ["login_throttled"]
    assert (elsewhere[-1]["account"], elsewhere[-1]["tries"]) == ("user:1 root", 7)
