"""What a second look sees of a place over which a stamp was set."""

from __future__ import annotations

from PIL import Image, ImageDraw

from airgap.core.document import Box
from process.second_look import close_up

PLACE = Box(40, 40, 300, 60)


def page(ink: str) -> Image.Image:
    image = Image.new("RGB", (400, 120), "white")
    pen = ImageDraw.Draw(image)
    for x in range(44, 296, 9):
        pen.line((x, 44, x, 57), "black", 3)
    pen.rectangle((100, 20, 220, 52), outline=ink, width=5)
    return image


def is_coloured(image: Image.Image) -> bool:
    return any(len(set(pixel)) > 1 for _, pixel in image.getcolors(1 << 20) or [])  # type: ignore[arg-type]


def test_black_print_is_looked_at_without_the_stamp_over_it() -> None:
    picture = close_up(page("#e03030"), [PLACE], []).picture
    assert not is_coloured(picture)
    assert picture.getextrema()[0][0] < 60  # type: ignore[index]


def test_coloured_print_by_itself_keeps_its_colour() -> None:
    image = Image.new("RGB", (400, 120), "white")
    ImageDraw.Draw(image).rectangle((60, 44, 200, 56), fill="#e03030")
    assert is_coloured(close_up(image, [PLACE], []).picture)
