"""Marker's `/marker/upload`: its own server's requests and those of Open WebUI's loader for Datalab."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT
from tests.dialects.drawing import pdf, png
from tests.dialects.reference import own_answer

OPEN_WEBUI = {
    "use_llm": "false",
    "skip_cache": "false",
    "force_ocr": "true",
    "paginate": "false",
    "strip_existing_ocr": "false",
    "disable_image_extraction": "false",
    "format_lines": "false",
    "output_format": "markdown",
}


def sent(api: httpx.Client, data: bytes, **fields: Any) -> httpx.Response:
    files = {"file": ("a.pdf", data, "application/pdf")}
    return api.post("/marker/upload", files=files, data=fields, headers={"X-Api-Key": "k"})


def test_markdown_as_open_webui_asks_for_it(api: httpx.Client) -> None:
    data = pdf(2)
    answer = sent(api, data, **OPEN_WEBUI)
    assert answer.status_code == 200, answer.text
    found, own = answer.json(), own_answer(api, data)
    assert found["success"] is True
    assert found["output"] == "\n\n".join(page["markdown"] for page in own["pages"])
    assert found["format"] == "markdown"
    assert found["page_count"] == 2
    assert "request_check_url" not in found, "with one, clients would poll"
    assert '"expected": 2' in answer.headers["X-Ledger"]


def test_pages_from_zero_each_under_its_number(api: httpx.Client) -> None:
    data = pdf(3)
    fields = {"page_range": "1-2", "paginate_output": "true", "force_ocr": "true"}
    found = sent(api, data, **fields).json()
    own = own_answer(api, data, page_from="2")
    rule = "-" * 48
    first, second = (page["markdown"] for page in own["pages"])
    assert found["output"] == f"{{1}}{rule}\n\n{first}\n\n{{2}}{rule}\n\n{second}"
    assert found["metadata"]["page_stats"] == [{"page_id": 1}, {"page_id": 2}]
    assert sent(api, data, page_range="2").json()["page_count"] == 1
    apart = sent(api, data, page_range="0, 2").json()
    assert apart["metadata"]["page_stats"] == [{"page_id": 0}, {"page_id": 2}]


def test_html(api: httpx.Client) -> None:
    assert sent(api, png(), output_format="html").json()["output"].startswith("<!DOCTYPE html>")


@pytest.mark.slow
def test_figures_come_along_under_the_names_that_the_markdown_gives_them(cpu_api: httpx.Client) -> None:
    data = (ROOT / "samples" / "table.png").read_bytes()
    found = sent(cpu_api, data).json()
    assert found["images"]
    for name, image in found["images"].items():
        assert f"]({name})" in found["output"]
        assert base64.b64decode(image).startswith(b"\xff\xd8")
    assert sent(cpu_api, data, disable_image_extraction="true").json()["images"] == {}


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"output_format": "json"}, 400),
        ({"output_format": "chunks"}, 400),
        ({"output_format": "html", "paginate": "true"}, 400),
        ({"page_range": "0,2"}, 422),
        ({"page_range": "0,,1"}, 422),
        ({"page_range": "2-1"}, 422),
        ({"page_range": "7"}, 422),
        ({"languages": "gibberish-of-no-land"}, 422),
        ({"languages": "de", "disable_image_extraction": "true"}, 200),
    ],
)
def test_what_is_not_made_is_refused_and_not_ignored(
    api: httpx.Client, fields: dict[str, str], status: int
) -> None:
    answer = sent(api, pdf(2), **fields)
    assert answer.status_code == status, answer.text


def test_what_is_no_document_is_refused_with_a_remedy(api: httpx.Client) -> None:
    answer = sent(api, b"no file")
    assert answer.status_code == 415
    assert answer.json()["error"]["remedy"]
