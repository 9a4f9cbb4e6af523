"""What a page has besides its text: running headers and footers, page numbers, marks in the margin.

They are labelled on every page and are part of every output. Where a reader asks for the text alone, they are
left out of Markdown and plain text, here and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace

from airgap.core.document import Block, Page

HEADERS, FOOTERS = frozenset({"header", "page_header"}), frozenset({"footer", "page_footer"})
FURNITURE_LABELS = HEADERS | FOOTERS | {"page_number", "line_number", "margin"}


def is_furniture(block: Block) -> bool:
    """Whether a block is none of the page's text."""
    return block.label.strip().lower() in FURNITURE_LABELS


def as_asked(page: Page) -> Page:
    """The page with its furniture or without, as its reader asked for it."""
    return without_furniture(page) if page.furniture == "drop" else page


def without_furniture(page: Page) -> Page:
    """The page with its text alone; one of furniture alone stays as it is, lest it pass for blank."""
    blocks = tuple(block for block in page.blocks if not is_furniture(block))
    return replace(page, blocks=blocks) if blocks else page
