"""What chat clients send beside pictures: a word, a PDF, a shape for the answer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airgap.dialects.markup import TokenFilter
from tests.dialects.drawing import TEXTS, data_url, pdf, png

RAW = "<|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\nWords <td>a < b</td>\n"
BARE = "text[[1, 2, 3, 4]]\nWords <td>a < b</td>\n"


def ask(api: httpx.Client, content: Any, **more: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": content}], **more}
    return api.post("/v1/chat/completions", json=body)


def said(answer: httpx.Response) -> str:
    return answer.raise_for_status().json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 100])
def test_tokens_vanish_however_the_text_is_cut(length: int) -> None:
    tokens = TokenFilter()
    pieces = [tokens.feed(RAW[start : start + length]) for start in range(0, len(RAW), length)]
    assert "".join(pieces) + tokens.flush() == TokenFilter.clean(RAW) == BARE


def test_skipping_special_tokens_keeps_labels_and_boxes(api: httpx.Client) -> None:
    content = [
        {"type": "text", "text": "<|grounding|>Convert the document to markdown."},
        {"type": "image_url", "image_url": {"url": data_url(png())}},
    ]
    text = said(ask(api, content, skip_special_tokens=True))
    assert text.startswith("text[[20")
    assert "<|" not in text
    assert all(words in text for words in TEXTS)


@pytest.mark.parametrize("kind", ["file", "image_url"])
def test_a_pdf_is_read_page_by_page(api: httpx.Client, kind: str) -> None:
    url = data_url(pdf(2), "application/pdf")
    part = {"filename": "a.pdf", "file_data": url} if kind == "file" else {"url": url}
    text = said(ask(api, [{"type": "text", "text": "Free OCR."}, {"type": kind, kind: part}]))
    assert [line.split()[0] for line in text.splitlines() if line] == ["21", "21", "22", "22"]


@pytest.mark.parametrize("body", [{"n": 2}, {"response_format": {"type": "xml"}}, {"guided_regex": "a"}])
def test_what_no_engine_here_can_do_is_refused(api: httpx.Client, body: dict[str, Any]) -> None:
    answer = ask(api, "ping", **body)
    assert answer.status_code == 400
    assert answer.json()["error"]["remedy"]


def test_the_responses_api_is_refused_with_a_remedy(api: httpx.Client) -> None:
    answer = api.post("/v1/responses", json={"input": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_option")
