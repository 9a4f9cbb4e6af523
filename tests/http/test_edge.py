"""The layer around every route, on an application of a few routes that break in every way."""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from airgap.core.errors import EngineBusy, UploadTooLarge
from airgap.http.edge import (
    CONTENT_SECURITY_POLICY,
    ERRORS,
    ErrorAnswer,
    RequestContext,
    install,
    request_id_of,
)
from config import Settings

BREAKS: dict[str, Exception] = {
    "busy": EngineBusy("All places are taken.", retry_after=7),
    "large": UploadTooLarge("Too much."),
    "full": OSError(errno.ENOSPC, "no space"),
    "quota": OSError(errno.EDQUOT, "over quota"),
    "denied": OSError(errno.EACCES, "/secret/path"),
    "bug": RuntimeError("secret detail"),
    "teapot": HTTPException(418, "short and stout", {"X-Kind": "teapot"}),
    "unfound": HTTPException(404),
    "unallowed": HTTPException(405),
}


class Inner(BaseModel):
    inner: int


class Outer(BaseModel):
    outer: Inner


def application(settings: Settings) -> FastAPI:
    app = FastAPI(responses=ERRORS)
    install(app, settings)

    @app.get("/fine")
    async def fine(request: Request, own: bool = False) -> PlainTextResponse:
        own_headers = {"Content-Security-Policy": "sandbox", "Referrer-Policy": "origin"} if own else {}
        return PlainTextResponse(request.scope["request_id"], headers=own_headers)

    @app.get("/breaks/{how}")
    async def breaks(how: str) -> None:
        raise BREAKS[how]

    @app.post("/while-parsing/{how}")
    async def while_parsing(how: str) -> None:
        raise HTTPException(400, "There was an error parsing the body") from BREAKS[how]

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"half of it"
            raise RuntimeError("in the middle")

        return StreamingResponse(pieces())

    @app.get("/typed/{number}")
    async def typed(number: int, least: int, most: int, a: int, b: int, c: int, d: int) -> None:
        pass

    @app.post("/whole")
    async def whole(body: dict[str, Any]) -> None:
        pass

    @app.post("/nested")
    async def nested(body: Outer) -> None:
        pass

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    return app


def client_of(folder: Path, **settings: Any) -> TestClient:
    return TestClient(application(Settings(backend="fake", data_dir=folder, **settings)))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path) as client:
        yield client


@pytest.mark.parametrize(
    ("how", "status", "code", "retry"),
    [
        ("busy", 503, "engine_busy", "7"),
        ("large", 413, "upload_too_large", None),
        ("full", 503, "storage_full", "30"),
        ("quota", 503, "storage_full", "30"),
        ("denied", 500, "internal_error", None),
        ("bug", 500, "internal_error", None),
        ("teapot", 418, "invalid_request", None),
        ("unfound", 404, "not_found", None),
        ("unallowed", 405, "method_not_allowed", None),
    ],
)
def test_whatever_breaks_is_answered_in_one_form(
    client: TestClient, how: str, status: int, code: str, retry: str | None
) -> None:
    answer = client.get(f"/breaks/{how}", headers={"X-Request-ID": "of-mine"})
    body = answer.json()
    assert (answer.status_code, body["error"]["code"], answer.headers.get("Retry-After")) == (
        status,
        code,
        retry,
    )
    assert set(body["error"]) == {"code", "message", "remedy"}
    assert body["request_id"] == answer.headers["X-Request-ID"] == "of-mine"
    assert "secret" not in answer.text
    assert ErrorAnswer.model_validate(body).error.message


