"""The annotated page and its crops."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from airgap.core.document import Block, Box, Page
from airgap.core.errors import InvalidOption
from airgap.exporters import export
from airgap.exporters.annotated import annotate, crop_blocks, label_colour
from tests.exporters.factory import PictureSource, block, document, picture, report_page


def test_boxes_are_outlined_in_the_colour_of_their_label() -> None:
    page = Image.new("RGB", (400, 400), "white")
    drawn = annotate(
        page, [block("table", "", (100, 100, 300, 300)), block("title", "", (20, 340, 380, 380))]
    )
    assert drawn.getpixel((100, 200)) == label_colour("table")
    assert drawn.getpixel((103, 200)) != label_colour("table")
    assert drawn.getpixel((23, 360)) == label_colour("title")
    assert drawn.getpixel((200, 200)) != (255, 255, 255)
    assert drawn.getpixel((350, 200)) == (255, 255, 255)
    assert page.getcolors() == [(400 * 400, (255, 255, 255))]


def test_an_unknown_label_has_a_colour_of_its_own() -> None:
    assert label_colour("chemistry") == label_colour(" Chemistry ")
    assert label_colour("chemistry") != label_colour("music")


def test_the_name_of_a_box_at_the_corner_is_drawn_inside() -> None:
    drawn = annotate(Image.new("RGB", (300, 200), "white"), [block("text", "", (298, 0, 300, 2))])
    plate = drawn.crop((200, 0, 300, 30))
    assert len(plate.getcolors(10_000) or []) > 5


@given(
    st.text(max_size=60),
    st.tuples(*[st.floats(-1e6, 1e6)] * 4),
    st.sampled_from([(1, 1), (2, 300), (300, 2), (64, 64)]),
)
def test_nothing_makes_drawing_or_cutting_fail(label, corners, size) -> None:
    x0, y0, x1, y1 = corners
    box = Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    image = Image.new("RGB", size)
    assert annotate(image, [Block(label, "", (box,))]).size == size
    ((_, _, piece),) = crop_blocks(image, [Block(label, "", (box,))])
    assert 1 <= piece.width <= size[0]
    assert 1 <= piece.height <= size[1]


def test_crops_are_the_pixels_under_the_boxes() -> None:
    image = picture()
    crops = crop_blocks(image, report_page().blocks)
    assert [label for label, _, _ in crops].count("image") == 3
    label, box, piece = crops[3]
    assert (label, box, piece.size) == ("image", Box(10, 100, 90, 160), (80, 60))
    assert piece.getpixel((0, 0)) == image.getpixel((10, 100))


def test_the_png_has_the_size_of_the_page() -> None:
    data = export("annotated", document(), PictureSource({1: picture()}))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("PNG", (200, 300))


def test_several_pages_are_refused_with_the_way_out() -> None:
    with pytest.raises(InvalidOption) as caught:
        export("annotated", document(report_page(1), Page(2, 10, 10)), PictureSource({1: picture()}))
    assert "layout_pdf" in caught.value.remedy
