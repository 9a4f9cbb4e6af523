"""JSON of a body: bounded while it comes in, and parsed in pieces as it would be at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr

from airgap.core.errors import BadRequest, TooLarge
from airgap.http import json_bodies
from airgap.http.json_bodies import JSON_DEPTH, JSON_TOKENS, JsonRoute, Structure
from config import Settings
from serve_ocr import create_app


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
    monkeypatch.setattr(json_bodies, "JSON_TEXT_BYTES", 1000)

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
    plain = json_bodies.parsed(json.dumps(json.loads(text)).encode())
    assert repr(json_bodies.parsed(text.encode())) == repr(plain)


@pytest.mark.parametrize(
    "text",
    ['{"a": "中", "a": [1, 2.5, null, true]}', '["\\ud83d\\ude00", 1e400, NaN, -0.0, 12345678901234567890]'],
)
def test_a_large_body_is_parsed_as_a_small_one(text: str) -> None:
    padding = " " * json_bodies.PLAIN_JSON_BYTES
    assert repr(json_bodies.parsed((text + padding).encode())) == repr(json.loads(text))
    plain = json.dumps(json.loads(text)) + padding
    assert repr(json_bodies.parsed(bytearray(plain.encode()))) == repr(json.loads(text))


def test_what_is_no_json_is_said_of_a_large_body_as_of_a_small_one() -> None:
    for padding in ("", " " * json_bodies.PLAIN_JSON_BYTES):
        with pytest.raises(json.JSONDecodeError, match="Expecting"):
            json_bodies.parsed(b'{"a": ' + padding.encode() + b"}")


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strings of more than four bytes are long, and are decoded six bytes at a time."""
    monkeypatch.setattr(json_bodies, "LONG_BYTES", 4)
    monkeypatch.setattr(json_bodies, "PIECE_BYTES", 6)


TEXTS = [
    "plain and long",
    'with "quotes" and \\\\ \n of its own',
    "base64/with/slashes==",
    "中文字，長的",
    "😀" * 5,
    "é",
]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_long_texts_are_decoded_in_pieces_as_at_once(short_pieces: None, size: int, ascii_only: bool) -> None:
    value = {text: [text, {"inner": text}, 1.5, None, True, "ab"] for text in TEXTS} | {"": TEXTS}
    for body in (json.dumps(value, ensure_ascii=ascii_only), json.dumps(value).replace("/", "\\/")):
        found = json_bodies.parsed(bytearray(body.encode()), fed(body.encode(), size).long_texts)
        assert found == value


@pytest.mark.parametrize("length", range(1, 30))
def test_an_escape_is_never_parted(short_pieces: None, length: int) -> None:
    text = "x" * length + "\\" * 7 + '"\n' * 9
    body = json.dumps([text]).encode()
    assert json_bodies.parsed(body, fed(body).long_texts) == [text]


@pytest.mark.parametrize(
    "body",
    [
        '{"a": "long and right", }',
        '{"a": "long and right" "b": 1}',
        '["long and right", "a text\twith a tab", 1]',
        '["long and right", "an escape \\x of none", 1]',
        '["long and right", "中文字 \\x of none", 1]',
        '["long and right", "中文字，長的", 1',
    ],
)
def test_where_it_is_no_json_is_said_as_at_once(short_pieces: None, body: str) -> None:
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(body)
    with pytest.raises(json.JSONDecodeError) as found:
        json_bodies.parsed(body.encode(), fed(body.encode()).long_texts)
    bytes_before = len(body[: expected.value.pos].encode())
    assert (found.value.msg, found.value.pos) == (expected.value.msg, bytes_before)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_text_without_an_end_is_found_before_it_is_parsed(size: int) -> None:
    for body in (b'{"a": "xx', b'{"a": "xx\\', b'{"a": "xx\\"'):
        assert fed(body, size).unfinished == 6
    assert fed(b'{"a": "xx"', size).unfinished is None


def test_half_a_character_in_a_long_text_is_refused(short_pieces: None) -> None:
    body = b'["long and \\ud800 wrong"]'
    with pytest.raises(BadRequest, match="surrogate"):
        json_bodies.parsed(body, fed(body).long_texts)


@pytest.mark.parametrize("size", [7, 4096])
def test_beside_its_long_texts_a_body_is_so_large_and_no_larger(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_bodies, "JSON_REST_BYTES", 10_000)
    long = b'"' + b"A" * 20_000 + b'"'
    for filler in (b" ", b"1"):
        rest = filler * 9_990
        fed(b"[" + long + b"," + long + b"," + rest + b"]", size)
        with pytest.raises(TooLarge, match="beside"):
            fed(b"[" + long + b"," + long + b"," + rest + filler * 10 + b"]", size)
    with pytest.raises(TooLarge, match="beside"):
        fed(b"[" + (b'"' + b"A" * 4000 + b'",') * 3 + b"1]", size)


