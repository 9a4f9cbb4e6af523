"""Pages that were read, and corrected, in another format; and the page's own files."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pymupdf
import pytest
from PIL import Image

from airgap.exporters.document_in import parse_document

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def read(cpu_server: str) -> dict[str, Any]:
    """A sample as the embedded engine reads it."""
    with (ROOT / "samples" / "table.png").open("rb") as file, httpx.Client(trust_env=False) as client:
        answer = client.post(
            f"{cpu_server}/pdf/ocr", files={"file": file}, data={"extract_images": "false"}, timeout=120
        )
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def export(client: httpx.Client, document: Any, output: str, original: str | None = None) -> httpx.Response:
    files: dict[str, tuple[str, str | bytes, str]] = {
        "document": ("document.json", json.dumps(document), "application/json")
    }
    if original:
        files["file"] = (Path(original).name, (ROOT / original).read_bytes(), "application/octet-stream")
    return client.post("/export", files=files, data={"output": output})


def test_an_edited_block_is_in_every_format(cpu_api: httpx.Client, read: dict[str, Any]) -> None:
    edited = json.loads(json.dumps(read))
    edited["pages"][0]["blocks"][0] |= {"text": "Corrected by hand Żółw", "lines": []}
    assert "Corrected by hand Żółw" in export(cpu_api, edited, "markdown").text
    docx = zipfile.ZipFile(io.BytesIO(export(cpu_api, edited, "docx").content))
    parts = [name for name in docx.namelist() if name.startswith(("word/document", "word/header"))]
    assert any("Corrected by hand" in docx.read(name).decode() for name in parts)
    answer = export(cpu_api, edited, "searchable_pdf", "samples/table.png")
    assert answer.headers["content-type"] == "application/pdf"
    with pymupdf.open(stream=answer.content) as pdf:
        assert "Corrected by hand" in " ".join(pdf[0].get_text().split())


def test_pages_keep_the_resolution_they_were_read_at(api: httpx.Client) -> None:
    with (ROOT / "samples" / "booklet.pdf").open("rb") as file:
        read = api.post(
            "/pdf/ocr", files={"file": file}, data={"dpi": "100", "page_to": "1", "extract_images": "false"}
        ).json()
    width = read["pages"][0]["width"]
    answer = export(api, read, "annotated", "samples/booklet.pdf")
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.width == width


def test_several_formats_come_as_a_zip(cpu_api: httpx.Client, read: dict[str, Any]) -> None:
    answer = export(cpu_api, read, "markdown,json,text", "samples/table.png")
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert {"manifest.json", "table/table.md", "table/table.json"} <= set(names)


def test_what_needs_the_original_says_so(cpu_api: httpx.Client, read: dict[str, Any]) -> None:
    for output in ("searchable_pdf", "annotated", "zip"):
        answer = export(cpu_api, read, output)
        assert answer.status_code == 422, output
        assert "Send" in answer.json()["error"]["remedy"]


@pytest.mark.parametrize(
    "change",
    [
        {"pages": []},
        {"pages": [{"number": 0, "width": 1, "height": 1}]},
        {"pages": [{"number": 1, "width": "wide", "height": 1}]},
        {"pages": [{"number": 2, "width": 1, "height": 1}, {"number": 1, "width": 1, "height": 1}]},
        {"pages": [{"number": 1, "width": 9, "height": 9, "blocks": [{"label": "text", "text": 5}]}]},
        {
            "pages": [
                {
                    "number": 1,
                    "width": 9,
                    "height": 9,
                    "blocks": [{"label": "text", "text": "", "boxes": [[0, 0, 10, 9]]}],
                }
            ]
        },
        {"pages": [{"number": 1, "width": 9, "height": 9, "status": "perfect"}]},
        {"pages": [{"number": 1, "width": 9, "height": 9, "usage": {"seconds": 1e300}}]},
        {"pages": [{"number": 1, "width": 9, "height": 9, "usage": {"prompt_tokens": 10**4000}}]},
        {"pages": [{"number": 1, "width": 9, "height": 9, "width_pt": 1e-310}]},
    ],
)
def test_what_is_no_document_is_refused(api: httpx.Client, change: dict[str, Any]) -> None:
    answer = export(api, change, "markdown")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_option"


@pytest.mark.parametrize(
    "sent", [b"\xff{", b'{"pages": [{"number": 1, "width": 9, "height": 9, "usage": {"seconds": NaN}}]}']
)
def test_what_is_not_even_json_is_refused(api: httpx.Client, sent: bytes) -> None:
    answer = api.post("/export", files={"document": ("d.json", sent)}, data={"output": "json"})
    assert answer.status_code == 422


def test_a_page_that_the_original_lacks_is_refused(api: httpx.Client) -> None:
    document = {"pages": [{"number": 7, "width": 10, "height": 10}]}
    answer = export(api, document, "searchable_pdf", "samples/table.png")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "page_out_of_range"


def size_of(picture: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(picture), formats=["JPEG"]) as image:
        return image.size


def test_streams_carry_pictures_and_details_when_asked(api: httpx.Client) -> None:
    with (ROOT / "samples" / "booklet.pdf").open("rb") as file:
        answer = api.post(
            "/api/ocr/pdf", files={"file": file}, data={"detail": "true", "pictures": "true", "page_to": "2"}
        )
    frames = [json.loads(line) for line in answer.text.splitlines()]
    ends = [frame for frame in frames if frame["type"] == "page_end"]
    pictures = {frame["page"]: frame for frame in frames if frame["type"] == "page_picture"}
    assert [len(ends), sorted(pictures)] == [2, [1, 2]]
    for end in ends:
        result, picture = end["result"], pictures[end["page"]]
        assert (result["width"], result["height"]) == (picture["width"], picture["height"])
        large, small = (size_of(base64.b64decode(picture[name])) for name in ("picture", "thumbnail"))
        assert max(small) == 216
        assert small[0] / small[1] == pytest.approx(large[0] / large[1], rel=0.01)
        assert result["markdown"]


def test_streams_are_as_before_when_not_asked(api: httpx.Client) -> None:
    with (ROOT / "samples" / "table.png").open("rb") as file:
        answer = api.post("/api/ocr/image", files={"file": file})
    frames = [json.loads(line) for line in answer.text.splitlines()]
    assert {frame["type"] for frame in frames} <= {"start", "delta", "end"}
    assert "result" not in frames[-1]


def test_clients_keep_their_json(api: httpx.Client) -> None:
    answer = api.get("/")
    assert answer.json()["service"] == "Airgap OCR"
    web = answer.json()["features"]["web"]
    assert web["available"] or "make web" in web["reason"]


def test_a_document_of_any_kind_is_streamed_page_by_page(api: httpx.Client) -> None:
    for sample in ("table.png", "booklet.pdf"):
        with (ROOT / "samples" / sample).open("rb") as file:
            answer = api.post("/api/ocr/document", files={"file": file})
        frames = [json.loads(line) for line in answer.text.splitlines()]
        assert frames[0]["pages"] == frames[-1]["ledger"]["expected"]
        assert sum(frame["type"] == "page_end" for frame in frames) == frames[0]["pages"]


REVIEWS: list[dict[str, Any]] = [
    {
        "kind": "doubt",
        "decision": "corrected",
        "reviewed_by": "Anna",
        "reviewed_at": "2026-03-04T11:00:00+01:00",
        "box": [1, 2, 3, 4],
    },
    {
        "kind": "unread",
        "decision": "accepted",
        "reviewed_by": "Boris",
        "reviewed_at": "2026-03-04T09:30:00Z",
        "box": None,
    },
]


def reviewed(read: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(read))
    document["pages"][0]["reviews"] = REVIEWS
    return document


def test_who_reviewed_and_when_is_in_the_json_and_the_manifest(
    cpu_api: httpx.Client, read: dict[str, Any]
) -> None:
    assert read["pages"][0]["reviews"] == []
    exported = export(cpu_api, reviewed(read), "json").json()
    assert exported["reviewed_by"] == ["Anna", "Boris"]
    assert exported["reviewed_at"] == "2026-03-04T10:00:00+00:00"
    assert exported["pages"][0]["reviews"][0] == REVIEWS[0] | {"reviewed_at": "2026-03-04T10:00:00+00:00"}
    again = export(cpu_api, exported, "json").json()
    assert again == exported
    answer = export(cpu_api, reviewed(read), "markdown,json", "samples/table.png")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        (entry,) = json.loads(archive.read("manifest.json"))["inputs"]
    assert entry["reviewed_by"] == ["Anna", "Boris"]
    assert entry["reviewed_at"] == "2026-03-04T10:00:00+00:00"
    assert entry["reviewed_places"] == 2


def test_a_login_signs_its_reviews_whatever_name_was_sent(read: dict[str, Any]) -> None:
    signed = parse_document(json.dumps(reviewed(read)).encode(), "clara")
    assert {review.reviewed_by for review in signed.pages[0].reviews} == {"clara"}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "mood"},
        {"decision": "ignored"},
        {"reviewed_at": "yesterday"},
        {"reviewed_at": "0001-01-01T00:00:00+14:00"},
        {"reviewed_at": "9999-12-31T23:59:59-12:00"},
    ],
)
def test_a_review_that_is_none_is_refused(
    cpu_api: httpx.Client, read: dict[str, Any], change: dict[str, str]
) -> None:
    document = reviewed(read)
    document["pages"][0]["reviews"] = [REVIEWS[0] | change]
    answer = export(cpu_api, document, "json")
    assert answer.status_code == 422
    assert next(iter(change)) in answer.json()["error"]["message"]
