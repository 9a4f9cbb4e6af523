"""Where in a page's reading order a further place belongs.

Knows blocks and boxes; must not know what is inserted or why.
"""

from __future__ import annotations

from collections.abc import Sequence

from airgap.core.document import Block, Box


def place_among(blocks: Sequence[Block], box: Box) -> int:
    """The index in `blocks` before which something at `box` (page pixels) is read.

    It follows what stands nearest above it in its column or nearest left of it in its row, whichever is
    read later: columns are then read down and rows across. What begins a row goes before the rest of it, what
    stands between two that are read one after the other between them.
    On a page without places it comes last.
    """
    placed = [(place, index) for index, block in enumerate(blocks) for place in block.boxes]
    if not placed:
        return len(blocks)
    row = [(place, index) for place, index in placed if _is_level(place, box)]
    left = max(((p.x1, index) for p, index in row if p.x0 < box.x0), default=None)
    right = min(((p.x0, index) for p, index in row if p.x0 >= box.x0), default=None)
    column = [(p, index) for p, index in placed if _shares_x(p, box) and not _is_level(p, box)]
    above = max(((p.y0, index) for p, index in column if p.y0 < box.y0), default=None)
    below = min(((p.y0, index) for p, index in column if p.y0 >= box.y0), default=None)
    if left is not None and right is not None and right[1] == left[1] + 1:
        return right[1]
    if left is None and right is not None and _is_rest_of_row(blocks, above and above[1], right[1], box):
        return right[1]
    if left is not None and above is None and below is not None and below[1] > left[1]:
        row_below = blocks[left[1] + 1 : below[1]]
        return left[1] + 1 if _are_level(row_below, blocks[below[1]]) else below[1]
    before = [found[1] + 1 for found in (left, above) if found is not None]
    if before:
        return max(before)
    if below is not None:
        return below[1]
    return max((index + 1 for place, index in placed if place.y0 < box.y0), default=0)


def _shares_x(one: Box, other: Box) -> bool:
    return min(one.x1, other.x1) > max(one.x0, other.x0)


def _is_level(one: Box, other: Box) -> bool:
    """Whether two places stand in one row; a paragraph or a table beside a line does not."""
    shared = min(one.y1, other.y1) - max(one.y0, other.y0)
    alike = max(one.height, other.height) < 2.5 * min(one.height, other.height)
    return alike and shared > 0.5 * min(one.height, other.height)


def _is_rest_of_row(blocks: Sequence[Block], above: int | None, right: int, box: Box) -> bool:
    """Whether between what stands above a place and what stands right of it is only the row above."""
    if above is None:
        return all(place.y0 < box.y0 for block in blocks[:right] for place in block.boxes)
    return _are_level(blocks[above + 1 : right], blocks[above])


def _are_level(blocks: Sequence[Block], other: Block) -> bool:
    return all(_is_level(place, one) for block in blocks for place in block.boxes for one in other.boxes)
