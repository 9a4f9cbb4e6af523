"""Somebody is told when a job ends: signed, only where the site lets it be, and after a restart too."""

from __future__ import annotations

import base64
import hmac
import json
import queue
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airgap.core.errors import ConfigurationError
from airgap.jobs import webhooks
from config import load_settings
from tests.jobs.conftest import MakeServer
from tests.jobs.helpers import pdf

SECRET = "a secret of more than 24 characters"


class Receiver:
    """A program that is told. `statuses` are its next answers; then it answers 204."""

    def __init__(self) -> None:
        self.got: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.put(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{self.address}/hook?x=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def settings(receiver: Receiver) -> dict[str, str]:
    return {"WEBHOOK_ALLOWLIST": receiver.address, "WEBHOOK_SECRET": SECRET}


def submit(client: Any, url: str, **fields: str) -> Any:
    return client.post("/jobs", files={"files": ("secret name.pdf", pdf(2))}, data={"webhook": url, **fields})


def test_the_end_is_told_and_signed(make_server: MakeServer, receiver: Receiver) -> None:
    server = make_server(**settings(receiver)).start()
    job = submit(server.client, receiver.url).raise_for_status().json()
    headers, body = receiver.got.get(timeout=60)
    event = json.loads(body)
    assert (event["type"], event["data"]["id"], event["data"]["status"]) == ("job.ended", job["id"], "done")
    assert event["data"]["ledger"]["ok"] == 2
    assert b"secret name" not in body
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(SECRET.encode(), signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    with pytest.raises(queue.Empty):
        receiver.got.get(timeout=3)


@pytest.mark.slow
def test_what_was_not_taken_is_told_after_a_restart(
    make_server: MakeServer, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.statuses = [302]  # is not followed
    data = tmp_path / "data"
    server = make_server(data, **settings(receiver)).start()
    submit(server.client, receiver.url).raise_for_status()
    first, _ = receiver.got.get(timeout=60)
    (file,) = wait_for_attempt(data)
    server.stop()
    waiting = json.loads(file.read_text())
    assert waiting["attempts"] == 1
    file.write_text(json.dumps({**waiting, "not_before": 0}))
    make_server(data, **settings(receiver)).start()
    again, _ = receiver.got.get(timeout=60)
    assert again["webhook-id"] == first["webhook-id"]


def wait_for_attempt(data: Path) -> list[Path]:
    for _ in range(200):
        files = list((data / "webhooks").glob("*.json"))
        if files and json.loads(files[0].read_text())["attempts"]:
            return files
        time.sleep(0.05)
    raise AssertionError("no attempt was noted")


@pytest.mark.slow
def test_addresses_off_the_list_are_refused_before_anything_is_taken(
    make_server: MakeServer, receiver: Receiver, tmp_path: Path
) -> None:
    server = make_server(**settings(receiver)).start()
    for url in ("http://127.0.0.1:1/", "http://elsewhere.example/", "file:///etc/passwd", "nonsense"):
        answer = submit(server.client, url)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "url_refused")
        assert "WEBHOOK_ALLOWLIST" in answer.json()["error"]["remedy"]
    assert not list(tmp_path.glob("data/jobs/*/job.json"))
    assert not (tmp_path / "data" / "webhooks").exists()


@pytest.mark.slow
def test_without_a_list_nobody_is_told(make_server: MakeServer, receiver: Receiver) -> None:
    answer = submit(make_server().start().client, receiver.url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "url_refused")


def test_attempts_are_bounded(receiver: Receiver, tmp_path: Path) -> None:
    ours = load_settings(data_dir=tmp_path, webhook_allowlist=(receiver.address,), webhook_secret=SECRET)
    told = webhooks.Webhooks(ours, None)  # type: ignore[arg-type]
    waiting = webhooks.Waiting("a" * 32, receiver.url)
    path = tmp_path / "webhooks" / f"{waiting.job}.json"
    for attempt in range(len(webhooks.PAUSES) + 1):
        told._settle(path, webhooks.Waiting(waiting.job, waiting.url, attempts=attempt), "status 500")
        assert path.exists() is (attempt < len(webhooks.PAUSES))


def test_a_list_needs_a_secret() -> None:
    with pytest.raises(ConfigurationError, match="WEBHOOK_SECRET"):
        load_settings(webhook_allowlist=("a.example",))
