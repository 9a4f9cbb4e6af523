"""The image routes, over HTTP, on the fake engine (where answers are computable) and on the CPU's."""

from __future__ import annotations

import base64
import io
import select
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw

SAMPLES = Path(__file__).resolve().parent.parent / "samples"


def drawing(size: tuple[int, int] = (300, 200)) -> Image.Image:
    """Two dark rectangles on white: (20, 30)-(120, 50) and (40, 100)-(240, 130)."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 30, 119, 49), fill="black")
    draw.rectangle((40, 100, 239, 129), fill="black")
    return image


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def picture(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_advanced_answers_with_everything(api: httpx.Client) -> None:
    body = api.post(
        "/ocr/image/advanced",
        files={"file": encoded(drawing())},
        data={"draw_boxes": "true", "crop_regions": "true", "mode": "base"},
    ).json()
    assert body["success"] is True
    assert body["text"].split() == ["20", "30", "120", "50", "40", "100", "240", "130"]
    assert body["markdown"].strip()
    assert body["raw"].count("<|ref|>") == 2
    assert body["image_size"] == {"width": 300, "height": 200}
    assert body["mode"] == "base"
    assert [block["label"] for block in body["blocks"]] == ["text", "text"]
    for found, drawn in zip(body["blocks"], [(20, 30, 120, 50), (40, 100, 240, 130)], strict=True):
        assert found["boxes"][0] == pytest.approx(drawn, abs=0.4)
    assert picture(body["annotated_image"]).size == (300, 200)
    assert [picture(crop["image"]).width for crop in body["crops"]] == pytest.approx([100, 200], abs=2)
    assert body["usage"]["completion_tokens"] > 0
    assert any("not OCR" in warning for warning in body["warnings"])


def test_confidence_is_there_where_it_is_asked_for(api: httpx.Client) -> None:
    """The fake engine, as vLLM does, computes it on request."""
    for asked, expected in ((None, None), ("false", None), ("true", 1.0)):
        form = {"confidence": asked} if asked else {}
        body = api.post("/ocr/image/advanced", files={"file": encoded(drawing())}, data=form).json()
        assert body["confidence"] == expected
        assert {block["confidence"] for block in body["blocks"]} == {expected}


def test_boxes_are_optional(api: httpx.Client) -> None:
    body = api.post(
        "/ocr/image/advanced", files={"file": encoded(drawing())}, data={"draw_boxes": "false"}
    ).json()
    assert body["annotated_image"] is None
    assert body["crops"] == []


def test_boxes_lie_on_the_picture_as_a_viewer_shows_it(api: httpx.Client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must be turned clockwise to be upright
    stored = drawing().transpose(Image.Transpose.ROTATE_90)
    body = api.post(
        "/ocr/image/advanced", files={"file": encoded(stored, "JPEG", quality=95, exif=exif)}
    ).json()
    assert body["image_size"] == {"width": 300, "height": 200}
    assert body["blocks"][0]["boxes"][0] == pytest.approx((20, 30, 120, 50), abs=2)


@pytest.mark.parametrize(("crop_mode", "mode"), [("singlepage", "base"), ("tiling", "gundam")])
def test_crop_mode_stands_for_a_mode(api: httpx.Client, crop_mode: str, mode: str) -> None:
    body = api.post(
        "/ocr/image/advanced", files={"file": encoded(drawing())}, data={"crop_mode": crop_mode}
    ).json()
    assert body["mode"] == mode


def test_simple_answers_with_the_text(api: httpx.Client) -> None:
    body = api.post("/ocr/image/simple", files={"file": encoded(drawing())}).json()
    assert body["text"].split()[:4] == ["20", "30", "120", "50"]


def test_one_output_is_a_file_and_several_are_a_zip(api: httpx.Client) -> None:
    files = {"file": ("Счёт №1.png", encoded(drawing()))}
    one = api.post("/ocr/image/advanced", files=files, data={"output": "markdown"})
    assert one.headers["content-type"].startswith("text/markdown")
    assert "%D0%A1" in one.headers["content-disposition"]
    several = api.post("/ocr/image/advanced", files=files, data={"output": "markdown,text"})
    assert several.headers["content-type"] == "application/zip"
    assert several.content.startswith(b"PK")


def test_generate_takes_base64_and_data_urls(api: httpx.Client) -> None:
    image = base64.b64encode(encoded(drawing())).decode()
    plain = api.post("/generate", json={"prompt": "read", "image": image, "raw": True}).json()
    bare = api.post("/generate", json={"prompt": "read", "image": image}).json()
    url = api.post("/generate", json={"images": [f"data:image/png;base64,{image}"]}).json()
    assert plain["result"] == url["result"]  # the default prompt asks for boxes
    assert "<|det|>" in plain["result"]
    assert "<|" not in bare["result"]
    assert plain["finish_reason"] == "stop"
    assert plain["usage"]["prompt_tokens"] == 4


def test_generate_without_an_image_where_the_engine_can(api: httpx.Client) -> None:
    assert api.post("/generate", json={"prompt": "say this"}).json()["result"] == "say this"


def test_generate_with_file(api: httpx.Client) -> None:
    body = api.post("/generate_with_file", files={"file": encoded(drawing())}, data={"max_tokens": "100"})
    assert "20 30 120 50" in body.json()["result"]


@pytest.mark.parametrize("field", [{"max_tokens": 0}, {"max_tokens": 10**9}, {"temperature": -1}])
def test_generate_refuses_what_is_out_of_range(api: httpx.Client, field: dict[str, float]) -> None:
    response = api.post("/generate", json={"prompt": "x"} | field)
    assert response.status_code == 422
    assert next(iter(field)) in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "data", [{"mode": "huge"}, {"language": "no such tongue"}, {"crop_mode": "no"}, {"output": "exe"}]
)
def test_unknown_values_are_refused_by_name(api: httpx.Client, data: dict[str, str]) -> None:
    response = api.post("/ocr/image/advanced", files={"file": encoded(drawing())}, data=data)
    assert response.status_code == 422
    assert next(iter(data.values())) in response.json()["error"]["message"]


def received(connection: socket.socket) -> bytes:
    """The head and the body of one answer."""
    answer = b""
    while not answer.endswith(b"}"):
        answer += connection.recv(65536)
    return answer


def test_a_huge_upload_is_cut_off_while_it_streams(server: str) -> None:
    host, port = server.removeprefix("http://").split(":")
    head = (
        b"POST /ocr/image/simple HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    start = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    sent = 0
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head + b"%x\r\n%s\r\n" % (len(start), start))
        while sent < 2048 and not select.select([connection], [], [], 0)[0]:
            connection.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
            sent += 1
        answer = received(connection)
    assert b" 413 " in answer.splitlines()[0]
    assert b"upload_too_large" in answer
    assert 200 <= sent < 400, "the limit of 200 MiB was not kept"
    assert httpx.get(f"{server}/healthz", trust_env=False).status_code == 200


def test_a_declared_length_over_the_limit_is_refused_at_once(server: str) -> None:
    host, port = server.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"POST /ocr/image/simple HTTP/1.1\r\nHost: x\r\nContent-Length: 2147483648\r\n\r\n"
        )
        answer = received(connection)
    assert b" 413 " in answer.splitlines()[0]
    assert b"upload_too_large" in answer


def test_a_client_that_goes_away_frees_its_place(server: str, api: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{server}/ocr/image/simple",
            files={"file": encoded(drawing())},
            data={"prompt": "hang"},
            timeout=0.5,
            trust_env=False,
        )
    for _ in range(100):
        if api.get("/ocr/status").json()["requests"] == 0:
            return
        time.sleep(0.05)
    pytest.fail("the request still holds its place")


def test_docs_name_no_external_origin(api: httpx.Client) -> None:
    for path in ("/docs", "/redoc"):
        page = api.get(path)
        assert page.status_code == 200
        assert "https://" not in page.text
        assert "default-src 'self'" in page.headers["content-security-policy"]
        for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js", "favicon.png"):
            assert api.get(f"/static-offline-docs/{asset}").status_code == 200


@pytest.mark.parametrize("path", ["/", "/health", "/healthz", "/readyz", "/info", "/ocr/status", "/ocr/info"])
def test_the_server_speaks_of_itself(api: httpx.Client, path: str) -> None:
    response = api.get(path)
    assert response.status_code == 200
    assert "fake" in response.text or path in ("/healthz", "/ocr/info")


def test_a_request_id_is_kept_when_it_is_sound(api: httpx.Client) -> None:
    assert api.get("/healthz", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    assert api.get("/healthz", headers={"X-Request-ID": "a b<c>"}).headers["X-Request-ID"] != "a b<c>"


def test_the_cpu_engine_reads_a_sample(cpu_api: httpx.Client) -> None:
    with (SAMPLES / "table.png").open("rb") as file:
        body = cpu_api.post(
            "/ocr/image/advanced", files={"file": file}, data={"crop_regions": "true", "mode": "base"}
        ).json()
    assert "The Planets in Figures" in body["markdown"]
    assert "<td>Neptune</td><td>49,528</td>" in body["markdown"]
    assert {"sub_title", "table", "text"} <= {block["label"] for block in body["blocks"]}
    assert body["confidence"] > 0.9
    assert any("`mode`" in warning for warning in body["warnings"])
    assert len(body["crops"]) == sum(len(block["boxes"]) for block in body["blocks"])
