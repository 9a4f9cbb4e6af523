"""The metrics page, the counters behind it, and the log."""

from __future__ import annotations

import io
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from airgap.monitoring import logs, metrics, trace
from config import Settings
from serve_ocr import create_app
from tests.conftest import client_of, running_server
from tests.dialects.drawing import encoded, pdf, png

NAMES = """http_requests_total http_request_duration_seconds http_in_flight_requests ocr_requests_total
ocr_processing_seconds ocr_in_progress ocr_input_bytes_total image_requests_total pdf_requests_total
prompt_tokens_total completion_tokens_total tokens_total users_total ocr_pages_total ocr_page_seconds
ocr_queue_depth ocr_loops_total ocr_engine_restarts_total ocr_engine_fallovers_total ocr_engines
ocr_unread_pages_total ocr_unread_places_total ocr_filled_places_total""".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server that nobody else asks; its counters begin at nothing."""
    with running_server(tmp_path_factory.mktemp("counted"), BACKEND="fake") as url, client_of(url) as client:
        yield client


def samples(client: httpx.Client) -> dict[str, float]:
    lines = client.get("/metrics").raise_for_status().text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_what_is_promised_is_there(counting: httpx.Client) -> None:
    answer = counting.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {line.split()[2] for line in answer.text.splitlines() if line.startswith("# HELP")}
    assert set(NAMES) <= families


def test_requests_pages_and_tokens_are_counted(counting: httpx.Client) -> None:
    picture, document = png(), pdf(3)
    counting.post("/ocr", json={"image": encoded(picture), "prompt": "read"})
    counting.post("/api/ocr/pdf", files={"file": document})
    counting.post("/pdf/ocr/simple", files={"file": document}, data={"prompt": "fail"})
    counting.post("/ocr/image/simple", files={"file": picture}, data={"prompt": "loop"})
    counting.post("/ocr/image/simple", files={"file": picture}, data={"prompt": "loop gundam"})
    counting.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "words"}]})
    counted = samples(counting)
    expected = {
        'ocr_requests_total{kind="image"}': 3,
        'ocr_requests_total{kind="pdf"}': 2,
        'ocr_requests_total{kind="chat"}': 1,
        'ocr_processing_seconds_count{kind="pdf"}': 2,
        'ocr_in_progress{kind="image"}': 0,
        'ocr_input_bytes_total{kind="image"}': 3 * len(picture),
        'ocr_input_bytes_total{kind="pdf"}': 2 * len(document),
        "image_requests_total": 3,
        "pdf_requests_total": 2,
        'ocr_pages_total{engine="fake",status="ok"}': 1 + 3 + 1 + 1,
        'ocr_pages_total{engine="fake",status="failed"}': 3,
        'ocr_pages_total{engine="fake",status="degraded"}': 1,
        'ocr_loops_total{engine="fake",outcome="cut"}': 1,
        'ocr_loops_total{engine="fake",outcome="recovered"}': 1,
        "ocr_queue_depth": 0,
        "ocr_pages_reading": 0,
        "http_in_flight_requests": 1,
        'http_requests_total{handler="/ocr",method="POST",path="/ocr",status="200"}': 1,
    }
    assert {name: counted.get(name) for name in expected} == expected
    assert (
        counted["tokens_total"] == counted["prompt_tokens_total"] + counted["completion_tokens_total"] > 100
    )


ASKED_FOR = {"read": "ok", "truncate": "degraded", "loop": "degraded", "fail": "failed"}


@pytest.mark.parametrize("way", ["/generate", "chat", "chat streamed"])
def test_a_page_counts_as_what_became_of_it(way: str, counting: httpx.Client) -> None:
    before = samples(counting)
    for prompt in ASKED_FOR:
        if way == "/generate":
            counting.post(way, json={"image": encoded(png()), "prompt": prompt})
            continue
        url = {"url": f"data:image/png;base64,{encoded(png())}"}
        content = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": url}]
        body = {"messages": [{"role": "user", "content": content}], "stream": way == "chat streamed"}
        counting.post("/v1/chat/completions", json=body)
    counted = samples(counting)
    for status in ("ok", "degraded", "failed"):
        expected = sum(became == status for became in ASKED_FOR.values())
        name = f'ocr_pages_total{{engine="fake",status="{status}"}}'
        assert counted.get(name, 0) - before.get(name, 0) == expected, status


def test_unknown_paths_do_not_make_the_page_grow(counting: httpx.Client) -> None:
    def lines() -> int:
        return sum(name.startswith("http_requests_total") for name in samples(counting))

    samples(counting)  # what this one counts stands on the next
    before = lines()
    for n in range(50):
        counting.get(f"/nothing/{n}")
    assert lines() <= before + 1


def test_promtool_finds_nothing_wrong(counting: httpx.Client) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    counting.post("/ocr", json={"image": encoded(png())})
    page = counting.get("/metrics").text
    result = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_page_can_be_turned_off(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(backend="fake", data_dir=tmp_path, metrics_enabled=False))) as client:
        assert client.get("/metrics").status_code == 404


def test_counters_of_engines_in_this_process_stand_on_the_page() -> None:
    from prometheus_client import Counter

    Counter("vllm:of_an_engine", "Counted by somebody else.").inc()
    assert b"vllm:of_an_engine_total 1.0" in metrics.exposition()


@pytest.fixture
def captured() -> Iterator[io.StringIO]:
    """The root logger writing JSON into memory; as it was, afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure("info", "json")
    stream = io.StringIO()
    root.handlers[0].setStream(stream)  # type: ignore[attr-defined]
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_is_one_object_with_its_request(captured: io.StringIO) -> None:
    trace.begin(trace.Trace("abc"))
    logging.getLogger("x").warning("two\nlines %s", "ä", extra={"fields": {"pages": 3}})
    try:
        raise ValueError("because")
    except ValueError:
        logging.getLogger("x").exception("broke")
    first, second = [json.loads(line) for line in captured.getvalue().splitlines()]
    assert (first["message"], first["request_id"], first["pages"]) == ("two\nlines ä", "abc", 3)
    assert (first["level"], first["logger"]) == ("warning", "x")
    assert "ValueError: because" in second["exception"]


