"""For schemathesis: half of the files it makes up become real ones, so that routes get to read."""

from __future__ import annotations

from typing import Any

import schemathesis

from tests.dialects.drawing import data_url, encoded, pdf, png

PICTURE, DOCUMENT = png(), pdf(2)
TEXTS = {
    "image": PICTURE,
    "image_base64": PICTURE,
    "pdf": DOCUMENT,
    "pdf_base64": DOCUMENT,
    "base64Source": DOCUMENT,
}
ONE_FILE = ("/v1/convert/", "/v1/chunk/")
"""Routes whose `files` may hold one alone."""

_calls = 0


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    global _calls
    _calls += 1
    if _calls % 2 or not isinstance(body, dict | bytes):
        return body
    if isinstance(body, bytes):
        return (PICTURE, DOCUMENT)[_calls % 4 // 2]
    is_pdf = "pdf" in context.operation.path
    real = DOCUMENT if is_pdf else PICTURE
    changed = dict(body)
    for name in body:
        if name == "file":
            changed[name] = encoded(real) if context.operation.path == "/layout-parsing" else real
        elif name == "files":
            changed[name] = [DOCUMENT] if context.operation.path.startswith(ONE_FILE) else [PICTURE, DOCUMENT]
        elif name == "document":
            changed[name] = {"document_url": data_url(DOCUMENT, "application/pdf")}
        elif name == "sources":
            changed[name] = [{"kind": "file", "base64_string": encoded(PICTURE), "filename": "a.png"}]
        elif name in TEXTS:
            changed[name] = encoded(TEXTS[name])
        elif name == "images":
            changed[name] = [encoded(PICTURE)]
        elif name == "messages":
            parts = [{"type": "image_url", "image_url": {"url": data_url(PICTURE)}}]
            changed[name] = [{"role": "user", "content": parts}]
    return changed
