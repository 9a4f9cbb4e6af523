"""A server without accounts is this machine's alone, until the site says otherwise in words."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from airgap.core.errors import ConfigurationError
from airgap.http.openness import OPEN, TrustedHosts, warnings_of
from airgap.http.peers import Peers
from config import load_settings
from tests.conftest import running_server

SECRET = "s" * 40
ACCOUNTS = {"auth_enabled": True, "secret_key": SECRET}


@pytest.mark.parametrize(
    ("settings", "address", "warned"),
    [
        ({}, "127.0.0.1", False),
        ({"allow_anonymous": True}, "0.0.0.0", False),
        (ACCOUNTS, "0.0.0.0", False),
        ({"host": "0.0.0.0"}, "0.0.0.0", True),
        ({"host": "192.168.1.5"}, "192.168.1.5", True),
        ({"host": "::1"}, "::1", False),
        ({"host": "localhost"}, "localhost", False),
        ({"host": "0.0.0.0", "publish_address": "127.0.0.1"}, "0.0.0.0", False),
        ({"host": "0.0.0.0", "publish_address": "0.0.0.0", "allow_anonymous": True}, "0.0.0.0", False),
        ({"host": "0.0.0.0", **ACCOUNTS}, "0.0.0.0", False),
    ],
)
def test_where_a_server_listens_and_what_it_says_of_it(
    settings: dict[str, object], address: str, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOST", raising=False)
    loaded = load_settings(**settings)
    assert loaded.listen_address == address
    assert warnings_of(loaded) == ([OPEN] if warned else [])


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.5", "::"])
def test_a_published_port_is_opened_in_words(address: str) -> None:
    with pytest.raises(ConfigurationError, match="ALLOW_ANONYMOUS=1"):
        load_settings(publish_address=address)
    load_settings(publish_address=address, allow_anonymous=True)
    load_settings(publish_address=address, **ACCOUNTS)


OTHER_ADDRESS = "127.0.0.2"  # what listens on 127.0.0.1 alone does not answer there


def test_from_another_address_nothing_answers_by_default(tmp_path: Path) -> None:
    with running_server(tmp_path, BACKEND="fake", HOST="") as url, socket.socket() as connection:
        port = httpx.URL(url).port
        assert port is not None
        connection.settimeout(5)
        assert connection.connect_ex((OTHER_ADDRESS, port)) != 0
        assert httpx.get(url, trust_env=False).json()["warnings"] == []


@pytest.mark.slow
def test_a_site_that_says_so_is_open_and_the_others_are_told(tmp_path: Path) -> None:
    cases: list[tuple[str, dict[str, Any], bool]] = [
        ("words", {"ALLOW_ANONYMOUS": "1", "HOST": ""}, False),
        ("host", {"HOST": "0.0.0.0"}, True),
    ]
    for name, settings, warned in cases:
        folder = tmp_path / name
        folder.mkdir()
        with running_server(folder, BACKEND="fake", **settings) as url:
            port = httpx.URL(url).port
            found = httpx.get(f"http://{OTHER_ADDRESS}:{port}/", trust_env=False).json()["warnings"]
        assert found == ([OPEN] if warned else [])
        assert (OPEN in (folder / "server.log").read_text()) is warned


def trusts(host: str, *names: str, inside: bool = True) -> bool:
    async def nothing(*_: object) -> None: ...

    return TrustedHosts(nothing, names, inside=inside).trusts(host)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:8000", "localhost", "LOCALHOST:8000", "[::1]:8000", "10.1.2.3", "ocr", "ocr:8000", ""),
        *("scanner.local", "ocr.internal:80", "ocr.home.arpa", "a.localhost"),
    ],
)
def test_hosts_that_only_this_network_has(host: str) -> None:
    assert trusts(host)


@pytest.mark.parametrize(
    "host",
    [
        *("rebound.evil.example", "rebound.evil.example:8000", "127.0.0.1.evil.example", "evil.example."),
        *("local.evil.example", "x.localdomain.example", "0x7f.1", "evil.example#.local:1/"),
    ],
)
def test_hosts_that_anybody_may_have(host: str) -> None:
    assert not trusts(host)
    assert not trusts(host, "ocr.hospital.example")


def test_hosts_that_the_site_lists() -> None:
    assert trusts("OCR.hospital.example:443", "ocr.hospital.example")
    assert trusts("a.hospital.example", "*.hospital.example")
    assert not trusts("hospital.example", "*.hospital.example")
    assert trusts("anything.example", "*")
    assert not trusts("127.0.0.1", "ocr.hospital.example", inside=False)


@pytest.mark.parametrize("path", ["/", "/jobs", "/ui/", "/healthz", "/ocr", "/nothing"])
def test_a_page_of_another_site_gets_nothing(api: httpx.Client, path: str) -> None:
    answer = api.get(path, headers={"Host": "rebound.evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "untrusted_host")
    assert "TRUSTED_HOSTS" in answer.json()["error"]["remedy"]


async def test_peers() -> None:
    peers = Peers(("10.1.0.0/16", "192.168.7.9", "::1"))
    found = {address: await peers.has(address) for address in ("10.1.2.3", "10.2.0.1", "192.168.7.9", "::1")}
    assert found == {"10.1.2.3": True, "10.2.0.1": False, "192.168.7.9": True, "::1": True}
    assert await peers.has("::ffff:10.1.2.3")
    assert not await peers.has("")
    assert not await peers.has("testclient")


def test_metrics_are_for_those_inside(tmp_path: Path) -> None:
    with running_server(tmp_path, BACKEND="fake", HOST="0.0.0.0", METRICS_CLIENTS="127.0.0.9") as url:
        refused = httpx.get(f"{url}/metrics", trust_env=False)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
        transport = httpx.HTTPTransport(local_address="127.0.0.9")
        with httpx.Client(transport=transport, trust_env=False) as inside:
            assert inside.get(f"{url}/metrics").status_code == 200


@pytest.mark.slow
def test_whoever_is_logged_in_sees_the_metrics_from_anywhere(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"AUTH_ENABLED": "1", "SECRET_KEY": SECRET, "METRICS_CLIENTS": "127.0.0.9"}
    root: dict[str, Any] = {"BOOTSTRAP_USER": "root", "BOOTSTRAP_PASS": "the root's password"}
    with running_server(tmp_path, BACKEND="fake", **settings, **root) as url:
        form = {"username": "root", "password": "the root's password"}
        token = httpx.post(f"{url}/api/auth/token", data=form, trust_env=False).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{url}/metrics", trust_env=False).status_code == 403
        assert httpx.get(f"{url}/metrics", headers=headers, trust_env=False).status_code == 200