def test_no_text_of_a_document_is_logged(tmp_path: Path) -> None:
    settings = {"BACKEND": "fake", "LOG_LEVEL": "debug", "LOG_FORMAT": "json"}
    with running_server(tmp_path, **settings) as url, client_of(url) as client:
        picture = {"file": ("canary-name.png", png())}
        for prompt in ("canary-prompt", "fail", "loop"):
            for route in ("/ocr/image/simple", "/api/ocr/image", "/generate_with_file", "/pdf/ocr"):
                client.post(route, files=picture, data={"prompt": prompt})
        unread = [("files", ("canary one.png", b"")), ("files", ("canary two.png", b"no picture"))]
        client.post("/batch/ocr", files=unread)
    log = (tmp_path / "server.log").read_text()
    assert "/generate_with_file" in log
    assert log.count("a file was not read") == 2
    assert "canary" not in log
    assert "20 20 200 60" not in log


def test_nobody_forges_a_line_of_the_log(tmp_path: Path) -> None:
    forged = "2026-01-01 00:00:00,000 INFO airgap_ocr: all is well"
    with running_server(tmp_path, BACKEND="fake") as url, client_of(url) as client:
        for end in ("%0a", "%0d", "%0d%0a", "%e2%80%a8", "%c2%85", "%0b", "%0c", "%1b[2J"):
            client.get(f"/x{end}{forged.replace(' ', '%20')}")
            client.get(f"/jobs/x{end}{forged.replace(' ', '%20')}")
    log = (tmp_path / "server.log").read_text()
    assert log.count(forged) == 16
    assert not [line for line in log.splitlines() if line.startswith(forged)]
    assert "\x1b" not in log


def test_the_trace_of_an_error_is_no_line_of_its_own() -> None:
    try:
        raise ValueError("because\n2026-01-01 INFO forged")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "broke\non %s", ("a\nb",), sys.exc_info())
    record.request = ""
    lines = logs.TextFormatter(logs.TEXT_FORMAT).format(record).splitlines()
    assert lines[0].endswith("x: broke\\x0aon a\\x0ab")
    assert all(line.startswith("    | ") for line in lines[1:])


OTHERS_PATHS = ("/jobs/{}/", "/ui/{}", "/{}", "/jobs/{}", "/docs/{}/", "/ocr/{}/", "/static-offline-docs/{}")


def test_no_client_makes_the_metrics_grow(counting: httpx.Client) -> None:
    """Neither a path nor a method of its own becomes a label."""

    def ask(name: str) -> None:
        for path in OTHERS_PATHS:
            counting.get(path.format(name), follow_redirects=False)
        counting.request(f"BREW{name.upper()}", "/healthz")

    ask("warm")
    samples(counting)
    before = set(samples(counting))
    for number in range(5):
        ask(f"mine{number}")
    after = samples(counting)
    assert set(after) == before
    assert not [name for name in after if "mine" in name or "BREW" in name]
    assert any('handler="/jobs/{job_id}"' in name for name in after)
