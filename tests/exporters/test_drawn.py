"""What is drawn on pages, pixel by pixel: frames, plates, hatching, placeholders, previews."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from airgap.core.document import Block, Box
from airgap.core.errors import InvalidOption
from airgap.exporters import annotated
from airgap.exporters.annotated import UNREAD_COLOUR, _shown, annotate, crop, label_colour, png_bytes, to_png
from airgap.exporters.placeholder import A4_PIXELS, _wrapped, placeholder
from airgap.exporters.preview import LONGEST_SIDE, MEDIA_TYPE, THUMBNAIL_SIDE, to_preview
from tests.exporters.factory import PictureSource, document, picture

WHITE = (255, 255, 255)
Pixel = tuple[int, ...]


def white(width: int = 400, height: int = 400) -> Image.Image:
    return Image.new("RGB", (width, height), "white")


def row(image: Image.Image, y: int, start: int, stop: int) -> list[Pixel]:
    return [image.getpixel((x, y)) for x in range(start, stop)]  # type: ignore[misc]


def places(
    image: Image.Image, colour: Pixel, box: tuple[int, int, int, int] | None = None
) -> tuple[int, ...] | None:
    """The box around all pixels of a colour, its right and lower end included."""
    x0, y0, x1, y1 = box or (0, 0, *image.size)
    ys, xs = np.nonzero((np.asarray(image)[y0:y1, x0:x1] == colour).all(axis=2))
    return (x0 + xs.min(), y0 + ys.min(), x0 + xs.max(), y0 + ys.max()) if len(xs) else None


def inked_places(image: Image.Image, *ground: Pixel) -> tuple[int, ...]:
    """The box around all pixels that are none of the ground's."""
    inked = np.all([(np.asarray(image) != colour).any(axis=2) for colour in ground], axis=0)
    ys, xs = np.nonzero(inked)
    return xs.min(), ys.min(), xs.max(), ys.max()


# --- labels --------------------------------------------------------------------------------------

COLOURS = """
    title be1e2d sub_title d65c0a text 1c58b4 image 148246 image_caption 469628 table 7828a0
    table_caption a53c96 table_footnote 8c5a8c equation 007d87 header 646464 footer 646464
    footnote 82643c page_number 50506e
    chemistry a17517 music 17a18a
"""


def test_labels_have_the_colours_they_always_had() -> None:
    words = COLOURS.split()
    told = dict(zip(words[::2], words[1::2], strict=True))
    assert {label: "{:02x}{:02x}{:02x}".format(*label_colour(label)) for label in told} == told
    assert label_colour(" Title\n") == label_colour("title")
    assert label_colour("\ud800") == label_colour("?")


def test_labels_are_shown_short_and_on_one_line() -> None:
    assert _shown("a\nb") == "a b"
    assert _shown("\x00 ") == _shown("") == "?"
    assert _shown("w" * 32) == "w" * 32
    assert _shown("w" * 33) == "w" * 29 + "..."


# --- boxes ---------------------------------------------------------------------------------------


def boxed(label: str = "text", *boxes: tuple[float, ...], size: tuple[int, int] = (400, 400)) -> Image.Image:
    return annotate(
        white(*size), [Block(label, "", tuple(Box(*box) for box in boxes or [(100, 100, 300, 300)]))]
    )


def test_a_box_has_a_frame_of_its_colour_and_a_tint() -> None:
    drawn, blue = boxed(), label_colour("text")
    tint = tuple(round((255 * (255 - 36) + channel * 36) / 255) for channel in blue)
    assert row(drawn, 200, 98, 104) == [WHITE, WHITE, blue, blue, tint, tint]
    assert row(drawn, 200, 298, 303) == [tint, blue, blue, WHITE, WHITE]
    title = boxed(" TITLE ")
    assert row(title, 200, 99, 105)[1:5] == [label_colour("title")] * 4
    assert row(title, 200, 104, 105) != [label_colour("title")]


def test_frames_grow_with_pictures_of_more_than_1400_pixels() -> None:
    def frame(size: tuple[int, int]) -> int:
        drawn = boxed("text", (100, 100, 300, 300), size=size)
        return row(drawn, 200, 90, 120).count(label_colour("text"))

    assert [frame(size) for size in ((400, 1400), (400, 1700), (400, 2100), (2800, 400))] == [2, 2, 3, 4]


