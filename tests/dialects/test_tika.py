"""Tika's server: the requests of tika-python and of Open WebUI's loader."""

from __future__ import annotations

import httpx
import pytest

from tests.dialects.drawing import pdf, png
from tests.dialects.reference import own_answer


def test_text_as_tika_python_asks_for_it(api: httpx.Client) -> None:
    data = pdf(2)
    headers = {"Accept": "application/json", "Content-Disposition": 'attachment; filename="a.pdf"'}
    answer = api.put("/rmeta/text", content=data, headers=headers)
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()
    assert found["X-TIKA:content"] == own_answer(api, data)["text"]
    assert found["Content-Type"] == "application/pdf"
    assert found["xmpTPg:NPages"] == "2"
    assert found["resourceName"] == "a.pdf"


def test_text_as_open_webui_asks_for_it(api: httpx.Client) -> None:
    data = pdf(2)
    own = own_answer(api, data)
    third = api.put("/tika/text", content=data, headers={"Content-Type": "application/pdf"}).json()
    assert third["X-TIKA:content"] == own["text"]
    fourth = api.put("/tika/json/md", content=data).json()
    assert fourth["tk:content"] == own["markdown"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/plain", "text/plain"),
        ("*/*", "text/plain"),
        ("text/html", "text/html"),
        ("text/xml", "text/xml"),
    ],
)
def test_accept_chooses_the_form(api: httpx.Client, accept: str, media_type: str) -> None:
    answer = api.put("/tika", content=png(), headers={"Accept": accept})
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    text = own_answer(api, png())["texts"][0].splitlines()[0]
    assert text in answer.text
    assert ("<html" in answer.text) == (media_type != "text/plain")


def test_json_of_the_plain_address(api: httpx.Client) -> None:
    answer = api.put("/tika", content=png(), headers={"Accept": "application/json"}).json()
    assert answer["X-TIKA:content"] == own_answer(api, png())["text"]
    assert "X-TIKA:content" not in api.put("/tika/ignore", content=png()).json()


def test_what_a_file_is_without_reading_it(api: httpx.Client) -> None:
    assert api.put("/meta", content=pdf(3)).json()["xmpTPg:NPages"] == "3"
    assert api.put("/detect/stream", content=pdf(1)).text == "application/pdf"
    assert api.put("/detect/stream", content=b"who knows").text == "application/octet-stream"
    assert "Airgap OCR" in api.get("/version").text
    assert api.get("/tika").status_code == 200


def test_a_language_that_is_none_is_refused(api: httpx.Client) -> None:
    answer = api.put("/tika", content=png(), headers={"X-Tika-OCRLanguage": "gibberish-of-no-land"})
    assert answer.status_code == 422
    assert api.put("/tika", content=png(), headers={"X-Tika-OCRLanguage": "rus+eng"}).status_code == 200


def test_what_cannot_be_opened_is_refused(api: httpx.Client) -> None:
    assert api.put("/tika/text", content=b"\x00" * 50).status_code == 415
    assert api.put("/tika/speech", content=png()).status_code == 422
