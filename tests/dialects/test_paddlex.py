"""PaddleX's `/layout-parsing`: the requests of Open WebUI's loader and of PaddleX's examples."""

from __future__ import annotations

import base64
from typing import Any

import httpx

from tests.conftest import ROOT
from tests.dialects.drawing import encoded, pdf, png
from tests.dialects.reference import own_answer


def parse(api: httpx.Client, data: bytes, **fields: Any) -> dict[str, Any]:
    headers = {"Authorization": "token k"}
    body = {"file": encoded(data), "useDocUnwarping": False, **fields}
    answer = api.post("/layout-parsing", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert (found["errorCode"], found["errorMsg"]) == (0, "Success")
    result: dict[str, Any] = found["result"]
    return result


def test_pages_of_a_pdf(api: httpx.Client) -> None:
    data = pdf(3)
    found = parse(api, data, fileType=0)
    own = own_answer(api, data)
    pages = found["layoutParsingResults"]
    assert [page["markdown"]["text"] for page in pages] == [page["markdown"] for page in own["pages"]]
    assert found["dataInfo"]["numPages"] == 3
    for page, read in zip(pages, own["pages"], strict=True):
        blocks = page["prunedResult"]["parsing_res_list"]
        assert [block["block_content"] for block in blocks] == [block["text"] for block in read["blocks"]]


def test_a_picture_whatever_the_request_calls_it(api: httpx.Client) -> None:
    assert parse(api, png(), fileType=0) == parse(api, png())
    assert parse(api, png())["dataInfo"] == {"type": "image", "width": 1000, "height": 999}


def test_figures_come_along(cpu_api: httpx.Client) -> None:
    found = parse(cpu_api, (ROOT / "samples" / "table.png").read_bytes())
    (page,) = found["layoutParsingResults"]
    assert page["markdown"]["images"]
    for name, image in page["markdown"]["images"].items():
        assert f"]({name})" in page["markdown"]["text"]
        assert base64.b64decode(image).startswith(b"\xff\xd8")


def test_what_is_no_document_is_refused(api: httpx.Client) -> None:
    assert api.post("/layout-parsing", json={"file": "?"}).json()["error"]["code"] == "invalid_base64"
    assert api.post("/layout-parsing", json={}).status_code == 422
    url = api.post("/layout-parsing", json={"file": "http://127.0.0.1/a.png"})
    assert url.json()["error"]["code"] == "url_refused"
