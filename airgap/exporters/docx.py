"""Document to DOCX: headings, paragraphs, lists, tables with their spans, and figures.

The page's text flows; its places on the paper are not kept. Every page begins a new one, and a page
that could not be read says so. Running headers, footers and page numbers are those of the pages' sections, as
they were printed, and a section has its pages' size; in a document with more of them than `MAX_SECTIONS`
headers and footers stay in the text, and all pages have the size of the first.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from typing import Any

import docx
import docx.section
import docx.table
import docx.text.paragraph
from docx.enum.section import WD_ORIENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_BREAK
from docx.oxml import OxmlElement
from docx.oxml.table import CT_Tbl
from docx.shared import Emu, Pt, RGBColor
from PIL import Image

from airgap.core.document import Block, Document, Page
from airgap.core.errors import AirgapError
from airgap.exporters import Source
from airgap.exporters.captions import with_captions
from airgap.exporters.continued_tables import with_joined_tables
from airgap.exporters.figures import figures, is_figure
from airgap.exporters.furniture import part_of
from airgap.exporters.html_tables import Cell, Table
from airgap.exporters.images import jpeg_bytes, page_figures
from airgap.exporters.lines import xml_text
from airgap.exporters.markdown import failure_reason
from airgap.exporters.page_size import A4_LONG_SIDE, page_dpi, page_points
from airgap.exporters.rich_text import Depths, Paragraph, Run, inline, rich_text
from airgap.exporters.text import table_text
from airgap.exporters.unread import blocks_with_marks

MAX_SECTIONS = 400
"""Every one is two files in the DOCX, and slow to open."""
SAME_SIZE = 0.05
"""By how much of its sides a page may differ from the one before and count as being of its size."""
MAX_POINTS = 1584.0  # Word's own limit
MARGIN = 0.12
"""The widest margin, in shares of the page's side."""
MOST_BULLETS = 2
"""How deep Word's own styles of lists go, from 0."""
A4 = (595.28, A4_LONG_SIDE)
SIDES = ("left", "right", "top", "bottom")
MAX_COLUMNS = 63  # Word's own limit
MAX_CELLS = 20_000
EMU_PER_INCH = 914_400

PlacedCell = tuple[int, int, Cell]
Running = tuple[tuple[str, ...], tuple[str, ...]]
"""The texts of a page's headers and of its footers."""
Size = tuple[float, float]
"""Width and height of a page in points."""


def to_docx(document: Document, source: Source | None = None) -> bytes:
    """The document as DOCX; without a source, figures are named instead of shown."""
    document = with_joined_tables(document)
    word = Word()
    properties = word.document.core_properties
    properties.author = "Airgap OCR"
    properties.comments = ""
    properties.title = xml_text(source.name)[:255] if source is not None else ""
    sections = _sections(document, source)
    for index, (page, (running, size)) in enumerate(zip(document.pages, sections, strict=True)):
        if index and sections[index] == sections[index - 1]:
            word.paragraph().add_run().add_break(WD_BREAK.PAGE)
        elif index:
            word.end_section(sections[index - 1][0])
        word.set_size(size)
        _page(word, page, source, bool(running))
    if sections:
        word.set_running(sections[-1][0])
    buffer = io.BytesIO()
    word.document.save(buffer)
    return buffer.getvalue()


