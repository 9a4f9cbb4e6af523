"""A PDF as a source of pages, drawn by the child processes of `child_pool`.

This module turns their answers into pages and their failures into the errors of `airgap.core.errors`. It
knows no PDF library.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from PIL import Image

from airgap.core.document import Line
from airgap.core.errors import AirgapError, InvalidPdf, PageRenderFailed, PageTimeout, PdfPasswordRequired
from airgap.core.opening import Opening
from process.child_pool import Bounds, ChildLate, ChildLost, ChildRefused
from process.child_source import ChildSource
from process.decode import MAX_SIDE
from process.ink import find_ink
from process.source import DAMAGED, FROM_TEXT_LAYER, LAYER_NOT_SOUND, Limits, PageImage, Span
from process.text_layer import sound_lines

log = logging.getLogger(__name__)

DOUBTFUL = "Some of the page's drawing commands are broken; parts of it may be missing."
SECOND_RENDERER = "The file is irregular; the page was drawn by a second renderer."

MIN_PDF_SIDE = 16
"""Pixels. A page with a smaller side is drawn at a higher resolution than asked for."""


class PdfSource(ChildSource):
    """A PDF, drawn by child processes."""

    kind = "pdf"

    def __init__(
        self,
        path: Path | bytes,
        name: str,
        span: Span,
        limits: Limits,
        opening: Opening,
    ) -> None:
        self._hold(path, limits, Bounds(limits.page_timeout_seconds, limits.page_memory_mb))
        self._dpi = opening.dpi
        self.takes_text = opening.text_layer == "auto"
        self.password = opening.password
        self.keep_active_content = opening.keep_active_content
        self._request = {
            "kind": "pdf",
            "document": self._file.id,
            "path": str(self._file.path),
            "password": opening.password,
        }
        try:
            opened = self._open()
            self._second = opened["renderer"] != "mupdf"
            self._largest = self._drawn_size(opened["width_pt"], opened["height_pt"])
            count = int(opened["pages"])
            super().__init__(self._file.path, name, "application/pdf", count, span.of(count))
        except BaseException:
            self.close()
            raise

    def _drawn_size(self, width_pt: float, height_pt: float) -> int:
        """Pixels of a page of this size, at most those that a page may have."""
        zoom = self._dpi / 72
        return int(min(max(1.0, width_pt * height_pt * zoom * zoom), self._limits.max_image_pixels))

    def pixels(self, number: int) -> int:
        return self._largest

    def _open(self) -> dict[str, Any]:
        try:
            with self._pool.child(self._file.id) as child:
                return child.ask({"op": "open", **self._request}, self._bounds)
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
            if self.password:
                return PdfPasswordRequired("The password does not open this PDF.", "Send the right password.")
            return PdfPasswordRequired("The PDF is locked with a password.")
        if reason == "memory":
            return InvalidPdf(f"Opening the PDF takes more than {self._bounds.memory_mb} MB of memory.")
        return InvalidPdf("The PDF is damaged, or has no pages.")

    def _picture(self, request: dict[str, Any]) -> tuple[dict[str, Any], Image.Image]:
        with self._pool.child(self._file.id) as child:
            answer, image = child.picture({**request, **self._request}, self._bounds)
        self._largest = max(self._largest, image.width * image.height)
        if self._file.closed:
            self._pool.forget(self._file.id, self._bounds)
        return answer, image

    def render(self, number: int) -> PageImage:
        answer, image = self._draw(number, text=self.takes_text)
        ink = find_ink(image)
        lines = sound_lines(answer["text"], image, ink) if answer["text"] else None
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
        if answer["doubtful"]:
            warnings.append(DOUBTFUL)
        if self._second:
            warnings.append(SECOND_RENDERER)
        if self.takes_text and not blank:
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
            return self._picture(request)
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

    def _cannot_draw(self, reason: str) -> AirgapError:
        if reason == "memory":
            return PageRenderFailed(
                f"Drawing the page takes more than {self._bounds.memory_mb} MB of memory.",
                "Send the page as a picture, or have the site raise PDF_PAGE_MEMORY_MB.",
            )
        return PageRenderFailed("The page is damaged and cannot be drawn.")


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
