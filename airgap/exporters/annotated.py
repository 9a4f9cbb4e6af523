"""A page with its layout drawn on it, and the pieces cut from it.

Each label has a colour of its own, the same on every page. Lines and letters grow with the picture,
so that a thumbnail and a poster are both legible. Nothing is drawn outside the picture.
"""

from __future__ import annotations

import colorsys
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from airgap.core.document import Block, Box, Document
from airgap.core.errors import InvalidOption
from airgap.exporters import Source

FILL_ALPHA = 36
MAX_LABEL_CHARACTERS = 32
UNREAD_COLOUR = (200, 0, 0)

_COLOURS: dict[str, tuple[int, int, int]] = {
    "title": (190, 30, 45),
    "sub_title": (214, 92, 10),
    "text": (28, 88, 180),
    "image": (20, 130, 70),
    "image_caption": (70, 150, 40),
    "table": (120, 40, 160),
    "table_caption": (165, 60, 150),
    "table_footnote": (140, 90, 140),
    "equation": (0, 125, 135),
    "header": (100, 100, 100),
    "footer": (100, 100, 100),
    "footnote": (130, 100, 60),
    "page_number": (80, 80, 110),
}


def to_png(document: Document, source: Source | None) -> bytes:
    """The one page of the document, annotated, as PNG.

    Raises `InvalidOption` for a document of several pages, which `layout_pdf` is for.
    """
    if len(document.pages) != 1:
        raise InvalidOption(
            f"The output format 'annotated' shows one page; this document has {len(document.pages)}.",
            "Ask for `layout_pdf`, or for a single page with `page_from` and `page_to`.",
        )
    if source is None:
        raise InvalidOption("The output format 'annotated' needs the original page.")
    page = document.pages[0]
    return png_bytes(annotate(source.image(page.number), page.blocks, page.unread))


def png_bytes(image: Image.Image) -> bytes:
    """The picture as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def label_colour(label: str) -> tuple[int, int, int]:
    """RGB of a label: the same everywhere and always, dark enough to be read on white."""
    name = label.strip().lower()
    if name in _COLOURS:
        return _COLOURS[name]
    hue = zlib.crc32(name.encode("utf-8", "replace")) % 360 / 360
    red, green, blue = colorsys.hls_to_rgb(hue, 0.36, 0.75)
    return round(red * 255), round(green * 255), round(blue * 255)


def annotate(image: Image.Image, blocks: Sequence[Block], unread: Sequence[Box] = ()) -> Image.Image:
    """A copy of the page (RGB) with every box of `blocks` outlined, tinted, numbered and named.

    Numbers count the blocks in reading order from 1; places that were not read are hatched. `image` is
    left as it is.
    """
    canvas = image.convert("RGB") if image.mode != "RGB" else image.copy()
    draw = ImageDraw.Draw(canvas, "RGBA")
    scale = max(1.0, max(canvas.size) / 1400)
    boxes = [(number, block, box) for number, block in enumerate(blocks, 1) for box in block.boxes]
    for _, block, box in boxes:
        width = round((4 if block.label.strip().lower() == "title" else 2) * scale)
        colour = label_colour(block.label)
        draw.rectangle(_inside(box, canvas.size), fill=(*colour, FILL_ALPHA), outline=colour, width=width)
    for box in unread:
        _hatch(draw, _inside(box, canvas.size), scale)
    font = _font(round(12 * scale))
    for number, block, box in boxes:
        _draw_plate(
            draw, canvas.size, _inside(box, canvas.size), f"{number} {_shown(block.label)}", font, block
        )
    return canvas


def _hatch(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], scale: float) -> None:
    """A frame with slanting lines in it; what lies under them can still be read."""
    x0, y0, x1, y1 = box
    width, step = max(1, round(scale)), max(4, round(9 * scale))
    for start in range(x0 - (y1 - y0), x1, step):
        left, right = max(x0, start), min(x1, start + y1 - y0)
        line = ((left, y1 - (left - start)), (right, y1 - (right - start)))
        draw.line(line, fill=(*UNREAD_COLOUR, 170), width=width)
    draw.rectangle(box, outline=UNREAD_COLOUR, width=2 * width)


def _draw_plate(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: tuple[int, int, int, int],
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    block: Block,
) -> None:
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = max(2, round((bottom - top) / 5))
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x = max(0, min(box[0], size[0] - 1 - width))
    y = max(0, min(box[1] - height, size[1] - 1 - height))
    colour = label_colour(block.label)
    draw.rectangle((x, y, x + width, y + height), fill=(255, 255, 255, 235), outline=colour)
    draw.text((x + pad - left, y + pad - top), text, font=font, fill=colour)


def _shown(label: str) -> str:
    """The label on one line, short enough for a plate."""
    text = "".join(c if c.isprintable() else " " for c in label).strip() or "?"
    return text if len(text) <= MAX_LABEL_CHARACTERS else f"{text[: MAX_LABEL_CHARACTERS - 3]}..."


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _inside(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Whole pixels within the picture, at least one pixel, whatever the box says."""
    width, height = size
    x0, y0, x1, y1 = box.rounded()
    x0, y0 = min(max(0, x0), width - 1), min(max(0, y0), height - 1)
    return x0, y0, min(max(x0 + 1, x1), width), min(max(y0 + 1, y1), height)


def crop(image: Image.Image, box: Box) -> Image.Image:
    """The piece of the page under a box, at least one pixel."""
    return image.crop(_inside(box, image.size))


def iter_crops(image: Image.Image, blocks: Iterable[Block]) -> Iterator[tuple[str, Box, Image.Image]]:
    """`(label, box, picture)` for every box of every block, in reading order, one at a time."""
    for block in blocks:
        for box in block.boxes:
            yield block.label, box, crop(image, box)


def crop_blocks(image: Image.Image, blocks: Iterable[Block]) -> list[tuple[str, Box, Image.Image]]:
    """`iter_crops`, all at once."""
    return list(iter_crops(image, blocks))
