"""Figures as files, and the PDF that shows the layout."""

import io
import zipfile

import pymupdf
import pytest
from PIL import Image

from airgap.core.document import Page
from airgap.exporters import export, export_file
from airgap.exporters.images import iter_images
from airgap.exporters.layout_pdf import PAGES_AT_ONCE
from airgap.exporters.markdown import document_markdown
from airgap.exporters.page_size import A4_LONG_SIDE, page_points
from tests.exporters.factory import PictureSource, block, document, failed_page, picture, report_page


def jpeg(size: tuple[int, int], **options) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "white").save(buffer, "JPEG", **options)
    return buffer.getvalue()


def test_every_link_in_the_markdown_has_its_file() -> None:
    pages = document(report_page(1), failed_page(2), report_page(3))
    with zipfile.ZipFile(
        io.BytesIO(export("images", pages, PictureSource({1: picture(), 3: picture()})))
    ) as z:
        names = z.namelist()
        assert z.testzip() is None
    assert names == [f"images/{page}_{n}.jpg" for page in (1, 3) for n in (1, 2, 3)]
    assert all(f"![]({name})" in document_markdown(pages) for name in names)


def test_a_figure_is_cut_at_full_resolution() -> None:
    image = picture()
    data = dict(iter_images(document(), PictureSource({1: image})))["images/1_1.jpg"]
    with Image.open(io.BytesIO(data)) as figure:
        assert figure.size == (80, 60)
        assert figure.getpixel((40, 30)) == pytest.approx(image.getpixel((50, 130)), abs=4)


def test_only_pages_with_figures_are_asked_for() -> None:
    source = PictureSource({1: picture(), 2: picture()})
    plain = Page(1, 200, 300, blocks=(block(),))
    assert len(list(iter_images(document(plain, report_page(2)), source))) == 3
    assert source.asked == [2]


def test_a_page_that_cannot_be_drawn_again_leaves_visible_figures() -> None:
    names = [
        name for name, data in iter_images(document(report_page(9)), PictureSource({})) if len(data) > 500
    ]
    assert names == ["images/9_1.jpg", "images/9_2.jpg", "images/9_3.jpg"]


def test_layout_pdf_has_every_page_in_its_own_size() -> None:
    count = PAGES_AT_ONCE + 3
    pages = [report_page(n) for n in range(1, count)]
    pages[4] = failed_page(5)
    pages.append(Page(count, 300, 200, width_pt=612.0, height_pt=408.0))
    pictures = {n: picture() for n in range(1, count) if n != 5} | {count: picture((300, 200))}
    with pymupdf.open(stream=export("layout_pdf", document(*pages), PictureSource(pictures))) as pdf:
        assert len(pdf) == count
        assert tuple(pdf[0].rect)[2:] == pytest.approx((100, 150), abs=0.1)
        assert tuple(pdf[4].rect)[2:] == pytest.approx((595.28, 841.89), abs=0.1)
        assert tuple(pdf[count - 1].rect)[2:] == pytest.approx((612, 408), abs=0.1)
        drawn = pdf[0].get_pixmap(dpi=144)
        assert drawn.pixel(20, 20) != drawn.pixel(5, 20)


def test_a_failed_page_whose_picture_exists_is_marked() -> None:
    page = Page(1, 200, 300, status="failed", error=failed_page(1).error)
    source = PictureSource({1: Image.new("RGB", (200, 300), "white")})
    with pymupdf.open(stream=export("layout_pdf", document(page), source)) as pdf:
        assert pdf[0].get_pixmap().color_count() > 10


def test_layout_pdf_to_a_file_is_the_same(tmp_path) -> None:
    source = PictureSource({1: picture()})
    assert export_file("layout_pdf", document(), source, tmp_path / "l.pdf") == ()
    with pymupdf.open(tmp_path / "l.pdf") as pdf:
        assert len(pdf) == 1


def test_the_same_document_gives_the_same_bytes() -> None:
    first, second = (export("layout_pdf", document(), PictureSource({1: picture()})) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"dpi": (300, 300)}, (480.0, 720.0)),
        ({"dpi": (72, 72)}, (A4_LONG_SIDE * 2 / 3, A4_LONG_SIDE)),
        ({}, (A4_LONG_SIDE * 2 / 3, A4_LONG_SIDE)),
    ],
)
def test_size_on_paper(options, expected) -> None:
    source = PictureSource({}, path=jpeg((2000, 3000), **options))
    assert page_points(Page(1, 2000, 3000), source) == pytest.approx(expected, abs=0.1)


def test_size_on_paper_where_pixels_were_not_square() -> None:
    """The page was made square at the finer of the two resolutions."""
    source = PictureSource({}, path=jpeg((2000, 3000), dpi=(300, 150)))
    assert page_points(Page(1, 2000, 6000), source) == pytest.approx((480.0, 1440.0), abs=0.1)


def test_size_on_paper_stays_within_what_pdf_allows() -> None:
    source = PictureSource({}, path=jpeg((10, 60_000), dpi=(100, 100)))
    assert page_points(Page(1, 10, 60_000), source) == (3.0, 14_400.0)


def test_a_source_that_is_no_picture_states_no_resolution() -> None:
    assert page_points(Page(1, 200, 100), PictureSource({}, path=b"not a picture"))[0] == pytest.approx(
        A4_LONG_SIDE
    )
