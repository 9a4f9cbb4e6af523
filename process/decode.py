"""Bytes of a picture → an upright RGB image, within limits.

The pixel limit is checked on the header, before anything is decoded, and only the one Pillow plug-in
that fits the content is let at it. Whatever hostile bytes make a decoder raise becomes a 4xx of
`airgap.core.errors`. In a server it runs in a child process alone (see `process.child`), for time and
memory are not bounded here.

This module knows nothing about PDFs, pages, engines, models or HTTP.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from PIL import Image, PngImagePlugin

from airgap.core.errors import AirgapError, ImageTooLarge, InvalidImage, UnsupportedMedia
from process.proportions import in_proportion, shown_size
from process.sniff import NAMES, OFFICE_KINDS, sniff_file
from process.transparency import on_paper

_T = TypeVar("_T")

MIN_SIDE = 4
"""Pixels. Nothing that is narrower holds a letter."""

MAX_SIDE = 32_000
"""Pixels. OpenCV's warps address pixels with signed 16-bit numbers."""

MAX_SCANS = 100
"""Of a JPEG. Progressive ones have about ten."""

_START_OF_SCAN = b"\xff\xda"

_FORMATS = {
    "png": "PNG",
    "jpeg": "JPEG",
    "webp": "WEBP",
    "tiff": "TIFF",
    "bmp": "BMP",
    "gif": "GIF",
    "heif": "HEIF",
    "avif": "AVIF",
    "jp2": "JPEG2000",
}
IMAGE_KINDS = frozenset(_FORMATS)
"""The kinds of `sniff` that `open_image` reads."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0

METADATA_BYTES = 16 << 20
"""Most bytes of a PNG's profile, or of a text in it, once unpacked. At Pillow's one megabyte pictures with a
printer's profile or a long description would pass for damaged."""
PngImagePlugin.MAX_TEXT_CHUNK = METADATA_BYTES

# The limit is a setting, checked per call. Pillow's own is global and half of it is a warning.
Image.MAX_IMAGE_PIXELS = None


def open_image(data: bytes | Path, *, max_pixels: int) -> Image.Image:
    """The first frame of a picture, upright and RGB.

    EXIF orientation is applied, transparency lies on paper, pixels that are not square are made so, and
    every depth and colour space becomes 8-bit RGB.
    Raises `EmptyFile`, `UnsupportedMedia`, `ImageTooLarge` or `InvalidImage`.
    """
    with open_frames(data, max_pixels=max_pixels) as image:
        check_size(shown_size(image), max_pixels)
        return normalise(image)


@contextmanager
def open_frames(data: bytes | Path, *, max_pixels: int | None = None) -> Iterator[Image.Image]:
    """The picture with its header read and nothing decoded, as Pillow's own object.

    What some decoders would take memory or time for at once is refused before they see it. Inside the
    `with`, whatever a decoder raises on bad bytes becomes an `AirgapError`. The caller
    calls `check_size` after each `seek` and before the pixels are touched. Raises as `open_image`.
    """
    kind = sniff_file(data)
    if kind not in IMAGE_KINDS:
        raise unsupported(kind)
    with decoding(), _stream(data) as stream:
        if kind == "webp" and max_pixels is not None:
            _check_canvas(stream.read(30), max_pixels)
        elif kind == "jpeg":
            _check_scans(stream)
        image = _open_header(stream, kind)
        with image:
            yield image


@contextmanager
def decoding() -> Iterator[None]:
    """Turn whatever a decoder raises into an `AirgapError` that says no more than its sender may know.

    Decoders raise nearly everything on fuzzed bytes (OSError, SyntaxError, TypeError, struct.error,
    …), so the net is as wide as `Exception`.
    """
    try:
        yield
    except AirgapError:
        raise
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge("The picture needs more memory than it may take.") from error
    except Exception as error:
        what = "ends too early" if "truncated" in str(error).lower() else "is damaged"
        raise InvalidImage(f"The picture {what} and cannot be decoded.") from error


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Raise `InvalidImage` or `ImageTooLarge` for a width and height (pixels) out of bounds."""
    width, height = size
    if min(width, height) < MIN_SIDE:
        raise InvalidImage(
            f"The picture is {width} × {height} pixels: nothing can be written on it.",
            f"Send a picture of at least {MIN_SIDE} pixels each way; text needs about 20 in height.",
        )
    if max(width, height) > MAX_SIDE:
        raise ImageTooLarge(
            f"The picture is {width} × {height} pixels; a side may have {MAX_SIDE}.",
            "Scale the picture down, or cut it into several.",
        )
    if width * height > max_pixels:
        raise ImageTooLarge(f"The picture has {width} × {height} pixels; {max_pixels} are allowed in all.")


def _check_canvas(head: bytes, max_pixels: int) -> None:
    """A WebP's canvas, for which its decoder takes memory on opening. Source: the WebP container."""
    if head[12:16] == b"VP8X":
        width = 1 + int.from_bytes(head[24:27], "little")
        height = 1 + int.from_bytes(head[27:30], "little")
        if width * height > max_pixels:
            check_size((width, height), max_pixels)


