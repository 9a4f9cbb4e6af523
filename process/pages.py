"""A file → its pages as pictures, lazily: images, multi-frame TIFF and animations, PDF.

A `Source` is opened once, renders any page at any time from any thread, and keeps nothing of a page
it has handed over. Opening reads headers; nothing is decoded before a page is asked for. What can go
wrong with one page is raised for that page alone, and only a file that cannot be opened fails as a whole.

This module knows nothing about engines, results, output formats or HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from airgap.core.errors import FeatureDisabled
from airgap.core.file_names import safe_stem, shown_name
from airgap.core.opening import WHOLE, Opening
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
)

__all__ = [
    "DAMAGED",
    "FROM_TEXT_LAYER",
    "LAYER_NOT_SOUND",
    "SECOND_RENDERER",
    "Limits",
    "Opening",
    "PageImage",
    "Source",
    "open_source",
    "survey",
]


def open_source(
    path: Path | bytes,
    *,
    name: str,
    limits: Limits,
    opening: Opening = WHOLE,
) -> Source:
    """Open a file by its content. Blocks.

    `name` is what the sender calls it and is only shown.
    Raises `EmptyFile`, `UnsupportedMedia`, `InvalidImage`, `ImageTooLarge`, `InvalidPdf`,
    `PdfPasswordRequired`, `PageOutOfRange`, `TooManyPages` or `FeatureDisabled`.
    """
    span = _span(opening, limits)
    source = _opened(path, safe_stem(name), span, limits, opening)
    source.filename = shown_name(name)
    source.notes = span.notes(source.page_count)
    source.left_out = span.left_out(source.page_count)
    source.opening = {
        "path": str(source.on_disk),
        "name": source.name,
        "filename": source.filename,
        "limits": asdict(limits),
        "opening": asdict(replace(opening, text_layer="ignore")),
    }
    return source


def _opened(
    path: Path | bytes, name: str, span: Span, limits: Limits, opening: Opening
) -> PdfSource | PictureSource:
    kind = _kind_of(path, limits)
    if kind == "pdf":
        return PdfSource(path, name, span, limits, opening)
    if kind not in IMAGE_KINDS:
        raise unsupported(kind)
    return PictureSource(path, name, kind, span, limits)


def _span(opening: Opening, limits: Limits) -> Span:
    return Span(opening.page_from, opening.page_to, limits.pdf_max_pages, limits.pdf_over_max_pages)


def _kind_of(path: Path | bytes, limits: Limits) -> str | None:
    """The kind of a file. Raises `FeatureDisabled` for a PDF where the site reads none."""
    kind = sniff_file(path)
    if kind == "pdf" and not limits.read_pdf:
        raise FeatureDisabled("The feature 'pdf' is off: ENABLE_PDF_SUPPORT=0.")
    return kind


def reopened(opening: Mapping[str, Any]) -> Source:
    """The file of `Source.opening` again, for one page at a time. Blocks; raises as `open_source`."""
    limits = Limits(**{**opening["limits"], "render_workers": 1})
    how = Opening(**opening["opening"])
    source = open_source(Path(opening["path"]), name=opening["name"], limits=limits, opening=how)
    source.name, source.filename = opening["name"], opening["filename"]
    return source


def survey(path: Path, *, limits: Limits, opening: Opening = WHOLE) -> tuple[Literal["image", "pdf"], range]:
    """What a file is and which of its pages are to be read, without decoding a picture. Blocks.

    Raises as `open_source`; but damage within a picture shows only once it is opened.
    """
    how = Opening(dpi=72, password=opening.password)
    with _opened(path, "", _span(opening, limits), limits, how) as source:
        return source.kind, range(source.numbers[0], source.numbers[-1] + 1)
