"""How a file is opened reaches every way in: forms, JSON, chat, jobs, and the command line.

The fake engine reads dark rectangles as their coordinates, so its answer tells the page and the resolution.
"""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import pymupdf
import pytest
from typer.testing import CliRunner

from airgap.client.app import app
from airgap.client.http_client import BatchFields, JobFields, PageFields, PdfFields, StreamFields
from airgap.core.opening import OPTIONS, Opening
from airgap.http.forms import OpeningBody

WORDS = "Pages of their own text have no need to be read from a picture."
PASSWORD = "open sesame"
SECOND_AT_72 = "40 20 200 60"
ONLY_SECOND: dict[str, Any] = {"dpi": 72, "page_from": 2, "page_to": 2, "password": PASSWORD}


def locked(draw: Callable[[pymupdf.Page, int], object]) -> bytes:
    """Four pages behind a password."""
    with pymupdf.open() as document:
        for number in range(1, 5):
            draw(document.new_page(width=420, height=300), number)
        encryption = {"encryption": pymupdf.PDF_ENCRYPT_AES_256, "user_pw": PASSWORD, "owner_pw": "o"}
        return bytes(document.tobytes(**encryption))


@pytest.fixture(scope="module")
def boxes() -> bytes:
    """Page n's rectangle begins 20 + 10 n points from the left."""
    return locked(lambda page, n: page.draw_rect((20 + 10 * n, 20, 200, 60), fill=(0, 0, 0), width=0))


@pytest.fixture(scope="module")
def words() -> bytes:
    return locked(lambda page, n: page.insert_text((20, 40), f"{WORDS} {n}", fontsize=9))


def form(route: str) -> Callable[[httpx.Client, bytes, dict[str, Any]], httpx.Response]:
    field = "files" if "batch" in route else "file"

    def send(api: httpx.Client, data: bytes, how: dict[str, Any]) -> httpx.Response:
        more = {"detail": "true"} if route.startswith("/api") else {}
        return api.post(route, files={field: ("a.pdf", data)}, data=how | more)

    return send


def posted(route: str, field: str) -> Callable[[httpx.Client, bytes, dict[str, Any]], httpx.Response]:
    def send(api: httpx.Client, data: bytes, how: dict[str, Any]) -> httpx.Response:
        return api.post(route, json={field: base64.b64encode(data).decode(), **how})

    return send


def nested(api: httpx.Client, data: bytes, how: dict[str, Any]) -> httpx.Response:
    return api.post("/ocr/pdf", json={"pdf": base64.b64encode(data).decode(), "pdf_pages": how})


def chat(stream: bool) -> Callable[[httpx.Client, bytes, dict[str, Any]], httpx.Response]:
    def send(api: httpx.Client, data: bytes, how: dict[str, Any]) -> httpx.Response:
        url = f"data:application/pdf;base64,{base64.b64encode(data).decode()}"
        content = [{"type": "text", "text": "read"}, {"type": "file", "file": {"file_data": url}}]
        message = {"role": "user", "content": content}
        return api.post("/v1/chat/completions", json={"messages": [message], "stream": stream, **how})

    return send


def job(api: httpx.Client, data: bytes, how: dict[str, Any]) -> httpx.Response:
    state = api.post("/jobs", files={"files": ("a.pdf", data)}, data=how | {"output": "json"}).json()
    deadline = time.monotonic() + 60
    while api.get(f"/jobs/{state['id']}").json()["status"] not in ("done", "failed"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return api.get(f"/jobs/{state['id']}/events")


WAYS = {
    "pdf": form("/pdf/ocr"),
    "pdf simple": form("/pdf/ocr/simple"),
    "batch": form("/batch/ocr"),
    "stream of a pdf": form("/api/ocr/pdf"),
    "stream of a document": form("/api/ocr/document"),
    "json": posted("/ocr/pdf", "pdf"),
    "json nested": nested,
    "generate": posted("/generate", "image"),
    "chat": chat(stream=False),
    "chat streamed": chat(stream=True),
    "job": job,
}


@pytest.mark.parametrize("way", WAYS)
def test_pages_resolution_and_password_count(way: str, api: httpx.Client, boxes: bytes) -> None:
    said = WAYS[way](api, boxes, ONLY_SECOND).text
    assert SECOND_AT_72 in said
    assert not any(f"{20 + 10 * n} 20 200 60" in said for n in (1, 3, 4))
    without = WAYS[way](api, boxes, {key: ONLY_SECOND[key] for key in ONLY_SECOND if key != "password"})
    assert "pdf_password_required" in without.text


@pytest.mark.parametrize("way", WAYS)
def test_a_page_s_own_text_is_taken_where_that_is_asked_for(
    way: str, api: httpx.Client, words: bytes
) -> None:
    how = {"page_from": 2, "page_to": 2, "password": PASSWORD}
    assert f"{WORDS} 2" in WAYS[way](api, words, how | {"text_layer": "auto"}).text
    assert WORDS not in WAYS[way](api, words, how | {"text_layer": "ignore"}).text


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"job"}))
@pytest.mark.parametrize("wrong", [{"dpi": 9}, {"dpi": 601}, {"page_from": 0}, {"text_layer": "perhaps"}])
def test_what_is_out_of_bounds_is_refused(
    way: str, wrong: dict[str, Any], api: httpx.Client, boxes: bytes
) -> None:
    answer = WAYS[way](api, boxes, wrong)
    assert answer.status_code == 422
    assert next(iter(wrong)) in answer.json()["error"]["message"]


