"""A page's picture → what DeepSeek-OCR takes: views, tiles, their grid. Bytes become pictures in `decode`.

This module knows nothing about PDFs, pages, engines or HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from airgap.core.document import Mode
from deepseek_ocr import MAX_CROPS, MODES, ModeSpec, num_image_tokens, tile_grid
from process.decode import (
    IMAGE_KINDS,
    MAX_SIDE,
    MIN_SIDE,
    check_size,
    decoding,
    normalise,
    open_frames,
    open_image,
)

__all__ = [
    "IMAGE_KINDS",
    "MAX_SIDE",
    "MIN_SIDE",
    "Pixels",
    "Prepared",
    "check_size",
    "decoding",
    "normalise",
    "open_frames",
    "open_image",
    "prepare",
]

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

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
