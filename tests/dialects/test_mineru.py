"""MinerU's `/file_parse`: the requests of Open WebUI's loader and of MinerU's own clients."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from airgap.core.document import Block, Box, Document, Page
from airgap.dialects.mineru import content_list
from tests.dialects.drawing import pdf, png
from tests.dialects.reference import own_answer


def parse(api: httpx.Client, *files: tuple[str, bytes], **fields: Any) -> httpx.Response:
    sent = [("files", (name, data, "application/octet-stream")) for name, data in files]
    return api.post("/file_parse", files=sent, data=fields)


def test_markdown_as_open_webui_asks_for_it(api: httpx.Client) -> None:
    data = pdf(2)
    answer = parse(api, ("booklet.pdf", data), return_md="true", enable_ocr="False", language="en")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    own = own_answer(api, data)
    assert found["results"]["booklet"]["md_content"] == "\n\n".join(p["markdown"] for p in own["pages"])
    assert found["backend"] == own["engine"]
    assert "content_list" not in found["results"]["booklet"]


def test_content_and_pages_from_zero(api: httpx.Client) -> None:
    fields = {"return_content_list": "true", "return_md": "false", "start_page_id": "1", "end_page_id": "1"}
    found = parse(api, ("a.pdf", pdf(3)), **fields).json()["results"]["a"]
    pieces = json.loads(found["content_list"])
    assert {piece["page_idx"] for piece in pieces} == {1}
    assert all(0 <= value <= 1000 for piece in pieces for value in piece["bbox"])
    assert "md_content" not in found


def test_one_bad_file_costs_no_other(api: httpx.Client) -> None:
    found = parse(api, ("a.png", png()), ("a.pdf", b"no file"), ("b.png", png())).json()["results"]
    assert list(found) == ["a", "a_2", "b"]
    assert found["a_2"]["error"]["code"] == "unsupported_media"
    assert found["a"]["md_content"] == found["b"]["md_content"] != ""
    assert parse(api, ("a.pdf", b"no file")).status_code == 415


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"return_images": "true"}, 400),
        ({"return_middle_json": "true"}, 400),
        ({"response_format_zip": "true"}, 400),
        ({"start_page_id": "2", "end_page_id": "1"}, 422),
        ({"start_page_id": "7"}, 422),
        ({"lang_list": "gibberish-of-no-land"}, 422),
        ({"lang_list": "ch"}, 200),
    ],
)
def test_what_is_not_made_is_refused_and_not_ignored(
    api: httpx.Client, fields: dict[str, str], status: int
) -> None:
    assert parse(api, ("a.pdf", pdf(2)), **fields).status_code == status


def test_kinds_of_content() -> None:
    box = Box(0, 0, 50, 100)
    blocks = (
        Block("title", "# A title", (box,)),
        Block("table", "<table></table>", (box,)),
        Block("image", "", (box,)),
        Block("equation", "x^2", (box,)),
        Block("text", "words", ()),
    )
    found = list(content_list(Document((Page(1, 100, 100, blocks=blocks),), "e", "m")))
    assert [piece["type"] for piece in found] == ["text", "table", "image", "equation", "text"]
    assert found[0] == {
        "type": "text",
        "text": "A title",
        "text_level": 1,
        "bbox": [0, 0, 500, 1000],
        "page_idx": 0,
    }
    assert found[2]["img_path"] == "images/1_1.jpg"
    assert "bbox" not in found[4]