def test_what_stands_beside_pdf_pages_counts(api: httpx.Client, boxes: bytes) -> None:
    body = {"pdf": base64.b64encode(boxes).decode(), "pdf_pages": {**ONLY_SECOND, "dpi": 144}, "dpi": 72}
    assert SECOND_AT_72 in api.post("/ocr/pdf", json=body).json()["markdown"]


def test_chat_reads_a_picture_s_first_frame_whatever_pages_of_a_pdf_are_asked_for(
    api: httpx.Client, picture: Path
) -> None:
    url = f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    answer = api.post("/v1/chat/completions", json={"messages": [message], "page_from": 2})
    assert answer.status_code == 200
    assert "40 30 200 90" in answer.json()["choices"][0]["message"]["content"]


def test_the_schema_bounds_each_way_alike(api: httpx.Client) -> None:
    schemas = api.get("/openapi.json").json()["components"]["schemas"]
    own = OpeningBody.model_json_schema()["properties"]
    assert own.keys() == OPTIONS.keys()
    holders = [schema["properties"] for schema in schemas.values() if "text_layer" in schema["properties"]]
    assert len(holders) >= 10
    for holder in holders:
        for name in own:
            bounds = {key: value for key, value in own[name].items() if key not in ("title", "description")}
            found = {key: value for key, value in holder[name].items() if key not in ("title", "description")}
            assert found.get("default") == bounds.get("default"), name
            assert found.get("anyOf") == bounds.get("anyOf"), name
            assert (found.get("minimum"), found.get("maximum")) == (
                bounds.get("minimum"),
                bounds.get("maximum"),
            )


# --- the command line, and the client ----------------------------------------------------------------


def ocr(*arguments: object, url: str = "") -> str:
    environment = {"BACKEND": "fake", "OCR_URL": url}
    result = CliRunner(env=environment).invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def options(how: dict[str, Any]) -> list[str]:
    pairs = ((f"--{name.replace('_', '-')}", str(value)) for name, value in how.items())
    return [text for pair in pairs for text in pair]


def written(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*.json")))


@pytest.fixture(params=["read", "send", "send --job", "send --stream", "watch"])
def command(request: pytest.FixtureRequest, server: str, tmp_path: Path) -> Callable[..., str]:
    name, *more = request.param.split()
    out = tmp_path / "out"

    def run(data: bytes, how: dict[str, Any]) -> str:
        shutil.rmtree(out, ignore_errors=True)
        inbox = tmp_path / "in"
        inbox.mkdir(exist_ok=True)
        (inbox / "a.pdf").write_bytes(data)
        if name == "watch":
            ocr("watch", inbox, out, "-f", "json", "--once", "--settle", "0", *options(how))
            return written(out)
        if "--stream" in more:
            return ocr("send", inbox / "a.pdf", *more, *options(how), url=server)
        ocr(name, inbox / "a.pdf", "-o", out, "-f", "json", *more, *options(how), url=server)
        for archive in out.glob("*.zip"):
            shutil.unpack_archive(archive, out)
        return written(out)

    return run


def test_every_command_opens_files_as_it_is_told(
    command: Callable[..., str], boxes: bytes, words: bytes
) -> None:
    said = command(boxes, ONLY_SECOND)
    assert SECOND_AT_72 in said
    assert "50 20 200 60" not in said
    how = {"page_from": 2, "page_to": 2, "password": PASSWORD, "text_layer": "auto"}
    assert f"{WORDS} 2" in command(words, how)


@pytest.mark.parametrize("fields", [PageFields, StreamFields, PdfFields, BatchFields, JobFields])
def test_the_client_sends_what_there_is(fields: type) -> None:
    assert OPTIONS.keys() <= get_type_hints(fields).keys()


def test_a_job_keeps_how_its_files_are_opened() -> None:
    from airgap.jobs.plan import Spec

    spec = Spec("id", "me", (), opening=Opening(**ONLY_SECOND))
    assert Spec.from_dict(json.loads(json.dumps(spec.to_dict()))).opening == spec.opening