def test_an_http_error_keeps_its_words_and_headers(client: TestClient) -> None:
    answer = client.get("/breaks/teapot")
    assert answer.json()["error"]["message"] == "short and stout"
    assert answer.headers["X-Kind"] == "teapot"


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [("large", 413, "upload_too_large"), ("full", 503, "storage_full"), ("bug", 400, "invalid_request")],
)
def test_what_broke_a_body_is_told_and_not_that_parsing_did(
    client: TestClient, how: str, status: int, code: str
) -> None:
    answer = client.post(f"/while-parsing/{how}", headers={"X-Request-ID": "of-mine"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["request_id"] == "of-mine"


def test_a_wrong_field_is_named_and_five_are_enough(client: TestClient) -> None:
    answer = client.get("/typed/x?least=x&most=x&a=x&b=x&c=x&d=x", headers={"X-Request-ID": "of-mine"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_option")
    message = answer.json()["error"]["message"]
    named = [part.split("`")[1] for part in message.split("; ")]
    assert named == ["number", "least", "most", "a", "b"]
    assert message.count("; ") == 4
    assert "valid integer" in message
    assert answer.json()["request_id"] == "of-mine"


def test_a_field_inside_a_body_is_named_with_its_path(client: TestClient) -> None:
    answer = client.post("/nested", json={"outer": {"inner": "x"}}, headers={"X-Request-ID": "of-mine"})
    assert answer.json()["error"]["message"].startswith("`outer.inner`: ")


async def test_a_request_without_an_id_has_an_empty_one() -> None:
    assert request_id_of(Request({"type": "http"})) == ""


def test_a_body_that_is_not_there_is_named(client: TestClient) -> None:
    assert client.post("/whole").json()["error"]["message"].startswith("`body`: ")


@pytest.mark.parametrize("given", ["a", "Az09._-", "x" * 64])
def test_a_request_keeps_the_id_it_brought(client: TestClient, given: str) -> None:
    answer = client.get("/fine", headers={"X-Request-ID": given})
    assert answer.text == answer.headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "two words", "a/b", "b\xe9b\xe9"])
def test_an_id_that_could_do_harm_in_a_log_is_replaced(client: TestClient, given: str) -> None:
    answers = [client.get("/fine", headers={b"X-Request-ID": given.encode("latin-1")}) for _ in range(2)]
    assert [answer.text for answer in answers] == [answer.headers["X-Request-ID"] for answer in answers]
    assert len({answer.text for answer in answers} | {given}) == 3
    assert all(len(answer.text) == 32 and answer.text.isalnum() for answer in answers)


@pytest.mark.parametrize("path", ["/fine", "/breaks/bug", "/no/such/route"])
def test_every_answer_has_the_headers_of_safety(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'self'",
        "script-src": "'self' 'unsafe-inline'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": "'self'",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }


def test_a_route_may_be_stricter(client: TestClient) -> None:
    headers = client.get("/fine?own=1").headers
    assert headers["Content-Security-Policy"] == "sandbox" != CONTENT_SECURITY_POLICY
    assert headers["Referrer-Policy"] == "origin"


def test_an_answer_that_breaks_in_the_middle_breaks_off(client: TestClient) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        client.get("/half")


def test_what_broke_is_in_the_log_under_the_requests_id(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "airgap.http.edge"):
        client.get("/breaks/bug", headers={"X-Request-ID": "of-mine"})
    assert [record.getMessage() for record in caplog.records] == ["request of-mine broke"]
    assert caplog.records[0].exc_info is not None


def test_a_body_past_the_bound_is_refused(tmp_path: Path) -> None:
    with client_of(tmp_path, max_upload_mb=1) as client:
        assert client.post("/size", content=bytes(1 << 20)).json() == 1 << 20
        answer = client.post("/size", content=bytes((1 << 20) + 1))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "upload_too_large")
        assert "1 MiB" in answer.json()["error"]["message"]


def test_a_disk_without_room_refuses_before_the_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airgap.http.room.KEPT_FREE", 1 << 62)
    monkeypatch.setattr("airgap.http.room.shutil.disk_usage", lambda _: _Full())
    with client_of(tmp_path) as client:
        answer = client.post("/size", content=bytes(3 << 20), headers={"X-Request-ID": "of-mine"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_full")
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"] == "of-mine"
        assert client.post("/size", content=bytes(9)).json() == 9


class _Full:
    total, free = 1 << 40, 1 << 20


ORIGIN = {"Origin": "https://page.example"}
ASKED = ORIGIN | {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "X-Own"}


def test_pages_of_other_sites_may_ask_only_where_the_site_says_so(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        assert "Access-Control-Allow-Origin" not in client.get("/fine", headers=ORIGIN).headers
        assert client.options("/fine", headers=ASKED).status_code == 405
    with client_of(tmp_path, cors_allow_origins=("https://page.example",)) as client:
        headers = client.get("/fine", headers=ORIGIN).headers
        assert headers["Access-Control-Allow-Origin"] == "https://page.example"
        assert headers["Access-Control-Expose-Headers"] == "X-Request-ID, Retry-After"
        allowed = client.options("/fine", headers=ASKED)
        assert allowed.status_code == 200
        assert "DELETE" in allowed.headers["Access-Control-Allow-Methods"]
        assert allowed.headers["Access-Control-Allow-Headers"] == "X-Own"
        other = client.get("/fine", headers={"Origin": "https://other.example"}).headers
        assert "Access-Control-Allow-Origin" not in other


@pytest.mark.parametrize(
    ("settings", "host", "status"),
    [
        ({}, "testserver", 200),
        ({}, "evil.example", 421),
        ({"trusted_hosts": ("ocr.example",)}, "ocr.example", 200),
        ({"trusted_hosts": ("ocr.example",)}, "testserver", 200),
        ({"auth_enabled": True, "secret_key": "k" * 32}, "evil.example", 200),
        (
            {"auth_enabled": True, "secret_key": "k" * 32, "trusted_hosts": ("ocr.example",)},
            "ocr.example",
            200,
        ),
        (
            {"auth_enabled": True, "secret_key": "k" * 32, "trusted_hosts": ("ocr.example",)},
            "testserver",
            421,
        ),
    ],
)
def test_the_hosts_that_a_request_may_name(
    tmp_path: Path, settings: dict[str, Any], host: str, status: int
) -> None:
    with client_of(tmp_path, **settings) as client:
        answer = client.get("/fine", headers={"Host": host, "X-Request-ID": "of-mine"})
        assert answer.status_code == status
        assert answer.headers["X-Request-ID"] == "of-mine"


async def test_a_gateway_is_believed_where_the_site_says_so(tmp_path: Path) -> None:
    for proxies, seen in (((), "10.0.0.5"), (("10.0.0.0/8",), "192.0.2.7")):
        app = application(Settings(backend="fake", data_dir=tmp_path, trusted_proxies=proxies))

        @app.get("/who")
        async def who(request: Request) -> str:
            assert request.client is not None
            return request.client.host

        client = TestClient(app, client=("10.0.0.5", 1))
        assert client.get("/who", headers={"X-Forwarded-For": "192.0.2.7"}).json() == seen


async def test_who_may_read_metrics_is_at_hand(tmp_path: Path) -> None:
    app = application(Settings(backend="fake", data_dir=tmp_path, metrics_clients=("10.1.0.0/16",)))
    assert await app.state.metrics_clients.has("10.1.2.3")
    assert not await app.state.metrics_clients.has("10.2.2.3")


async def test_what_is_not_http_passes_untouched() -> None:
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append((dict(scope), receive, send))

    receive, send = object(), object()
    await RequestContext(inner)({"type": "lifespan"}, receive, send)  # type: ignore[arg-type]
    assert seen == [({"type": "lifespan"}, receive, send)]


def test_the_description_of_the_api_tells_how_errors_look(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    answers = document["paths"]["/fine"]["get"]["responses"]
    for family in ("4XX", "5XX"):
        schema = answers[family]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}
        assert answers[family]["description"].endswith(".")
