"""The client, against a real server on a real port, and servers that are not ours."""

from __future__ import annotations

import json
import re
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from PIL import Image

from airgap.client.files import files_in
from airgap.client.http_client import ClientError, OcrClient, choose_service, in_page_order
from tests.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"


@pytest.fixture
def client(server: str) -> Iterator[OcrClient]:
    with OcrClient(server, timeout=60) as client:
        yield client


@contextmanager
def strange_server(status: int, body: bytes) -> Iterator[str]:
    """A server that is not ours: one answer for everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def test_probes(client: OcrClient) -> None:
    assert client.health()["status"] == "healthy"
    assert client.ready()["engine"] == "fake"
    assert "markdown" in client.info()["outputs"]


def test_an_image_comes_back_with_boxes_and_pictures(client: OcrClient, picture: Path) -> None:
    result = client.image_advanced(picture, crop_regions=True)
    assert [block["boxes"] for block in result["blocks"]] != []
    assert len(result["crops"]) == 2
    assert result["annotated_image"]
    assert client.image_advanced(picture, draw_boxes=False)["annotated_image"] is None
    assert client.image_simple(picture)["text"].split()[:2] == ["40", "30"]


def test_fields_reach_the_server(client: OcrClient, picture: Path) -> None:
    assert client.image_advanced(picture, mode="tiny")["mode"] == "tiny"
    with pytest.raises(ClientError) as caught:
        client.image_advanced(picture, mode="enormous")
    assert (caught.value.code, caught.value.status) == ("invalid_option", 422)


def test_generate_takes_words_and_pictures(client: OcrClient, picture: Path) -> None:
    assert client.generate("hello")["result"] == "hello"
    assert "<|det|>" in client.generate("<|grounding|>read", [picture], max_tokens=100)["result"]


def test_a_pdf_in_full_and_as_text(client: OcrClient) -> None:
    result = client.pdf(SAMPLES / "booklet.pdf", draw_layouts=True, page_to=2)
    assert result["ledger"] == {"expected": 2, "ok": 2, "degraded": 0, "failed": 0}
    assert result["layout_pdf"]
    assert [page["number"] for page in client.pdf_simple(SAMPLES / "booklet.pdf", page_from=3)["pages"]] == [
        3
    ]


def test_a_batch_accounts_for_every_file(client: OcrClient, picture: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not a picture")
    result = client.batch([picture, bad, SAMPLES / "booklet.pdf"])
    assert [entry["success"] for entry in result["results"]] == [True, False, True]
    assert [entry["filename"] for entry in client.batch_simple([picture])["results"]] == ["two boxes.png"]


def test_the_zip_is_streamed_to_its_place(client: OcrClient, picture: Path, tmp_path: Path) -> None:
    path = client.batch_download([picture], tmp_path / "out.zip", ("markdown",))
    assert path == tmp_path / "out.zip"
    with zipfile.ZipFile(path) as archive:
        assert "two boxes/two boxes.md" in archive.namelist()
    assert not list(tmp_path.glob("*.part"))


def test_a_refused_download_leaves_nothing(client: OcrClient, picture: Path, tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="no output format"):
        client.batch_download([picture], tmp_path / "out.zip", ("no_such_format",))
    assert not list(tmp_path.glob("out*"))


def test_a_stream_ends_with_its_ledger(client: OcrClient) -> None:
    frames = list(client.stream(SAMPLES / "booklet.pdf"))
    assert frames[0]["type"] == "start"
    assert frames[-1]["ledger"]["ok"] == frames[0]["pages"]
    assert {frame["page"] for frame in frames if frame["type"] == "page_delta"} == {1, 2, 3}


@pytest.mark.parametrize(
    "body",
    [b'{"type": "start", "kind": "pdf", "pages": 1}\n', b'{"type": "start", "kin', b""],
    ids=["between lines", "within a line", "before the first"],
)
def test_a_stream_that_is_cut_off_is_an_error(picture: Path, body: bytes) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.handle_request, daemon=True).start()
        here = OcrClient(f"http://127.0.0.1:{http.server_port}")
        with here as client, pytest.raises(ClientError) as caught:
            list(client.stream(picture))
    assert caught.value.code == "connection_lost"


def frame(kind: str, page: int | None = None, **more: object) -> dict[str, object]:
    return {"type": kind} | ({} if page is None else {"page": page}) | more


def test_frames_in_page_order() -> None:
    pages = (2, 3, 4)
    starts = [frame("page_start", page) for page in pages]
    mixed = [frame("page_delta", page, delta=part) for part in "ab" for page in reversed(pages)]
    ends = [frame("page_end", page) for page in (4, 2, 3)]
    come = [frame("start", pages=3), *starts, *mixed, *ends, frame("end")]
    ordered = list(in_page_order(come))
    assert [f["page"] for f in ordered if "page" in f] == [2] * 4 + [3] * 4 + [4] * 4
    for page in pages:
        assert [f for f in ordered if f.get("page") == page] == [f for f in come if f.get("page") == page]
    assert (ordered[0]["type"], ordered[-1]["type"]) == ("start", "end")


def test_the_page_in_turn_does_not_wait_for_others() -> None:
    come = iter([frame("page_start", 1), frame("page_start", 2), frame("page_delta", 1, delta="a")])
    ordered = in_page_order(come)
    assert [next(ordered)["type"] for _ in range(2)] == ["page_start", "page_delta"]


def test_a_job_from_its_files_to_its_erasure(client: OcrClient, picture: Path, tmp_path: Path) -> None:
    job = client.submit_job([picture, SAMPLES / "booklet.pdf"], ("markdown",), priority="high")
    events = list(client.job_events(job["id"]))
    assert events[-1][0] == "end"
    assert events[-1][1]["status"] == "done"
    assert sorted(data["index"] for event, data in events if event == "page") == [0, 1, 2, 3]
    rest = [data["index"] for event, data in client.job_events(job["id"], after=1) if event == "page"]
    assert sorted(rest) == [2, 3]
    with zipfile.ZipFile(client.job_result(job["id"], tmp_path / "job.zip")) as archive:
        assert len(json.loads(archive.read("manifest.json"))["inputs"]) == 2
    client.erase_job(job["id"])
    with pytest.raises(ClientError) as caught:
        client.job(job["id"])
    assert caught.value.status == 404


def test_a_cancelled_job_says_so(client: OcrClient) -> None:
    job = client.submit_job([SAMPLES / "booklet.pdf"])
    assert client.cancel_job(job["id"])["status"] in ("cancelled", "done")


def test_progress_counts_all_bytes_of_all_files(client: OcrClient, picture: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.bmp"
    Image.new("RGB", (500, 400), "white").save(large)
    seen: list[tuple[int, int]] = []
    client.batch_simple([picture, large], lambda sent, total: seen.append((sent, total)))
    total = picture.stat().st_size + large.stat().st_size
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)


@pytest.mark.slow
def test_many_uploads_use_few_handles(client: OcrClient, tmp_path: Path) -> None:
    handles = Path("/proc/self/fd")
    before, most = len(list(handles.iterdir())), 0

    def watch(_sent: int, _total: int) -> None:
        nonlocal most
        most = max(most, len(list(handles.iterdir())))

    tiny = tmp_path / "tiny.png"
    Image.new("L", (4, 4), 255).save(tiny)
    client.batch_simple([tiny] * 50, watch)
    assert before < most <= before + 3


def test_an_error_of_the_server_keeps_its_words(client: OcrClient) -> None:
    with pytest.raises(ClientError) as caught:
        client.image_simple(SAMPLES / "booklet.pdf")
    error = caught.value
    assert (error.code, error.status, error.remedy) == ("unsupported_media", 415, "Send it to /pdf/ocr.")
    assert re.fullmatch(r"[0-9a-f]{32}", error.request_id)


def test_nobody_there_names_the_remedy() -> None:
    with OcrClient(f"http://127.0.0.1:{free_port()}") as client, pytest.raises(ClientError) as caught:
        client.health()
    assert caught.value.code == "connection_failed"
    assert "make serve" in caught.value.remedy


def test_a_server_that_hangs_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(1)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with (
            OcrClient(f"http://127.0.0.1:{listener.getsockname()[1]}") as client,
            pytest.raises(ClientError) as caught,
        ):
            client.health()
        thread.join()
    assert caught.value.code == "connection_lost"


def test_a_server_that_never_answers(picture: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with OcrClient(url, timeout=0.2) as client, pytest.raises(ClientError) as caught:
            client.image_simple(picture)
    assert caught.value.code == "timeout"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (status, body)
        for status in (200, 404, 502)
        for body in (b"<html>proxy</html>", b"[]", b'"text"', b"\xff", b'{"error": "text"}')
        if (status, body[:1]) != (200, b"{")  # a JSON object with status 200 is an answer
    ],
)
def test_an_answer_of_another_kind_of_server(status: int, body: bytes) -> None:
    with strange_server(status, body) as url, OcrClient(url) as client, pytest.raises(ClientError) as caught:
        client.info()
    assert (caught.value.code, caught.value.status) == ("bad_answer", status)


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://localhost", "page.png"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ClientError) as caught, OcrClient(address) as client:
        client.health()
    assert caught.value.code == "bad_address"


def test_a_file_that_is_not_there(client: OcrClient) -> None:
    with pytest.raises(ClientError, match=r"nowhere\.png: No such file") as caught:
        client.image_simple(Path("nowhere.png"))
    assert caught.value.code == "unreadable_file"


def test_proxies_of_the_environment_are_not_used(
    server: str, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with OcrClient(server) as client:
        assert client.image_simple(picture)["text"]


def test_the_key_goes_along_as_a_bearer_token() -> None:
    received = []

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            received.append(connection.recv(4096))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with OcrClient(f"http://127.0.0.1:{listener.getsockname()[1]}", api_key="secret") as client:
            client.health()
        thread.join()
    assert b"Authorization: Bearer secret\r\n" in received[0]


# --- the choice of a server --------------------------------------------------------------------------


def test_auto_takes_the_remote_server_when_it_is_ready(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCR_REMOTE_URL", server)
    assert choose_service("auto").url == server


def test_auto_takes_the_local_server_otherwise(nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCR_URL", raising=False)
    monkeypatch.delenv("OCR_REMOTE_URL", raising=False)
    assert choose_service("auto").url == "http://localhost:8000"
    monkeypatch.setenv("OCR_REMOTE_URL", nowhere)
    choice = choose_service("auto")
    assert choice.url == "http://localhost:8000"
    assert nowhere in choice.reason


def test_auto_passes_over_a_remote_server_that_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"ready": False, "reason": "the engine vllm is starting"}).encode()
    with strange_server(503, body) as url:
        monkeypatch.setenv("OCR_REMOTE_URL", url)
        choice = choose_service("auto")
    assert choice.url != url
    assert "the engine vllm is starting" in choice.reason


def test_a_named_service_is_taken_at_its_word(nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCR_URL", "http://here:1")
    monkeypatch.setenv("OCR_REMOTE_URL", nowhere)
    assert choose_service("local").url == "http://here:1"
    assert choose_service("remote").url == nowhere
    assert choose_service("http://there:2").url == "http://there:2"
    monkeypatch.delenv("OCR_REMOTE_URL")
    with pytest.raises(ClientError) as caught:
        choose_service("remote")
    assert caught.value.code == "no_service"


def test_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.pdf", "notes.txt", "c.tiff"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png/d.gif").touch()
    assert [path.name for path in files_in(tmp_path)] == ["a.pdf", "b.PNG", "c.tiff", "d.gif"]
    assert [path.name for path in files_in(tmp_path, deep=False)] == ["a.pdf", "b.PNG", "c.tiff"]
    assert [path.name for path in files_in(tmp_path, pictures_only=True)] == ["b.PNG", "c.tiff", "d.gif"]
