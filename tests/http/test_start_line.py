"""The start line of other servers, and what the log says of their settings."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import jwt
import pytest

from airgap.core.errors import ConfigurationError
from airgap.engines.start_line import settings_of
from tests.conftest import ROOT, free_port, running_server

SECRET_KEY = "0123456789" * 4
PASSWORD = "correct horse battery"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_vl"}))
    return tmp_path


def test_words_of_the_line_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1234")
    settings = settings_of(["--host", "::1", "--port", "9000"])
    assert (settings.host, settings.port) == ("::1", 9000)


def test_a_file_sets_what_the_environment_leaves_unset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAX_QUEUE", "7")
    monkeypatch.setenv("PDF_MAX_PAGES", "")  # so that the test's end takes it away
    monkeypatch.delenv("PDF_MAX_PAGES")
    (tmp_path / "env").write_text("MAX_QUEUE=8\nPDF_MAX_PAGES=20\n")
    settings = settings_of(["--env-file", str(tmp_path / "env")])
    assert (settings.max_queue, settings.pdf_max_pages) == (7, 20)
    with pytest.raises(ConfigurationError, match="no file"):
        settings_of(["--env-file", str(tmp_path / "nothing")])


def test_services_name_engines(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    monkeypatch.setenv("QWEN_REMOTE_URL", "http://box:8001")
    assert settings_of(["--ocr-service", "qwen_remote"]).backend == "openai"
    assert settings_of(["--ocr-service", "qwen"]).backend == "openai"
    monkeypatch.setenv("MODEL_PATH", str(model))
    local = settings_of(["--ocr-service", "qwen_local"]).backend
    assert local in ("vllm", "transformers")
    assert settings_of(["--ocr-service", "qwen"]).backend == f"openai,{local}"


def test_a_service_whose_model_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    with pytest.raises(ConfigurationError, match="MODEL_PATH is not set"):
        settings_of(["--ocr-service", "qwen_local"])
    monkeypatch.setenv("MODEL_PATH", str(model))
    with pytest.raises(ConfigurationError, match=r"deepseek family.*qwen2_vl"):
        settings_of(["--ocr-service", "deepseek"])


@pytest.mark.slow
def test_the_log_names_what_does_nothing_and_a_file_holds_the_accounts(tmp_path: Path) -> None:
    settings = {
        "BACKEND": "fake",
        "AUTH_ENABLED": "1",
        "SECRET_KEY": SECRET_KEY,
        "ALGORITHM": "HS512",
        "BOOTSTRAP_USER": "demo",
        "BOOTSTRAP_PASS": PASSWORD,
        "DATABASE_URL": "sqlite+aiosqlite:///./data.db",
        "HF_TOKEN": "hf_xyz",
    }
    with running_server(tmp_path, **settings) as url, httpx.Client(base_url=url, trust_env=False) as api:
        token = api.post("/api/auth/token", data={"username": "demo", "password": PASSWORD}).json()
        assert jwt.get_unverified_header(token["access_token"])["alg"] == "HS512"
        me = api.get("/api/auth/me", headers={"Authorization": f"Bearer {token['access_token']}"})
        assert me.json()["username"] == "demo"
    log = (tmp_path / "server.log").read_text()
    assert log.count("HF_TOKEN does nothing here: nothing is downloaded") == 1
    assert "hf_xyz" not in log
    assert (tmp_path / "data" / "data.db").stat().st_size


@pytest.mark.slow
def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE users (id INTEGER)")
    connection.close()
    environment = {
        "BACKEND": "fake",
        "AUTH_ENABLED": "1",
        "SECRET_KEY": SECRET_KEY,
        "DATA_DIR": str(tmp_path),
    }
    result = subprocess.run(
        [sys.executable, "serve_ocr.py", "--port", str(free_port())],
        cwd=ROOT,
        env=os.environ | environment | {"DATABASE_URL": f"sqlite:///{file}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert "which another program made" in result.stderr


def test_other_names_of_docs_and_metrics(api: httpx.Client) -> None:
    assert api.get("/api/docs", follow_redirects=True).text.count("swagger-ui")
    text = api.get("/api/metrics").raise_for_status().text
    assert 'http_requests_total{handler="/readyz",method="GET",path="/readyz"' in text
