"""A PDF's own boxes and turns, and what OCRmyPDF is told of the lines on its pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pikepdf
import pytest
from ocrmypdf.font import FontManager
from PIL import Image

from airgap.exporters import bookmarks
from airgap.exporters import ocrmypdf_plugin as plugin
from airgap.exporters import searchable_pdf_child as child
from airgap.exporters.ocrmypdf_plugin import PlacedLine, PlacedPage

# --- pages of a PDF ------------------------------------------------------------------------------


def placed(media: list[float], crop: list[float] | None = None, turn: int = 0, **page: Any) -> PlacedPage:
    pdf = pikepdf.new()
    pdf.add_blank_page(page_size=(10, 10))
    pdf.pages[0].obj["/MediaBox"] = pikepdf.Array(media)
    if crop is not None:
        pdf.pages[0].obj["/CropBox"] = pikepdf.Array(crop)
    if turn:
        pdf.pages[0].obj["/Rotate"] = turn
    asked = {
        "width": 200,
        "height": 400,
        "lines": [{"box": (10, 20, 30, 40), "turn": 90, "words": [("w", (1, 2, 3, 4))]}],
    }
    return child._placed(asked | page, pdf.pages[0])


@pytest.mark.parametrize(
    ("media", "crop", "turn", "size", "moved"),
    [
        ([0, 0, 100, 200], None, 0, (200, 400), (0, 0)),
        ([50, 60, 150, 260], None, 0, (200, 400), (0, 0)),
        ([150, 260, 50, 60], None, 0, (200, 400), (0, 0)),
        ([0, 0, 130, 260], [10, 20, 110, 220], 0, (260, 520), (20, 80)),
        ([0, 0, 260, 130], [20, 10, 220, 110], 90, (260, 520), (20, 40)),
        ([0, 0, 130, 260], [10, 20, 110, 220], 180, (260, 520), (40, 40)),
        ([0, 0, 260, 130], [20, 10, 220, 110], 270, (260, 520), (40, 80)),
        ([0, 0, 260, 130], [20, 10, 220, 110], -90, (260, 520), (40, 80)),
        ([0, 0, 100, 200], [-50, -50, 500, 500], 0, (200, 400), (0, 0)),
        ([0, 0, 100, 200], [500, 500, 600, 600], 0, (200, 400), (0, 0)),
        ([0, 0, 100, 200], [50, 0, 50, 200], 0, (200, 400), (0, 0)),
    ],
)
def test_lines_move_from_what_is_shown_to_the_whole_page(
    media: list[float],
    crop: list[float] | None,
    turn: int,
    size: tuple[float, float],
    moved: tuple[float, float],
) -> None:
    found = placed(media, crop, turn)
    dx, dy = moved
    assert (found.width, found.height) == pytest.approx(size)
    assert found.dpi == pytest.approx(144)
    [line] = found.lines
    assert line.box == pytest.approx((10 + dx, 20 + dy, 30 + dx, 40 + dy))
    assert line.turn == 90
    [(word, box)] = line.words
    assert word == "w"
    assert box == pytest.approx((1 + dx, 2 + dy, 3 + dx, 4 + dy))


def test_a_turn_may_come_from_far_above() -> None:
    pdf = pikepdf.new()
    pdf.add_blank_page(page_size=(10, 10))

    def below(count: int) -> int:
        node = pikepdf.Dictionary(Rotate=90)
        for _ in range(count):
            node = pdf.make_indirect(pikepdf.Dictionary(Parent=node))
        page = pikepdf.Page(pdf.make_indirect(pikepdf.Dictionary(Type=pikepdf.Name.Page, Parent=node)))
        return bookmarks._inherited_rotation(page)

    assert [below(count) for count in (0, 1, 49, 50)] == [90, 90, 90, 0]
    assert bookmarks._inherited_rotation(pdf.pages[0]) == 0


# --- what OCRmyPDF is told -----------------------------------------------------------------------


def told(box: tuple[float, ...], turn: int, *words: str) -> Any:
    placed_words = tuple((word, (1.0, 2.0, 3.0, 4.0)) for word in words)
    plugin.PAGES[7] = PlacedPage(200, 400, 144, (PlacedLine(box, turn, placed_words),))  # type: ignore[arg-type]
    try:
        return plugin.PagesRead.generate_ocr(Path(), None, 7)
    finally:
        del plugin.PAGES[7]


def test_a_page_is_told_with_its_lines_and_words() -> None:
    tree, text = told((10, 20, 110, 40), 0, "two", "words")
    assert text == "two words"
    assert (tree.ocr_class, tree.dpi, tree.page_number) == ("ocr_page", 144, 7)
    assert (tree.bbox.left, tree.bbox.top, tree.bbox.right, tree.bbox.bottom) == (0, 0, 200, 400)
    [line] = tree.children
    assert (line.ocr_class, line.textangle, line.language) == ("ocr_line", None, None)
    assert [(word.ocr_class, word.text, word.bbox.left, word.bbox.bottom) for word in line.children] == [
        ("ocrx_word", "two", 1, 4),
        ("ocrx_word", "words", 1, 4),
    ]
    [odd] = told((10, 20, 110, 40), 0, "漢")[0].children
    assert odd.language == "glyphless"


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("word", ["word", "漢"])
def test_ascender_and_descender_end_at_the_lines_box(turn: int, word: str) -> None:
    """Of a line that is 20 thick: the size of letters, their baseline, and the edge that is moved for it."""
    box = (10.0, 20.0, 110.0, 40.0) if turn % 180 == 0 else (10.0, 20.0, 30.0, 120.0)
    [line] = told(box, turn, word)[0].children
    font = FontManager(plugin._LATIN_FONT if word == "word" else plugin._GLYPHLESS_FONT)
    ascent, descent, em = font.get_font_metrics()
    size = 20 / ((ascent - descent) / em)
    assert line.baseline.slope == 0
    assert line.baseline.intercept == pytest.approx(size * descent / em)
    grown = size * (1 - descent / em) - 20
    assert abs(grown) > 0.1
    edges = [line.bbox.left, line.bbox.top, line.bbox.right, line.bbox.bottom]
    moved = {0: (0, -grown, 0, 0), 90: (0, 0, grown, 0), 180: (0, 0, 0, grown), 270: (-grown, 0, 0, 0)}[turn]
    assert edges == pytest.approx([a + b for a, b in zip(box, moved, strict=True)])
    assert line.textangle == {0: None, 90: 270, 180: 180, 270: 90}[turn]


def test_an_empty_picture_stands_for_the_page(tmp_path: Path) -> None:
    class Dpi:
        def __init__(self, x: float, y: float) -> None:
            self.x, self.y = x, y

    path = tmp_path / "a.png"
    for page_dpi_, shown in ((Dpi(150, 100), (150, 100)), (None, (300, 300))):
        assert plugin.rasterize_pdf_page(path, Dpi(300, 300), page_dpi_) == path
        with Image.open(path) as image:
            assert image.info["dpi"] == pytest.approx(shown, abs=0.1)
            assert (image.mode, image.size, image.getpixel((0, 0))) == ("1", (8, 8), 255)


def test_what_the_engine_says_of_itself() -> None:
    engine: Any = plugin.get_ocr_engine(None)
    assert (str(engine), engine.creator_tag(None), engine.version()) == ("Airgap OCR", "Airgap OCR", "1")
    assert (engine.languages(None), engine.supports_generate_ocr()) == ({"eng"}, True)
    assert tuple(engine.get_orientation(Path(), None)) == (0, 0.0)
    assert list(plugin.register_options()) == ["tesseract"]
    for refused in (engine.generate_hocr, engine.generate_pdf):
        with pytest.raises(NotImplementedError):
            refused(Path(), Path(), Path(), None)
