"""Every error code, provoked through the API: status, message, remedy, and a server that goes on."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pymupdf
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from airgap.core import errors
from airgap.core.document import PageError
from airgap.core.errors import AirgapError, from_page_error
from airgap.http import responses
from airgap.http.features import Feature
from config import Settings
from serve_ocr import FEATURES, create_app

Client = Any  # httpx's client, or Starlette's, which is another class of the same calls
Provoke = Callable[[Any], Any]
CASES: dict[str, tuple[int, Provoke]] = {}


def provokes(code: str, status: int) -> Callable[[Provoke], Provoke]:
    def register(function: Provoke) -> Provoke:
        CASES[code] = (status, function)
        return function

    return register


def png(width: int = 60, height: int = 40) -> bytes:
    buffer = io.BytesIO()
    image = Image.new("L", (width, height), 255)
    image.paste(0, (5, 5, 55, 15))
    image.save(buffer, "PNG")
    return buffer.getvalue()


def pdf(pages: int = 2, **save: object) -> bytes:
    document = pymupdf.open()
    for number in range(1, pages + 1):
        document.new_page(width=200, height=100).insert_text((20, 50), f"page {number}")
    data: bytes = document.tobytes(**save)
    return data


def send(client: Client, data: bytes, path: str = "/ocr/image/advanced", **fields: str) -> httpx.Response:
    return client.post(path, files={"file": ("upload", data)}, data=fields)


@provokes("invalid_request", 400)
def _(client: Client) -> httpx.Response:
    return client.post(
        "/ocr/image/simple", content=b"no boundary", headers={"Content-Type": "multipart/form-data"}
    )


@provokes("invalid_base64", 400)
def _(client: Client) -> httpx.Response:
    return client.post("/generate", json={"prompt": "read", "image": "this is not base64!"})


@provokes("invalid_image", 400)
def _(client: Client) -> httpx.Response:
    return send(client, png(400, 400)[:60])


@provokes("invalid_pdf", 400)
def _(client: Client) -> httpx.Response:
    return send(client, b"%PDF-1.7\nnothing\n%%EOF", "/pdf/ocr")


@provokes("empty_file", 400)
def _(client: Client) -> httpx.Response:
    return send(client, b"")


@provokes("unsupported_option", 400)
def _(client: Client) -> httpx.Response:
    image = base64.b64encode(png()).decode()
    return client.post("/generate", json={"images": [image] * 5})


@provokes("unsupported_media", 415)
def _(client: Client) -> httpx.Response:
    return send(client, b"just some text, renamed")


@provokes("invalid_option", 422)
def _(client: Client) -> httpx.Response:
    return send(client, png(), mode="enormous")


@provokes("pdf_password_required", 422)
def _(client: Client) -> httpx.Response:
    locked = pdf(encryption=pymupdf.PDF_ENCRYPT_AES_256, owner_pw="owner", user_pw="user")
    return send(client, locked, "/pdf/ocr/simple")


@provokes("page_out_of_range", 422)
def _(client: Client) -> httpx.Response:
    return send(client, pdf(2), "/pdf/ocr", page_from="7")


@provokes("upload_too_large", 413)
def _(client: Client) -> httpx.Response:
    return send(client, bytes(3 << 20))


@provokes("image_too_large", 413)
def _(client: Client) -> httpx.Response:
    return send(client, png(9000, 1200))


@provokes("too_many_pages", 413)
def _(client: Client) -> httpx.Response:
    return send(client, pdf(5), "/pdf/ocr")


@provokes("page_timeout", 504)
def _(client: Client) -> httpx.Response:
    return send(client, png(), prompt="hang")


@provokes("engine_failed", 500)
def _(client: Client) -> httpx.Response:
    return send(client, png(), prompt="fail")


@provokes("export_failed", 500)
def _(client: Client) -> httpx.Response:
    return _written_by("break_down", client)


@provokes("export_too_large", 413)
def _(client: Client) -> httpx.Response:
    return _written_by("eat_memory", client)


@provokes("not_found", 404)
def _(client: Client) -> httpx.Response:
    return client.get("/no/such/route")


@provokes("method_not_allowed", 405)
def _(client: Client) -> httpx.Response:
    return client.delete("/ocr/image/simple")


def break_down(**_: object) -> None:
    raise errors.ExportFailed("The output could not be made.")


def eat_memory(**_: object) -> None:
    bytearray(64 << 30)


def _written_by(function: str, client: Client) -> httpx.Response:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(responses, "WRITE", f"tests.http.test_errors:{function}")
        return send(client, png(), output="text")


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server in this process with narrow bounds."""
    settings = Settings(
        backend="fake",
        data_dir=tmp_path_factory.mktemp("data"),
        max_upload_mb=2,
        max_image_pixels=10_000_000,
        pdf_max_pages=4,
        page_timeout_seconds=0.3,
    )
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.mark.parametrize("code", sorted(CASES))
def test_code(code: str, tight: TestClient) -> None:
    status, provoke = CASES[code]
    response = provoke(tight)
    body = response.json()
    assert (response.status_code, body["error"]["code"]) == (status, code), body
    assert body["error"]["message"]
    assert body["error"]["remedy"]
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert tight.get("/healthz").status_code == 200
    assert send(tight, png()).status_code == 200


