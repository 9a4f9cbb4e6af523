"""Bytes of a picture → an upright RGB image, within limits.

The pixel limit is checked on the header, before anything is decoded, and only the one Pillow plug-in
that fits the content is let at it. Whatever hostile bytes make a decoder raise becomes a 4xx of
`airgap.core.errors`.

This module knows nothing about PDFs, pages, engines or HTTP.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numpy as np
from PIL import Image, ImageCms, ImageOps

from airgap.core.document import Mode
from airgap.core.errors import AirgapError, ImageTooLarge, InvalidImage, UnsupportedMedia
from deepseek_ocr import MAX_CROPS, MODES, ModeSpec, num_image_tokens, tile_grid
from process.sniff import NAMES, sniff_file

_T = TypeVar("_T")

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

MIN_SIDE = 4
"""Pixels. Nothing that is narrower holds a letter."""

MAX_SIDE = 32_000
"""Pixels. OpenCV's warps address pixels with signed 16-bit numbers."""

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

# The limit is a setting, checked per call. Pillow's own is global and half of it is a warning.
Image.MAX_IMAGE_PIXELS = None


def open_image(data: bytes | Path, *, max_pixels: int) -> Image.Image:
    """The first frame of a picture, upright and RGB.

    EXIF orientation is applied, transparency lies on white, and every depth and colour space becomes
    8-bit RGB. Raises `EmptyFile`, `UnsupportedMedia`, `ImageTooLarge` or `InvalidImage`.
    """
    with open_frames(data) as image:
        check_size(image.size, max_pixels)
        return normalise(image)


@contextmanager
def open_frames(data: bytes | Path) -> Iterator[Image.Image]:
    """The picture with its header read and nothing decoded, as Pillow's own object.

    Inside the `with`, whatever a decoder raises on bad bytes becomes an `AirgapError`. The caller
    calls `check_size` after each `seek` and before the pixels are touched. Raises as `open_image`.
    """
    kind = sniff_file(data)
    if kind not in IMAGE_KINDS:
        raise _unsupported(kind)
    with decoding(), _stream(data) as stream:
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


def normalise(image: Image.Image) -> Image.Image:
    """Decode (if need be), turn upright by EXIF, and convert to 8-bit RGB on white.

    The result shares nothing with its source, which may be closed. Inside `decoding()` only.
    """
    _despite_warnings(image.load)
    method = _UPRIGHT.get(_orientation(image))
    rgb = _to_rgb(image)
    if method is not None:
        return rgb.transpose(method)
    return rgb.copy() if rgb is image else rgb


def _unsupported(kind: str | None) -> UnsupportedMedia:
    if kind == "pdf":
        return UnsupportedMedia("This is a PDF, not a picture.", "Send PDFs to /pdf/ocr.")
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
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return cast(Image.Image, ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB"))
    if image.has_transparency_data:
        return _on_white(image if mode == "RGBA" else image.convert("RGBA"))
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


def _deep_grey_to_rgb(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or in floats → RGB, by the smallest usual range that holds its values.

    Scanners put 10- and 12-bit values into 16 bits, and floats come as 0–1 as well as 0–255.
    """
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


# --- for DeepSeek-OCR --------------------------------------------------------------------------------

_PADDING = (127, 127, 127)
_STRETCHED_UP_TO = 640
_SAMPLE = 64  # pixels a side; enough to know most coloured pages by


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A page as DeepSeek-OCR takes it; pixels are 0 to 255, normalised to -1 to 1 on the device.

    `global_view` is uint8 [B, B, 3], `tiles` uint8 [n, S, S, 3] in reading order (n = 0 where the page
    was not tiled), `grid` the `(columns, rows)` of the tiles, (1, 1) without. Where `grey`, the three
    channels are one and the same memory.
    """

    global_view: Pixels
    tiles: Pixels
    grid: tuple[int, int]
    num_image_tokens: int
    grey: bool = False

    def packed(self) -> tuple[Pixels, Pixels]:
        """`(global_view, tiles)` without repeated channels, contiguous: what is worth sending."""
        if not self.grey:
            return self.global_view, self.tiles
        return np.ascontiguousarray(self.global_view[..., :1]), np.ascontiguousarray(self.tiles[..., :1])

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return (self.global_view.nbytes + self.tiles.nbytes) // (3 if self.grey else 1)


def prepare(image: Image.Image, mode: Mode | ModeSpec, *, max_crops: int = MAX_CROPS) -> Prepared:
    """The views of an upright RGB page in a mode. Releases the GIL for most of its time.

    As in DeepSeek-OCR's own preprocessing: sides up to 640 are stretched to the square, larger ones are
    padded with grey; with tiles, the page is stretched to the whole grid and cut. Pillow resizes
    (bicubic), as it did for the model's training data. Source: `process/image_process.py` and
    `deepseek_ocr.py` of the authors' vLLM code.
    """
    spec = mode if isinstance(mode, ModeSpec) else MODES[mode]
    grid = tile_grid(*image.size, spec.image_size, max_crops) if spec.crop else (1, 1)
    tokens = num_image_tokens(spec, *image.size, max_crops)
    channel = _only_channel(image)
    source = image if channel is None else channel
    if spec.base_size <= _STRETCHED_UP_TO and not spec.crop:
        view = source.resize((spec.base_size, spec.base_size))
    else:
        view = _pad(source, spec.base_size)
    pixels, tiles = np.array(view), _cut(source, grid, spec.image_size)
    if channel is None:
        return Prepared(pixels, tiles, grid, tokens)
    return Prepared(_as_rgb(pixels), _as_rgb(tiles), grid, tokens, grey=True)


def _only_channel(image: Image.Image) -> Image.Image | None:
    """The red channel where the other two are the same, as on most scans; None on a page with colour.

    Resampling treats every channel alike, so one resampled is all three, in a third of the time.
    """
    sample = np.asarray(image.resize((_SAMPLE, _SAMPLE), Image.Resampling.NEAREST))
    if (sample != sample[..., :1]).any():
        return None
    red, green, blue = image.split()
    pixels = np.asarray(red)
    alike = np.array_equal(pixels, np.asarray(green)) and np.array_equal(pixels, np.asarray(blue))
    return red if alike else None


def _as_rgb(grey: Pixels) -> Pixels:
    return np.lib.stride_tricks.as_strided(grey, (*grey.shape, 3), (*grey.strides, 0))


def _pad(image: Image.Image, side: int) -> Image.Image:
    """Fit into a square, centred on grey."""
    width, height = image.size
    if 2 * side * min(width, height) <= max(width, height):  # Pillow would round the short side to none
        image = image.resize((1, side) if width < height else (side, 1))
    return ImageOps.pad(image, (side, side), color=_PADDING if image.mode == "RGB" else _PADDING[0])


def _cut(image: Image.Image, grid: tuple[int, int], side: int) -> Pixels:
    """[n, S, S, 3] of an RGB picture, [n, S, S] of a channel."""
    columns, rows = grid
    channels = (3,) if image.mode == "RGB" else ()
    if grid == (1, 1):
        return np.empty((0, side, side, *channels), np.uint8)
    whole = np.asarray(image.resize((columns * side, rows * side)))
    tiles = np.empty((rows, columns, side, side, *channels), np.uint8)
    tiles[...] = whole.reshape(rows, side, columns, side, *channels).swapaxes(1, 2)
    return tiles.reshape(rows * columns, side, side, *channels)
