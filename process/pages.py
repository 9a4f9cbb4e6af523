"""A file → its pages as pictures, lazily: images, multi-frame TIFF and animations, PDF.

A `Source` is opened once, renders any page at any time from any thread, and keeps nothing of a page
it has handed over. PDFs are drawn in child processes (`pdf_pool`); what can go wrong with one page
is raised for that page alone, and only a file that cannot be opened at all fails as a whole.

This module knows nothing about engines, results, output formats or HTTP.
"""

from __future__ import annotations

import logging
import re
import tempfile
import threading
import unicodedata
import uuid
from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from document import Line
from errors import (
    AirgapError,
    InvalidPdf,
    PageOutOfRange,
    PageRenderFailed,
    PageTimeout,
    PdfPasswordRequired,
    TooManyPages,
)
from process.image_process import (
    MAX_SIDE,
    check_size,
    decoding,
    normalise,
    open_frames,
    open_image,
    sniff_file,
)
from process.ink import find_ink
from process.pdf_pool import Bounds, ChildLate, ChildLost, ChildRefused, shared_pool
from process.text_layer import sound_lines

log = logging.getLogger(__name__)

TextLayer = Literal["ignore", "auto"]

FROM_TEXT_LAYER = "The text was taken from the PDF's own text layer."
LAYER_NOT_SOUND = "The PDF's text layer is missing or not sound; the page was read from its pixels."
DAMAGED = "The page's data are damaged; parts of it may be missing."
SECOND_RENDERER = "The file is irregular; the page was drawn by a second renderer."

MIN_PDF_SIDE = 16
"""Pixels. A page with a smaller side is drawn at a higher resolution than asked for."""

_FRAMED_KINDS = frozenset({"tiff", "gif", "webp", "png", "avif"})
"""Kinds whose frames are pages. Further pictures in HEIC and JPEG are previews and variants."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost; names as in the settings."""

    max_image_pixels: int = 100_000_000
    pdf_max_pages: int = 5000
    page_timeout_seconds: float = 30.0
    page_memory_mb: int = 2048
    render_workers: int = 2


@dataclass(frozen=True, slots=True)
class PageImage:
    """One page as pixels.

    `number` is 1-based in the source; `image` is RGB; `width_pt` and `height_pt` are points where
    the source has them. `blank` says that nothing stands out from the paper. `text_lines` are the
    embedded text's, boxes in page pixels, where that was asked for and is sound.
    """

    number: int
    image: Image.Image
    width_pt: float | None = None
    height_pt: float | None = None
    blank: bool = False
    text_lines: tuple[Line, ...] | None = None
    warnings: tuple[str, ...] = ()


