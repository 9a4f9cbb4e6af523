"""Lines whose text is known already → blocks in reading order, by the rules for lines that were read.

For text that comes with its places, as a PDF's own text layer does.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from airgap.core.document import Block, Box, Line
from airgap.layout.lines import TextLine, body_height
from airgap.layout.paragraphs import pieces
from airgap.layout.regions import regions


def blocks_of(lines: Sequence[Line]) -> tuple[Block, ...]:
    """All lines, each in exactly one block; boxes in the pixels of the lines'."""
    places = [
        TextLine.known((line.box.x0, line.box.y0, line.box.x1, line.box.y1), line.text, index=index)
        for index, line in enumerate(lines)
    ]
    return tuple(_blocks(lines, places))


def _blocks(lines: Sequence[Line], places: Sequence[TextLine]) -> Iterator[Block]:
    body = body_height(places)
    for region in regions(places):
        for piece in pieces(region, body):
            members = tuple(lines[line.index] for line in piece.lines)
            box = functools.reduce(Box.union, (line.box for line in members))
            yield Block(piece.label, piece.text, (box,), lines=members)
