"""What of the API's description the page's types are made from.

`python -m tests.page_api > web/openapi.json` writes it, and a test tells when that is to be done again. The
page names the answers it takes; with what they refer to they are a small part of the whole.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from config import load_settings
from serve_ocr import create_app

NAMED = ("Root", "Info", "PdfPage", "LedgerJson", "ErrorAnswer", "JobAnswer", "JobList")
_REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')


def page_document(document: dict[str, Any]) -> dict[str, Any]:
    """The schemas of an OpenAPI document that the page names, and those that they refer to."""
    schemas = document["components"]["schemas"]
    kept: dict[str, Any] = {}
    wanted = [*NAMED]
    while wanted:
        name = wanted.pop()
        if name not in kept:
            kept[name] = schemas[name]
            wanted += _REFERENCE.findall(json.dumps(schemas[name]))
    return {
        "openapi": document["openapi"],
        "info": {"title": "The answers that the page takes", "version": "1"},
        "paths": {},
        "components": {"schemas": dict(sorted(kept.items()))},
    }


def to_json() -> str:
    """The text of web/openapi.json."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(load_settings(backend="fake", data_dir=Path(folder)))
        return json.dumps(page_document(app.openapi()), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(to_json(), end="")