class Word:
    """A document in the making, to which pieces are added in the same time however many there are.

    The library's own `add_paragraph` and `add_table` look through all that is there for the section's
    end, and through all styles for each name.
    """

    def __init__(self) -> None:
        self.document = docx.Document()
        self._body = self.document._body
        self._end = self.document.element.body.sectPr
        self._has_running = False
        self.depths = Depths()
        self.keeps_with_next = False
        self._style_ids = {style.name: style.style_id for style in self.document.styles}
        self.width = self.height = Emu(0)
        self._margins = {side: getattr(self.document.sections[0], f"{side}_margin") for side in SIDES}

    def set_size(self, size: Size) -> None:
        """Give the last section's pages their size; from here on text and figures have its room."""
        section: Any = docx.section.Section(self._end, self.document.part)
        scale = min(1.0, MAX_POINTS / max(size))
        width, height = (Pt(side * scale) for side in size)
        section.page_width, section.page_height = width, height
        section.orientation = WD_ORIENT.LANDSCAPE if width > height else WD_ORIENT.PORTRAIT
        for side, length in zip(SIDES, (width, width, height, height), strict=True):
            setattr(section, f"{side}_margin", min(self._margins[side], int(MARGIN * length)))
        self.width = Emu(width - section.left_margin - section.right_margin)
        self.height = Emu(height - section.top_margin - section.bottom_margin)

    def paragraph(self, style: str | None = None) -> Any:
        """A new paragraph at the end."""
        element = OxmlElement("w:p")
        self._end.addprevious(element)
        if style is not None:
            element.style = self._style_ids[style]
        paragraph = docx.text.paragraph.Paragraph(element, self._body)
        if self.keeps_with_next:
            paragraph.paragraph_format.keep_with_next = True
        return paragraph

    def end_section(self, running: Running | None) -> None:
        """End the page and its section, which has these headers and footers."""
        section = deepcopy(self._end)
        self.paragraph()._p.get_or_add_pPr().append(section)
        self.set_running(running, section)

    def set_running(self, running: Running | None, section: Any = None) -> None:
        """Give a section, the last one if none is named, its headers and footers."""
        made = docx.section.Section(self._end if section is None else section, self.document.part)
        headers, footers = running or ((), ())
        for place, texts, style in ((made.header, headers, "Header"), (made.footer, footers, "Footer")):
            if not texts and not self._has_running:
                continue
            place.is_linked_to_previous = False
            pieces = [piece for text in texts for piece in rich_text(xml_text(text))]
            for index, piece in enumerate(pieces):
                paragraph = place.add_paragraph() if index else place.paragraphs[0]
                paragraph.style = style
                runs = (Run(table_text(piece)),) if isinstance(piece, Table) else piece.runs
                _runs(paragraph, runs)
        self._has_running |= bool(headers or footers)

    def table(self, rows: int, columns: int, cells: list[PlacedCell]) -> Iterator[tuple[Any, Cell]]:
        """A new table at the end; the first paragraph of each cell, to be filled.

        Spans are written as they come: the library's `merge` looks through the table for each.
        """
        element = CT_Tbl.new_tbl(0, columns, self.width)
        element.tblStyle_val = self._style_ids["Table Grid"]
        self._end.addprevious(element)
        table = docx.table.Table(element, self._body)
        starts = {(row, column): cell for row, column, cell in cells}
        below: dict[tuple[int, int], int] = {}  # where a cell from above goes on, and its columns
        for row in range(rows):
            line = element.add_tr()
            column = 0
            while column < columns:
                cell = starts.get((row, column))
                box = line.add_tc()
                span = cell.colspan if cell else below.get((row, column), 1)
                if span > 1:
                    box.grid_span = span
                if cell and cell.rowspan > 1:
                    box.vMerge = "restart"
                    below.update({(row + down, column): span for down in range(1, cell.rowspan)})
                elif (row, column) in below:
                    box.vMerge = "continue"
                paragraph = docx.table._Cell(box, table).paragraphs[0]
                if cell:
                    yield paragraph, cell
                column += span


def _sections(document: Document, source: Source | None) -> list[tuple[Running | None, Size]]:
    """Of each page the headers and the footers that its section has, None where they stay in the text, and
    the size of its paper."""
    found = []
    for page in document.pages:
        parts = [(part_of(block, page), block.text) for block in page.blocks]
        header = tuple(text for part, text in parts if part == "header")
        footer = tuple(text for part, text in parts if part == "footer")
        found.append((header, footer))
    sizes = _sizes(document, source)
    sections: list[tuple[Running | None, Size]] = list(zip(found, sizes, strict=True))
    if sum(before != after for before, after in pairwise(sections)) > MAX_SECTIONS:
        return [(None, sizes[0]) for _ in found]
    return sections


