"""A document as Azure Document Intelligence's `analyzeResult`: content, and spans of it with their places.

A span is `offset` and `length` in `content`, counted in what `Index` says. What is not found in the content
as it was read, such as a word that was divided between lines, has a span of length 0 where it would stand.
Polygons are in inches on pages of a PDF, else in pixels. Pure functions over a `Document`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from airgap.core.document import Block, Box, Document, Page
from airgap.exporters.figures import figures, is_figure
from airgap.exporters.html_tables import Table, split_tables
from airgap.exporters.lines import PrintedLine, page_lines, page_turn
from airgap.exporters.markdown import document_markdown, page_markdown
from airgap.exporters.text import block_text, document_text, page_text, plain_text

ContentFormat = Literal["text", "markdown"]
IndexType = Literal["textElements", "unicodeCodePoint", "utf16CodeUnit"]

API_VERSION = "2024-11-30"

_ROLES = {
    "title": "title",
    "sub_title": "sectionHeading",
    "header": "pageHeader",
    "page_header": "pageHeader",
    "footer": "pageFooter",
    "page_footer": "pageFooter",
    "page_number": "pageNumber",
    "footnote": "footnote",
    "equation": "formulaBlock",
}


class Index:
    """Counts in a text: code points, or code units of UTF-16."""

    def __init__(self, text: str, kind: IndexType) -> None:
        self.kind: IndexType = "utf16CodeUnit" if kind == "utf16CodeUnit" else "unicodeCodePoint"
        wide = self.kind == "utf16CodeUnit" and not text.isascii()
        self._astral = [at for at, c in enumerate(text) if c > "\uffff"] if wide else []

    def span(self, start: int, end: int) -> dict[str, int]:
        first, last = (at + bisect_left(self._astral, at) for at in (start, end))
        return {"offset": first, "length": last - first}


@dataclass(frozen=True, slots=True)
class PlacedBlock:
    """A block and where its text stands in the content."""

    page: Page
    block: Block
    start: int
    end: int


class Content:
    """The content of a document, and where its pages and blocks stand in it."""

    def __init__(self, document: Document, form: ContentFormat, index: IndexType) -> None:
        self.form = form
        written: Callable[[Page], str] = page_markdown if form == "markdown" else page_text
        self.text = document_markdown(document) if form == "markdown" else document_text(document)
        self.index = Index(self.text, index)
        self.pages: list[tuple[Page, int, int]] = []
        self.blocks: list[PlacedBlock] = []
        at = 0
        for page in document.pages:
            start, end = self.find(written(page), at, len(self.text))
            self.pages.append((page, start, end))
            self._place_blocks(page, start, end)
            at = end

    def find(self, piece: str, start: int, end: int) -> tuple[int, int]:
        """Where a piece stands between two places; nothing at `start` where it does not."""
        at = self.text.find(piece, start, end) if piece else -1
        return (start, start) if at < 0 else (at, at + len(piece))

    def _place_blocks(self, page: Page, start: int, end: int) -> None:
        at = start
        for block in page.blocks:
            text = block.text.strip() if self.form == "markdown" else block_text(block)
            placed = self.find(text, at, end)
            self.blocks.append(PlacedBlock(page, block, *placed))
            at = placed[1]

    def spans(self, start: int, end: int) -> list[dict[str, int]]:
        return [self.index.span(start, end)]


def analyze_result(document: Document, model: str, form: ContentFormat, index: IndexType) -> dict[str, Any]:
    """The `analyzeResult`. Its long members are iterators, for `json_from_disk`."""
    content = Content(document, form, index)
    result: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "modelId": model,
        "stringIndexType": content.index.kind,
        "contentFormat": form,
        "content": content.text,
        "pages": _pages(content),
        "paragraphs": _paragraphs(content),
        "styles": [],
        "warnings": [{"code": "warning", "message": text} for text in document.warnings],
    }
    if model == "prebuilt-layout":
        result |= {"tables": _tables(content), "figures": _figures(document)}
    return result


def _pages(content: Content) -> Iterator[dict[str, Any]]:
    placed = iter(content.blocks)
    for page, start, end in content.pages:
        blocks = [next(placed) for _ in page.blocks]
        words, lines = _words_and_lines(content, page, blocks)
        per_unit = _pixels_per_unit(page)
        yield {
            "pageNumber": page.number,
            "angle": page_turn(page),
            "width": round(page.width / per_unit, 4),
            "height": round(page.height / per_unit, 4),
            "unit": "inch" if page.width_pt else "pixel",
            "spans": content.spans(start, end),
            "words": words,
            "lines": lines,
        }


def _words_and_lines(
    content: Content, page: Page, blocks: list[PlacedBlock]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    words: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for placed, (block, printed) in zip(blocks, page_lines(page), strict=True):
        if is_figure(block) and placed.start == placed.end:
            continue
        at = placed.start
        for line in printed:
            start, end, found = _line(content, page, line, at, placed.end)
            words += found
            polygon = _polygon(line.box, page)
            lines.append({"content": line.text, "polygon": polygon, "spans": content.spans(start, end)})
            at = end
    return words, lines


def _line(
    content: Content, page: Page, line: PrintedLine, at: int, last: int
) -> tuple[int, int, list[dict[str, Any]]]:
    """Where a line begins and ends in the content, and its words."""
    words: list[dict[str, Any]] = []
    first = None
    for word in line.words():
        start, end = content.find(word.text, at, last)
        first = start if first is None and end > start else first
        at = max(at, end)
        described = {
            "content": word.text,
            "polygon": _polygon(word.box, page),
            "span": content.index.span(start, end),
        }
        known = {} if line.confidence is None else {"confidence": line.confidence}
        words.append(described | known)
    return at if first is None else first, at, words


def _paragraphs(content: Content) -> Iterator[dict[str, Any]]:
    for placed in content.blocks:
        text = content.text[placed.start : placed.end]
        if not text or _table_of(placed.block) is not None:
            continue
        role = _ROLES.get(placed.block.label)
        yield {
            "content": block_text(placed.block),
            "spans": content.spans(placed.start, placed.end),
            "boundingRegions": _regions(placed.block.boxes, placed.page),
            **({"role": role} if role else {}),
        }


def _tables(content: Content) -> Iterator[dict[str, Any]]:
    for placed in content.blocks:
        if (table := _table_of(placed.block)) is not None:
            rows, columns, cells = table.placed()
            yield {
                "rowCount": rows,
                "columnCount": columns,
                "cells": [
                    {
                        "rowIndex": row,
                        "columnIndex": column,
                        "rowSpan": cell.rowspan,
                        "columnSpan": cell.colspan,
                        "kind": "columnHeader" if cell.header else "content",
                        "content": plain_text(cell.text),
                        "spans": [],
                    }
                    for row, column, cell in cells
                ],
                "spans": content.spans(placed.start, placed.end),
                "boundingRegions": _regions(placed.block.boxes, placed.page),
            }


def _table_of(block: Block) -> Table | None:
    tables = (part for part in split_tables(block.text) if isinstance(part, Table))
    return next(tables, None)


def _figures(document: Document) -> Iterator[dict[str, Any]]:
    for page in document.pages:
        for number, figure in enumerate(figures(page), 1):
            yield {
                "id": f"{page.number}.{number}",
                "boundingRegions": _regions((figure.box,), page),
                "spans": [],
                "elements": [],
            }


def _regions(boxes: tuple[Box, ...], page: Page) -> list[dict[str, Any]]:
    return [{"pageNumber": page.number, "polygon": _polygon(box, page)} for box in boxes]


def _pixels_per_unit(page: Page) -> float:
    return page.width / (page.width_pt / 72) if page.width and page.width_pt else 1.0


def _polygon(box: Box, page: Page) -> list[float]:
    per_unit = _pixels_per_unit(page)
    x0, y0, x1, y1 = (round(value / per_unit, 4) for value in (box.x0, box.y0, box.x1, box.y1))
    return [x0, y0, x1, y0, x1, y1, x0, y1]
