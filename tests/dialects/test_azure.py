"""Azure Document Intelligence: the requests of its client in paperless-ngx's order, and the raw ones."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pikepdf
import pytest

from airgap.core.document import Block, Box, Document, Line, Page
from airgap.dialects.azure_result import analyze_result
from tests.conftest import ROOT, running_server
from tests.dialects.drawing import encoded, pdf, png
from tests.dialects.reference import own_answer

READ = "/documentintelligence/documentModels/prebuilt-read"
LAYOUT = "/documentintelligence/documentModels/prebuilt-layout"


def analyzed(api: httpx.Client, model: str = READ, params: dict[str, str] | None = None, **body: Any) -> str:
    """Sends a document, polls until the operation has ended, returns where its result is."""
    answer = api.post(f"{model}:analyze", params={"api-version": "2024-11-30", **(params or {})}, **body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Retry-After"] == "1"
    place = answer.headers["Operation-Location"]
    assert place.startswith(str(api.base_url).rstrip("/") + f"{model}/analyzeResults/")
    deadline = time.monotonic() + 60
    while api.get(place).json()["status"] in ("notStarted", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return place


def result_of(api: httpx.Client, place: str) -> dict[str, Any]:
    answer = api.get(place).json()
    assert answer["status"] == "succeeded", answer
    found: dict[str, Any] = answer["analyzeResult"]
    return found


def test_read_text_and_pdf_in_the_order_of_paperless(api: httpx.Client) -> None:
    data = pdf(2)
    params = {"output": "pdf", "outputContentFormat": "text"}
    place = analyzed(api, params=params, json={"base64Source": encoded(data)})
    result = result_of(api, place)
    assert result["content"] == own_answer(api, data)["text"]
    assert (result["modelId"], result["contentFormat"]) == ("prebuilt-read", "text")
    assert [(page["pageNumber"], page["unit"]) for page in result["pages"]] == [(1, "inch"), (2, "inch")]
    answer = api.get(place.partition("?")[0] + "/pdf")
    assert answer.headers["content-type"] == "application/pdf"
    with pikepdf.open(io.BytesIO(answer.content)) as written:
        assert len(written.pages) == 2
    assert api.delete(place).status_code == 204
    assert api.get(place).status_code == 404


def test_markdown_of_the_raw_body_as_open_webui_sends_it(api: httpx.Client) -> None:
    data = pdf(2)
    headers = {"Content-Type": "application/octet-stream"}
    params = {"outputContentFormat": "markdown"}
    place = analyzed(api, LAYOUT, params, content=data, headers=headers)
    result = result_of(api, place)
    assert result["content"] == own_answer(api, data)["markdown"]
    assert result["contentFormat"] == "markdown"
    assert api.get(place.partition("?")[0] + "/pdf").status_code == 404


def test_spans_lead_to_words_with_their_places(cpu_api: httpx.Client) -> None:
    picture = (ROOT / "samples" / "english.png").read_bytes()
    result = result_of(cpu_api, analyzed(cpu_api, content=picture))
    (page,) = result["pages"]
    assert page["unit"] == "pixel"
    found = [
        word
        for word in page["words"]
        if result["content"][word["span"]["offset"] :].startswith(word["content"]) and word["span"]["length"]
    ]
    assert len(found) > 0.9 * len(page["words"]) > 20
    for word in page["words"]:
        assert 0 <= word["confidence"] <= 1
        x0, y0, _, _, x1, y1, _, _ = word["polygon"]
        assert 0 <= x0 < x1 <= page["width"]
        assert 0 <= y0 < y1 <= page["height"]
    for line in page["lines"]:
        assert line["content"].split()


def test_tables_with_cells(cpu_api: httpx.Client) -> None:
    picture = (ROOT / "samples" / "table.png").read_bytes()
    result = result_of(cpu_api, analyzed(cpu_api, LAYOUT, content=picture))
    (table,) = result["tables"]
    assert len(table["cells"]) >= table["rowCount"] > 1
    assert table["boundingRegions"][0]["pageNumber"] == 1
    assert all(cell["content"] in result["content"] for cell in table["cells"])
    assert "tables" not in result_of(cpu_api, analyzed(cpu_api, content=picture))


def test_pages_are_chosen(api: httpx.Client) -> None:
    result = result_of(api, analyzed(api, params={"pages": "2-3"}, content=pdf(4)))
    assert [page["pageNumber"] for page in result["pages"]] == [2, 3]
    clamped = result_of(api, analyzed(api, params={"pages": "2-9"}, content=pdf(3)))
    told = [[warning["message"] for warning in found["warnings"]] for found in (result, clamped)]
    assert ["Pages up to" in " ".join(messages) for messages in told] == [False, True]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"features": "keyValuePairs"}, 400),
        ({"queryFields": "total"}, 400),
        ({"output": "figures"}, 400),
        ({"pages": "1,3"}, 422),
        ({"pages": "0"}, 422),
        ({"outputContentFormat": "docx"}, 422),
    ],
)
def test_what_is_not_made_is_refused_and_not_ignored(
    api: httpx.Client, params: dict[str, str], status: int
) -> None:
    answer = api.post(f"{READ}:analyze", params=params, content=png())
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["remedy"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"json": {}}, 400, "invalid_request"),
        ({"json": []}, 400, "invalid_request"),
        ({"json": {"base64Source": "?"}}, 400, "invalid_base64"),
        ({"json": {"urlSource": "http://127.0.0.1/a.pdf"}}, 403, "url_refused"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "invalid_request"),
        ({"content": b"no document"}, 415, "unsupported_media"),
        ({"content": b""}, 400, "empty_file"),
    ],
)
def test_what_is_no_document_is_refused_at_once(
    api: httpx.Client, body: dict[str, Any], status: int, code: str
) -> None:
    answer = api.post(f"{READ}:analyze", **body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_what_breaks_while_it_is_read_is_an_operation_that_failed(api: httpx.Client) -> None:
    place = analyzed(api, content=b"%PDF-1.7 and nothing else")
    answer = api.get(place).json()
    assert answer["status"] == "failed"
    assert answer["error"]["code"] == "invalid_pdf"
    assert answer["error"]["message"]
    assert api.get(place.partition("?")[0] + "/pdf").status_code in (404, 409)


def test_there_are_two_models(api: httpx.Client) -> None:
    answer = api.post("/documentintelligence/documentModels/prebuilt-invoice:analyze", content=png())
    assert answer.status_code == 422
    assert api.get(f"{READ}/analyzeResults/{'0' * 32}").status_code == 404


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """With accounts, as their administrator."""
    settings = {"BACKEND": "fake", "AUTH_ENABLED": "1", "SECRET_KEY": "k" * 40}
    settings |= {"BOOTSTRAP_USER": "root", "BOOTSTRAP_PASS": "root's password"}
    with running_server(tmp_path_factory.mktemp("keyed"), **settings) as url:
        form = {"username": "root", "password": "root's password"}
        token = httpx.post(f"{url}/api/auth/token", data=form, trust_env=False).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as client:
            yield client


@pytest.mark.slow
def test_azures_own_header_carries_the_key_and_quotas_hold(keyed: httpx.Client) -> None:
    def key(name: str, **fields: Any) -> dict[str, str]:
        answer = keyed.post("/api/auth/keys", json={"name": name, **fields})
        assert answer.status_code < 300, answer.text
        return {"Ocp-Apim-Subscription-Key": answer.json()["key"]}

    url = str(keyed.base_url)
    one, other = key("one", pages_per_day=2), key("other")
    with httpx.Client(base_url=url, headers=one, trust_env=False, timeout=60) as api:
        place = analyzed(api, content=pdf(2))
        result_of(api, place)
        answer = api.post(f"{READ}:analyze", content=pdf(1))
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "quota_exceeded")
        assert api.delete(place, headers=one).status_code == 204
    assert httpx.get(place, headers=other, trust_env=False).status_code == 404
    assert httpx.get(place, trust_env=False).status_code == 401
    called_token = {"Authorization": f"token {other['Ocp-Apim-Subscription-Key']}"}
    assert httpx.get(place, headers=called_token, trust_env=False).status_code == 404


def test_offsets_in_utf16() -> None:
    block = Block("text", "😀 b", (Box(0, 0, 9, 9),), lines=(Line("😀 b", Box(0, 0, 9, 9), 0.5),))
    document = Document((Page(1, 10, 10, blocks=(block,)),), "e", "m")
    (page,) = analyze_result(document, "prebuilt-read", "text", "utf16CodeUnit")["pages"]
    assert [word["span"] for word in page["words"]] == [
        {"offset": 0, "length": 2},
        {"offset": 3, "length": 1},
    ]
    (page,) = analyze_result(document, "prebuilt-read", "text", "textElements")["pages"]
    assert [word["span"]["offset"] for word in page["words"]] == [0, 2]
