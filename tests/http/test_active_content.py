"""Every way to a searchable PDF takes active content off and says so, or keeps it where that is asked for."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from airgap.client.app import app
from airgap.exporters.searchable_pdf import KEPT, REMOVED
from tests.exporters.active_pdfs import CANARY, KINDS, data_of, holds, made

SENT = data_of(made(KINDS["Launch"][0], KINDS["embedded file"][0]))
WORDS = f"attachments (document: '{CANARY}.xml'), Launch (page 1)"
KEEP = {"keep_active_content": "true"}


def in_archive(data: bytes) -> tuple[bytes, list[str]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        pdf = next(name for name in archive.namelist() if name.endswith(".pdf"))
        return archive.read(pdf), json.loads(archive.read("manifest.json"))["inputs"][0]["warnings"]


def alone(api: httpx.Client, how: dict[str, str]) -> tuple[bytes, list[str]]:
    answer = api.post("/pdf/ocr", files={"file": ("a.pdf", SENT)}, data={"output": "pdf"} | how)
    return answer.content, json.loads(answer.headers["x-warnings"])


def batch(api: httpx.Client, how: dict[str, str]) -> tuple[bytes, list[str]]:
    answer = api.post("/batch/ocr/download", files={"files": ("a.pdf", SENT)}, data={"output": "pdf"} | how)
    return in_archive(answer.content)


def exported(api: httpx.Client, how: dict[str, str]) -> tuple[bytes, list[str]]:
    read = api.post("/pdf/ocr", files={"file": ("a.pdf", SENT)}, data={"extract_images": "false"}).content
    files = {"document": ("d.json", read), "file": ("a.pdf", SENT)}
    answer = api.post("/export", files=files, data={"output": "pdf"} | how)
    return answer.content, json.loads(answer.headers["x-warnings"])


def job(api: httpx.Client, how: dict[str, str]) -> tuple[bytes, list[str]]:
    state = api.post("/jobs", files={"files": ("a.pdf", SENT)}, data={"output": "pdf"} | how).json()
    deadline = time.monotonic() + 120
    while api.get(f"/jobs/{state['id']}").json()["status"] not in ("done", "failed"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return in_archive(api.get(f"/jobs/{state['id']}/result").content)


Way = Callable[[httpx.Client, dict[str, str]], tuple[bytes, list[str]]]


@pytest.mark.parametrize(
    "way", [alone, *(pytest.param(way, marks=pytest.mark.slow) for way in (batch, exported, job))]
)
def test_it_is_taken_off_and_said_unless_asked_for(way: Way, api: httpx.Client) -> None:
    data, warnings = way(api, {})
    assert REMOVED.format(WORDS) in warnings
    assert not holds(data, CANARY)
    data, warnings = way(api, KEEP)
    assert KEPT.format(WORDS) in warnings
    assert holds(data, CANARY)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["read", "send"])
def test_the_command_line_says_it_and_keeps_it(command: str, server: str, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(SENT)

    def run(*more: str) -> tuple[str, bytes]:
        out = tmp_path / f"out{len(more)}"
        arguments: list[Any] = [command, tmp_path / "a.pdf", "-o", out, "-f", "pdf", *more]
        environment = {"BACKEND": "fake", "OCR_URL": server, "COLUMNS": "400"}
        result = CliRunner(env=environment).invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        return result.output, next(out.rglob("*.pdf")).read_bytes()

    said, data = run()
    assert "Launch (page 1)" in said
    assert not holds(data, CANARY)
    said, data = run("--keep-active-content")
    assert holds(data, CANARY)