def test_a_plate_stands_on_its_box_and_within_the_picture() -> None:
    blue = label_colour("text")
    above = places(boxed(), blue, (0, 0, 400, 100))
    assert above is not None
    left, top, right, bottom = above
    width, height = right - left, 100 - top
    assert (left, bottom) == (100, 99)
    corner = places(boxed("text", (390, 2, 398, 30)), blue)
    assert corner is not None
    assert (corner[0], corner[1], corner[2]) == (399 - width, 0, 399)
    low = places(boxed("text", (100, 399, 120, 400)), blue)
    assert low is not None
    assert (low[1], low[3]) == (399 - height, 399)
    plate = boxed().crop((left, top, right + 1, 100))
    assert plate.getpixel((1, 1)) == WHITE
    x0, y0, x1, y1 = ImageDraw.Draw(white()).textbbox((0, 0), "1 text", font=ImageFont.load_default(12))
    assert (width, height) == (x1 - x0 + 4, y1 - y0 + 4), "two pixels around the words"
    inked = inked_places(plate.crop((1, 1, plate.width - 1, plate.height - 1)), WHITE)
    assert inked[1] == 1
    assert inked[3] == plate.height - 4
    assert 1 <= inked[0] <= 4
    assert plate.width - 8 <= inked[2] <= plate.width - 4


def test_boxes_are_numbered_in_reading_order() -> None:
    one = annotate(white(), [Block("text", "", (Box(100, 100, 300, 300),))])
    two = annotate(white(), [Block("text", ""), Block("text", "", (Box(100, 100, 300, 300),))])
    plates = (100, 70, 160, 100)
    assert one.crop(plates).tobytes() != two.crop(plates).tobytes()
    same = annotate(white(), [Block("text", "", (Box(100, 100, 300, 300), Box(10, 350, 90, 390)))])
    assert one.crop(plates).tobytes() == same.crop(plates).tobytes()


def test_what_was_not_read_is_hatched() -> None:
    drawn = annotate(white(), [], [Box(100, 100, 200, 140)])
    assert places(drawn, UNREAD_COLOUR) == (100, 100, 200, 140)
    assert row(drawn, 120, 98, 103)[:4] == [WHITE, WHITE, UNREAD_COLOUR, UNREAD_COLOUR]
    inside = row(drawn, 120, 103, 198)
    stroke = tuple(round((255 * (255 - 170) + channel * 170) / 255) for channel in UNREAD_COLOUR)
    crossings = [x for x, pixel in enumerate(inside, 103) if pixel != WHITE]
    assert {later - x for x, later in pairwise(crossings)} <= {8, 9, 10}
    assert all(max(abs(a - b) for a, b in zip(inside[x - 103], stroke, strict=True)) <= 2 for x in crossings)
    lower = [x for x, pixel in enumerate(row(drawn, 125, 103, 198), 103) if pixel != WHITE]
    assert crossings[1] - lower[1] in (5, -4), "strokes rise to the right"
    large = annotate(white(400, 2800), [], [Box(100, 100, 200, 140)])
    assert row(large, 120, 98, 106).count(UNREAD_COLOUR) == 4
    wide = [x for x, pixel in enumerate(row(large, 120, 105, 195), 105) if pixel != WHITE]
    assert len([x for x in wide if x - 1 in wide]) * 9 >= 36 or len(wide) >= 8


def test_a_picture_that_is_not_rgb_is_drawn_on_as_rgb_and_left_as_it_is() -> None:
    grey = Image.new("L", (50, 50), 200)
    assert annotate(grey, []).mode == "RGB"
    assert (grey.mode, annotate(grey, []).getpixel((0, 0))) == ("L", (200, 200, 200))
    page = white(50, 50)
    assert annotate(page, []) is not page


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((10, 20, 30, 50), (20, 30)),
        ((-5, -5, 10, 10), (10, 10)),
        ((90, 90, 500, 500), (10, 10)),
        ((500, 500, 600, 600), (1, 1)),
        ((-9, -9, -5, -5), (1, 1)),
        ((10, 10, 10, 10), (1, 1)),
        ((10.4, 10.4, 20.6, 20.6), (11, 11)),
    ],
)
def test_a_piece_lies_within_the_page(box: tuple[float, ...], size: tuple[int, int]) -> None:
    assert crop(white(100, 100), Box(*box)).size == size


