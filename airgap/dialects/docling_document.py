"""A document as a `DoclingDocument`, the JSON of docling-core, and its Markdown with Docling's placeholders.

Boxes are in points where the source has them, else in pixels, from the top left; `pages` says how large a
page is in the same unit. Headers, footers and page numbers are in the layer `furniture`. Source: the schema
of docling-core, which the suite of real clients reads this back with. Pure functions over a `Document`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from airgap.core.document import Block, Box, Document, Page
from airgap.exporters.figures import figure_reading, figures, is_figure
from airgap.exporters.furniture import FOOTERS, HEADERS, is_furniture
from airgap.exporters.html_tables import Table, split_tables
from airgap.exporters.markdown import page_markdown
from airgap.exporters.text import plain_text
from airgap.exporters.unread import blocks_with_marks
from airgap.layout.headings import MARK

VERSION = "1.3.0"

_LABELS = {
    "title": "title",
    "sub_title": "section_header",
    "equation": "formula",
    "formula": "formula",
    "code": "code",
    "footnote": "footnote",
    "reference": "reference",
}
_IMAGE = "<!-- image -->"
_DELIMITED = re.compile(r"(?:\\\[|\$\$|\\\()(.+)(?:\\\]|\$\$|\\\))", re.DOTALL)
"""A formula between the marks of Markdown, which Docling puts around it itself."""


def docling_document(document: Document, name: str) -> dict[str, Any]:
    """The whole, in the fields of docling-core."""
    found = _Items()
    for page in document.pages:
        if page.status != "failed":
            for block in blocks_with_marks(page):
                found.add(block, page)
    return {
        "schema_name": "DoclingDocument",
        "version": VERSION,
        "name": name,
        "furniture": _root("furniture"),
        "body": _root("body") | {"children": [{"$ref": ref} for ref in found.order]},
        "groups": [],
        "texts": found.texts,
        "pictures": found.pictures,
        "tables": found.tables,
        "key_value_items": [],
        "form_items": [],
        "pages": {str(page.number): _size(page) for page in document.pages},
    }


def docling_markdown(document: Document, page_break: str) -> str:
    """Pages as Markdown, with a comment in the place of each figure, as Docling's mode `placeholder` has it.

    `page_break` stands between pages; where it is empty, an empty line does.
    """
    pages = [_with_placeholders(page) for page in document.pages]
    return (f"\n\n{page_break}\n\n" if page_break else "\n\n").join(pages)


def _with_placeholders(page: Page) -> str:
    text = page_markdown(page, "")
    if page.status == "failed":
        return text
    for figure in figures(page):
        link = re.compile(r"!\[((?:\\.|[^\]\\])*)\]\(" + re.escape(figure.name) + r"\)")
        text = link.sub(lambda match: f"{_IMAGE}\n\n{match[1]}" if match[1] else _IMAGE, text, count=1)
    return text


def _root(name: str) -> dict[str, Any]:
    return {
        "self_ref": f"#/{name}",
        "children": [],
        "content_layer": name,
        "name": "_root_",
        "label": "unspecified",
    }


class _Items:
    """What a document consists of, in three lists and one order."""

    def __init__(self) -> None:
        self.texts: list[dict[str, Any]] = []
        self.pictures: list[dict[str, Any]] = []
        self.tables: list[dict[str, Any]] = []
        self.order: list[str] = []

    def add(self, block: Block, page: Page) -> None:
        if is_figure(block):
            for box in block.boxes:
                self._put("pictures", self.pictures, "picture", _provenance((box,), page, 0), _FLOATING)
        for part in _parts(block):
            if isinstance(part, Table):
                extra = {**_FLOATING, "data": _table(part)}
                self._put("tables", self.tables, "table", _provenance(block.boxes, page, 0), extra)
            else:
                self._add_text(part, block, page)

    def _add_text(self, text: str, block: Block, page: Page) -> None:
        label = _label(block)
        delimited = _DELIMITED.fullmatch(text) if label == "formula" else None
        formula = delimited[1].strip() if delimited else ""
        extra: dict[str, Any] = {"orig": text, "text": formula or text}
        if label == "section_header":
            mark = MARK.match(block.text)
            extra["level"] = max(1, len(mark[1]) - 1) if mark else 1  # a title is one by its label
        if label == "code":
            extra |= {**_FLOATING, "code_language": "unknown"}
        if is_furniture(block):
            extra["content_layer"] = "furniture"
        self._put("texts", self.texts, label, _provenance(block.boxes, page, len(text)), extra)

    def _put(
        self,
        kind: str,
        items: list[dict[str, Any]],
        label: str,
        provenance: list[dict[str, Any]],
        extra: dict[str, Any],
    ) -> None:
        ref = f"#/{kind}/{len(items)}"
        self.order.append(ref)
        known = {
            "self_ref": ref,
            "parent": {"$ref": "#/body"},
            "children": [],
            "content_layer": "body",
            "label": label,
            "prov": provenance,
        }
        items.append(known | extra)


_FLOATING: dict[str, Any] = {"captions": [], "references": [], "footnotes": []}


def _parts(block: Block) -> Iterator[str | Table]:
    """The tables of a block, and the text around them, without marks."""
    if reading := figure_reading(block) if is_figure(block) else "":
        yield reading
    for part in split_tables(block.text):
        if isinstance(part, Table):
            yield part
        elif text := plain_text(part).strip():
            yield text


def _label(block: Block) -> str:
    label = block.label.strip().lower()
    if label in HEADERS:
        return "page_header"
    if label in FOOTERS or is_furniture(block):
        return "page_footer"
    return "caption" if label.endswith("caption") else _LABELS.get(label, "text")


def _table(table: Table) -> dict[str, Any]:
    rows, columns, placed = table.placed()
    cells = [
        {
            "row_span": cell.rowspan,
            "col_span": cell.colspan,
            "start_row_offset_idx": row,
            "end_row_offset_idx": row + cell.rowspan,
            "start_col_offset_idx": column,
            "end_col_offset_idx": column + cell.colspan,
            "text": plain_text(cell.text),
            "column_header": cell.header,
            "row_header": False,
            "row_section": False,
        }
        for row, column, cell in placed
    ]
    return {"table_cells": cells, "num_rows": rows, "num_cols": columns}


def _provenance(boxes: tuple[Box, ...], page: Page, length: int) -> list[dict[str, Any]]:
    scale = _points_per_pixel(page)
    return [
        {
            "page_no": page.number,
            "bbox": {
                "l": box.x0 * scale,
                "t": box.y0 * scale,
                "r": box.x1 * scale,
                "b": box.y1 * scale,
                "coord_origin": "TOPLEFT",
            },
            "charspan": [0, length],
        }
        for box in boxes
    ]


def _points_per_pixel(page: Page) -> float:
    return page.width_pt / page.width if page.width and page.width_pt else 1.0


def _size(page: Page) -> dict[str, Any]:
    scale = _points_per_pixel(page)
    return {"page_no": page.number, "size": {"width": page.width * scale, "height": page.height * scale}}
