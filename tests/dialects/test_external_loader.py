"""Open WebUI's external document loader: the requests that its source sends."""

from __future__ import annotations

from urllib.parse import quote

import httpx

from tests.dialects.drawing import pdf, png
from tests.dialects.reference import own_answer


def test_each_page_is_a_document(api: httpx.Client) -> None:
    data = pdf(3)
    headers = {
        "Content-Type": "application/pdf",
        "Authorization": "Bearer k",
        "X-Filename": quote("отчёт 1.pdf"),
    }
    answer = api.put("/process", content=data, headers=headers)
    assert answer.status_code == 200, answer.text
    pages = answer.json()
    assert [page["page_content"] for page in pages] == [
        page["markdown"] for page in own_answer(api, data)["pages"]
    ]
    assert [page["metadata"]["page"] for page in pages] == [0, 1, 2]
    assert {page["metadata"]["source"] for page in pages} == {"отчёт 1.pdf"}
    assert '"expected": 3' in answer.headers["X-Ledger"]


def test_a_picture_is_a_document_of_one_page(api: httpx.Client) -> None:
    (page,) = api.put("/process", content=png()).json()
    assert page["metadata"]["total_pages"] == 1
    assert page["page_content"].strip()


def test_what_is_no_document_is_refused_with_a_remedy(api: httpx.Client) -> None:
    answer = api.put("/process", content=b"PK\x03\x04 nothing")
    assert answer.status_code == 415
    assert answer.json()["error"]["remedy"]
    assert api.put("/process", content=b"").json()["error"]["code"] == "empty_file"


def test_a_file_name_is_never_a_path(api: httpx.Client) -> None:
    (page,) = api.put("/process", content=png(), headers={"X-Filename": "..%2F..%2Fetc%2Fpasswd"}).json()
    assert page["metadata"]["source"] == "etc/passwd"
