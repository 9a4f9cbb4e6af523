"""What a body may be: found out while it comes in, by a real server on a real port."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from airgap.http import bodies, protocol
from config import Settings
from serve_ocr import create_app
from tests.accounts.conftest import guarded_folder, guarded_server
from tests.conftest import free_port
from tests.http.test_errors import png

__all__ = ["guarded_folder", "guarded_server"]


@pytest.mark.parametrize("path", ["/api/auth/register", "/api/auth/token"])
def test_open_routes_take_little(guarded_server: str, path: str) -> None:
    for body in (b"[" + b"[]," * 50_000 + b"[]]", b'"' + b"x" * 100_000 + b'"'):
        answer = httpx.post(
            guarded_server + path,
            content=iter([body]),  # in chunks, so that no length says it beforehand
            headers={"Content-Type": "application/json"},
            trust_env=False,
        )
        declared = httpx.post(guarded_server + path, content=body, trust_env=False)
        assert declared.status_code == 413
        assert "KiB" in declared.json()["error"]["message"]
        assert answer.status_code in (401, 413, 422), "the register route asks first who may"
    big = {"username": "x" * 100_000, "password": "y"}
    assert httpx.post(f"{guarded_server}/api/auth/token", data=big, trust_env=False).status_code == 413


def form(name: bytes, value: bytes) -> bytes:
    return b"--b\r\nContent-Disposition: form-data; " + name + b"\r\n\r\n" + value + b"\r\n"


@pytest.mark.parametrize("charset", ["unicode_escape", "utf-7", "utf-16", "rot13", "idna", "nonsense"])
@pytest.mark.parametrize("path", ["/ocr/image/simple", "/jobs", "/api/ocr/image", "/pdf/ocr"])
def test_forms_in_other_character_sets_are_refused(api: httpx.Client, charset: str, path: str) -> None:
    body = form(b'name="file"; filename="\\ud800"', png()) + form(b'name="prompt"', b"\\ud800") + b"--b--\r\n"
    kind = f"multipart/form-data; boundary=b; charset={charset}"
    answer = api.post(path, content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "UTF-8" in answer.json()["error"]["remedy"]


@pytest.mark.parametrize("charset", ["UTF-8", "us-ascii", "iso-8859-1"])
def test_the_usual_character_sets_are_read(api: httpx.Client, charset: str) -> None:
    body = form(b'name="file"; filename="a.png"', png()) + b"--b--\r\n"
    kind = f"multipart/form-data; boundary=b; charset={charset}"
    answer = api.post("/ocr/image/simple", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200


def test_raw_bytes_in_a_name_are_no_dropped_connection(api: httpx.Client) -> None:
    for name in (b"\xff\xfe.png", b"\xed\xa0\x80.png"):
        body = form(b'name="file"; filename="' + name + b'"', png())
        body += form(b'name="output"', b"zip") + b"--b--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        assert api.post("/ocr/image/advanced", content=body, headers=headers).status_code in (200, 400)


def answered(server: str, head: bytes) -> bytes:
    """What comes back until the server closes."""
    url = httpx.URL(server)
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(head)
        found = b""
        while piece := connection.recv(1 << 16):
            found += piece
        return found


@pytest.fixture
def impatient_server(tmp_path: Path) -> Iterator[str]:
    """The application under the server's own protocol, with shorter bounds of time."""
    bodies.BODY_SECONDS, protocol.HEAD_SECONDS = 0.5, 0.5
    port = free_port()
    app = create_app(Settings(backend="fake", data_dir=tmp_path))
    config = uvicorn.Config(app, port=port, http=protocol.BoundedProtocol, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)
    bodies.BODY_SECONDS, protocol.HEAD_SECONDS = 60.0, 20.0


@pytest.mark.parametrize(
    "head", [b"", b"GET", b"POST /ocr HTTP/1.1\r\nHost: x\r\nContent-Le", b"GET / HTTP/1.1\r\nHost: x\r\n"]
)
def test_half_a_head_is_not_waited_for(impatient_server: str, head: bytes) -> None:
    assert answered(impatient_server, head) == b""


def test_half_a_second_head_is_not_waited_for(impatient_server: str) -> None:
    found = answered(impatient_server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal")
    assert found.count(b"HTTP/1.1 200") == 1


def test_half_a_body_is_not_waited_for(impatient_server: str) -> None:
    head = b"POST /ocr HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n"
    found = answered(impatient_server, head + b"Connection: close\r\n\r\n{")
    assert found.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in found


def test_of_two_lengths_none_is_believed_and_nothing_behind_them_is_read(api: httpx.Client) -> None:
    head = b"POST /ocr HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    found = answered(
        str(api.base_url).rstrip("/"), head + b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert found.startswith(b"HTTP/1.1 400")
    assert found.count(b"HTTP/1.1") == 1


def test_json_that_is_not_called_so_is_refused(api: httpx.Client) -> None:
    for kind in ("text/plain", "application/octet-stream"):
        answer = api.post("/generate", content=b'{"prompt": "a"}', headers={"Content-Type": kind})
        assert answer.status_code == 422, answer.text
        assert answer.json()["error"]["remedy"]
