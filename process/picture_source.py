"""A picture as a source of pages, decoded by the child processes of `child_pool`: its frames are its pages.

This module turns their answers into pages and their failures into the errors of `airgap.core.errors`. It
knows no picture library but for the pixels that come.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from PIL import Image

from airgap.core.document import PageError
from airgap.core.errors import (
    AirgapError,
    ImageTooLarge,
    InvalidImage,
    PageRenderFailed,
    PageTimeout,
    TooManyPages,
    UnsupportedMedia,
    from_page_error,
)
from process.child_pool import Bounds, ChildLate, ChildLost, ChildRefused
from process.child_source import ChildSource
from process.ink import find_ink
from process.source import Limits, PageImage, Span

log = logging.getLogger(__name__)

MAX_FRAMES = 20_000
"""Most frames of a TIFF or an animation, whatever range of them is asked for."""

FRAMED_KINDS = frozenset({"tiff", "gif", "webp", "png", "avif"})
"""Kinds whose frames are pages. Further pictures in HEIC and JPEG are previews and variants."""

MAX_WALKED_PIXELS = 4_000_000_000
"""An animation's canvas times the frames to draw for the last one asked for: forty of the largest."""

MAX_WALKS = 10
"""How often that much may be drawn for one file, whose frames may have to be reached anew."""

MAX_LOSSES = 3
"""Child processes that a file may cost; what is asked of it after that fails at once."""

_ERRORS = frozenset(
    kind.code for kind in (ImageTooLarge, InvalidImage, PageRenderFailed, TooManyPages, UnsupportedMedia)
)


class PictureSource(ChildSource):
    """A picture, a multi-frame TIFF or an animation; each frame a page."""

    kind = "image"

    def __init__(self, path: Path | bytes, name: str, kind: str, span: Span, limits: Limits) -> None:
        self._hold(path, limits, Bounds(limits.image_timeout_seconds, limits.image_memory_mb))
        self._lock = threading.Lock()  # two children would each go through an animation from its start
        self._losses = 0
        self._walked = 0
        self._moving = kind in FRAMED_KINDS - {"tiff"}
        self._request = {
            "kind": "picture",
            "document": self._file.id,
            "path": str(self._file.path),
            "framed": kind in FRAMED_KINDS,
            "max_pixels": limits.max_image_pixels,
            "max_frames": MAX_FRAMES,
        }
        try:
            opened = self._ask({"op": "open"})
            self._size = (int(opened["width"]), int(opened["height"]))
            count = int(opened["pages"])
            numbers = span.of(count)
            self._check_walk(numbers, count)
            super().__init__(path, name, f"image/{kind}", count, numbers)
        except BaseException:
            self.close()
            raise

    def _check_walk(self, numbers: range, count: int) -> None:
        if self._moving and count > 1 and numbers[-1] * self._canvas > MAX_WALKED_PIXELS:
            raise ImageTooLarge(
                f"Frame {numbers[-1]} of this animation takes all frames before it, "
                f"{numbers[-1] * self._canvas:,} pixels in all; {MAX_WALKED_PIXELS:,} are allowed.",
                "Ask for earlier frames with `page_to`, or send the frames as pictures.",
            )

    @property
    def _canvas(self) -> int:
        return self._size[0] * self._size[1]

    def pixels(self, number: int) -> int:
        return min(self._canvas, self._limits.max_image_pixels)

    def render(self, number: int) -> PageImage:
        image = self.image(number)
        return PageImage(number, image, blank=find_ink(image).blank)

    def image(self, number: int) -> Image.Image:
        self._check_number(number)
        with self._lock:
            self._check_spent()
            answer, image = self._draw({"op": "render", "page": number - 1})
            self._walked += answer["walked"]
        return image

    def _check_spent(self) -> None:
        if self._losses >= MAX_LOSSES:
            raise PageRenderFailed(
                f"The file broke or held up {MAX_LOSSES} processes that decoded it; no more is tried.",
                "Save its pages again as PNG and send those.",
            )
        if self._moving and self._walked * self._canvas > MAX_WALKS * MAX_WALKED_PIXELS:
            raise PageRenderFailed(
                "Reaching the frames of this animation took as much as is allowed.",
                "Send the frames as pictures.",
            )

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._guarded(request, drawn=False)[0]

    def _draw(self, request: dict[str, Any]) -> tuple[dict[str, Any], Image.Image]:
        answer, image = self._guarded(request, drawn=True)
        assert image is not None
        return answer, image

    def _guarded(self, request: dict[str, Any], *, drawn: bool) -> tuple[dict[str, Any], Image.Image | None]:
        try:
            with self._pool.child(self._file.id) as child:
                if drawn:
                    return child.picture(request | self._request, self._bounds)
                return child.ask(request | self._request, self._bounds), None
        except ChildRefused as refusal:
            raise self._error(refusal) from refusal
        except ChildLate as late:
            self._losses += 1
            raise PageTimeout(
                f"The picture was not decoded within {self._bounds.seconds:g} s.",
                "Save it again as PNG, or have the site raise IMAGE_TIMEOUT_SECONDS.",
            ) from late
        except ChildLost as lost:
            self._losses += 1
            raise InvalidImage("The picture cannot be decoded: it broke the process that did.") from lost
        finally:
            if self._file.closed:
                self._pool.forget(self._file.id, self._bounds)

    def _error(self, refusal: ChildRefused) -> AirgapError:
        """What the child refused, of the kinds of error that a picture can have."""
        detail = refusal.detail
        if refusal.reason == "memory":
            return self._too_large()
        if refusal.reason == "refused" and isinstance(detail, dict) and detail.get("code") in _ERRORS:
            if detail["code"] == ImageTooLarge.code and "memory" in str(detail["message"]):
                return self._too_large()
            message, remedy = str(detail["message"])[:300], str(detail["remedy"])[:300]
            return from_page_error(PageError(str(detail["code"]), message, remedy))
        log.warning("a picture was not decoded: %s", refusal)
        return InvalidImage("The picture is damaged and cannot be decoded.")

    def _too_large(self) -> ImageTooLarge:
        return ImageTooLarge(
            f"Decoding the picture takes more than {self._bounds.memory_mb} MB of memory.",
            "Scale the picture down, save it as PNG, or have the site raise IMAGE_MEMORY_MB.",
        )