def _check_scans(stream: IO[bytes]) -> None:
    """Count the scans of a JPEG, each of which costs a pass over all of the picture.

    A marker cannot occur within compressed data, where 0xFF is followed by 0; in a preview it can.
    """
    scans, last = 0, b""
    while piece := stream.read(1 << 20):
        scans += (last + piece).count(_START_OF_SCAN)
        last = piece[-1:]
    if scans > MAX_SCANS:
        raise InvalidImage(
            f"The picture has more than {MAX_SCANS} scans.", "Save it again as PNG and send that."
        )


def normalise(image: Image.Image, *, copy: bool = True) -> Image.Image:
    """Decode (if need be), make pixels square, turn upright by EXIF, and convert to 8-bit RGB on paper.

    The result shares nothing with its source, which may be closed; without `copy` it may be its source.
    Inside `decoding()` only.
    """
    _despite_warnings(image.load)
    method = _UPRIGHT.get(_orientation(image))
    rgb = in_proportion(_to_rgb(image), shown_size(image), bilevel=image.mode == "1")
    if method is not None:
        return rgb.transpose(method)
    return rgb.copy() if copy and rgb is image else rgb


PRINT_IT = "Save or print it as a PDF in the program it is of, and send that."


def unsupported(kind: str | None) -> UnsupportedMedia:
    """Why a file of this kind (of `sniff`) is no picture."""
    if kind == "pdf":
        return UnsupportedMedia("This is a PDF, not a picture.", "Send PDFs to /pdf/ocr.")
    if kind in OFFICE_KINDS:
        return UnsupportedMedia(f"This is {NAMES[kind]}, which is not read here.", PRINT_IT)
    if kind in NAMES:
        return UnsupportedMedia(f"This is {NAMES[kind]}, not a picture that can be read.")
    return UnsupportedMedia("This is not a picture of a known kind.")


@contextmanager
def _stream(data: bytes | Path) -> Iterator[IO[bytes]]:
    with data.open("rb") if isinstance(data, Path) else io.BytesIO(data) as stream:
        yield stream


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()


def _open_header(stream: IO[bytes], kind: str) -> Image.Image:
    if kind == "heif":
        _register_heif()

    def attempt() -> Image.Image:
        stream.seek(0)
        return Image.open(stream, formats=[_FORMATS[kind]])

    return _despite_warnings(attempt)


_strictness = threading.Lock()


def _despite_warnings(call: Callable[[], _T]) -> _T:
    """Call, and again without warnings where these are errors: odd metadata cost no picture."""
    try:
        return call()
    except Warning:
        with _strictness, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; damaged EXIF data count as none."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode.startswith("I") or mode == "F":
        return _deep_grey_to_rgb(image)
    if mode == "LAB":
        from PIL import ImageCms  # a library of its own, for few pictures

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return cast(Image.Image, ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB"))
    if image.has_transparency_data:
        return on_paper(image if mode == "RGBA" else image.convert("RGBA"))
    return image.convert("RGB")


def _deep_grey_to_rgb(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or in floats → RGB, by the smallest usual range that holds its values.

    Scanners put 10- and 12-bit values into 16 bits, and floats come as 0–1 as well as 0–255.
    """
    import numpy as np  # takes longer to import than most pictures to decode

    values: np.ndarray[Any, Any] = np.asarray(image)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        ranges: tuple[float, ...] = (1.0, 255.0, 65535.0)
    else:
        ranges = (255, 1023, 4095, 65535)
    low, high = min(0.0, float(values.min())), float(values.max())
    top = next((top for top in ranges if high <= top), high)
    scale = 255.0 / max(top - low, 1e-9)
    grey = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), 256):  # by strips: whole-page floats would be 8 bytes a pixel
        strip = values[start : start + 256].astype(np.float64)
        grey[start : start + 256] = np.clip((strip - low) * scale + 0.5, 0, 255)
    if _white_is_zero(image):
        np.subtract(255, grey, out=grey)
    return Image.fromarray(grey).convert("RGB")


def _white_is_zero(image: Image.Image) -> bool:
    """Whether a TIFF of more than 8 bits counts from white, which Pillow leaves as it is."""
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
