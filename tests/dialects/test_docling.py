"""docling-serve: the requests of Docling's own client and of Open WebUI's loader."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from airgap.core.document import Block, Box, Document, Page, PageError
from airgap.dialects.docling_chunks import ChunkOptions, chunks_of
from airgap.dialects.docling_document import docling_document, docling_markdown
from tests.conftest import running_server
from tests.dialects.drawing import encoded, pdf, png
from tests.dialects.reference import own_answer


def convert(api: httpx.Client, data: bytes, path: str = "/v1/convert/file", **fields: Any) -> httpx.Response:
    return api.post(path, files={"files": ("booklet.pdf", data, "application/pdf")}, data=fields)


def test_markdown_and_json_as_open_webui_asks_for_them(api: httpx.Client) -> None:
    data = pdf(3)
    fields: dict[str, Any] = {
        "image_export_mode": "placeholder",
        "md_page_break_placeholder": "\f",
        "to_formats": ["md", "json"],
    }
    answer = convert(api, data, **fields)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["status"], found["errors"]) == ("success", [])
    own = own_answer(api, data)
    pages = found["document"]["md_content"].split("\f")
    assert [page.strip() for page in pages] == [page["markdown"] for page in own["pages"]]
    whole = found["document"]["json_content"]
    assert whole["schema_name"] == "DoclingDocument"
    texts = [text["text"] for text in whole["texts"]]
    assert texts == [block["text"] for page in own["pages"] for block in page["blocks"]]
    assert sorted({text["prov"][0]["page_no"] for text in whole["texts"]}) == [1, 2, 3]
    assert found["document"]["html_content"] is None


def test_all_formats_from_a_source(api: httpx.Client) -> None:
    body = {
        "options": {"to_formats": ["md", "html", "text"]},
        "sources": [{"kind": "file", "base64_string": encoded(png()), "filename": "a.png"}],
    }
    found = api.post("/v1/convert/source", json=body).json()
    own = own_answer(api, png())
    assert found["document"]["text_content"] == own["text"]
    assert found["document"]["md_content"].strip() == own["markdown"].strip()
    assert own["texts"][0].splitlines()[0] in found["document"]["html_content"]
    assert found["document"]["filename"] == "a.png"


def test_a_task_is_polled_and_fetched(api: httpx.Client) -> None:
    data = pdf(2)
    fields: dict[str, Any] = {"to_formats": ["md"], "md_page_break_placeholder": "<!-- next -->"}
    task = convert(api, data, "/v1/convert/file/async", **fields).json()
    assert task["task_status"] in ("pending", "started")
    deadline = time.monotonic() + 60
    while task["task_status"] != "success":
        assert time.monotonic() < deadline, task
        task = api.get(f"/v1/status/poll/{task['task_id']}", params={"wait": 5}).json()
    assert task["task_meta"]["num_succeeded"] == 1
    found = api.get(f"/v1/result/{task['task_id']}").json()
    now = convert(api, data, **fields).json()
    assert found["document"] == now["document"]
    assert "<!-- next -->" in found["document"]["md_content"]


def test_a_task_that_fails_says_why(api: httpx.Client) -> None:
    task = convert(api, b"%PDF-1.7 and nothing else", "/v1/convert/file/async").json()
    task = api.get(f"/v1/status/poll/{task['task_id']}", params={"wait": 30}).json()
    assert task["task_status"] == "failure"
    assert task["error_message"]
    answer = api.get(f"/v1/result/{task['task_id']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_pdf")
    assert api.get("/v1/status/poll/nothing").status_code == 404


def test_pages_are_chosen(api: httpx.Client) -> None:
    found = convert(api, pdf(4), to_formats=["json"], page_range=["2", "3"]).json()
    assert sorted(found["document"]["json_content"]["pages"]) == ["2", "3"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"to_formats": ["doctags"]}, 400),
        ({"image_export_mode": "embedded"}, 400),
        ({"target_type": "zip"}, 400),
        ({"target_type": "presigned_url"}, 400),
        ({"page_range": ["9", "9"]}, 422),
        ({"page_range": ["0", "1"]}, 422),
        ({"page_range": ["1"]}, 422),
        ({"to_formats": ["md"] * 21}, 422),
        ({"ocr_lang": "gibberish-of-no-land"}, 422),
    ],
)
def test_what_is_not_made_is_refused_and_not_ignored(
    api: httpx.Client, fields: dict[str, Any], status: int
) -> None:
    answer = convert(api, pdf(2), **fields)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["remedy"]


def test_doclings_client_is_told_to_ask_for_the_answer_itself(api: httpx.Client) -> None:
    answer = convert(api, pdf(1), "/v1/convert/file/async", target_type="presigned_url")
    assert "artifact storage to be configured" in answer.json()["detail"]


def test_one_document_at_once_and_no_headers_on_urls(api: httpx.Client) -> None:
    both = [("files", ("a.png", png())), ("files", ("b.png", png()))]
    assert api.post("/v1/convert/file", files=both).json()["error"]["code"] == "invalid_request"
    assert api.post("/v1/convert/source", json={"sources": []}).status_code == 400
    url = {"kind": "http", "url": "http://127.0.0.1:1/a.pdf"}
    assert api.post("/v1/convert/source", json={"sources": [url]}).json()["error"]["code"] == "url_refused"
    with_headers = {"sources": [url | {"headers": {"Authorization": "x"}}]}
    assert api.post("/v1/convert/source", json=with_headers).json()["error"]["code"] == "unsupported_option"


def test_chunks_by_tokens_are_not_made(api: httpx.Client) -> None:
    for path in ("/v1/chunk/hybrid/file", "/v1/chunk/hybrid/source/async"):
        answer = api.post(path, json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (501, "feature_disabled")
        assert "/v1/chunk/hierarchical" in answer.json()["error"]["remedy"]
        assert "HybridChunker" in answer.json()["detail"]


def test_a_file_in_chunks(api: httpx.Client) -> None:
    data = pdf(3)
    found = convert(api, data, "/v1/chunk/hierarchical/file", chunking_include_raw_text="true").json()
    own = own_answer(api, data)
    texts = [block["text"] for page in own["pages"] for block in page["blocks"] if block["label"] == "text"]
    chunks = found["chunks"]
    assert [chunk["raw_text"] for chunk in chunks] == texts
    assert [chunk["chunk_index"] for chunk in chunks] == list(range(len(texts)))
    assert sorted({number for chunk in chunks for number in chunk["page_numbers"]}) == [1, 2, 3]
    assert {chunk["filename"] for chunk in chunks} == {"booklet.pdf"}
    (document,) = found["documents"]
    assert (document["status"], document["errors"]) == ("success", [])
    assert document["content"] == {"filename": "booklet.pdf", "json_content": None}


def test_a_source_in_chunks_and_the_document_with_them(api: httpx.Client) -> None:
    body = {
        "convert_options": {"page_range": [2, 2]},
        "sources": [{"kind": "file", "base64_string": encoded(pdf(3)), "filename": "b.pdf"}],
        "include_converted_doc": True,
    }
    found = api.post("/v1/chunk/hierarchical/source", json=body).raise_for_status().json()
    assert {tuple(chunk["page_numbers"]) for chunk in found["chunks"]} == {(2,)}
    assert {chunk["raw_text"] for chunk in found["chunks"]} == {None}
    whole = found["documents"][0]["content"]["json_content"]
    assert {item["self_ref"] for item in whole["texts"]} >= set(found["chunks"][0]["doc_items"])


def test_chunks_as_a_task(api: httpx.Client) -> None:
    data = pdf(2)
    path = "/v1/chunk/hierarchical/file"
    task = convert(api, data, f"{path}/async").json()
    assert task["task_type"] == "chunk"
    task = api.get(f"/v1/status/poll/{task['task_id']}", params={"wait": 60}).json()
    assert (task["task_type"], task["task_status"]) == ("chunk", "success")
    found = api.get(f"/v1/result/{task['task_id']}").json()
    assert found["chunks"] == convert(api, data, path).json()["chunks"]
    source = {"sources": [{"kind": "file", "base64_string": encoded(data), "filename": "b.pdf"}]}
    assert api.post("/v1/chunk/hierarchical/source/async", json=source).json()["task_type"] == "chunk"


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"target_type": "zip"}, 400), ({"convert_page_range": ["9", "9"]}, 422)],
)
def test_what_cannot_be_had_of_chunks_is_refused(
    api: httpx.Client, fields: dict[str, Any], status: int
) -> None:
    assert convert(api, pdf(1), "/v1/chunk/hierarchical/file", **fields).status_code == status


@pytest.fixture(scope="module")
def without_jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(tmp_path_factory.mktemp("no_jobs"), BACKEND="fake", ENABLE_JOBS="0") as url:
        yield url


@pytest.mark.slow
def test_without_jobs_there_are_no_tasks_and_no_operations(without_jobs: str) -> None:
    with httpx.Client(base_url=without_jobs, trust_env=False, timeout=60) as api:
        assert convert(api, png()).status_code == 200
        answers = [
            convert(api, png(), "/v1/convert/file/async"),
            api.post("/documentintelligence/documentModels/prebuilt-read:analyze", content=png()),
            api.delete("/documentintelligence/documentModels/prebuilt-read/analyzeResults/x"),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["error"]["code"]) == (501, "feature_disabled")


# --- the document --------------------------------------------------------------------------------

BOX = Box(10, 20, 110, 40)
TABLE = "<table><tr><th>a</th><th>b</th></tr><tr><td colspan=2>c</td></tr></table>"
PAGE = Page(
    1,
    200,
    400,
    width_pt=100,
    height_pt=200,
    blocks=(
        Block("header", "running", (BOX,)),
        Block("title", "# Title", (BOX,)),
        Block("sub_title", "## Part", (BOX,)),
        Block("text", "some **words**", (BOX, BOX)),
        Block("table", TABLE, (BOX,)),
        Block("image", "", (BOX,)),
        Block("table_caption", "a caption", (BOX,)),
        Block("page_number", "1", (BOX,)),
    ),
)


def test_what_a_document_consists_of() -> None:
    found = docling_document(Document((PAGE,), "e", "m"), "a")
    assert [(text["label"], text["text"], text["content_layer"]) for text in found["texts"]] == [
        ("page_header", "running", "furniture"),
        ("title", "Title", "body"),
        ("section_header", "Part", "body"),
        ("text", "some words", "body"),
        ("caption", "a caption", "body"),
        ("page_footer", "1", "furniture"),
    ]
    levels = [
        docling_document(Document((Page(1, 9, 9, blocks=(Block("sub_title", text),)),), "e", "m"), "a")[
            "texts"
        ]
        for text in ("## Part", "### Smaller", "Unmarked")
    ]
    assert [text["level"] for (text,) in levels] == [1, 2, 1]
    (table,) = found["tables"]
    assert (table["data"]["num_rows"], table["data"]["num_cols"]) == (2, 2)
    assert [cell["text"] for cell in table["data"]["table_cells"]] == ["a", "b", "c"]
    assert len(found["pictures"]) == 1
    assert [child["$ref"] for child in found["body"]["children"]] == [
        "#/texts/0",
        "#/texts/1",
        "#/texts/2",
        "#/texts/3",
        "#/tables/0",
        "#/pictures/0",
        "#/texts/4",
        "#/texts/5",
    ]
    assert found["pages"]["1"]["size"] == {"width": 100, "height": 200}
    assert found["texts"][1]["prov"][0]["bbox"] == {
        "l": 5,
        "t": 10,
        "r": 55,
        "b": 20,
        "coord_origin": "TOPLEFT",
    }
    assert json.dumps(found)


def test_figures_and_pages_lost_show_in_markdown() -> None:
    failed = Page(2, 0, 0, "failed", error=PageError("x", "It broke.", "Mend it."))
    text = docling_markdown(Document((PAGE, failed), "e", "m"), "---8<---")
    first, second = text.split("---8<---")
    assert first.count("<!-- image -->") == 1
    assert "![" not in first
    assert "could not be read" in second
    unread = replace(PAGE, blocks=(), unread=(BOX,))
    found = docling_document(Document((unread, failed), "e", "m"), "a")
    assert "unread" in found["texts"][0]["text"]


# --- its chunks ----------------------------------------------------------------------------------


def chunked(*blocks: Block, **options: Any) -> list[tuple[str, list[str] | None]]:
    document = docling_document(Document((replace(PAGE, blocks=blocks),), "fake", "fake"), "a")
    chunks = chunks_of(document, "a.pdf", ChunkOptions(include_raw_text=True, **options))
    return [(chunk["raw_text"], chunk["headings"]) for chunk in chunks]


def block(label: str, text: str) -> Block:
    return Block(label, text, (BOX,))


def table(*rows: str) -> Block:
    """Rows of cells between commas; those of a row that begins with `#` are headers."""
    html = ""
    for row in rows:
        kind = "th" if row.startswith("#") else "td"
        cells = [f"<{kind}>{cell}</{kind}>" for cell in row.lstrip("#").split(",")]
        html += f"<tr>{''.join(cells)}</tr>"
    return block("table", f"<table>{html}</table>")


def test_each_element_is_a_chunk_under_its_headings() -> None:
    assert chunked(
        block("text", "before"),
        block("title", "# Top"),
        block("sub_title", "## Two"),
        block("sub_title", "### Three"),
        block("text", "under three"),
        block("footer", "page 7"),
        block("sub_title", "## Four"),
        block("equation", "\\[a^2\\]"),
        block("code", "```\nx = 1\n```"),
    ) == [
        ("before", None),
        ("under three", ["Top", "Two", "Three"]),
        ("$$a^2$$", ["Top", "Four"]),
        ("```\nx = 1\n```", ["Top", "Four"]),
    ]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (["#A,B,C", "1,2,3", "4,5,6"], "1, B = 2. 1, C = 3. 4, B = 5. 4, C = 6"),
        (["#A,B", "#C,D", "1,2"], "1, B.D = 2"),
        (["A,B", "1,2"], "A, 1 = B. 1, 1 = 2"),
        (["#A", "1", "2"], "A = 1. A = 2"),
        (["A", "1"], "A = 1"),
        (["only"], "only"),
        (["#A,B"], "A. B"),
    ],
)
def test_a_table_is_said_value_by_value(rows: list[str], text: str) -> None:
    assert chunked(table(*rows)) == [(text, None)]


def test_tables_and_pictures_in_markdown_where_asked_for() -> None:
    (found,) = chunked(table("#A,B", "1,x|y"), use_markdown_tables=True)
    assert found[0] == "| A | B |\n| --- | --- |\n| 1 | x&#124;y |"
    assert chunked(block("image", "")) == []
    pictures = chunked(block("image", ""), use_markdown_images=True, image_placeholder="(a picture)")
    assert pictures == [("(a picture)", None)]


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("\\[ a + b \\]", "a + b"),
        ("$$x$$", "x"),
        ("\\( \\)", "\\( \\)"),
        ("\\[a", "\\[a"),
        ("\\[" + " " * 200_000 + "a", "\\[" + " " * 200_000 + "a"),
    ],
)
def test_a_formula_has_no_marks_around_it(text: str, formula: str) -> None:
    page = Page(1, 100, 100, blocks=(Block("equation", text, (Box(0, 0, 50, 50),)),))
    (found,) = docling_document(Document((page,), "", "", None), "a")["texts"]
    assert found["text"] == formula
