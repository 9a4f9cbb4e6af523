"""What a body may be: found out while it comes in, by a real server on a real port."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi.routing import APIRoute
from pydantic import SecretStr

from airgap.core.errors import TooLarge
from airgap.http import bodies, protocol
from airgap.http.bodies import JSON_DEPTH, JSON_TOKENS, JsonRoute, Structure
from config import Settings
from serve_ocr import create_app
from tests.accounts.conftest import guarded_folder, guarded_server
from tests.conftest import free_port
from tests.http.test_errors import png

__all__ = ["guarded_folder", "guarded_server"]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def fed(data: bytes, size: int = 1 << 16) -> Structure:
    structure = Structure()
    for piece in pieces(data, size):
        structure.feed(piece)
    return structure


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_what_stands_in_strings_counts_nowhere(size: int) -> None:
    text = '[]{},"\\' * 300 + "\\u005b"
    structure = fed(json.dumps({"a": text, "b": [1, 2]}).encode(), size)
    assert (structure._depth, structure._tokens) == (0, 9)


@pytest.mark.parametrize("size", [1, 1000])
def test_json_may_be_so_deep_and_no_deeper(size: int) -> None:
    fed(b"[" * JSON_DEPTH + b"]" * JSON_DEPTH, size)
    with pytest.raises(TooLarge, match="deeper"):
        fed(b"[" * (JSON_DEPTH + 1), size)
    fed(b"[]" * (2 * JSON_DEPTH), size)


@pytest.mark.parametrize("unit", [b"[],", b'{"a":1},', b'""', b",", b"]"])
def test_json_may_have_so_many_parts_and_no_more(unit: bytes) -> None:
    tokens = fed(b"[" + unit)._tokens - 1
    fed(unit * (JSON_TOKENS // tokens))
    with pytest.raises(TooLarge, match="more than"):
        fed(unit * (JSON_TOKENS // tokens + 2))


@pytest.mark.parametrize("wide", ["é".encode(), "中".encode(), "😀".encode(), b"\\u4e2d"])
@pytest.mark.parametrize("first", [True, False])
def test_a_wide_text_may_be_so_long_and_no_longer(
    wide: bytes, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "JSON_TEXT_BYTES", 1000)

    def body(length: int) -> bytes:
        plain = b"x" * (length - len(wide))
        return b'{"a": "' + (wide + plain if first else plain + wide) + b'", "b": "' + wide + b'"}'

    for size in (7, 4096):
        fed(body(1000), size)
        with pytest.raises(TooLarge):
            fed(body(1001), size)
        fed(b'{"image": "' + b"A" * 5000 + b'", "prompt": "' + wide + b'"}', size)


@pytest.mark.parametrize(
    "text", ['{"a": "中😀", "b": [1, 2.5, null]}', '{"a": "é", "a": 2}', '["é", 1e400, NaN]']
)
def test_a_wide_body_is_parsed_as_a_plain_one(text: str) -> None:
    plain = bodies.parsed(json.dumps(json.loads(text)).encode())
    assert repr(bodies.parsed(text.encode())) == repr(plain)


@pytest.mark.parametrize(
    "text",
    ['{"a": "中", "a": [1, 2.5, null, true]}', '["\\ud83d\\ude00", 1e400, NaN, -0.0, 12345678901234567890]'],
)
def test_a_large_body_is_parsed_as_a_small_one(text: str) -> None:
    padding = " " * bodies.PLAIN_JSON_BYTES
    assert repr(bodies.parsed((text + padding).encode())) == repr(json.loads(text))
    plain = json.dumps(json.loads(text)) + padding
    assert repr(bodies.parsed(bytearray(plain.encode()))) == repr(json.loads(text))


def test_what_is_no_json_is_said_of_a_large_body_as_of_a_small_one() -> None:
    for padding in ("", " " * bodies.PLAIN_JSON_BYTES):
        with pytest.raises(json.JSONDecodeError, match="Expecting"):
            bodies.parsed(b'{"a": ' + padding.encode() + b"}")


def test_every_route_with_a_json_body_parses_it_on_a_thread(tmp_path: Path) -> None:
    secret = SecretStr("s" * 40)
    app = create_app(Settings(backend="fake", auth_enabled=True, secret_key=secret, data_dir=tmp_path))
    found = 0
    for route in app.routes:
        if isinstance(route, APIRoute) and route.body_field is not None:
            is_form = type(route.body_field.field_info).__name__ in ("Form", "File")
            found += not is_form
            assert is_form or isinstance(route, JsonRoute), route.path
    assert found >= 6


@pytest.mark.parametrize(
    ("path", "status"), [("/ocr", 413), ("/ocr/pdf", 413), ("/generate", 413), ("/v1/chat/completions", 413)]
)
def test_deep_json_is_refused_by_every_dialect(api: httpx.Client, path: str, status: int) -> None:
    body = b'{"image":' + b"[" * 5000 + b"]" * 5000 + b"}"
    answer = api.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, "too_large")


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


@pytest.mark.parametrize("path", ["/ocr", "/generate", "/v1/chat/completions"])
def test_half_a_character_in_json_is_refused(api: httpx.Client, path: str) -> None:
    body = b'{"image":"x","prompt":"\\ud800","messages":[{"role":"user","content":"\\udfff"}]}'
    answer = api.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert "surrogate" in answer.json()["error"]["message"]


def test_a_whole_character_written_in_halves_is_read(api: httpx.Client) -> None:
    body = b'{"messages":[{"role":"user","content":"\\ud83d\\ude00"}]}'
    headers = {"Content-Type": "application/json"}
    assert api.post("/v1/chat/completions", content=body, headers=headers).status_code == 200


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


def test_json_that_is_not_called_so_is_refused(api: httpx.Client) -> None:
    for kind in ("text/plain", "application/octet-stream"):
        answer = api.post("/generate", content=b'{"prompt": "a"}', headers={"Content-Type": kind})
        assert answer.status_code == 422, answer.text
        assert answer.json()["error"]["remedy"]
