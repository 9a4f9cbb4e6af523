"""Pictures, decoded within a child process, frame by frame. See `process.child`, which bounds it.

    {"op": "open", "kind": "picture", "path", "framed", "max_pixels", "max_frames"}
        → {"pages", "width", "height"}             the largest frame that the headers name
    {"op": "render", …the same…, "page"}
        → {"width", "height", "walked", "bytes"}   and the rows

Reaching a frame of an animation means drawing all before it, so the handle is kept and moved on; an
answer to `render` says how many frames it `walked` over.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from PIL import Image

from airgap.core.errors import AirgapError, ImageTooLarge, TooManyPages
from process.child import Answer
from process.decode import check_size, decoding, normalise, open_frames
from process.proportions import shown_size

JP2_BYTES_PER_SAMPLE = 13
"""What OpenJPEG takes for a sample of a picture; where that is not to be had it calls the picture broken."""

STRIP_PIXELS = 4_000_000
"""Pixels that are put into bytes at once: the picture is not to be in memory twice."""


class Frames:
    """A picture, a multi-frame TIFF or an animation."""

    renderer = "pillow"

    def __init__(self, request: dict[str, Any]) -> None:
        self._path = Path(request["path"])
        self._max_pixels = int(request["max_pixels"])
        self._stack = ExitStack()
        self._handle: Image.Image | None = None
        with decoding():
            handle = self._opened()
            self.count, size = 1, shown_size(handle)
            if request["framed"]:
                self.count, size = count_frames(handle, int(request["max_frames"]))
            check_memory(handle)
        if self.count == 1:
            check_size(size, self._max_pixels)
        self.opened = {"width": size[0], "height": size[1]}

    def _opened(self) -> Image.Image:
        if self._handle is None:
            self._handle = self._stack.enter_context(open_frames(self._path, max_pixels=self._max_pixels))
        return self._handle

    def render(self, request: dict[str, Any]) -> Answer:
        try:
            with decoding():
                image, walked = self._frame(int(request["page"]))
        except AirgapError:
            self.close()  # a decoder that failed is in no known state
            raise
        width, height = image.size
        return {"width": width, "height": height, "walked": walked}, self._sent(image)

    def _sent(self, image: Image.Image) -> Iterator[bytes]:
        yield from strips(image)
        if self.count == 1:
            self.close()  # nobody asks for it twice in a row, and the handle holds the picture

    def _frame(self, index: int) -> tuple[Image.Image, int]:
        fresh = self._handle is None
        handle = self._opened()
        at = handle.tell()
        walked = index - at if index >= at else index + 1
        handle.seek(index)
        check_size(shown_size(handle), self._max_pixels)
        return normalise(handle, copy=False), walked + fresh

    def close(self) -> None:
        self._handle = None
        self._stack.close()


def check_memory(image: Image.Image) -> None:
    """Raise `ImageTooLarge` for a JPEG 2000 that cannot be decoded in what this process may take."""
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    needed = image.width * image.height * len(image.getbands()) * JP2_BYTES_PER_SAMPLE
    if image.format == "JPEG2000" and 0 < most < needed:
        raise ImageTooLarge("The picture needs more memory than it may take.")


def count_frames(image: Image.Image, most: int) -> tuple[int, tuple[int, int]]:
    """Frames in a file, and the largest size of one. Raises `TooManyPages` beyond `most`.

    TIFF's are counted by their directories, in 0.1 ms each; the others say how many they are, or are
    counted without being drawn.
    """
    width, height = shown_size(image)
    count = 1
    if image.format != "TIFF":
        count = int(getattr(image, "n_frames", 1))
    else:
        with suppress(EOFError):
            while count <= most:
                image.seek(count)
                width, height = max((width, height), shown_size(image), key=lambda size: size[0] * size[1])
                count += 1
    if count > most:
        raise TooManyPages(f"The file has more than {most} frames.", "Split the file.")
    return count, (width, height)


def strips(image: Image.Image) -> Iterator[bytes]:
    """The rows of an RGB picture, from the top."""
    rows = max(1, STRIP_PIXELS // image.width)
    if rows >= image.height:
        yield image.tobytes()
        return
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height))).tobytes()
