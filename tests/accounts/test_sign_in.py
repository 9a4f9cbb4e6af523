"""Signing in at an issuer that somebody else wrote: a browser's way, accounts, roles, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.accounts.conftest import ADMIN
from tests.accounts.issuer import issuer, site
from tests.conftest import client_of
from tests.jobs.helpers import picture


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with issuer() as url:
        yield url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def url(folder: Path, provider: str) -> Iterator[str]:
    with site(folder, provider) as found:
        yield found


def browser(url: str) -> httpx.Client:
    return client_of(url, timeout=30)


def come_back(client: httpx.Client, sub: str, **form: str) -> str:
    """Go to the issuer, sign in there, and return the address that it sends the browser back to."""
    gone = client.get("/api/auth/oidc/login")
    assert gone.status_code == 303, gone.text
    asked = parse_qs(urlsplit(gone.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    answer = httpx.post(gone.headers["location"], data={"sub": sub, **form}, trust_env=False)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def sign_in(client: httpx.Client, sub: str) -> str:
    """What the page is told of a sign-in: `ok`, or the code of an error."""
    landed = client.get(come_back(client, sub))
    assert landed.status_code == 303
    address = urlsplit(landed.headers["location"])
    assert address.path == "/ui/"
    return parse_qs(address.query)["sign_in"][0]


def login(client: httpx.Client) -> dict[str, str]:
    answer = client.post("/api/auth/oidc/token")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def audit(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "data" / "audit" / "audit.jsonl").read_text().splitlines()]


def test_groups_make_roles_and_accounts_are_made_once(url: str, folder: Path) -> None:
    with browser(url) as client:
        for sub, name, role in (("1", "alice", "admin"), ("2", "bob", "user"), ("1", "alice", "admin")):
            assert sign_in(client, sub) == "ok"
            me = client.get("/api/auth/me", headers=login(client)).json()
            assert (me["username"], me["role"]) == (name, role)
        users = client.get("/api/auth/users", headers=_root(client)).json()
    assert [user["username"] for user in users].count("alice") == 1
    events = [(entry["event"], str(entry["who"]).partition(" ")[2]) for entry in audit(folder)]
    assert events.count(("register", "alice")) == 1
    assert events.count(("sign_in", "alice")) == 2


def test_a_key_of_a_person_reads(url: str) -> None:
    with browser(url) as client:
        assert sign_in(client, "2") == "ok"
        key = client.post("/api/auth/keys", headers=login(client), json={"name": "scanner"}).json()["key"]
        answer = client.post(
            "/ocr/image/simple", headers={"X-API-Key": key}, files={"file": ("a.png", picture())}
        )
        assert answer.status_code == 200


@pytest.mark.parametrize(("sub", "why"), [("3", "group"), ("4", "taken"), ("5", "name")])
def test_who_may_not_come_in(url: str, folder: Path, sub: str, why: str) -> None:
    with browser(url) as client:
        assert sign_in(client, sub) == "forbidden", why
        assert client.post("/api/auth/oidc/token").status_code == 401
    assert audit(folder)[-1]["outcome"] == "forbidden"


def test_an_account_that_ended_stays_ended(url: str) -> None:
    with browser(url) as client:
        assert sign_in(client, "2") == "ok"
        kept = login(client)
        assert client.delete("/api/auth/users/bob", headers=_root(client)).status_code == 204
        assert client.get("/api/auth/me", headers=kept).status_code == 401
        assert sign_in(client, "2") == "forbidden"


def test_a_sign_in_belongs_to_the_browser_that_began_it(url: str) -> None:
    with browser(url) as one, browser(url) as other:
        back = come_back(one, "1")
        assert "sign_in=sign_in_failed" in other.get(back).headers["location"]
        other.get("/api/auth/oidc/login")
        assert "sign_in=sign_in_failed" in other.get(back).headers["location"]


def test_a_denied_sign_in_and_a_code_used_twice(url: str) -> None:
    with browser(url) as client:
        assert (
            "sign_in=sign_in_failed" in client.get(come_back(client, "1", action="deny")).headers["location"]
        )
        back = come_back(client, "1")
        begun = client.cookies.get("ocr_sign_in")
        assert "sign_in=ok" in client.get(back).headers["location"]
        again = httpx.get(back, cookies={"ocr_sign_in": str(begun)}, trust_env=False)
        assert "sign_in=sign_in_failed" in again.headers["location"]


def test_the_login_is_fetched_once_and_by_no_other_site(url: str) -> None:
    with browser(url) as client:
        landed = client.get(come_back(client, "1"))
        kept = landed.headers.get_list("set-cookie")
        assert any("ocr_signed_in" in one and "HttpOnly" in one and "SameSite=strict" in one for one in kept)
        login(client)
        assert client.post("/api/auth/oidc/token").status_code == 401


@pytest.mark.slow
def test_passwords_can_be_off_and_accounts_not_made(tmp_path: Path, provider: str) -> None:
    with (
        site(tmp_path, provider, PASSWORD_LOGIN="0", OIDC_CREATE_USERS="0") as url,
        browser(url) as client,
    ):
        features = client.get("/").json()["features"]
        assert features["sign_in"]["available"]
        assert not features["password_login"]["available"]
        answer = client.post("/api/auth/token", data={"username": ADMIN[0], "password": ADMIN[1]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
        assert sign_in(client, "1") == "forbidden"


@pytest.mark.slow
def test_an_issuer_that_is_away_is_said(tmp_path: Path, nowhere: str) -> None:
    with site(tmp_path, nowhere) as url, browser(url) as client:
        answer = client.get("/api/auth/oidc/login")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "issuer_unavailable")
        _root(client)


def _root(client: httpx.Client) -> dict[str, str]:
    form = {"username": ADMIN[0], "password": ADMIN[1]}
    token = client.post("/api/auth/token", data=form).raise_for_status().json()["access_token"]
    return {"Authorization": f"Bearer {token}"}
