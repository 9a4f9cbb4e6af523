"""Which caption belongs to which figure or table: the one beside it, of its kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airgap.core.document import Block
from airgap.exporters.figures import is_figure


def with_captions(blocks: Sequence[Block]) -> Iterator[tuple[Block, ...]]:
    """The blocks in order: a figure or a table and its caption as a pair, as they stand, others alone.

    A caption between two takes the figure above it, or the table below it, as captions are set.
    """
    index = 0
    while index < len(blocks):
        pair = blocks[index : index + 2]
        if len(pair) == 2 and _are_one(pair[0], pair[1]) and not _is_the_next_ones(blocks, index + 1):
            yield tuple(pair)
            index += 2
        else:
            yield (blocks[index],)
            index += 1


def captioned(blocks: Sequence[Block]) -> dict[int, int]:
    """Of each caption that belongs to a figure or a table its index, with the index of what it belongs to."""
    found: dict[int, int] = {}
    index = 0
    for group in with_captions(blocks):
        if len(group) == 2:
            is_first = _is_caption_of(group[0], group[1])
            found[index if is_first else index + 1] = index + 1 if is_first else index
        index += len(group)
    return found


def _are_one(first: Block, second: Block) -> bool:
    return _is_caption_of(first, second) or _is_caption_of(second, first)


def _is_the_next_ones(blocks: Sequence[Block], index: int) -> bool:
    """Whether a caption below a table heads another one."""
    if index + 1 >= len(blocks):
        return False
    above, caption, below = blocks[index - 1 : index + 2]
    return _is_table(above) and _is_table(below) and _is_caption_of(caption, below)


def _is_caption_of(caption: Block, block: Block) -> bool:
    kind = _kind(caption)
    return (kind in {"figure", "any"} and is_figure(block)) or (kind in {"table", "any"} and _is_table(block))


def _kind(block: Block) -> str:
    """Of a caption what it is for: figure, table or any; empty where it is none."""
    label = block.label.strip().lower()
    if not label.endswith("caption") or not block.text.strip():
        return ""
    return "table" if label.startswith("table") else "any" if label == "caption" else "figure"


def _is_table(block: Block) -> bool:
    return block.label.strip().lower() == "table"