class Source(ABC):
    """An opened file. A context manager; `render` and `image` block, and any thread may call them.

    `name` is a display name that is safe in a path, `path` the original file or its bytes,
    `page_count` the pages in it, and `numbers` those of them to be read.
    """

    kind: Literal["image", "pdf"]

    def __init__(self, path: Path | bytes, name: str, media_type: str, count: int, numbers: range) -> None:
        self.path = path
        self.name = name
        self.media_type = media_type
        self.page_count = count
        self.numbers = numbers

    def read_bytes(self) -> bytes:
        """The original file, whole."""
        return self.path.read_bytes() if isinstance(self.path, Path) else self.path

    @abstractmethod
    def render(self, number: int) -> PageImage:
        """Page `number` (1-based). Raises an `AirgapError` that is this page's alone."""

    @abstractmethod
    def image(self, number: int) -> Image.Image:
        """The pixels of `render(number)` again. Raises the same."""

    @abstractmethod
    def close(self) -> None:
        """Let go of all that was opened. May be called twice."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_number(self, number: int) -> None:
        if not 1 <= number <= self.page_count:
            raise PageOutOfRange(f"There is no page {number}: the document has {self.page_count}.")


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
    span = _Span(page_from, page_to, limits.pdf_max_pages)
    if kind == "pdf":
        return PdfSource(path, safe_name(name), span, limits, dpi, password, text_layer)
    if kind in _FRAMED_KINDS and _frame_count(path) > 1:
        return FramesSource(path, safe_name(name), kind, span, limits)
    return ImageSource(path, safe_name(name), kind or "", span, limits)


def safe_name(name: str) -> str:
    """A display name that is safe in a path: no folders, no suffix, no control characters.

    Letters and digits of any script stay. At most 100 characters; never empty.
    """
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", re.split(r"[/\\]", name)[-1])
    kept = "".join(
        c if c.isalnum() or c in " -_.()#,+" or unicodedata.category(c)[0] == "M" else "_"
        for c in unicodedata.normalize("NFC", stem)
        if unicodedata.category(c) != "Cf"
    )
    kept = re.sub(r"\s+", " ", re.sub(r"_+", "_", kept)).strip(" ._-")[:100].strip(" .")
    return kept or "document"


@dataclass(frozen=True, slots=True)
class _Span:
    """The pages that were asked for."""

    page_from: int | None
    page_to: int | None
    most: int

    def of(self, count: int) -> range:
        """The page numbers to read of `count`. Raises `PageOutOfRange` or `TooManyPages`."""
        first = 1 if self.page_from is None else self.page_from
        last = count if self.page_to is None else self.page_to
        if not 1 <= first <= last <= count:
            raise PageOutOfRange(f"Pages {first} to {last} were asked for; the document has {count}.")
        if last - first + 1 > self.most:
            raise TooManyPages(f"{last - first + 1} pages were asked for; {self.most} are allowed.")
        return range(first, last + 1)


class ImageSource(Source):
    """A file with one picture. It is decoded on opening, so that a damaged one fails as a whole."""

    kind = "image"

    def __init__(self, path: Path | bytes, name: str, kind: str, span: _Span, limits: Limits) -> None:
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

    def __init__(self, path: Path | bytes, name: str, kind: str, span: _Span, limits: Limits) -> None:
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
    with open_frames(path) as image:
        return int(getattr(image, "n_frames", 1))


class PdfSource(Source):
    """A PDF, drawn by child processes."""

    kind = "pdf"

    def __init__(
        self,
        path: Path | bytes,
        name: str,
        span: _Span,
        limits: Limits,
        dpi: int,
        password: str | None,
        text_layer: TextLayer,
    ) -> None:
        self._limits = limits
        self._bounds = Bounds(limits.page_timeout_seconds, limits.page_memory_mb)
        self._pool = shared_pool(limits.render_workers)
        self._dpi = dpi
        self._text_layer = text_layer
        self._stack = ExitStack()
        self._closed = False
        self._id = uuid.uuid4().hex
        try:
            on_disk = path if isinstance(path, Path) else self._write(path)
            self._document = {"document": self._id, "path": str(on_disk.resolve()), "password": password}
            opened = self._open()
            self._second = opened["renderer"] != "mupdf"
            count = int(opened["pages"])
            super().__init__(on_disk, name, "application/pdf", count, span.of(count))
        except BaseException:
            self.close()
            raise

    def _write(self, data: bytes) -> Path:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="airgap-"))
        path = Path(folder) / "source.pdf"
        path.write_bytes(data)
        return path

    def _open(self) -> dict[str, Any]:
        try:
            return self._ask({"op": "open"})[0]
        except ChildRefused as refusal:
            raise self._cannot_open(refusal.reason) from refusal
        except ChildLate as late:
            raise InvalidPdf(
                f"The PDF could not be opened within {self._bounds.seconds:g} s.",
                "Print it to a new PDF with a viewer that opens it, and send that.",
            ) from late
        except ChildLost as lost:
            raise InvalidPdf("The PDF cannot be opened: reading it broke the reader.") from lost

    def _cannot_open(self, reason: str) -> AirgapError:
        if reason == "password":
            if self._document["password"]:
                return PdfPasswordRequired("The password does not open this PDF.", "Send the right password.")
            return PdfPasswordRequired("The PDF is locked with a password.")
        if reason == "memory":
            return InvalidPdf(f"Opening the PDF takes more than {self._bounds.memory_mb} MB of memory.")
        return InvalidPdf("The PDF is damaged, or has no pages.")

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytearray]:
        with self._pool.child(self._id) as child:
            answer = child.ask({**request, **self._document}, self._bounds)
        if self._closed:
            self._pool.forget(self._id, self._bounds)
        return answer

    def render(self, number: int) -> PageImage:
        answer, image = self._draw(number, text=self._text_layer == "auto")
        ink = find_ink(image)
        lines = sound_lines(answer["text"], image.size, ink) if answer["text"] else None
        return PageImage(
            number,
            image,
            answer["width_pt"],
            answer["height_pt"],
            ink.blank,
            lines,
            self._warnings(answer, ink.blank, lines),
        )

    def image(self, number: int) -> Image.Image:
        return self._draw(number, text=False)[1]

    def _warnings(
        self, answer: dict[str, Any], blank: bool, lines: tuple[Line, ...] | None
    ) -> tuple[str, ...]:
        warnings = []
        if abs(answer["dpi"] - self._dpi) > 0.5:
            size = f"{_short(answer['width_pt'] / 72)} × {_short(answer['height_pt'] / 72)} inches"
            warnings.append(
                f"The page is {size}; it was drawn at {_short(answer['dpi'])} dpi instead of {self._dpi}."
            )
        if answer["damaged"]:
            warnings.append(DAMAGED)
        if self._second:
            warnings.append(SECOND_RENDERER)
        if self._text_layer == "auto" and not blank:
            warnings.append(LAYER_NOT_SOUND if lines is None else FROM_TEXT_LAYER)
        return tuple(warnings)

    def _draw(self, number: int, *, text: bool) -> tuple[dict[str, Any], Image.Image]:
        self._check_number(number)
        request = {
            "op": "render",
            "page": number - 1,
            "dpi": self._dpi,
            "max_pixels": self._limits.max_image_pixels,
            "max_side": MAX_SIDE,
            "min_side": MIN_PDF_SIDE,
            "text": text,
        }
        try:
            answer, pixels = self._ask(request)
        except ChildRefused as refusal:
            log.warning("a PDF page was not drawn: %s", refusal)
            raise self._cannot_draw(refusal.reason) from refusal
        except ChildLate as late:
            raise PageTimeout(
                f"The page was not drawn within {self._bounds.seconds:g} s.",
                "Send the page as a picture, or have the site raise PDF_PAGE_TIMEOUT_SECONDS.",
            ) from late
        except ChildLost as lost:
            raise PageRenderFailed("The process that drew the page died.") from lost
        size = (answer["width"], answer["height"])
        return answer, Image.frombuffer("RGB", size, pixels, "raw", "RGB", 0, 1)

    def _cannot_draw(self, reason: str) -> AirgapError:
        if reason == "memory":
            return PageRenderFailed(
                f"Drawing the page takes more than {self._bounds.memory_mb} MB of memory.",
                "Send the page as a picture, or have the site raise PDF_PAGE_MEMORY_MB.",
            )
        return PageRenderFailed("The page is damaged and cannot be drawn.")

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._pool.forget(self._id, self._bounds)
            self._stack.close()


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
