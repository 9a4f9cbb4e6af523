"""Documents and sources to export, small enough to write down what must come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image

from airgap.core.document import Block, Box, Document, Line, Page, PageError, Usage
from airgap.core.errors import PageRenderFailed

TABLE = (
    "<table><tr><th>Item</th><th colspan=2>Price</th></tr>"
    "<tr><td rowspan='2'>Tea &amp; milk</td><td>2.50</td><td>EUR</td></tr>"
    "<tr><td>3.00</td><td>USD</td></tr></table>"
)


def block(label: str = "text", text: str = "Some text.", *boxes: tuple[float, ...], **more) -> Block:
    return Block(label, text, tuple(Box(*box) for box in boxes or [(10, 10, 90, 20)]), **more)


def line(text: str, *box: float, confidence: float | None = 0.9) -> Line:
    return Line(text, Box(*box), confidence)


def report_page(number: int = 1) -> Page:
    """A page of 200 × 300 pixels with one block of every common kind."""
    return Page(
        number=number,
        width=200,
        height=300,
        width_pt=100.0,
        height_pt=150.0,
        raw="<|ref|>title<|/ref|>…",
        usage=Usage(10, 20, 5, 0.5),
        blocks=(
            block("title", "# Annual report", (10, 10, 190, 30), confidence=0.97),
            block(
                "text",
                "The first line of it and the **second** one.",
                (10, 40, 190, 70),
                confidence=0.9,
                lines=(
                    line("The first line of it", 10, 40, 190, 54),
                    line("and the second one.", 10, 56, 150, 70),
                ),
            ),
            block("sub_title", "## Figures", (10, 80, 100, 95)),
            block("image", "", (10, 100, 90, 160), (100, 100, 190, 160)),
            block("image_caption", "<center>Figure 1: two views</center>", (10, 162, 190, 172)),
            block("table", TABLE, (10, 180, 190, 240)),
            block("equation", "\\[ a^2 + b^2 = c^2 \\]", (10, 250, 190, 270)),
            block("image", "", (10, 275, 60, 295)),
        ),
    )


def failed_page(number: int, message: str = "The page could not be drawn.") -> Page:
    return Page(
        number,
        0,
        0,
        status="failed",
        error=PageError("page_render_failed", message, "Print it to a new PDF."),
    )


def blank_page(number: int) -> Page:
    return Page(number, 200, 300)


def document(*pages: Page) -> Document:
    return Document(pages or (report_page(),), engine="rapidocr", model="PP-OCRv6", mode="gundam")


@dataclass
class PictureSource:
    """A source whose pages are pictures in memory; a page without one cannot be shown."""

    pictures: dict[int, Image.Image]
    path: Path | bytes = b""
    name: str = "report"
    media_type: str = "image/png"
    kind: Literal["image", "pdf"] = "image"
    password: str | None = None
    asked: list[int] = field(default_factory=list)

    @property
    def numbers(self) -> Sequence[int]:
        return sorted(self.pictures)

    def image(self, number: int) -> Image.Image:
        self.asked.append(number)
        if number not in self.pictures:
            raise PageRenderFailed(f"Page {number} could not be drawn.")
        return self.pictures[number]


def picture(size: tuple[int, int] = (200, 300)) -> Image.Image:
    """A page whose every pixel tells where it is: red grows to the right, green downwards."""
    red = Image.linear_gradient("L").rotate(90).resize(size)
    green = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (red, green, Image.new("L", size, 200)))
