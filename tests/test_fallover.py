"""A remote server that stops in the middle of a batch: the embedded engine reads the rest."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.conftest import running_server

FILES = 24


def picture(number: int) -> bytes:
    image = Image.new("RGB", (700, 160), "white")
    ImageDraw.Draw(image).text((40, 50), f"Page {number}", fill="black", font=ImageFont.load_default(60))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def pages_read(url: str, engine: str) -> float:
    text = httpx.get(f"{url}/metrics", timeout=30, trust_env=False).text
    line = f'ocr_pages_total{{engine="{engine}",status="ok"}}'
    return sum(float(row.split()[-1]) for row in text.splitlines() if row.startswith(line))


@pytest.mark.slow
def test_a_batch_outlives_the_remote_server(tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    (tmp_path / "local").mkdir()
    with ExitStack() as remote, ExitStack() as local:
        there = remote.enter_context(
            running_server(tmp_path / "remote", BACKEND="fake", FAKE_SECONDS_PER_PAGE="0.4")
        )
        here = local.enter_context(
            running_server(
                tmp_path / "local", BACKEND="openai,rapidocr", LLM_BASE_URL=f"{there}/v1", MAX_CONCURRENCY="2"
            )
        )
        state = httpx.get(f"{here}/readyz", timeout=30, trust_env=False).json()
        assert state["engine"] == "openai"
        answers: list[httpx.Response] = []

        def send() -> None:
            files = [("files", (f"{n}.png", picture(n))) for n in range(FILES)]
            answers.append(
                httpx.post(f"{here}/batch/ocr/download", files=files, timeout=200, trust_env=False)
            )

        sending = threading.Thread(target=send)
        sending.start()
        deadline = time.monotonic() + 60
        while pages_read(here, "openai") < 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        remote.close()
        sending.join(200)
        [answer] = answers
        assert answer.status_code == 200, answer.text
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            texts = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".md")}
        assert_read_by_both(manifest["inputs"], texts)
        state = httpx.get(f"{here}/readyz", timeout=30, trust_env=False).json()
        metrics = httpx.get(f"{here}/metrics", timeout=30, trust_env=False).text
        assert 'ocr_engine_fallovers_total{source="openai",target="rapidocr"}' in metrics
        assert state["ready"]


def assert_read_by_both(inputs: list[dict[str, Any]], texts: dict[str, str]) -> None:
    """No page is lost, each engine read some, and what the second read says so."""
    assert len(inputs) == FILES
    whole = {"expected": 1, "ok": 1, "degraded": 0, "failed": 0}
    assert not [entry for entry in inputs if entry["ledger"] != whole]
    by_engine = {name: [e for e in inputs if e["engine"] == name] for name in ("openai", "rapidocr")}
    assert len(by_engine["openai"]) >= 3
    assert len(by_engine["rapidocr"]) >= 1
    assert sum(map(len, by_engine.values())) == FILES
    for entry in by_engine["rapidocr"]:
        assert any("openai" in warning for warning in entry["warnings"])
        number = entry["filename"].removesuffix(".png")
        assert f"Page {number}" in next(t for n, t in texts.items() if n.startswith(f"{entry['name']}/"))
