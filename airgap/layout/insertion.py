"""Where in a page's reading order a further place belongs.

Knows blocks and boxes; must not know what is inserted or why.
"""

from __future__ import annotations

from collections.abc import Sequence

from airgap.core.document import Block, Box


def place_among(blocks: Sequence[Block], box: Box) -> int:
    """The index in `blocks` before which something at `box` (page pixels) is read.

    It follows the last block of its column that begins above it; where none does, it goes before the
    first of its column, and on a page without boxes to the end.
    """
    column = [
        (index, place) for index, block in enumerate(blocks) for place in block.boxes if _shares_x(place, box)
    ]
    above = [index for index, place in column if _begins_above(place, box)]
    if above:
        return max(above) + 1
    if column:
        return min(index for index, _ in column)
    placed = [(index, place) for index, block in enumerate(blocks) for place in block.boxes]
    before = [index + 1 for index, place in placed if _begins_above(place, box)]
    return max(before, default=0) if placed else len(blocks)


def _shares_x(one: Box, other: Box) -> bool:
    return min(one.x1, other.x1) > max(one.x0, other.x0)


def _begins_above(one: Box, other: Box) -> bool:
    """By its top where it stands beside the other, as a cell of the same row does by its left."""
    level = min(one.y1, other.y1) - max(one.y0, other.y0) > 0.6 * min(one.height, other.height)
    if level and one.height < 2 * other.height:
        return one.x0 < other.x0
    return one.y0 < other.y0
