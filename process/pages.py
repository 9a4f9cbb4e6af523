"""A file → its pages as pictures, lazily: images, multi-frame TIFF and animations, PDF.

A `Source` is opened once, renders any page at any time from any thread, and keeps nothing of a page
it has handed over. Opening reads headers; nothing is decoded before a page is asked for. What can go
wrong with one page is raised for that page alone, and only a file that cannot be opened fails as a whole.

This module knows nothing about engines, results, output formats or HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from airgap.core.errors import FeatureDisabled
from airgap.core.file_names import safe_stem
from process.decode import IMAGE_KINDS, unsupported
from process.pdf_source import SECOND_RENDERER, PdfSource
from process.picture_source import PictureSource
from process.sniff import sniff_file
from process.source import (
    DAMAGED,
    FROM_TEXT_LAYER,
    LAYER_NOT_SOUND,
    Limits,
    PageImage,
    Source,
    Span,
    TextLayer,
)

__all__ = [
    "DAMAGED",
    "FROM_TEXT_LAYER",
    "LAYER_NOT_SOUND",
    "SECOND_RENDERER",
    "Limits",
    "PageImage",
    "Source",
    "TextLayer",
    "open_source",
    "survey",
]


def open_source(
    path: Path | bytes,
    *,
    name: str,
    limits: Limits,
    dpi: int = 144,
    page_from: int | None = None,
    page_to: int | None = None,
    password: str | None = None,
    text_layer: TextLayer = "ignore",
) -> Source:
    """Open a file by its content. Blocks.

    `name` is what the sender calls it and is only shown. `dpi`, `password` and `text_layer` are for
    PDFs. Pages `page_from` to `page_to` (1-based, both included) are to be read, by default all.
    Raises `EmptyFile`, `UnsupportedMedia`, `InvalidImage`, `ImageTooLarge`, `InvalidPdf`,
    `PdfPasswordRequired`, `PageOutOfRange`, `TooManyPages` or `FeatureDisabled`.
    """
    kind = _kind_of(path, limits)
    span = Span(page_from, page_to, limits.pdf_max_pages, limits.pdf_over_max_pages)
    source: PdfSource | PictureSource
    if kind == "pdf":
        source = PdfSource(path, safe_stem(name), span, limits, dpi, password, text_layer)
    elif kind in IMAGE_KINDS:
        source = PictureSource(path, safe_stem(name), kind, span, limits)
    else:
        raise unsupported(kind)
    source.notes = span.notes(source.page_count)
    source.opening = {
        "path": str(source.on_disk),
        "name": source.name,
        "limits": asdict(limits),
        "dpi": dpi,
        "page_from": page_from,
        "page_to": page_to,
        "password": password,
    }
    return source


def _kind_of(path: Path | bytes, limits: Limits) -> str | None:
    """The kind of a file. Raises `FeatureDisabled` for a PDF where the site reads none."""
    kind = sniff_file(path)
    if kind == "pdf" and not limits.read_pdf:
        raise FeatureDisabled("The feature 'pdf' is off: ENABLE_PDF_SUPPORT=0.")
    return kind


def reopened(opening: Mapping[str, Any]) -> Source:
    """The file of `Source.opening` again, for one page at a time. Blocks; raises as `open_source`."""
    limits = Limits(**{**opening["limits"], "render_workers": 1})
    how = {key: value for key, value in opening.items() if key not in ("path", "limits")}
    source = open_source(Path(opening["path"]), limits=limits, **how)
    source.name = opening["name"]
    return source


def survey(
    path: Path,
    *,
    limits: Limits,
    page_from: int | None = None,
    page_to: int | None = None,
    password: str | None = None,
) -> tuple[Literal["image", "pdf"], range]:
    """What a file is and which of its pages are to be read, without decoding a picture. Blocks.

    Raises as `open_source`; but damage within a picture shows only once it is opened.
    """
    kind = _kind_of(path, limits)
    span = Span(page_from, page_to, limits.pdf_max_pages, limits.pdf_over_max_pages)
    if kind == "pdf":
        with PdfSource(path, "", span, limits, 72, password, "ignore") as source:
            return "pdf", source.numbers
    if kind not in IMAGE_KINDS:
        raise unsupported(kind)
    with PictureSource(path, "", kind, span, limits) as source:
        return "image", source.numbers
