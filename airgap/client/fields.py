"""The fields of the server's routes, as the client is given them. It needs the standard library alone."""

from __future__ import annotations

from typing import TypedDict


class ReadFields(TypedDict, total=False):
    """What every reading route takes. None leaves the choice to the server."""

    prompt: str | None
    mode: str | None
    language: str | None
    max_tokens: int | None
    temperature: float | None
    confidence: bool
    furniture: str


class ImageFields(ReadFields, total=False):
    """`ReadFields`, and what `/ocr/image/advanced` takes beside them."""

    draw_boxes: bool
    crop_regions: bool


class PageFields(ReadFields, total=False):
    """`ReadFields`, and how files are opened. Pages count from 1, `page_to` included."""

    dpi: int | None
    page_from: int | None
    page_to: int | None
    password: str | None
    text_layer: str | None
    keep_active_content: bool


class StreamFields(PageFields, total=False):
    """`detail` ends each page's frames with its `result`: blocks with boxes, Markdown."""

    detail: bool


class PdfFields(PageFields, total=False):
    """What the PDF routes take; `draw_layouts` and `extract_images` are for `/pdf/ocr` alone."""

    draw_layouts: bool
    extract_images: bool


class BatchFields(PageFields, total=False):
    """`PageFields`, and what the batch routes take beside them; `flat` is for the ZIP alone."""

    clean_formula: bool
    flat: bool


class JobFields(PageFields, total=False):
    """What `/jobs` takes. `priority`: high, normal or low."""

    priority: str | None
    idempotency_key: str | None