def test_an_unexpected_error_is_internal(tight: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "save", None)
    response = send(tight, png(), output="text")
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"
    assert "NoneType" not in response.text


def test_a_feature_that_is_off_says_why(tmp_path: Path) -> None:
    settings = Settings(backend="fake", data_dir=tmp_path, enable_pdf_support=False)
    with TestClient(create_app(settings)) as client:
        response = send(client, pdf(), "/pdf/ocr")
        assert (response.status_code, response.json()["error"]["code"]) == (501, "feature_disabled")
        assert client.get("/").json()["features"]["pdf"] == {
            "available": False,
            "reason": "ENABLE_PDF_SUPPORT=0",
        }
        assert send(client, png()).status_code == 200


def test_a_router_that_does_not_load_hurts_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FEATURES, "pdf", Feature("module_that_is_not_there", "pdf", ("/pdf",)))
    with TestClient(create_app(Settings(backend="fake", data_dir=tmp_path))) as client:
        assert "module_that_is_not_there" in client.get("/").json()["features"]["pdf"]["reason"]
        assert send(client, pdf(), "/pdf/ocr").status_code == 501
        assert send(client, png()).status_code == 200


def test_a_full_queue_is_busy_and_says_when_to_come_back(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(backend="fake", data_dir=tmp_path, max_queue=1))) as client:
        client.app.state.service.reader.requests = 1  # type: ignore[attr-defined]
        response = send(client, png())
        assert (response.status_code, response.json()["error"]["code"]) == (503, "engine_busy")
        assert int(response.headers["Retry-After"]) > 0


def test_before_the_engine_has_started_pages_are_refused(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(backend="fake", data_dir=tmp_path))) as client:
        client.app.state.service.started = False  # type: ignore[attr-defined]
        response = send(client, png())
        assert (response.status_code, response.json()["error"]["code"]) == (503, "engine_unavailable")
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


def test_a_page_that_cannot_be_drawn_is_written_on_the_page(tight: TestClient) -> None:
    document = pymupdf.open("pdf", pdf(3))
    document.update_object(document.page_xref(1), "<</Type/Page/MediaBox[0 0 0 0]/Contents 99999 0 R>>")
    body = send(tight, document.tobytes(), "/pdf/ocr").json()
    assert body["ledger"]["expected"] == 3
    assert sum(body["ledger"].values()) == 6


def kinds(kind: type[AirgapError] = AirgapError) -> list[type[AirgapError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in kinds(child))]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_a_remedy_and_survives_a_page(kind: type[AirgapError]) -> None:
    error = kind("What went wrong.")
    assert error.remedy
    assert 400 <= error.status < 600
    again = from_page_error(error.as_page_error())
    assert (again.code, again.status, again.message, again.remedy) == (
        error.code,
        error.status,
        error.message,
        error.remedy,
    )


def test_codes_are_unique_and_in_the_tree_of_the_docstring() -> None:
    codes = [kind.code for kind in kinds() if kind.__module__ == errors.__name__ and "code" in vars(kind)]
    assert len(codes) > 30
    assert len(codes) == len(set(codes))
    assert all(code in (errors.__doc__ or "") for code in codes if code != "internal_error")


def test_a_page_error_of_an_unknown_code_is_internal() -> None:
    assert type(from_page_error(PageError("nonsense", "m", "r"))) is AirgapError
