"""Requests that once took a server's memory or time, against a real one on loopback, in a short form.

Each is answered with what its sender can do about it, or is given up with its sender; the process tree
stays within bounds, and the next picture of somebody else is read.
"""

from __future__ import annotations

import base64
import io
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from benchmarks.memory import Peak
from tests.attacks.files import gif_of_dots, jpeg_of_scans, webp_canvas, white_png
from tests.attacks.target import Target, attacked

MOST_MB = 1500
"""Over what the idle server takes."""

TIMES = int(os.environ.get("ATTACK_TIMES", "1"))
"""How often what is repeated is repeated: `make attacks` takes the numbers of those who found it."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with attacked(tmp_path_factory.mktemp("attacked")) as target:
        yield target


@pytest.fixture
def target(running: Target, picture: Path) -> Iterator[Target]:
    """The server, watched: its memory while it is attacked, and that it serves others afterwards."""
    with Peak(running.pid) as idle:
        time.sleep(0.2)
    before = idle.stop()
    with Peak(running.pid) as peak:
        yield running
        assert running.client.get("/healthz").status_code == 200
        answer = running.post("/ocr/image/simple", files={"file": picture.read_bytes()})
        assert answer.status_code == 200, answer.text
    assert peak.stop() - before < MOST_MB << 20


def assert_refused(answer: httpx.Response, status: int, code: str) -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), answer.text
    assert error["remedy"]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


LARGE = encoded(white_png(10_000, 10_000))


def at_once(send: Callable[[int], httpx.Response], times: int) -> list[httpx.Response]:
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(send, range(times)))


def test_many_large_pictures_are_refused_before_they_are_decoded(target: Target) -> None:
    assert_refused(target.post("/generate", json={"images": [LARGE] * 32}), 400, "unsupported_option")
    assert_refused(target.post("/generate", json={"images": [LARGE] * 3}), 413, "image_too_large")


@pytest.mark.slow
def test_a_chat_reads_large_pictures_one_at_a_time(target: Target) -> None:
    urls = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{LARGE}"}}] * 6
    chat = {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, *urls]}]}
    assert target.post("/v1/chat/completions", json=chat).status_code == 200


@pytest.mark.parametrize(
    ("data", "fields", "status", "code"),
    [
        (gif_of_dots(10_000, 10_000, 2000), {"page_from": 2000}, 413, "image_too_large"),
        (jpeg_of_scans(512, 3000), {}, 400, "invalid_image"),
        (webp_canvas(16_384, 16_384), {}, 413, "image_too_large"),
    ],
    ids=["animation", "scans", "canvas"],
)
def test_a_small_file_of_much_work(
    target: Target, data: bytes, fields: dict[str, int], status: int, code: str
) -> None:
    assert_refused(target.post("/pdf/ocr/simple", files={"file": data}, data=fields), status, code)


@pytest.mark.slow
def test_a_jpeg_2000_of_a_kilobyte(target: Target) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (9900, 9900), "white").save(buffer, "JPEG2000", irreversible=False)
    answer = target.post("/ocr/image/simple", files={"file": buffer.getvalue()})
    assert_refused(answer, 413, "image_too_large")


def test_six_animations_at_once(target: Target) -> None:
    data = gif_of_dots(10_000, 10_000, 50)
    answers = at_once(lambda _: target.post("/pdf/ocr/simple", files={"file": data}), 6)
    for answer in answers:
        assert_refused(answer, 413, "image_too_large")


@pytest.mark.slow
def test_large_pages_at_once_do_not_add_up(target: Target) -> None:
    data = gif_of_dots(10_000, 10_000, 1)
    answers = at_once(lambda _: target.post("/pdf/ocr/simple", files={"file": data}), 2)
    assert [answer.status_code for answer in answers] == [200, 200]


def test_paths_of_strangers_become_no_labels(target: Target) -> None:
    before = len(target.client.get("/metrics").content)
    for number in range(150 * TIMES):
        assert target.stranger.get(f"/jobs/{number}{'x' * 200}/").status_code == 401
    assert len(target.client.get("/metrics").content) < before + 4096


def test_a_large_json_of_a_stranger_is_not_taken(target: Target) -> None:
    # Shallow, so that its size alone can be what it is refused for, however it comes in pieces.
    pieces = (b'{"a":[' if number == 0 else b"[],1," * 200_000 for number in range(200))
    try:
        answer = target.stranger.post(
            "/api/auth/register", content=pieces, headers={"Content-Type": "application/json"}
        )
    except httpx.WriteError:  # hung up on while it was still sending
        return
    assert_refused(answer, 413, "upload_too_large")


@pytest.mark.slow
@pytest.mark.parametrize("widest", ["x", "😀"], ids=["plain", "wide"])
def test_one_very_long_text(target: Target, widest: str) -> None:
    """Each character of a text takes as much memory as its widest."""
    text = b"x" * (190 << 20) + widest.encode()
    body = b'{"messages": [{"role": "user", "content": "' + text + b'"}], "prompt": 1}'
    answer = target.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert_refused(answer, 413, "too_large")
    assert target.post("/v1/chat/completions", json={"messages": []}).json()["error"]


@pytest.mark.parametrize(
    "prefix",
    ["", pytest.param("data:image/png;base64,", marks=pytest.mark.slow)],
    ids=["base64", "data url"],
)
def test_one_very_large_picture_in_json(target: Target, prefix: str) -> None:
    body = b'{"prompt": "read", "image": "' + prefix.encode() + b"QUJD" * (47 << 20) + b'"}'
    answer = target.post("/generate", content=body, headers={"Content-Type": "application/json"})
    assert_refused(answer, 415, "unsupported_media")


@pytest.mark.slow
def test_a_word_of_190_megabytes(target: Target) -> None:
    """It was repeated in the answer, and written out as Python writes a text."""
    body = b'{"image": "QUJD", "mode": "' + b"x" * (190 << 20) + b'"}'
    answer = target.post("/ocr", content=body, headers={"Content-Type": "application/json"})
    assert_refused(answer, 422, "invalid_option")
    assert len(answer.content) < 1000


def test_wrong_passwords_at_once(target: Target) -> None:
    form = {"username": "nobody", "password": "wrong"}
    answers = at_once(lambda _: target.stranger.post("/api/auth/token", data=form), 20 * min(3, TIMES))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(401) <= 10
    assert set(statuses) <= {401, 429}


def test_documents_of_tables_end_with_their_senders(target: Target) -> None:
    text = "<table><tr>" + "<td>a</td>" * 60 + "</tr></table>\n"
    block = {"label": "text", "text": text * 3000}
    document = json.dumps({"pages": [{"number": 1, "width": 9, "height": 9, "blocks": [block]}]}).encode()
    for _ in range(3):
        with pytest.raises(httpx.ReadTimeout):
            target.post("/export", files={"document": document}, data={"output": "docx"}, timeout=0.7)
    small = json.dumps({"pages": [{"number": 1, "width": 9, "height": 9}]}).encode()
    answer = target.post("/export", files={"document": small}, data={"output": "docx"}, timeout=60)
    assert answer.status_code == 200


@pytest.mark.slow
def test_a_content_stream_that_swells(target: Target) -> None:
    answer = target.post(
        "/pdf/ocr", files={"file": swelling_pdf(48)}, data={"output": "searchable_pdf"}, timeout=200
    )
    assert answer.status_code in (200, 413, 500), answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]["code"] in ("export_too_large", "export_failed")
    deadline = time.monotonic() + 30
    while any(b"searchable_pdf_child" in command for command in target.commands()):
        assert time.monotonic() < deadline


def test_the_result_of_a_cancelled_job_is_written_once(target: Target) -> None:
    job = target.post("/jobs", files=[("files", swelling_pdf(1))], data={"prompt": "hang"}).json()["id"]
    while target.client.get(f"/jobs/{job}").json()["status"] == "queued":
        time.sleep(0.1)
    target.post(f"/jobs/{job}/cancel")
    results = [target.client.get(f"/jobs/{job}/result") for _ in range(3)]
    assert {answer.status_code for answer in results} == {200}
    assert len({answer.content for answer in results}) == 1


def swelling_pdf(mib: int) -> bytes:
    """Two pages, the second with a content stream of `mib` MiB in a few hundred bytes."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b"q Q " * (1 << 18)) for _ in range(mib)) + packer.flush()
    packed = zlib.compress(packed, 9)
    fonts = b"/Resources<</Font<</F 7 0 R>>>>"
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R%s>>"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R 5 0 R]/Count 2>>",
        page % (4, fonts),
        stream(b"", b"0 0 0 rg 72 600 200 40 re f BT /F 24 Tf 72 700 Td (hello) Tj ET"),
        page % (6, b""),
        stream(b"/Filter[/FlateDecode/FlateDecode]", packed),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    data, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"trailer<</Size 8/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(data)
    return data + b"xref\n0 8\n0000000000 65535 f \n" + table + end


def stream(keys: bytes, data: bytes) -> bytes:
    return b"<<" + keys + b"/Length %d>>\nstream\n" % len(data) + data + b"\nendstream"
