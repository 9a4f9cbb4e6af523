"""Answers held to a shape, in chat and by `/extract`; and their values' places on the page."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from airgap.core.document import Block, Box, Line, Page
from airgap.core.errors import AirgapError
from airgap.dialects.extract import _data
from airgap.dialects.found_values import found_values
from airgap.engines.openai.shapes import shape_fields
from airgap.http.shapes import names_shape, schema_shape, wanted_shape
from tests.dialects.drawing import TEXTS, data_url, pdf, png

SCHEMA = {
    "type": "object",
    "properties": {
        "sender": {"type": "string"},
        "left": {"type": "integer"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
    },
}


def chat(api: httpx.Client, **more: Any) -> httpx.Response:
    content = [
        {"type": "text", "text": "Read it."},
        {"type": "image_url", "image_url": {"url": data_url(png())}},
    ]
    return api.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": content}], **more})


def said(answer: httpx.Response) -> Any:
    return json.loads(answer.raise_for_status().json()["choices"][0]["message"]["content"])


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
        {"guided_json": SCHEMA},
        {"guided_json": json.dumps(SCHEMA)},
        {"structured_outputs": {"json": SCHEMA}},
    ],
)
def test_chat_holds_the_answer_to_a_schema(api: httpx.Client, fields: dict[str, Any]) -> None:
    answer = chat(api, **fields)
    assert said(answer) == {"sender": TEXTS[0], "left": 20, "items": [{"name": None}]}
    assert not any("no effect" in warning for warning in answer.json()["warnings"])


def test_chat_streams_what_has_a_shape(api: httpx.Client) -> None:
    lines = chat(api, guided_json=SCHEMA, stream=True).raise_for_status().text.splitlines()
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    assert json.loads(text)["sender"] == TEXTS[0]


def test_other_shapes(api: httpx.Client) -> None:
    assert said(chat(api, response_format={"type": "json_object"})) == {}
    answer = chat(api, guided_choice=["letter", "invoice"]).json()
    assert answer["choices"][0]["message"]["content"] == "letter"
    assert chat(api, response_format={"type": "text"}).status_code == 200


@pytest.mark.parametrize("fields", [{"guided_regex": "a+"}, {"guided_grammar": 'root ::= "a"'}])
def test_what_this_engine_cannot_be_held_to_is_refused(api: httpx.Client, fields: dict[str, Any]) -> None:
    answer = chat(api, **fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_option")
    assert "json, json_object, choice" in answer.json()["error"]["remedy"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("picture", [False, True])
def test_an_engine_without_shapes_refuses_them(cpu_api: httpx.Client, stream: bool, picture: bool) -> None:
    body: dict[str, Any] = {"response_format": {"type": "json_object"}, "stream": stream}
    content: Any = "ping"
    if picture:
        content = [{"type": "image_url", "image_url": {"url": data_url(png())}}]
    answer = cpu_api.post(
        "/v1/chat/completions", json={"messages": [{"role": "user", "content": content}], **body}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_option")


def deep(levels: int) -> Any:
    schema: Any = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "xml"}},
        {"response_format": "json"},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": "{"}}},
        {"guided_json": {}},
        {"guided_json": deep(200)},
        {"guided_json": "[" * 200_000},
        {"guided_json": '{"a":' * 200_000},
        {"guided_json": '{"a":' * 900 + "1" + "}" * 900},
        {"guided_json": '{"const": NaN}'},
        {"guided_json": '{"const": 1e999}'},
        {"guided_json": {"$ref": "http://elsewhere.example/schema"}},
        {"guided_json": {"description": "x" * 70_000}},
        {"guided_choice": []},
        {"guided_choice": ["a", "a"]},
        {"guided_choice": "abc"},
        {"guided_regex": ""},
        {"guided_whitespace": "x"},
        {"structured_outputs": {"json": {}, "regex": ""}},
        {"guided_json": SCHEMA, "guided_choice": ["a"]},
    ],
)
def test_shapes_that_are_none_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(AirgapError) as caught:
        wanted_shape(fields)
    assert caught.value.status in (400, 422)


def test_extract_by_names_gives_each_value_its_box(api: httpx.Client) -> None:
    answer = api.post("/extract", files={"file": png()}, data={"fields": "sender, receiver,date"})
    body = answer.raise_for_status().json()
    assert body["success"] is True
    assert body["data"] == {"sender": TEXTS[0], "receiver": TEXTS[1], "date": None}
    (page,) = body["results"]
    boxes = [value["box"] and [round(edge) for edge in value["box"]] for value in page["values"]]
    assert list(zip([value["path"] for value in page["values"]], boxes, strict=True)) == [
        ("/sender", [20, 20, 200, 60]),
        ("/receiver", [20, 100, 300, 140]),
        ("/date", None),
    ]
    assert page["values"][0]["text"] == TEXTS[0]
    assert body["ledger"] == {"expected": 1, "ok": 1, "degraded": 0, "failed": 0}


def test_extract_by_schema_reads_every_page(api: httpx.Client) -> None:
    data = {"schema": json.dumps(SCHEMA), "page_to": "2"}
    body = api.post("/extract", files={"file": pdf(3)}, data=data).raise_for_status().json()
    assert [page["page"] for page in body["results"]] == [1, 2]
    assert [page["data"]["left"] for page in body["results"]] == [21, 22]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({}, 400),
        ({"fields": "a", "schema": "{}"}, 400),
        ({"schema": "nonsense"}, 422),
        ({"fields": "[1]"}, 422),
        ({"fields": '["a"'}, 422),
        ({"fields": "[" * 200_000}, 422),
        ({"schema": "[" * 200_000}, 422),
        ({"fields": "a,a"}, 422),
    ],
)
def test_extract_refuses_what_it_cannot_ask(api: httpx.Client, data: dict[str, str], status: int) -> None:
    answer = api.post("/extract", files={"file": png()}, data=data)
    assert answer.status_code == status
    assert answer.json()["error"]["remedy"]


def test_extract_is_refused_where_no_engine_can(cpu_api: httpx.Client) -> None:
    answer = cpu_api.post("/extract", files={"file": png()}, data={"fields": "a"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_option")


def test_a_failed_page_is_an_entry(api: httpx.Client) -> None:
    body = api.post("/extract", files={"file": png()}, data={"fields": "a", "prompt": "x" * 7900}).json()
    assert body["results"][0]["data"]["a"] == TEXTS[0]
    blank = api.post("/extract", files={"file": png(rectangles=())}, data={"fields": "a"}).json()
    assert (blank["success"], blank["data"]) == (False, None)
    assert "blank" in blank["results"][0]["warnings"][-1]


def page(*lines: str) -> Page:
    written = tuple(Line(text, Box(10, 20 * n, 100, 20 * n + 10)) for n, text in enumerate(lines))
    block = Block("text", "\n".join(lines), (Box(0, 0, 200, 200),), lines=written)
    return Page(1, 200, 200, blocks=(block,))


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("INV-7", 0),
        ("inv-7", 0),
        (1234.5, 1),
        (1234567, 2),
        ("Zürich", 3),
        (3, None),
        ("INV", None),
        (True, None),
        (None, None),
        ("", None),
        ("not there", None),
    ],
)
def test_where_a_value_is_found(value: Any, line: int | None) -> None:
    read = page("Invoice INV-7", "Total 1,234.50 CHF", "No. 1 234 567", "**Zürich**, 13. May")
    (found,) = found_values({"x": value}, read)
    assert found.path == "/x"
    assert (found.box and round(found.box.y0 / 20)) == line


@pytest.mark.parametrize("value", [10**400, -(10**400), 1.7e308])
def test_a_number_of_hundreds_of_digits_is_looked_for(value: Any) -> None:
    (found,) = found_values([value], page(str(10**400), "1.7"))
    assert (found.box is not None) == (value == 10**400)


def test_values_are_found_beside_hundreds_of_thousands_of_brackets() -> None:
    (found,) = found_values(["total"], page("<" * 500_000 + " total"))
    assert found.box is not None


@pytest.mark.parametrize(
    "raw", ["[" * 50_000, "[" * 900 + "]" * 900, '{"a": NaN}', '{"a": 1e999}', '{"a": ' + "9" * 5000 + "}"]
)
def test_what_is_no_json_of_an_engine_is_none(raw: str) -> None:
    assert _data(Page(1, 10, 10, raw=raw)) is None


def test_a_value_of_two_lines_is_its_blocks() -> None:
    (found,) = found_values(["Main Street 5 Zürich"], page("Main Street 5", "Zürich"))
    assert (found.path, found.box) == ("/0", Box(0, 0, 200, 200))
    (twice,) = found_values({"a/b": "yes"}, page("yes", "yes"))
    assert (twice.path, twice.occurrences) == ("/a~1b", 2)


def test_what_other_servers_are_asked() -> None:
    schema = schema_shape(SCHEMA)
    assert shape_fields(schema)["response_format"]["json_schema"]["schema"] == SCHEMA
    choice = wanted_shape({"guided_choice": ["a", "b"]})
    assert choice is not None
    assert shape_fields(choice) == {"structured_outputs": {"choice": ["a", "b"]}}
    assert json.loads(names_shape(["a"]).text)["required"] == ["a"]
