"""Document to plain text: Markdown and HTML marks taken off, table cells separated by tabs.

Formulas stay in LaTeX, for want of anything plainer. Pages are separated by a form feed, as
`pdftotext` does it. A page that could not be read is a line in brackets, never nothing.
"""

from __future__ import annotations

import re

from airgap.core.document import Block, Document, Page
from airgap.exporters.fences import Code, split_code
from airgap.exporters.furniture import as_asked
from airgap.exporters.html_tables import Table, split_tables
from airgap.exporters.markdown import failure_reason
from airgap.exporters.rich_text import inline
from airgap.exporters.unread import blocks_with_marks

PAGE_SEPARATOR = "\n\f"

_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+", re.MULTILINE)
_QUOTE = re.compile(r"^ {0,3}(?:> ?)+", re.MULTILINE)
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)[^`\n]*\n?", re.MULTILINE)
_CODE = re.compile(r"(?<!\\)`([^`\n]+)(?<!\\)`")
_BLANK_LINES = re.compile(r"\n{3,}")


def to_text(document: Document, source: object = None) -> bytes:
    """The document as UTF-8 plain text. `source` is not used."""
    return document_text(document).encode("utf-8", "replace")


def document_text(document: Document) -> str:
    """The document as plain text; ends with a line feed unless empty."""
    text = PAGE_SEPARATOR.join(page_text(page) for page in document.pages)
    return f"{text}\n" if text else ""


def page_text(page: Page) -> str:
    """One page as plain text: its blocks in reading order, an empty line between them."""
    if page.status == "failed":
        return f"[Page {page.number} could not be read: {failure_reason(page)}]"
    return "\n\n".join(text for block in blocks_with_marks(as_asked(page)) if (text := block_text(block)))


def block_text(block: Block) -> str:
    """A block's text without marks; a picture without text is empty."""
    return plain_text(block.text)


def plain_text(markdown: str) -> str:
    """Markdown with HTML tables in it, as plain text. Marks that are not well formed stay."""
    parts = [piece for part in split_code(markdown) for piece in _texts(part)]
    return _BLANK_LINES.sub("\n\n", "\n".join(part for part in parts if part)).strip("\n").rstrip()


def _texts(part: str | Code) -> list[str]:
    if isinstance(part, Code):
        return [part.text]
    return [
        (table_text(piece) if isinstance(piece, Table) else _strip_marks(piece)).strip()
        for piece in split_tables(part)
    ]


def table_text(table: Table) -> str:
    """A row a line, cells separated by tabs; a place that a span covers is empty."""
    height, width, placed = table.placed()
    grid = [[""] * width for _ in range(height)]
    for row, column, cell in placed:
        grid[row][column] = _inline(cell.text).replace("\n", " ")
    return "\n".join("\t".join(row).rstrip("\t") for row in grid)


def _strip_marks(text: str) -> str:
    text = _FENCE.sub("", text)
    text = "\n".join(line for line in map(_pipe_row, text.split("\n")) if line is not None)
    text = _HEADING.sub("", text)
    text = _QUOTE.sub("", text)
    return _inline(text).strip("\n")


def _pipe_row(line: str) -> str | None:
    """A row of a Markdown pipe table with tabs; None for its rule; any other line as it is."""
    row = line.strip()
    if len(row) < 2 or row[0] != "|" or row[-1] != "|":
        return line.rstrip()
    if "-" in row and not row.strip("|-: \t"):
        return None
    return "\t".join(cell.strip() for cell in row[1:-1].split("|"))


def _inline(text: str) -> str:
    return "".join(run.text for run in inline(_CODE.sub(r"\1", text)))
