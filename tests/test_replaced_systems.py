"""What docs/replaced-systems.md promises: its calls as documented, and that each row's test is there."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.conftest import ROOT, free_port, running_server, wait_until_ready
from tests.dialects.drawing import TEXTS, encoded, pdf, png

PAGE = (ROOT / "docs" / "replaced-systems.md").read_text()
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| Documented", "|---"))
]
PASSWORD = "correct horse battery"
DOCUMENTED = {
    "MODEL_PATH": "/app/models/deepseek-ocr",
    "GPU_MEM_UTILIZATION": "0.75",
    "CROP_MODE": "true",
    "BASE_SIZE": "1024",
    "IMAGE_SIZE": "640",
    "MAX_CONCURRENCY": "100",
    "NUM_WORKERS": "64",
    "MODEL_ID": "deepseek-ai/DeepSeek-OCR",
    "TORCH_DTYPE": "bf16",
    "ENABLE_PDF_SUPPORT": "1",
    "PDF_MAX_PAGES": "2",
    "PDF_OVER_MAX_PAGES": "first",
    "METRICS_ENABLED": "1",
    "CORS_ALLOW_ORIGINS": "http://page.example:3000",
    "USE_FLASH_ATTENTION": "false",
    "MAX_NEW_TOKENS": "2048",
    "QWEN_MODEL": "Qwen/Qwen2-VL-7B-Instruct",
    "QWEN_REMOTE_URL": "http://127.0.0.1:8001",
    "HF_TOKEN": "hf_x",
    "AUTH_ENABLED": "true",
    "SECRET_KEY": "0123456789" * 4,
    "ALGORITHM": "HS256",
    "ACCESS_TOKEN_EXPIRE_MINUTES": "60",
    "BOOTSTRAP_USER": "demo",
    "BOOTSTRAP_PASS": PASSWORD,
    "ANON_USERNAME": "anonymous",
    "LLM_BASE_URL": "http://127.0.0.1:8000/v1",
    "LLM_API_KEY": "token-abc123",
    "LLM_MODEL": "deepseek-ai/DeepSeek-OCR",
    "LLM_PROMPT": "<image>\n<|grounding|>Convert the document to markdown.",
    "DATABASE_URL": "sqlite+aiosqlite:///./data.db",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documented")


@pytest.fixture(scope="module")
def configured(folder: Path) -> Iterator[httpx.Client]:
    """A server with every documented setting, and a client that is logged in."""
    with (
        running_server(folder, BACKEND="fake", **DOCUMENTED) as url,
        httpx.Client(base_url=url, timeout=60, trust_env=False) as client,
    ):
        login = {"username": "demo", "password": PASSWORD}
        token = client.post("/api/auth/token", data=login).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def test_every_row_names_a_test_that_is_there() -> None:
    assert len(ROWS) > 70
    for row in ROWS:
        assert len(row) == 3, row
        assert all(row), f"an open row: {row}"
        found = re.fullmatch(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row[2])
        assert found is not None, row
        path, name = ROOT / found[1], found[2]
        functions = {
            node.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name is None or name in functions, f"{row[2]} is not there"


def test_every_documented_setting_stands_in_the_page() -> None:
    for name in DOCUMENTED.keys() - {"PDF_OVER_MAX_PAGES"}:
        assert f"`{name}" in PAGE, name


def test_every_documented_setting_is_taken(configured: httpx.Client, folder: Path) -> None:
    assert configured.get("/readyz").status_code == 200
    assert configured.get("/info").json()["limits"]["max_new_tokens"] == 2048
    log = (folder / "server.log").read_text()
    for name in ("HF_TOKEN", "ANON_USERNAME", "LLM_BASE_URL", "MODEL_PATH", "GPU_MEM_UTILIZATION"):
        assert log.count(f"{name} does nothing") == 1, name
    assert "token-abc123" not in log


def test_who_i_am_under_another_name(configured: httpx.Client) -> None:
    assert configured.get("/api/users/me").json() == configured.get("/api/auth/me").json()
    assert configured.get("/users/me").json()["username"] == "demo"
    login = {"username": "demo", "password": PASSWORD}
    assert configured.post("/auth/token", data=login).json()["token_type"] == "bearer"
    large = configured.post("/auth/token", data={"username": "x" * 100_000, "password": "x"})
    assert large.status_code == 413
    anonymous = httpx.get(f"{configured.base_url}/api/users/me", trust_env=False)
    assert anonymous.status_code == 401


def test_usage_as_documented(configured: httpx.Client) -> None:
    before = configured.get("/users/me/usage/summary").raise_for_status().json()
    frames = configured.post("/api/ocr/pdf", files={"file": pdf(2)}).text.splitlines()
    spent = json.loads(frames[-1])["usage"]
    for path in ("/users/me/usage", "/api/users/me/usage"):
        event = configured.get(path).raise_for_status().json()[0]
        assert event.keys() >= {"id", "kind", "meta", "created_at"}
        assert event["kind"] == "pdf"
        for name in ("prompt_tokens", "completion_tokens", "input_bytes"):
            assert event[name] == spent[name], name
        assert event["prompt_chars"] > 0
        assert event["completion_chars"] > 0
    after = configured.get("/api/users/me/usage/summary").raise_for_status().json()
    assert after["total_events"] == before["total_events"] + 1
    names = ("input_bytes", "prompt_tokens", "completion_tokens", "prompt_chars", "completion_chars")
    for name in names:
        assert after[f"total_{name}"] == before[f"total_{name}"] + event[name], name


def test_streams_under_another_name(configured: httpx.Client) -> None:
    for path, data, last in (("/ocr/image", png(), "end"), ("/ocr/pdf", pdf(1), "end")):
        answer = configured.post(path, files={"file": data}).raise_for_status()
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        frames = [json.loads(line) for line in answer.text.splitlines()]
        assert (frames[0]["type"], frames[-1]["type"]) == ("start", last)
    body = configured.post("/ocr/pdf", json={"pdf_base64": encoded(pdf(1))}).raise_for_status().json()
    assert [page["page"] for page in body["results"]] == [1]
    assert configured.post("/ocr/image/simple", files={"file": png()}).json()["text"]
    anonymous = httpx.post(f"{configured.base_url}/ocr/image", files={"file": png()}, trust_env=False)
    assert anonymous.status_code == 401


def test_the_first_pages_of_a_long_document(configured: httpx.Client) -> None:
    body = configured.post("/pdf/ocr", files={"file": pdf(5)}).raise_for_status().json()
    assert body["ledger"] == {"expected": 2, "ok": 2, "degraded": 0, "failed": 0, "left_out": 3}
    assert "Pages 3 to 5 were not read: PDF_MAX_PAGES=2." in body["warnings"]


def test_a_listed_origin_may_ask(configured: httpx.Client) -> None:
    for origin, allowed in (("http://page.example:3000", True), ("http://other.example", False)):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = configured.options("/ocr", headers=headers)
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


def test_generate_with_file_as_documented(api: httpx.Client) -> None:
    fields = {"prompt": "<image>Extract text", "max_tokens": "512", "temperature": "0.1"}
    body = api.post("/generate_with_file", files={"file": ("a.png", png())}, data=fields).json()
    assert all(text in body["result"] for text in TEXTS)


def test_a_pdf_as_documented(api: httpx.Client) -> None:
    prompt = "<image>\n<|grounding|>Convert to markdown"
    fields = {"prompt": prompt, "draw_layouts": "true", "extract_images": "true", "dpi": "144"}
    body = api.post("/pdf/ocr", files={"file": ("report.pdf", pdf(2))}, data=fields).json()
    assert body["success"] is True
    assert body["layout_pdf"]
    assert body["images"] == []
    assert [page["number"] for page in body["pages"]] == [1, 2]


def test_a_batch_as_documented(api: httpx.Client, tmp_path: Path) -> None:
    files = [("files", (name, png(), "image/png")) for name in ("img1.png", "img2.png")]
    body = api.post("/batch/ocr", files=files, data={"prompt": "<image>Extract text"}).json()
    assert [entry["filename"] for entry in body["results"]] == ["img1.png", "img2.png"]
    assert all(TEXTS[0] in entry["markdown"][:100] for entry in body["results"])
    (tmp_path / "results.zip").write_bytes(api.post("/batch/ocr/download", files=files).content)
    assert zipfile.ZipFile(tmp_path / "results.zip").testzip() is None


def test_an_image_and_a_language_as_documented(api: httpx.Client) -> None:
    body = api.post("/ocr", json={"image": encoded(png()), "language": "russian"}).raise_for_status().json()
    assert body["language"] == "ru"
    assert TEXTS[0] in body["text"]


def test_uvicorn_finds_the_application(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "serve_ocr:app", "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"BACKEND": "fake", "DATA_DIR": str(tmp_path)}
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process, log)
    finally:
        process.terminate()
        process.wait(30)


def test_compose_publishes_the_documented_ports() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert compose["services"]["gateway"]["ports"] == [
        "${PUBLISH_ADDRESS:-127.0.0.1}:${PUBLISH_PORT:-8063}:8000"
    ]
    for port in (8000, 8001, 9000, 3000):
        assert f"PUBLISH_PORT={port}" in PAGE or f"`{port}`" in PAGE