def _sizes(document: Document, source: Source | None) -> list[Size]:
    """Of each page the size of its paper; nearly the same is the same."""
    sizes: list[Size] = []
    for page in document.pages:
        before = sizes[-1] if sizes else A4
        size = page_points(page, source) if page.width and page.height else before
        is_same = sizes and all(_alike(*sides) for sides in zip(size, before, strict=True))
        sizes.append(before if is_same else size)
    return sizes


def _alike(one: float, other: float) -> bool:
    return abs(one - other) < SAME_SIZE * other


def _page(word: Word, page: Page, source: Source | None, set_apart: bool) -> None:
    if page.status == "failed":
        _note(word, f"Page {page.number} could not be read: {failure_reason(page)}")
        return
    pictures = _pictures(page, source)
    for group in with_captions(blocks_with_marks(page)):
        for block in group:
            if set_apart and part_of(block, page) in {"header", "footer"}:
                continue
            word.keeps_with_next = len(group) > 1 and block is group[0]
            _block(word, block, page, pictures, source)
    word.keeps_with_next = False


def _block(
    word: Word, block: Block, page: Page, pictures: Iterator[Image.Image | str], source: Source | None
) -> None:
    if is_figure(block):
        for _ in block.boxes:
            _picture(word, next(pictures), page, source)
    for piece in rich_text(xml_text(block.text)):
        if isinstance(piece, Table):
            _table(word, piece)
        else:
            _paragraph(word, piece, block)


def _paragraph(word: Word, piece: Paragraph, block: Block) -> None:
    caption = block.label.strip().lower().endswith("caption")
    depth = word.depths.of(piece)
    bullets = f"List Bullet {depth + 1}" if 0 < depth <= MOST_BULLETS else "List Bullet"
    style = f"Heading {piece.level}" if piece.level else bullets if piece.item else None
    paragraph = word.paragraph("Caption" if caption else style)
    if caption:
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _runs(paragraph, piece.runs)
    if piece.code:
        paragraph.runs[0].font.name = "Courier New"


def _runs(paragraph: Any, runs: tuple[Run, ...]) -> None:
    for run in runs:
        element = paragraph.add_run(run.text)
        element.bold = True if "bold" in run.styles else None
        element.italic = True if "italic" in run.styles else None
        element.underline = True if "underline" in run.styles else None
        element.font.subscript = True if "sub" in run.styles else None
        element.font.superscript = True if "sup" in run.styles else None


def _table(word: Word, table: Table) -> None:
    height, width, placed = table.placed()
    if width > MAX_COLUMNS or height * width > MAX_CELLS:
        word.paragraph().add_run(table_text(table))
        return
    for paragraph, cell in word.table(height, width, placed):
        _runs(paragraph, inline(cell.text))
        if cell.header:
            for run in paragraph.runs:
                run.bold = True
    word.paragraph().paragraph_format.space_after = Pt(0)


def _pictures(page: Page, source: Source | None) -> Iterator[Image.Image | str]:
    """Every figure's pixels, or why it cannot be shown; the page is drawn when the first is asked for."""
    reason = "the original is not there"
    if source is not None:
        try:
            yield from (piece for _, piece in page_figures(page, source.image(page.number)))
            return
        except AirgapError as error:
            reason = error.message
    yield from (f"Figure {figure.name}: {reason}" for figure in figures(page))


def _picture(word: Word, picture: Image.Image | str, page: Page, source: Source | None) -> None:
    if isinstance(picture, str):
        _note(word, picture)
        return
    per_pixel = EMU_PER_INCH / page_dpi(page, source)
    scale = min(per_pixel, word.width / picture.width, 0.9 * word.height / picture.height)
    width = Emu(max(1, int(picture.width * scale)))
    word.paragraph().add_run().add_picture(io.BytesIO(jpeg_bytes(picture)), width=width)


def _note(word: Word, text: str) -> None:
    run = word.paragraph().add_run(xml_text(text))
    run.bold = True
    run.font.color.rgb = RGBColor(0xA0, 0x20, 0x20)
