"""The batch routes, over HTTP: mixed files, one failure at a time, a ZIP that adds up."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from pathlib import Path

import httpx
import pymupdf
import pytest

from tests.test_ocr_routes import drawing, encoded
from tests.test_pdf_routes import document

Files = list[tuple[str, tuple[str, bytes]]]


def files(*named: tuple[str, bytes]) -> Files:
    return [("files", item) for item in named]


def mixed() -> Files:
    return files(
        ("a.png", encoded(drawing())),
        ("b.pdf", document(3)),
        ("c.png", b"no picture"),
        ("a.png", encoded(drawing())),
    )


def unzip(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_each_file_has_its_entry_in_order(api: httpx.Client) -> None:
    body = api.post("/batch/ocr", files=mixed()).json()
    assert [entry["filename"] for entry in body["results"]] == ["a.png", "b.pdf", "c.png", "a.png"]
    assert [entry["success"] for entry in body["results"]] == [True, True, False, True]
    assert (body["succeeded"], body["failed"]) == (3, 1)
    assert body["results"][0]["text"].split()[:4] == ["20", "30", "120", "50"]
    assert body["results"][1]["ledger"]["expected"] == 3
    assert body["results"][2]["error"]["code"] == "unsupported_media"


def test_simple_keeps_the_text_alone(api: httpx.Client) -> None:
    body = api.post("/batch/ocr/simple", files=mixed()).json()
    assert set(body["results"][0]) == {"filename", "success", "text", "error"}
    assert (body["succeeded"], body["failed"]) == (3, 1)


def test_the_zip_holds_what_was_asked_for_and_a_manifest(api: httpx.Client) -> None:
    response = api.post("/batch/ocr/download", files=mixed(), data={"output": "markdown,json,text"})
    assert response.headers["content-type"] == "application/zip"
    entries = unzip(response.content)
    manifest = json.loads(entries.pop("manifest.json"))
    assert {"a/a.md", "a/a.json", "a/a.txt", "b/b.md", "a_2/a_2.md", "a/a.raw.mmd"} <= entries.keys()
    assert [entry["filename"] for entry in manifest["inputs"]] == ["a.png", "b.pdf", "c.png", "a.png"]
    assert manifest["inputs"][0]["sha256"] == hashlib.sha256(encoded(drawing())).hexdigest()
    assert manifest["inputs"][1]["ledger"]["ok"] == 3
    assert manifest["inputs"][2]["error"]["remedy"]
    assert manifest["sha256"] == {name: hashlib.sha256(data).hexdigest() for name, data in entries.items()}


def test_the_same_files_make_the_same_zip(api: httpx.Client) -> None:
    first, second = (api.post("/batch/ocr/download", files=mixed()).content for _ in range(2))
    entries, again = unzip(first), unzip(second)
    assert entries.keys() == again.keys()
    assert entries["a/a.md"] == again["a/a.md"]


def test_a_flat_zip_has_markdown_named_like_the_images(api: httpx.Client) -> None:
    name = "docs_llm-raw o.O-j.pdf_4.png"
    response = api.post(
        "/batch/ocr/download",
        files=files((name, encoded(drawing()))),
        data={"flat": "true", "output": "markdown"},
    )
    assert "docs_llm-raw o.O-j.pdf_4.md" in unzip(response.content)


def test_no_entry_of_a_flat_zip_takes_the_place_of_another(api: httpx.Client) -> None:
    names = ["manifest.png", "b.png", "B.png", "b.raw.png", "b.png", "b_2.png"]
    response = api.post(
        "/batch/ocr/download",
        files=files(*((name, encoded(drawing())) for name in names)),
        data={"flat": "true", "output": "markdown,json,html"},
    )
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        members = archive.namelist()
        manifest = json.loads(archive.read("manifest.json"))
    assert len({member.casefold() for member in members}) == len(members)
    assert [entry["filename"] for entry in manifest["inputs"]] == names
    assert set(manifest["sha256"]) == set(members) - {"manifest.json"}


def test_a_failing_engine_fails_every_file_and_loses_none(api: httpx.Client) -> None:
    body = api.post("/batch/ocr", files=mixed(), data={"prompt": "fail"}).json()
    assert (body["succeeded"], body["failed"]) == (0, 4)
    assert all(entry["error"] for entry in body["results"])


def test_nothing_is_left_on_disk(api: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> None:
    api.post("/batch/ocr/download", files=mixed())
    uploads = next(Path(tmp_path_factory.getbasetemp()).glob("server*/data/uploads"))
    for _ in range(100):  # the ZIP is deleted after the last byte was sent
        left = [path for path in uploads.rglob("*") if path.is_file() and path.name != ".lock"]
        if not left:
            return
        time.sleep(0.02)
    pytest.fail(f"left behind: {left}")


@pytest.mark.parametrize("path", ["/batch/status", "/batch/info"])
def test_the_routes_speak_of_themselves(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code == 200


def locked(data: bytes, password: str) -> bytes:
    with pymupdf.open(stream=data) as pdf:
        return pdf.tobytes(encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw=password)


def test_the_chosen_pages_resolution_and_password_count_for_a_zip(api: httpx.Client) -> None:
    sent = files(("locked.pdf", locked(document(4), "sesame")))
    data = {"output": "json", "dpi": "72", "page_from": "2", "page_to": "3", "password": "sesame"}
    entries = unzip(api.post("/batch/ocr/download", files=sent, data=data).content)
    read = json.loads(entries["locked/locked.json"])
    assert [page["number"] for page in read["pages"]] == [2, 3]
    assert all(page["width"] == round(page["width_pt"]) for page in read["pages"])


@pytest.mark.parametrize("route", ["/batch/ocr", "/batch/ocr/simple"])
def test_they_count_for_the_other_routes_too(api: httpx.Client, route: str) -> None:
    sent = files(("locked.pdf", locked(document(4), "sesame")))
    wrong = api.post(route, files=sent, data={"password": "guess"}).json()
    assert wrong["results"][0]["error"]["code"] == "pdf_password_required"
    right = api.post(route, files=sent, data={"password": "sesame", "page_to": "1"}).json()
    whole = api.post(route, files=sent, data={"password": "sesame"}).json()
    assert right["results"][0]["success"]
    assert len(right["results"][0]["text"]) < len(whole["results"][0]["text"])
