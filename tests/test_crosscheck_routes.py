"""`crosscheck=true` on the image and PDF routes of real servers."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pymupdf
import pytest
from PIL import Image, ImageDraw, ImageFont


def number_page() -> Image.Image:
    """A number that the CPU engine reads, and which the fake engine takes for a rectangle."""
    image = Image.new("RGB", (800, 200), "white")
    ImageDraw.Draw(image).text((60, 60), "Invoice 48215", fill="black", font=ImageFont.load_default(60))
    return image


def png() -> bytes:
    buffer = io.BytesIO()
    number_page().save(buffer, "PNG")
    return buffer.getvalue()


def pdf() -> bytes:
    document = pymupdf.open()
    document.new_page(width=400, height=100).insert_image(pymupdf.Rect(0, 0, 400, 100), stream=png())
    return document.tobytes()


def post(url: str, route: str, data: bytes, **fields: str) -> Any:
    response = httpx.post(
        f"{url}{route}", files={"file": ("page", data)}, data=fields, timeout=120, trust_env=False
    )
    assert response.status_code == 200, response.text
    answer: dict[str, object] = response.json()
    return answer


@pytest.mark.parametrize("route", ["/ocr/image/advanced", "/ocr/image/simple"])
def test_an_image_comes_back_with_both_readings(server: str, route: str) -> None:
    found = post(server, route, png(), crosscheck="true")["disagreements"]
    assert isinstance(found, list)
    [cpu] = [one for one in found if one["other_reading"] == "48215"]
    assert cpu["engine"] == "rapidocr"
    assert cpu["kind"] == "number"
    x0, y0, x1, y1 = cpu["other_box"]
    assert 0 <= x0 < x1 <= 800
    assert 0 <= y0 < y1 <= 200
    assert any(one["reading"] for one in found)


@pytest.mark.parametrize("route", ["/pdf/ocr", "/pdf/ocr/simple"])
def test_a_pdf_comes_back_page_by_page(server: str, route: str) -> None:
    [page] = post(server, route, pdf(), crosscheck="true")["pages"]
    assert "48215" in [one["other_reading"] for one in page["disagreements"]]


def test_without_it_no_second_engine_is_asked(server: str) -> None:
    assert post(server, "/ocr/image/advanced", png())["disagreements"] is None
    assert "disagreements" not in post(server, "/ocr/image/simple", png())


def test_an_engine_that_would_check_itself_says_so(cpu_server: str) -> None:
    answer = post(cpu_server, "/ocr/image/advanced", png(), crosscheck="true")
    assert answer["disagreements"] is None
    assert any("cannot check itself" in warning for warning in answer["warnings"])
