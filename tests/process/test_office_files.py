"""Documents of office programs are refused with a remedy, wherever they are sent, and never unpacked."""

from __future__ import annotations

import io
import zipfile

import httpx
import pytest
from docx import Document

from process.sniff import sniff


def docx() -> bytes:
    document = Document()
    document.add_paragraph("Words")
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def archive(*names: str, stored: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, stored)
    return buffer.getvalue()


OFFICE = {
    "docx": docx(),
    "pptx": archive("_rels/.rels", "ppt/presentation.xml", "[Content_Types].xml"),
    "xlsx": archive("xl/workbook.xml", "[Content_Types].xml"),
    "odt": archive("mimetype", "content.xml", stored="application/vnd.oasis.opendocument.text"),
    "html": b"<!DOCTYPE html><html><body>Words</body></html>",
    "eml": b"From: a@example.org\r\nMIME-Version: 1.0\r\nSubject: x\r\n\r\nWords",
    "doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100),
    "rtf": b"{\\rtf1 Words}",
}


@pytest.mark.parametrize("kind", OFFICE)
@pytest.mark.parametrize("route", ["/ocr/image/simple", "/pdf/ocr/simple"])
def test_they_are_415_with_a_remedy(api: httpx.Client, kind: str, route: str) -> None:
    answer = api.post(route, files={"file": (f"a.{kind}", OFFICE[kind])})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media")
    assert "as a PDF" in answer.json()["error"]["remedy"]


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx", "odt"])
def test_a_batch_has_one_entry_for_one(api: httpx.Client, kind: str) -> None:
    body = api.post("/batch/ocr/simple", files=[("files", (f"a.{kind}", OFFICE[kind]))]).json()
    (entry,) = body["results"]
    assert (entry["filename"], entry["error"]["code"]) == (f"a.{kind}", "unsupported_media")


def test_a_job_has_one_file_for_one(api: httpx.Client) -> None:
    job = api.post("/jobs", files=[("files", ("a.docx", OFFICE["docx"]))]).raise_for_status().json()
    with api.stream("GET", f"/jobs/{job['id']}/events", timeout=60) as events:
        assert "event: end" in "\n".join(events.iter_lines())
    state = api.get(f"/jobs/{job['id']}").json()
    assert (state["filenames"], state["ledger"]["expected"], state["ledger"]["failed"]) == (["a.docx"], 1, 1)


def test_an_archive_of_files_is_still_one() -> None:
    assert sniff(archive("a.png", "b/word.txt")) == "zip"
    assert sniff(b"PK\x05\x06" + bytes(18)) == "zip"
    assert sniff(b"Dear Sir,\nMime-types are fun\n") is None
