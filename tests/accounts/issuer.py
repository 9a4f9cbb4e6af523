"""An issuer of logins that somebody else wrote, the people it knows, and a site that trusts it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.accounts.conftest import ADMIN, SECRET_KEY
from tests.conftest import ROOT, free_port, running_server
from tests.jobs.helpers import wait_for

PEOPLE: tuple[dict[str, Any], ...] = (
    {"sub": "1", "preferred_username": "alice", "groups": ["ocr-admins", "staff"]},
    {"sub": "2", "preferred_username": "bob", "groups": ["staff"]},
    {"sub": "3", "preferred_username": "eve", "groups": ["visitors"]},
    {"sub": "4", "preferred_username": ADMIN[0], "groups": ["staff"]},
    {"sub": "5", "preferred_username": "../bad name", "groups": ["staff"]},
)


def main(port: int) -> None:
    """The issuer, without its pages' style sheet, which is on the internet."""
    import flask
    from oidc_provider_mock import User, app
    from werkzeug.serving import run_simple

    people = [User(sub=person["sub"], claims={**person}) for person in PEOPLE]
    provider = app(require_nonce=True, user_claims=people)

    @provider.after_request
    def plain(answer: flask.Response) -> flask.Response:
        if answer.mimetype == "text/html":
            answer.set_data(re.sub(r"<link[^>]*>", "", answer.get_data(as_text=True)))
        return answer

    run_simple("127.0.0.1", port, provider, threaded=True)


@contextmanager
def issuer() -> Iterator[str]:
    """The issuer in a process of its own, where its authors' deprecated calls are no warnings of ours."""
    port = free_port()
    command = [sys.executable, "-m", "tests.accounts.issuer", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/.well-known/openid-configuration", trust_env=False).is_success
        except httpx.TransportError:
            return False

    try:
        wait_for(answers)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def site(folder: Path, provider: str, **settings: str) -> Iterator[str]:
    known = {
        "BACKEND": "fake",
        "AUTH_ENABLED": "1",
        "SECRET_KEY": SECRET_KEY,
        "BOOTSTRAP_USER": ADMIN[0],
        "BOOTSTRAP_PASS": ADMIN[1],
        "OIDC_ISSUER": provider,
        "OIDC_CLIENT_ID": "airgap",
        "OIDC_CLIENT_SECRET": "hunter2",
        "OIDC_ADMIN_GROUPS": "ocr-admins",
        "OIDC_USER_GROUPS": "staff",
    }
    with running_server(folder, **{**known, **settings}) as url:
        yield url


if __name__ == "__main__":
    main(int(sys.argv[1]))
