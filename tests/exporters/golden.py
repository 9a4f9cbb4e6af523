"""A document with something of everything, and what every format made of it when somebody last looked.

    python -m tests.exporters.golden

writes tests/data/exports anew. Look at the difference before it is kept: these files are what readers get.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pymupdf
from lxml import etree
from PIL import Image

from airgap.core.document import Block, Box, Disagreement, Document, Line, Page, Review, Usage
from airgap.core.version import VERSION
from airgap.exporters import export
from tests.exporters.factory import TABLE, PictureSource, failed_page, line, picture, report_page

FOLDER = Path(__file__).parents[1] / "data" / "exports"
TEXTS = {"markdown": "md", "text": "txt", "json": "json", "html": "html", "hocr": "hocr", "alto": "alto.xml"}


def _block(label: str, text: str, *sides: float, **more: object) -> Block:
    return Block(label, text, (Box(*sides),) if sides else (), **more)  # type: ignore[arg-type]


def _marked_blocks() -> tuple[Block, ...]:
    return (
        _block("header", "Report of <2026> & more", 10, 5, 390, 15),
        _block("title", "# A *title* with `code`", 10, 20, 390, 50, confidence=0.87654),
        _block("sub_title", "### Third", 10, 60, 190, 80),
        Block(
            "text",
            "one two\nthree **four** [five](http://x.example/?a=1&b=2) ~~six~~ 漢字 שלום",
            (Box(10, 90, 190, 140),),
            0.5,
            (
                line("one two", 10, 90, 190, 110),
                line("three four", 10, 112.5, 190, 130, confidence=None),
                Line("漢字 שלום", Box(10, 131, 190, 140), 0.333333),
            ),
        ),
        _block("list", "- first\n- second\n  - nested\n1. third", 10, 150, 190, 200),
        _block("code", '```python\nif a < b:\n    print("&")\n```', 10, 210, 190, 250),
        _block("equation", "\\[ x^2 \\]", 210, 60, 390, 90),
        _block("formula", "\\( y \\)", 210, 95, 390, 110),
        _block("table", TABLE, 210, 120, 390, 200, engine="other"),
        _block("table", "| a | b |\n|---|---|\n| 1 | 2 |", 210, 210, 390, 240),
        _block("table_caption", "Table 1. Prices", 210, 245, 390, 255),
        _block("table_footnote", "Net of tax.", 210, 256, 390, 262),
        _block("figure", "", 210, 270, 390, 340),
        _block("figure_caption", "Figure 2", 210, 345, 390, 355),
        _block("seal", "A round seal", 300, 360, 340, 400),
        _block("chart", "a chart that says 12 %", 210, 410, 390, 480),
        _block("text", "placed nowhere"),
        _block("text", "", 10, 400, 20, 410),
        _block("footnote", "1 A note.", 10, 560, 190, 570),
        _block("page_number", "4", 195, 580, 205, 590),
        _block("footer", "Confidential", 10, 590, 390, 598),
    )


def _marked_page() -> Page:
    """Pixels alone, no points; two columns, doubts, gaps, reviews and a cross-check."""
    return Page(
        number=4,
        width=400,
        height=600,
        status="degraded",
        raw="raw & markup",
        finish_reason="length",
        usage=Usage(1, 2, 3, 0.1234),
        warnings=("The answer was cut.",),
        engine="rapidocr",
        model="PP-OCRv6",
        mode="base",
        coverage=0.98765,
        unread=(Box(10, 300, 60, 320), Box(70, 300.4, 120.6, 320), Box(200, 550, 260, 570)),
        disagreements=(
            Disagreement("number", "17", "11", "other", Box(1, 2, 3, 4), Box(5.123, 6, 7, 8)),
            Disagreement("name", "", "Meyer", "other"),
        ),
        reviews=(
            Review("doubt", "accepted", "alice", "2026-03-01T10:00:00Z"),
            Review("unread", "corrected", "bob", "2026-03-02T10:00:00Z", Box(10, 300, 60.126, 320)),
            Review("disagreement", "accepted", None, "2026-02-01T10:00:00Z"),
        ),
        blocks=_marked_blocks(),
    )


def _turned_page() -> Page:
    """Furniture is dropped here; text that runs upwards, and a page without words."""
    return Page(
        number=5,
        width=300,
        height=200,
        width_pt=300.0,
        height_pt=200.0,
        furniture="drop",
        blocks=(
            _block("header", "dropped", 10, 5, 290, 15),
            Block("text", "up", (Box(10, 20, 30, 180),), 0.9, (line("up", 10, 20, 30, 180),)),
            _block("aside_text", "in the margin", 280, 20, 295, 180),
            _block("page_number", "5", 140, 185, 160, 195),
        ),
    )


DOCUMENT = Document(
    (report_page(1), failed_page(2), Page(3, 200, 300, coverage=1.0), _marked_page(), _turned_page()),
    engine="deepseek_ocr, rapidocr",
    model="DeepSeek-OCR",
    mode="gundam",
    language="en",
    notes=("Pages 6 to 9 are not there.",),
    left_out=2,
)


def source() -> PictureSource:
    sizes = {1: (200, 300), 3: (200, 300), 4: (400, 600), 5: (300, 200)}
    return PictureSource({number: picture(size) for number, size in sizes.items()})


def _docx(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        tree = etree.fromstring(archive.read("word/document.xml"))
        pictures = sorted(
            f"{name} {Image.open(io.BytesIO(archive.read(name))).size}"
            for name in archive.namelist()
            if name.startswith("word/media/")
        )
        edges = [
            f"{name}: {' | '.join(etree.fromstring(archive.read(name)).itertext())}"
            for name in sorted(archive.namelist())
            if name.startswith(("word/header", "word/footer"))
        ]
    text = etree.tostring(tree, pretty_print=True, encoding="unicode")
    return text + "\n".join((*pictures, *edges)) + "\n"


def _images(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        opened = {name: Image.open(io.BytesIO(archive.read(name))) for name in archive.namelist()}
        return "".join(f"{name} {image.format} {image.size}\n" for name, image in opened.items())


def _annotated(data: bytes) -> str:
    """Where the pixels are others than the page's, in cells of 10."""
    drawn = Image.open(io.BytesIO(data))
    counts = [f"{drawn.format} {drawn.mode} {drawn.size}"]
    small = drawn.convert("RGB").resize((drawn.width // 10, drawn.height // 10), Image.Resampling.BOX)
    for top in range(small.height):
        row = [small.getpixel((left, top)) for left in range(small.width)]
        counts.append(" ".join("".join(f"{value // 16:x}" for value in cell) for cell in row))  # type: ignore[union-attr]
    return "\n".join(counts) + "\n"


def _layout(data: bytes) -> str:
    pages = pymupdf.open("pdf", data)
    return "".join(f"{page.rect} {[image[2:4] for image in page.get_images()]}\n" for page in pages)


BINARIES = {"docx": _docx, "images": _images, "annotated": _annotated, "layout_pdf": _layout}


def made(name: str) -> str:
    """What a format makes of the document, as text that can be compared."""
    pages = DOCUMENT.pages[3:4] if name == "annotated" else DOCUMENT.pages
    data = export(name, replace(DOCUMENT, pages=pages), source())
    text = BINARIES[name](data) if name in BINARIES else data.decode()
    return re.sub("base64,[A-Za-z0-9+/=]+", "base64,…", text.replace(VERSION, "VERSION"))


def path_of(name: str) -> Path:
    return FOLDER / f"everything.{TEXTS.get(name, name + '.txt')}"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in (*TEXTS, *BINARIES):
        path_of(name).write_text(made(name))


if __name__ == "__main__":
    main()
