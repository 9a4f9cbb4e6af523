"""A visible mark where text was not read, in the page's reading order.

A gap that is seen can be asked about; a paragraph that is simply missing cannot.
"""

from __future__ import annotations

from collections.abc import Sequence

from airgap.core.document import Block, Box, Page
from airgap.layout.insertion import place_among

UNREAD = "unread"
"""The label of a mark."""


def blocks_with_marks(page: Page) -> Sequence[Block]:
    """The page's blocks, and between them a block for each run of places that were not read.

    Its text says where, in page pixels.
    """
    if not page.unread:
        return page.blocks
    gaps: dict[int, list[Box]] = {}
    for box in page.unread:
        gaps.setdefault(place_among(page.blocks, box), []).append(box)
    marked = list[Block]()
    for index in range(len(page.blocks) + 1):
        if index in gaps:
            marked.append(_mark(gaps[index]))
        marked += page.blocks[index : index + 1]
    return marked


def _mark(boxes: Sequence[Box]) -> Block:
    whole = Box.around(boxes)
    x0, y0, x1, y1 = whole.rounded()
    places = "text" if len(boxes) == 1 else f"text in {len(boxes)} places"
    return Block(UNREAD, f"[unread: {places} at {x0}, {y0} to {x1}, {y1}]", (whole,))