def test_no_call_holds_the_lock_for_the_whole_of_a_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    loaded = json_bodies._loaded

    def counting(body: bytes | bytearray) -> object:
        given.append(len(body))
        return loaded(body)

    monkeypatch.setattr(json_bodies, "_loaded", counting)
    body = b'{"image": "' + b"A" * (9 << 20) + b'", "n": 1}'
    assert json_bodies.parsed(body, fed(body).long_texts) == {"image": "A" * (9 << 20), "n": 1}
    assert max(given) <= json_bodies.PIECE_BYTES + 2


@pytest.mark.parametrize("kind", ["application/json", "text/json", "application/problem+json"])
def test_json_by_any_name_is_bounded(api: httpx.Client, kind: str) -> None:
    body = b'{"base64Source":' + b"[" * 5000 + b"]" * 5000 + b"}"
    path = "/documentintelligence/documentModels/prebuilt-read:analyze?api-version=2024-11-30"
    answer = api.post(path, content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_text_without_an_end_is_a_bad_request(api: httpx.Client) -> None:
    body = b'{"messages": [{"role": "user", "content": "' + b"A" * 100_000
    answer = api.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert "error" in answer.json()


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


CONTENT = {
    "base64Source", "base64_string", "content", "document_url", "file", "file_data", "image", "image_base64",
    "image_url", "images", "pages", "pdf", "pdf_base64", "pdf_url", "text", "url", "urlSource", "urls",
}  # fmt: skip
"""Fields that hold a file, a URL, or text, which is bounded where it is looked at."""


def unbounded(schema: dict[str, Any], name: str, parts: dict[str, Any], seen: frozenset[str]) -> set[str]:
    """The names of the texts in a schema of OpenAPI that may be of any length."""
    if reference := schema.get("$ref", "").rpartition("/")[2]:
        return set() if reference in seen else unbounded(parts[reference], name, parts, seen | {reference})
    inner = [(name, part) for kind in ("anyOf", "oneOf", "allOf") for part in schema.get(kind, [])]
    inner += [(name, schema["items"])] if "items" in schema else []
    inner += list(schema.get("properties", {}).items())
    found = {name for name, part in inner for name in unbounded(part, name, parts, seen)}
    is_free = schema.get("type") == "string" and not {"maxLength", "enum", "const"} & set(schema)
    return found | {name} if is_free else found


def test_a_text_that_is_no_content_is_bounded_in_every_body(tmp_path: Path) -> None:
    secret = SecretStr("s" * 40)
    app = create_app(Settings(backend="fake", auth_enabled=True, secret_key=secret, data_dir=tmp_path))
    document = app.openapi()
    found: set[str] = set()
    for operations in document["paths"].values():
        for operation in operations.values():
            for kind, body in operation.get("requestBody", {}).get("content", {}).items():
                if kind == "application/json":
                    parts = document["components"]["schemas"]
                    found |= unbounded(body["schema"], "", parts, frozenset())
    assert found == CONTENT


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/ocr", {"image": "x", "mode": "@"}),
        ("/ocr", {"image": "x", "mode": {"preset": "@"}}),
        ("/ocr", {"image": "x", "fill": "@"}),
        ("/ocr/pdf", {"pdf": "x", "language": "@"}),
        ("/v1/chat/completions", {"messages": [{"role": "@", "content": "x"}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "language": "@"}),
        (
            "/v1/convert/source",
            {"sources": [{"kind": "file", "base64_string": "x"}], "target": {"kind": "@"}},
        ),
    ],
)
@pytest.mark.parametrize("length", [900, 300_000])
def test_a_word_of_any_length_gets_a_short_answer(
    api: httpx.Client, path: str, body: dict[str, Any], length: int
) -> None:
    sent = json.dumps(body).replace("@", "x" * length)
    answer = api.post(path, content=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["remedy"]
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    ("path", "status"), [("/ocr", 413), ("/ocr/pdf", 413), ("/generate", 413), ("/v1/chat/completions", 413)]
)
def test_deep_json_is_refused_by_every_dialect(api: httpx.Client, path: str, status: int) -> None:
    body = b'{"image":' + b"[" * 5000 + b"]" * 5000 + b"}"
    answer = api.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, "too_large")


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
