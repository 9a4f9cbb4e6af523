"""The description of the API, run against the server by schemathesis: no 5xx, answers as described."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from tests.conftest import ROOT, running_server
from tests.dialects.drawing import data_url, encoded, pdf, png

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


PROTOCOLS = (
    "^/(process|tika|rmeta|meta|detect|version|documentintelligence|file_parse|layout-parsing)"
    "|^/v1/(?!chat|models)"
)
"""The routes of other document services' protocols."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("accounts", "pages", "routes"),
    [
        (False, 1, ("--include-path-regex", "^/(generate|ocr/image/simple)$")),
        pytest.param(False, 20, ("--exclude-path-regex", PROTOCOLS), marks=pytest.mark.slow),
        pytest.param(False, 4, ("--include-path-regex", PROTOCOLS), marks=pytest.mark.slow),
        pytest.param(True, 0, ("--include-path-regex", "^/api/auth|^/info"), marks=pytest.mark.slow),
    ],
    ids=["a route or two", "open", "other protocols", "with accounts"],
)
def test_the_document_holds(tmp_path: Path, accounts: bool, pages: int, routes: tuple[str, str]) -> None:
    """`pages` are at least read on the way: half of the requests hold a document."""
    settings: dict[str, Any] = {"BACKEND": "fake", "MAX_UPLOAD_MB": "5", "PAGE_TIMEOUT_SECONDS": "5"}
    login = []
    if accounts:
        settings |= {"AUTH_ENABLED": "1", "SECRET_KEY": "k" * 40}
        settings |= {"BOOTSTRAP_USER": "root", "BOOTSTRAP_PASS": "root's password"}
    with running_server(tmp_path, **settings) as url:
        if accounts:
            form = {"username": "root", "password": "root's password"}
            token = httpx.post(f"{url}/api/auth/token", data=form, trust_env=False).json()["access_token"]
            login = ["--header", f"Authorization: Bearer {token}"]
        result = subprocess.run(
            [
                str(SCHEMATHESIS),
                "run",
                f"{url}/openapi.json",
                "--checks=not_a_server_error,response_schema_conformance,content_type_conformance",
                "--phases=examples,coverage,fuzzing",
                "--max-examples=10",
                "--request-timeout=30",
                "--suppress-health-check=all",
                "--warnings=off",
                "--seed=1",
                "--no-color",
                *login,
                *routes,
            ],
            cwd=tmp_path,
            env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        metrics = httpx.get(f"{url}/metrics", trust_env=False).text
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    assert pages_read(metrics) >= pages, "the requests that were made up got nowhere"


def pages_read(metrics: str) -> float:
    start = 'ocr_pages_total{engine="fake",status="ok"} '
    return sum(float(line.removeprefix(start)) for line in metrics.splitlines() if line.startswith(start))


ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/health", {}),
    ("GET", "/readyz", {}),
    ("GET", "/pdf/status", {}),
    ("POST", "/generate", {"json": {"image": encoded(png())}}),
    ("POST", "/generate_with_file", {"files": {"file": png()}}),
    ("POST", "/ocr/image/advanced", {"files": {"file": png()}, "data": {"crop_regions": "true"}}),
    ("POST", "/ocr/image/simple", {"files": {"file": png()}}),
    ("POST", "/pdf/ocr", {"files": {"file": pdf(2)}, "data": {"draw_layouts": "true"}}),
    ("POST", "/pdf/ocr/simple", {"files": {"file": pdf(2)}}),
    ("POST", "/batch/ocr", {"files": [("files", png()), ("files", b"no picture")]}),
    ("POST", "/batch/ocr/simple", {"files": [("files", png()), ("files", b"no picture")]}),
    ("POST", "/jobs", {"files": [("files", pdf(2))]}),
    ("GET", "/jobs", {"params": {"id": "0" * 32}}),
    ("POST", "/ocr", {"json": {"image": encoded(png())}}),
    ("POST", "/ocr", {"json": {"images": [encoded(png()), "bm8gcGljdHVyZQ=="]}}),
    ("POST", "/ocr/pdf", {"json": {"pdf": encoded(pdf(2))}}),
    ("GET", "/v1/models", {}),
    (
        "POST",
        "/v1/chat/completions",
        {
            "json": {
                "model": "fake",
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": data_url(png())}}],
                    }
                ],
            }
        },
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "request_"), ASKED, ids=[f"{method} {path}" for method, path, _ in ASKED]
)
def test_answers_hold_the_fields_described_and_no_others(
    api: httpx.Client, method: str, path: str, request_: dict[str, Any]
) -> None:
    document = api.get("/openapi.json").json()
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    answer = api.request(method, path, **request_)
    assert answer.is_success, answer.text
    described = document["paths"][path][method.lower()]["responses"][str(answer.status_code)]
    schema = described["content"]["application/json"]["schema"]
    assert "$ref" in schema or "anyOf" in schema, schema
    jsonschema.validate(answer.json(), schema | {"components": document["components"]})


def test_errors_are_described_as_they_are(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert {"4XX", "5XX"} <= operation["responses"].keys(), (method, path)
            assert "422" not in operation["responses"], (method, path)
