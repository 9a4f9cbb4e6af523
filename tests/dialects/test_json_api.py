"""`/ocr` and `/ocr/pdf`: the documented calls of JSON OCR servers and of the Truss, field for field."""

from __future__ import annotations

import httpx
import img2pdf
import pytest

from tests.dialects.drawing import TEXTS, data_url, encoded, pdf, png

TRUSS_FIELDS = {
    "extracted_text",
    "raw_output",
    "references",
    "image_references",
    "other_references",
    "image_size",
    "prompt_used",
    "model_name",
    "has_bounding_boxes",
}
DOCUMENT = "<image>\n<|grounding|>Convert the document to markdown."


@pytest.mark.parametrize(
    "body",
    [
        {"image": encoded(png())},
        {"image_base64": encoded(png()), "prompt": "Extract all text from this image. <image>"},
        {"images": [data_url(png())], "mode": {"preset": "gundam"}, "sampling": {"temperature": 0}},
        {"image": data_url(png()), "language": "en", "mode": "base"},
        {"image": encoded(png()), "sampling": {"max_tokens": 100, "ngram_size": 20, "window_size": 50}},
    ],
    ids=["image", "image_base64", "images", "language", "sampling"],
)
def test_one_image(api: httpx.Client, body: dict) -> None:
    answer = api.post("/ocr", json=body).raise_for_status().json()
    (result,) = answer["results"]
    assert result["text"].split("\n\n") == list(TEXTS)
    assert answer["text"] == result["text"]
    assert answer["success"] is True
    assert answer.keys() >= TRUSS_FIELDS
    assert answer["image_size"] == [1000, 999]
    assert len(answer["references"]) == len(answer["other_references"]) == 2
    whole, label, coordinates = answer["references"][0]
    assert whole in answer["raw_output"]
    assert label == "text"
    assert coordinates.startswith("[[20,20,")
    assert all(text in answer["extracted_text"] for text in TEXTS)
    assert "<|ref|>" not in answer["extracted_text"]
    assert answer["has_bounding_boxes"] is True
    assert result["unread"] == []
    assert result["coverage"] == 1.0
    assert answer["prompt_used"] == body.get("prompt", DOCUMENT)


def test_confidence_is_there_where_it_is_asked_for(api: httpx.Client) -> None:
    for route, body in (("/ocr", {"image": encoded(png())}), ("/ocr/pdf", {"pdf_base64": encoded(pdf(1))})):
        for asked, expected in ((False, None), (True, 1.0)):
            answer = api.post(route, json=body | {"confidence": asked}).json()
            assert {block["confidence"] for block in answer["results"][0]["blocks"]} == {expected}


def test_a_preset_reaches_the_engine(api: httpx.Client) -> None:
    answer = api.post("/ocr", json={"image": encoded(png()), "mode": {"preset": "Tiny"}}).json()
    assert answer["mode"] == "tiny"


def test_several_images_keep_their_order_and_a_bad_one_costs_no_other(api: httpx.Client) -> None:
    other = png(((500, 500, 599, 599),))
    body = {"images": [encoded(png()), "never base64", encoded(other)]}
    answer = api.post("/ocr", json=body).raise_for_status().json()
    assert [result["status"] for result in answer["results"]] == ["ok", "failed", "ok"]
    assert answer["results"][1]["error"]["code"] == "invalid_base64"
    assert answer["results"][2]["text"] == "500 500 600 600"
    assert answer["success"] is False
    assert "extracted_text" not in answer


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"image": "%%%"}, 400, "invalid_base64"),
        ({"image": encoded(b"not a picture")}, 415, "unsupported_media"),
        ({"image": encoded(pdf(1))}, 415, "unsupported_media"),
        ({"image": encoded(png()), "mode": {"preset": "huge"}}, 422, "invalid_option"),
        ({"image": encoded(png()), "language": "xx"}, 422, "invalid_option"),
        ({"image": encoded(png()), "sampling": {"max_tokens": 10**9}}, 422, "invalid_option"),
        ({"image": encoded(png()), "sampling": {"temperature": 9}}, 422, "invalid_option"),
        ({"image": encoded(png()), "sampling": {"ngram_size": 0}}, 422, "invalid_option"),
        ({"images": ["x"] * 65}, 422, "invalid_option"),
        ({"image_url": "http://127.0.0.1/a.png"}, 403, "url_refused"),
        ({"urls": ["https://example.org/a.png"]}, 403, "url_refused"),
        ({"image": encoded(png()), "prompt": "fail"}, 500, "engine_failed"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_remedy(
    api: httpx.Client, body: dict, status: int, code: str
) -> None:
    answer = api.post("/ocr", json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["remedy"]


def test_pages_of_a_pdf(api: httpx.Client) -> None:
    body = {
        "pdf_base64": encoded(pdf(4)),
        "pdf_pages": {"page_from": 2, "page_to": 3, "dpi": 288},
        "mode": {"preset": "base"},
    }
    answer = api.post("/ocr/pdf", json=body).raise_for_status().json()
    assert [result["page"] for result in answer["results"]] == [2, 3]
    assert [result["text"].split()[0] for result in answer["results"]] == ["44", "46"]
    assert answer["ledger"] == {"expected": 2, "ok": 2, "degraded": 0, "failed": 0}
    assert answer["mode"] == "base"
    assert answer["success"] is True


def test_running_headers_are_left_out_where_asked_for(api: httpx.Client) -> None:
    pages = [png(((20, 20, 199, 59), (20 + n, 400, 299, 439))) for n in range(3)]
    body = {"pdf_base64": encoded(bytes(img2pdf.convert(pages)))}
    kept = api.post("/ocr/pdf", json=body).raise_for_status().json()["results"]
    dropped = api.post("/ocr/pdf", json=body | {"furniture": "drop"}).raise_for_status().json()["results"]
    assert {page["text"].count("\n\n") for page in kept} == {1}
    assert [page["text"].split()[0] for page in dropped] == ["20", "21", "22"]
    assert [[block["label"] for block in page["blocks"]] for page in dropped] == [["header", "text"]] * 3
    refused = api.post("/ocr/pdf", json=body | {"furniture": "burn"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_option")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"pdf_base64": encoded(b"%PDF-1.4 nonsense")}, 400, "invalid_pdf"),
        ({"pdf_base64": encoded(pdf(2)), "pdf_pages": {"page_from": 3}}, 422, "page_out_of_range"),
        ({"pdf_base64": encoded(pdf(1)), "pdf_pages": {"dpi": 1}}, 422, "invalid_option"),
        ({"pdf_base64": encoded(pdf(1)), "pdf": encoded(pdf(1))}, 400, "invalid_request"),
        ({"pdf_url": "http://127.0.0.1/a.pdf"}, 403, "url_refused"),
    ],
)
def test_what_is_no_pdf_is_refused(api: httpx.Client, body: dict, status: int, code: str) -> None:
    answer = api.post("/ocr/pdf", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_page_that_fails_is_in_the_ledger(api: httpx.Client) -> None:
    answer = api.post("/ocr/pdf", json={"pdf": encoded(pdf(2)), "prompt": "fail"}).json()
    assert answer["ledger"] == {"expected": 2, "ok": 0, "degraded": 0, "failed": 2}
    assert answer["success"] is False
    assert answer["results"][0]["error"]["code"] == "engine_failed"


@pytest.mark.parametrize("path", ["/info", "/healthz", "/readyz", "/metrics"])
def test_the_probes_answer(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code == 200
