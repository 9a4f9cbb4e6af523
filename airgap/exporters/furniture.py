"""What a page has besides its text: running headers and footers, page numbers, marks in the margin.

They are labelled on every page and are part of every output. Where a reader asks for the text alone, they are
left out of Markdown and plain text, here and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from airgap.core.document import Block, Box, Page

HEADERS, FOOTERS = frozenset({"header", "page_header"}), frozenset({"footer", "page_footer"})
FURNITURE_LABELS = HEADERS | FOOTERS | {"page_number", "line_number", "margin"}


def is_furniture(block: Block) -> bool:
    """Whether a block is none of the page's text."""
    return block.label.strip().lower() in FURNITURE_LABELS


Part = Literal["header", "footer", "aside"]


def part_of(block: Block, page: Page) -> Part | None:
    """Where a page's furniture belongs in a format that has such places; None for text.

    A page number is part of what it stands beside: the header in the page's upper half, else the footer.
    """
    label = block.label.strip().lower()
    if label in HEADERS:
        return "header"
    if label in FOOTERS:
        return "footer"
    if label == "page_number":
        box = Box.around(block.boxes) if block.boxes else None
        return "header" if box is not None and box.y0 + box.y1 < page.height else "footer"
    return "aside" if is_furniture(block) else None


def as_asked(page: Page) -> Page:
    """The page with its furniture or without, as its reader asked for it."""
    return without_furniture(page) if page.furniture == "drop" else page


def without_furniture(page: Page) -> Page:
    """The page with its text alone; one of furniture alone stays as it is, lest it pass for blank."""
    blocks = tuple(block for block in page.blocks if not is_furniture(block))
    return replace(page, blocks=blocks) if blocks else page
