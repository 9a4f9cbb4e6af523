"""A clock that is set forward or back by a day: jobs go on, and logins end when their time is over."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from airgap.accounts.audit import AuditLog
from airgap.accounts.credentials import derived_key
from tests.accounts.conftest import SECRET_KEY
from tests.faults.conftest import WITH_ACCOUNTS, log_in
from tests.jobs.conftest import MakeServer
from tests.jobs.helpers import Server, done, pdf, picture

pytestmark = pytest.mark.faults
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def use_a_key(server: Server) -> None:
    """Have the server's client go on with a key, whose pages are counted by the day."""
    made = server.client.post("/api/auth/keys", json={"name": "a"}).raise_for_status().json()
    server.client.headers["Authorization"] = f"Bearer {made['key']}"


def whether_logged_in(server: Server, login: dict[str, str]) -> bool:
    answer = server.client.get("/api/auth/me", headers={"Authorization": login["authorization"]})
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


@pytest.mark.skipif(LIBRARY is None, reason="Debian's faketime is not installed")
@pytest.mark.parametrize("jump", ["+1d", "-1d"])
def test_a_day_more_or_less(
    make_server: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: str
) -> None:
    now = tmp_path / "now"
    now.write_text("+0")
    for name, value in {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(now),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }.items():
        monkeypatch.setitem(os.environ, name, value)
    server = make_server(FAKE_SECONDS_PER_PAGE="0.1", KEY_PAGES_PER_DAY="60", **WITH_ACCOUNTS).start()
    log_in(server)
    login = dict(server.client.headers)
    use_a_key(server)
    job = server.submit(pdf(40))["id"]
    server.wait(job, lambda found: done(found) >= 4)
    now.write_text(jump)
    time.sleep(2)  # the library looks once a second
    assert whether_logged_in(server, login) == (jump == "-1d")
    answer = server.client.post("/ocr/image/simple", files={"file": ("a.png", picture())})
    assert answer.status_code == 200
    assert server.finish(job)["ledger"]["ok"] == 40
    assert server.finish(server.submit(pdf(3))["id"])["ledger"]["ok"] == 3
    assert len(server.result(job)) > 1
    assert server.finish(server.submit(pdf(30))["id"])["ledger"]["ok"] == 30  # a day of its own
    now.write_text("+0")
    time.sleep(2)
    assert whether_logged_in(server, login)
    refused = server.finish(server.submit(pdf(30))["id"])
    assert refused["status"] == "failed"
    assert "today" in refused["reason"]
    assert server.finish(server.submit(pdf(3))["id"])["ledger"]["ok"] == 3
    assert len(server.result(job)) > 1
    server.stop()
    count, findings = AuditLog(tmp_path / "data" / "audit", derived_key(SECRET_KEY, "audit")).verify()
    assert (count > 5, findings) == (True, [])
