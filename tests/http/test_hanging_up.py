"""Whoever hangs up ends the work, and leaves no traceback in the log."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pymupdf
import pytest

from tests.conftest import running_server

BLOCK = {"label": "text", "text": "<table>" + "<tr><td>a</td><td>b</td></tr>" * 9000 + "</table>\n" * 3}
DOCUMENT = {"pages": [{"number": n, "width": 9, "height": 9, "blocks": [BLOCK] * 20} for n in range(1, 5)]}
HANG = {"prompt": "hang"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hanging up")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with running_server(folder, BACKEND="fake", MAX_QUEUE="2") as found:
        yield found


def pdf(pages: int) -> bytes:
    with pymupdf.open() as document:
        for _ in range(pages):
            document.new_page().draw_rect((100, 100, 300, 150), fill=0)
        return document.tobytes()


@pytest.mark.parametrize(
    ("path", "request_of"),
    [
        ("/ocr/image/simple", lambda png: {"files": {"file": png}, "data": HANG}),
        ("/ocr/image/advanced", lambda png: {"files": {"file": png}, "data": HANG}),
        ("/generate_with_file", lambda png: {"files": {"file": png}, "data": HANG}),
        ("/pdf/ocr", lambda png: {"files": {"file": pdf(30)}, "data": HANG}),
        ("/api/ocr/pdf", lambda png: {"files": {"file": pdf(30)}, "data": HANG}),
        ("/batch/ocr", lambda png: {"files": [("files", png), ("files", pdf(9))], "data": HANG}),
        ("/export", lambda png: {"files": {"document": json.dumps(DOCUMENT)}, "data": {"output": "docx"}}),
    ],
)
def test_hanging_up_ends_the_work(path: str, request_of: Any, url: str, folder: Path, picture: Path) -> None:
    log = folder / "server.log"
    before = len(log.read_text())
    request = request_of(picture.read_bytes())
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        for _ in range(4):  # twice what the server takes at once
            with pytest.raises(httpx.ReadTimeout):
                client.post(path, **request, timeout=httpx.Timeout(60, read=0.5))
            wait_until_idle(client)
        quick = client.post("/ocr/image/simple", files={"file": picture.read_bytes()})
    assert quick.status_code == 200
    assert "Traceback" not in log.read_text()[before:]


def wait_until_idle(client: httpx.Client) -> None:
    deadline = time.monotonic() + 30
    while client.get("/info").json()["load"]["requests"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