def test_an_annotated_page_is_a_png_of_the_one_page() -> None:
    data = to_png(document(), PictureSource({1: picture()}))
    assert data == png_bytes(annotate(picture(), document().pages[0].blocks))
    assert annotated.MAX_LABEL_CHARACTERS == 32
    with pytest.raises(InvalidOption, match="needs the original"):
        to_png(document(), None)


# --- placeholders --------------------------------------------------------------------------------

GREY, FRAME = (236, 236, 236), (150, 30, 30)


@pytest.mark.parametrize("size", [(0, 0), (0, 100), (100, 0), (-1, 5)])
def test_a_placeholder_of_no_size_is_an_a4_sheet(size: tuple[int, int]) -> None:
    assert placeholder(size, ["x"]).size == A4_PIXELS == (1240, 1754)


def test_a_placeholder_is_framed_and_says_why_in_its_middle() -> None:
    made = placeholder((600, 400), ["Page 3", "could not be shown"])
    assert row(made, 200, 0, 3) == [FRAME, FRAME, GREY]
    assert row(made, 200, 597, 600) == [GREY, FRAME, FRAME]
    assert places(made, FRAME) == (0, 0, 599, 399)
    inked = inked_places(made, GREY, FRAME)
    assert abs((inked[0] + inked[2]) / 2 - 300) <= 3
    assert abs((inked[1] + inked[3]) / 2 - 200) <= 5
    assert 100 < inked[2] - inked[0] < 400
    assert 20 < inked[3] - inked[1] < 50
    for width in (299, 599):
        assert row(placeholder((width, 50), []), 25, 0, 2) == [FRAME, GREY]


def test_long_lines_of_a_placeholder_are_wrapped_into_it() -> None:
    for size in ((600, 800), (200, 300)):
        inked = inked_places(placeholder(size, ["several words of a reason " * 8]), GREY, FRAME)
        assert size[0] * 0.5 < inked[2] - inked[0] < size[0] * 0.97


def test_how_lines_are_wrapped() -> None:
    assert _wrapped("aa bb cc", 5) == "aa bb\ncc"
    assert _wrapped("aa bb cc", 4) == "aa\nbb\ncc"
    assert _wrapped("longer a", 3) == "longer\na"
    assert _wrapped("a\x00b", 9) == "a b"
    assert _wrapped("w" * 700, 9) == "w" * 600
    assert _wrapped("", 9) == ""


# --- previews ------------------------------------------------------------------------------------


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("size", "side", "shown"),
    [
        ((1600, 900), 1600, (1600, 900)),
        ((1601, 800), 1600, (1600, 800)),
        ((800, 3200), 1600, (400, 1600)),
        ((300, 100), 30, (30, 10)),
        ((300, 1), 30, (30, 1)),
        ((1, 300), 30, (1, 30)),
        ((20, 10), 30, (20, 10)),
    ],
)
def test_a_preview_is_never_larger_than_asked_nor_than_the_page(
    size: tuple[int, int], side: int, shown: tuple[int, int]
) -> None:
    assert opened(to_preview(white(*size), side)).size == shown


def test_a_preview_is_a_jpeg_of_good_quality() -> None:
    assert (LONGEST_SIDE, THUMBNAIL_SIDE, MEDIA_TYPE) == (1600, 216, "image/jpeg")
    made = opened(to_preview(picture().convert("RGBA")))
    assert (made.format, made.mode, made.size) == ("JPEG", "RGB", (200, 300))
    reference = io.BytesIO()
    picture().save(reference, "JPEG", quality=82)
    assert made.quantization == opened(reference.getvalue()).quantization  # type: ignore[attr-defined]
    assert opened(to_preview(white(2000, 10))).size == (1600, 8)
