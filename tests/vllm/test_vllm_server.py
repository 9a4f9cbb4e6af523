"""The server on vLLM, with one engine and with two, from the settings of the environment, over HTTP."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import running_server
from tests.test_pdf_routes import document
from tests.vllm.conftest import page


def settings_of(model: Path, **changes: str) -> dict[str, Any]:
    """A server whose model is the tiny checkpoint."""
    return {
        "BACKEND": "vllm",
        "MODEL_PATH": str(model),
        "TORCH_DTYPE": "fp32",
        "MAX_MODEL_LEN": "2048",
        "MAX_NEW_TOKENS": "1000",
        "MAX_CONCURRENCY": "4",
        "BASE_SIZE": "512",
        "IMAGE_SIZE": "512",
        "CROP_MODE": "false",
        "VLLM_ENGINE_ARGS": json.dumps({"enforce_eager": True, "max_num_batched_tokens": 2048}),
        **changes,
    }


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[str]:
    with running_server(tmp_path_factory.mktemp("vllm_server"), 300, **settings_of(tiny_model)) as found:
        yield found


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=300, trust_env=False) as opened:
        yield opened


def png(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    page(seed=seed).save(buffer, "PNG")
    return buffer.getvalue()


def test_it_says_which_engine_runs(client: httpx.Client) -> None:
    ready = client.get("/readyz").json()
    assert (ready["ready"], ready["engine"]) == (True, "vllm")
    assert client.get("/info").json()["default_mode"] == "tiny"


def test_generate(client: httpx.Client) -> None:
    image = base64.b64encode(png()).decode()
    body = client.post("/generate", json={"prompt": "Free OCR.", "image": image, "max_tokens": 12}).json()
    assert body["usage"]["completion_tokens"] <= 12
    assert body["result"]
    assert body["finish_reason"] in ("stop", "length")


def test_advanced_in_a_mode_of_the_request(client: httpx.Client) -> None:
    tokens = {}
    for mode in ("tiny", "small"):
        body = client.post(
            "/ocr/image/advanced", files={"file": png()}, data={"mode": mode, "max_tokens": "12"}
        ).json()
        assert body["success"] is True
        assert body["mode"] == mode
        tokens[mode] = body["usage"]["prompt_tokens"]
    assert tokens["small"] - tokens["tiny"] == 111 - 73


def test_confidence_where_it_is_asked_for(client: httpx.Client) -> None:
    found = {}
    for asked in ("false", "true"):
        form = {"max_tokens": "12", "confidence": asked}
        found[asked] = client.post("/ocr/image/advanced", files={"file": png()}, data=form).json()
    assert found["false"]["confidence"] is None
    assert 0 < found["true"]["confidence"] <= 1
    assert found["true"]["raw"] == found["false"]["raw"]


def test_a_stream_says_what_the_whole_answer_says(client: httpx.Client) -> None:
    fields = {"prompt": "Free OCR.", "max_tokens": "12"}
    with client.stream("POST", "/api/ocr/image", files={"file": png()}, data=fields) as response:
        frames = [json.loads(line) for line in response.iter_lines() if line]
    assert frames[0]["type"] == "start"
    assert frames[-1]["type"] == "end"
    assert sum(frame["type"] == "delta" for frame in frames) >= 1
    assert frames[-1]["usage"]["completion_tokens"] > 0


def test_a_pdf_and_a_batch(client: httpx.Client) -> None:
    pdf = client.post("/pdf/ocr", files={"file": document(2)}, data={"max_tokens": "8"}).json()
    ledger = pdf["ledger"]
    assert ledger["expected"] == 2 == ledger["ok"] + ledger["degraded"] + ledger["failed"]
    files = [("files", ("a.png", png(1))), ("files", ("b.png", png(2)))]
    batch = client.post("/batch/ocr", files=files, data={"max_tokens": "8"}).json()
    assert (batch["succeeded"], batch["failed"]) == (2, 0)


def test_a_killed_engine_is_seen_and_comes_back(client: httpx.Client, url: str) -> None:
    victims = [pid for pid in _processes_of(url.rsplit(":", 1)[1]) if "EngineCore" in _title(pid)]
    assert victims
    for victim in set(victims):
        os.kill(victim, signal.SIGKILL)
    _wait_for(client, 503)
    _wait_for(client, 200)
    body = client.post("/ocr/image/advanced", files={"file": png()}, data={"max_tokens": "8"})
    assert body.status_code == 200


def test_of_two_engines_one_is_killed(tmp_path: Path, tiny_model: Path) -> None:
    """The server stays ready, says what is wrong, answers, and has both again."""
    settings = settings_of(tiny_model, DATA_PARALLEL_SIZE="2")
    with (
        running_server(tmp_path, 300, **settings) as url,
        httpx.Client(base_url=url, timeout=300, trust_env=False) as client,
    ):
        _wait_for_reason(client, "2 of 2 engines run")
        cores = sorted({pid for pid in _processes_of(url.rsplit(":", 1)[1]) if "EngineCore" in _title(pid)})
        assert len(cores) == 2
        os.kill(cores[0], signal.SIGKILL)
        _wait_for_reason(client, "1 of 2 engines run; vllm ")
        pages = [client.post("/ocr/image/simple", files={"file": png(seed)}) for seed in range(2)]
        assert [page.status_code for page in pages] == [200, 200]
        _wait_for_reason(client, "2 of 2 engines run")


def _wait_for_reason(client: httpx.Client, start: str) -> None:
    """Until `/readyz` says so; it answers 200 all the while."""
    for _ in range(2400):
        answer = client.get("/readyz")
        assert answer.status_code == 200
        if answer.json()["reason"].startswith(start):
            return
        time.sleep(0.1)
    pytest.fail(f"/readyz never said {start!r}: {answer.json()}")


def _processes_of(port: str) -> Iterator[int]:
    """The server on `port` and all below it. vLLM's processes overwrite the environment they inherit."""
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and f"PORT={port}\0" in (path / "environ").read_text(errors="replace"):
                yield from _descendants(int(path.name))
        except OSError:
            continue


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from _descendants(int(child))


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def _wait_for(client: httpx.Client, status: int) -> None:
    for _ in range(2400):
        if client.get("/readyz").status_code == status:
            return
        time.sleep(0.1)
    pytest.fail(f"/readyz never answered {status}")
