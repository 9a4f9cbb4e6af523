"""A file → its pages as pictures, lazily: images, multi-frame TIFF and animations, PDF.

A `Source` is opened once, renders any page at any time from any thread, and keeps nothing of a page
it has handed over. What can go wrong with one page is raised for that page alone, and only a file
that cannot be opened at all fails as a whole.

This module knows nothing about engines, results, output formats or HTTP.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Literal

from PIL import Image

from airgap.core.errors import AirgapError, TooManyPages
from airgap.core.file_names import safe_stem
from process.image_process import check_size, decoding, normalise, open_frames, open_image
from process.ink import find_ink
from process.pdf_source import FROM_TEXT_LAYER, LAYER_NOT_SOUND, SECOND_RENDERER, PdfSource
from process.sniff import sniff_file
from process.source import DAMAGED, Limits, PageImage, Source, Span, TextLayer

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

MAX_FRAMES = 20_000
"""Most frames of a TIFF or an animation, whatever range of them is asked for."""

_FRAMED_KINDS = frozenset({"tiff", "gif", "webp", "png", "avif"})
"""Kinds whose frames are pages. Further pictures in HEIC and JPEG are previews and variants."""


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
    `PdfPasswordRequired`, `PageOutOfRange` or `TooManyPages`.
    """
    kind = sniff_file(path)
    span = Span(page_from, page_to, limits.pdf_max_pages)
    if kind == "pdf":
        return PdfSource(path, safe_stem(name), span, limits, dpi, password, text_layer)
    if kind in _FRAMED_KINDS and _frame_count(path) > 1:
        return FramesSource(path, safe_stem(name), kind, span, limits)
    return ImageSource(path, safe_stem(name), kind or "", span, limits)


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
    kind = sniff_file(path)
    span = Span(page_from, page_to, limits.pdf_max_pages)
    if kind == "pdf":
        with PdfSource(path, "", span, limits, 72, password, "ignore") as source:
            return "pdf", source.numbers
    if kind is None:
        open_image(path, max_pixels=limits.max_image_pixels)  # raises, and says why
    return "image", span.of(_frame_count(path) if kind in _FRAMED_KINDS else 1)


class ImageSource(Source):
    """A file with one picture. It is decoded on opening, so that a damaged one fails as a whole."""

    kind = "image"

    def __init__(self, path: Path | bytes, name: str, kind: str, span: Span, limits: Limits) -> None:
        self._max_pixels = limits.max_image_pixels
        self._lock = threading.Lock()
        self._decoded: Image.Image | None = open_image(path, max_pixels=self._max_pixels)
        super().__init__(path, name, f"image/{kind}", 1, span.of(1))

    def render(self, number: int) -> PageImage:
        image = self.image(number)
        return PageImage(number, image, blank=find_ink(image).blank)

    def image(self, number: int) -> Image.Image:
        self._check_number(number)
        with self._lock:
            image, self._decoded = self._decoded, None
        return image or open_image(self.path, max_pixels=self._max_pixels)

    def close(self) -> None:
        self._decoded = None


class FramesSource(Source):
    """A multi-frame TIFF or an animation; each frame a page.

    One handle is kept and moved from frame to frame: reaching frame n of a fresh one costs n steps.
    """

    kind = "image"

    def __init__(self, path: Path | bytes, name: str, kind: str, span: Span, limits: Limits) -> None:
        self._max_pixels = limits.max_image_pixels
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._handle: Image.Image | None = None
        count = _frame_count(path)
        super().__init__(path, name, f"image/{kind}", count, span.of(count))

    def render(self, number: int) -> PageImage:
        image = self.image(number)
        return PageImage(number, image, blank=find_ink(image).blank)

    def image(self, number: int) -> Image.Image:
        self._check_number(number)
        with self._lock:
            try:
                with decoding():
                    return self._frame(number)
            except AirgapError:
                self._drop()  # a decoder that failed is in no known state
                raise

    def _frame(self, number: int) -> Image.Image:
        if self._handle is None:
            self._handle = self._stack.enter_context(open_frames(self.path))
        self._handle.seek(number - 1)
        check_size(self._handle.size, self._max_pixels)
        return normalise(self._handle)

    def _drop(self) -> None:
        self._handle = None
        self._stack.close()

    def close(self) -> None:
        with self._lock:
            self._drop()


def _frame_count(path: Path | bytes) -> int:
    """Frames in a file. Raises `TooManyPages` beyond `MAX_FRAMES`; counting TIFF's takes 0.1 ms each."""
    with open_frames(path) as image:
        if image.format != "TIFF":
            count = int(getattr(image, "n_frames", 1))
        else:
            count = 1
            with suppress(EOFError):
                while count <= MAX_FRAMES:
                    image.seek(count)
                    count += 1
    if count > MAX_FRAMES:
        raise TooManyPages(f"The file has more than {MAX_FRAMES} frames.", "Split the file.")
    return count
