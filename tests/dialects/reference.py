"""What the server's own route reads of a file, which every dialect's answer is compared with."""

from __future__ import annotations

from typing import Any

import httpx


def own_answer(api: httpx.Client, data: bytes, **fields: str) -> dict[str, Any]:
    """`POST /pdf/ocr`, and beside it each page's plain text as `texts`."""
    answer = api.post("/pdf/ocr", files={"file": ("a.pdf", data)}, data=fields)
    assert answer.status_code == 200, answer.text
    simple = api.post("/pdf/ocr/simple", files={"file": ("a.pdf", data)}, data=fields).json()
    found: dict[str, Any] = answer.json()
    return found | {"texts": [page["text"] for page in simple["pages"]], "text": simple["text"]}
