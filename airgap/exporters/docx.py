"""Document to DOCX: headings, paragraphs, lists, tables with their spans, and figures.

The page's text flows; its places on the paper are not kept. Every page begins a new one, and a page
that could not be read says so.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import docx
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_BREAK
from docx.shared import Emu, Pt, RGBColor
from PIL import Image

from airgap.core.document import Block, Document, Page
from airgap.core.errors import AirgapError
from airgap.exporters import Source
from airgap.exporters.figures import figures, is_figure
from airgap.exporters.html_tables import Table
from airgap.exporters.images import jpeg_bytes, page_figures
from airgap.exporters.lines import xml_text
from airgap.exporters.markdown import failure_reason
from airgap.exporters.page_size import page_dpi
from airgap.exporters.rich_text import Paragraph, Run, inline, rich_text
from airgap.exporters.text import table_text
from airgap.exporters.unread import blocks_with_marks

MAX_COLUMNS = 63  # Word's own limit
MAX_CELLS = 20_000
EMU_PER_INCH = 914_400


def to_docx(document: Document, source: Source | None = None) -> bytes:
    """The document as DOCX; without a source, figures are named instead of shown."""
    word = docx.Document()
    properties = word.core_properties
    properties.author = "Airgap OCR"
    properties.comments = ""
    properties.title = xml_text(source.name)[:255] if source is not None else ""
    for index, page in enumerate(document.pages):
        if index:
            word.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
        _page(word, page, source)
    buffer = io.BytesIO()
    word.save(buffer)
    return buffer.getvalue()


def _page(word: Any, page: Page, source: Source | None) -> None:
    if page.status == "failed":
        _note(word, f"Page {page.number} could not be read: {failure_reason(page)}")
        return
    pictures = _pictures(page, source)
    for block in blocks_with_marks(page):
        if is_figure(block):
            for _ in block.boxes:
                _picture(word, next(pictures), page, source)
        for piece in rich_text(xml_text(block.text)):
            if isinstance(piece, Table):
                _table(word, piece)
            else:
                _paragraph(word, piece, block)


def _paragraph(word: Any, piece: Paragraph, block: Block) -> None:
    if piece.level:
        paragraph = word.add_heading(level=piece.level)
    else:
        paragraph = word.add_paragraph(style="List Bullet" if piece.item else None)
    if block.label.strip().lower().endswith("caption"):
        paragraph.style = "Caption"
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _runs(paragraph, piece.runs)


def _runs(paragraph: Any, runs: tuple[Run, ...]) -> None:
    for run in runs:
        element = paragraph.add_run(run.text)
        element.bold = True if "bold" in run.styles else None
        element.italic = True if "italic" in run.styles else None
        element.underline = True if "underline" in run.styles else None
        element.font.subscript = True if "sub" in run.styles else None
        element.font.superscript = True if "sup" in run.styles else None


def _table(word: Any, table: Table) -> None:
    height, width, placed = table.placed()
    if width > MAX_COLUMNS or height * width > MAX_CELLS:
        word.add_paragraph(table_text(table))
        return
    grid = word.add_table(rows=height, cols=width)
    grid.style = "Table Grid"
    cells = [list(row.cells) for row in grid.rows]
    for row, column, cell in placed:
        target = cells[row][column]
        if cell.rowspan > 1 or cell.colspan > 1:
            target = target.merge(cells[row + cell.rowspan - 1][column + cell.colspan - 1])
        _runs(target.paragraphs[0], inline(cell.text))
        if cell.header:
            for run in target.paragraphs[0].runs:
                run.bold = True
    word.add_paragraph().paragraph_format.space_after = Pt(0)


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


def _picture(word: Any, picture: Image.Image | str, page: Page, source: Source | None) -> None:
    if isinstance(picture, str):
        _note(word, picture)
        return
    section = word.sections[0]
    room = (
        section.page_width - section.left_margin - section.right_margin,
        section.page_height - section.top_margin - section.bottom_margin,
    )
    per_pixel = EMU_PER_INCH / page_dpi(page, source)
    scale = min(per_pixel, room[0] / picture.width, 0.9 * room[1] / picture.height)
    word.add_picture(io.BytesIO(jpeg_bytes(picture)), width=Emu(max(1, int(picture.width * scale))))


def _note(word: Any, text: str) -> None:
    run = word.add_paragraph().add_run(xml_text(text))
    run.bold = True
    run.font.color.rgb = RGBColor(0xA0, 0x20, 0x20)
