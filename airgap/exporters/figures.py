"""Which blocks are figures, and what the picture of each is called.

Markdown, HTML, DOCX and the folder of cropped pictures all ask here, so that a link and its file
can never disagree. Knows nothing of pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airgap.core.document import FIGURE_LABELS, Block, Box, Page

IMAGE_FOLDER = "images"


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture on a page: `name` is its file name, `box` where it stands."""

    name: str
    box: Box
    block: Block


def is_figure(block: Block) -> bool:
    """Whether a block is a picture that can be cut out; one without boxes cannot."""
    return block.label.strip().lower() in FIGURE_LABELS and bool(block.boxes)


def figure_name(page: int, index: int) -> str:
    """`<page>_<index>.jpg`; both count from 1, `index` within the page."""
    return f"{page}_{index}.jpg"


def figures(page: Page) -> Iterator[Figure]:
    """The figures of a page in reading order; a block with several boxes gives several."""
    index = 0
    for block in page.blocks:
        if not is_figure(block):
            continue
        for box in block.boxes:
            index += 1
            yield Figure(figure_name(page.number, index), box, block)
