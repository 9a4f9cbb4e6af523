"""Pictures and PDFs whose reading by the fake engine is known: black rectangles on white."""

from __future__ import annotations

import base64
import io

import img2pdf
from PIL import Image, ImageDraw

RECTANGLES = ((20, 20, 199, 59), (20, 100, 299, 139))
TEXTS = ("20 20 200 60", "20 100 300 140")


def png(
    rectangles: tuple[tuple[int, int, int, int], ...] = RECTANGLES, size: tuple[int, int] = (1000, 999)
) -> bytes:
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for rectangle in rectangles:
        draw.rectangle(rectangle, fill="black")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", dpi=(144, 144))  # a PDF page of it is drawn pixel for pixel
    return buffer.getvalue()


def pdf(pages: int, rectangles: int = 2) -> bytes:
    """Page n's rectangles begin n pixels further to the right."""
    pictures = [
        png(tuple((20 + n, 20 + 40 * row, 199 + n, 39 + 40 * row) for row in range(rectangles)))
        for n in range(1, pages + 1)
    ]
    return bytes(img2pdf.convert(pictures))


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{encoded(data)}"
