"""What OCRmyPDF asks an OCR engine for, answered from pages that were read before.

Imported by OCRmyPDF in the child process that `searchable_pdf_child` is; `PAGES` is filled there.
OCRmyPDF's own engine is switched off and no page is drawn: the text is there already.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ocrmypdf
from ocrmypdf import hookimpl
from ocrmypdf.builtin_plugins.tesseract_ocr import TesseractOptions
from ocrmypdf.font import FontManager, MultiFontManager
from ocrmypdf.models.ocr_element import Baseline, BoundingBox, OcrClass, OcrElement
from ocrmypdf.pluginspec import OcrEngine, OrientationConfidence
from PIL import Image

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line in pixels of the page as displayed: its text, box, clockwise turn, and words with boxes."""

    box: Rectangle
    turn: int
    words: tuple[tuple[str, Rectangle], ...]


@dataclass(frozen=True, slots=True)
class PlacedPage:
    """The lines of one page, `dpi` pixels to the inch, the whole media box `width` × `height` pixels."""

    width: float
    height: float
    dpi: float
    lines: tuple[PlacedLine, ...]


PAGES: dict[int, PlacedPage] = {}
"""By zero-based page number."""

GLYPHLESS = "glyphless"
"""A language for which OCRmyPDF prefers its glyphless font, for all words of a line."""

_LATIN_FONT = Path(ocrmypdf.__file__).parent / "data" / "NotoSans-Regular.ttf"
_GLYPHLESS_FONT = Path(ocrmypdf.__file__).parent / "data" / "Occulta.ttf"


class PagesRead(OcrEngine):
    """The engine that has read everything already."""

    @staticmethod
    def version() -> str:
        return "1"

    @staticmethod
    def creator_tag(options: Any) -> str:
        return "Airgap OCR"

    def __str__(self) -> str:
        return "Airgap OCR"

    @staticmethod
    def languages(options: Any) -> Set[str]:
        return {"eng"}  # OCRmyPDF's default, which it insists on; nothing depends on it

    @staticmethod
    def get_orientation(input_file: Path, options: Any) -> OrientationConfidence:
        return OrientationConfidence(0, 0.0)

    @staticmethod
    def supports_generate_ocr() -> bool:
        return True

    @staticmethod
    def generate_ocr(input_file: Path, options: Any, page_number: int = 0) -> tuple[OcrElement, str]:
        page = PAGES[page_number]
        tree = OcrElement(
            OcrClass.PAGE,
            bbox=BoundingBox(0, 0, page.width, page.height),
            dpi=page.dpi,
            page_number=page_number,
            children=list(_elements(page)),
        )
        return tree, "\n".join(" ".join(word for word, _ in line.words) for line in page.lines)

    @staticmethod
    def generate_hocr(input_file: Path, output_hocr: Path, output_text: Path, options: Any) -> None:
        raise NotImplementedError("text is given through generate_ocr alone")

    @staticmethod
    def generate_pdf(input_file: Path, output_pdf: Path, output_text: Path, options: Any) -> None:
        raise NotImplementedError("text is given through generate_ocr alone")


def _elements(page: PlacedPage) -> Iterator[OcrElement]:
    """Lines such that what a viewer highlights is the line's box.

    OCRmyPDF derives the size of the letters from the height of the line's box above its baseline,
    and viewers highlight from the font's ascender to its descender. Box and baseline are therefore
    chosen so that ascender and descender of the font it is going to use end at the true box. That is
    its Latin, Greek and Cyrillic font where this has all letters of a line, else its glyphless one.
    """
    latin, glyphless = FontManager(_LATIN_FONT), FontManager(_GLYPHLESS_FONT)
    for line in page.lines:
        is_latin = all(latin.has_glyph(ord(c)) for word, _ in line.words for c in word)
        ascent, descent, em = (latin if is_latin else glyphless).get_font_metrics()
        above, below = ascent / em, -descent / em
        thickness = (line.box[3] - line.box[1]) if line.turn % 180 == 0 else (line.box[2] - line.box[0])
        size = thickness / (above + below)
        yield OcrElement(
            OcrClass.LINE,
            bbox=_grown(line.box, line.turn, size * (1 + below) - thickness),
            baseline=Baseline(0.0, -below * size),
            textangle=-line.turn % 360 if line.turn else None,
            language=None if is_latin else GLYPHLESS,
            children=[
                OcrElement(OcrClass.WORD, bbox=BoundingBox(*box), text=word) for word, box in line.words
            ],
        )


def _grown(box: Rectangle, turn: int, extra: float) -> BoundingBox:
    """The box with its upper edge, as the turned text has it, moved outwards by `extra`."""
    left, top, right, bottom = box
    if turn == 0:
        top -= extra
    elif turn == 90:
        right += extra
    elif turn == 180:
        bottom += extra
    else:
        left -= extra
    return BoundingBox(left, top, right, bottom)


@hookimpl
def initialize(plugin_manager: Any) -> None:
    MultiFontManager.LANGUAGE_FONT_MAP[GLYPHLESS] = "Occulta"
    # Its check of the options insists on an installed Tesseract, which nothing here needs.
    plugin_manager.set_blocked("ocrmypdf.builtin_plugins.tesseract_ocr")


@hookimpl
def register_options() -> dict[str, type[Any]]:
    """Tesseract's options with their defaults: OCRmyPDF reads them even where Tesseract is off."""
    return {"tesseract": TesseractOptions}


@hookimpl
def get_ocr_engine(options: Any) -> OcrEngine:
    return PagesRead()


@hookimpl
def rasterize_pdf_page(output_file: Path, raster_dpi: Any, page_dpi: Any) -> Path:
    """An empty picture: nobody looks at it, and drawing a hostile page costs time and trust."""
    dpi = page_dpi or raster_dpi
    Image.new("1", (8, 8), 1).save(output_file, dpi=(float(dpi.x), float(dpi.y)))
    return output_file
