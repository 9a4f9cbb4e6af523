"""A PDF's text layer against a few of its lines read from the page's pixels. Where they differ, pixels win.

    lines → blocks → a line or two of each, larger, in one picture → read → blocks that are what is seen

A font may say that it draws other letters than it does. A block of which a line reads differently is left
out, so that its ink is read as any other; of a page that has too many of these nothing is taken.
Knows blocks and pictures; must not know engines, or PDFs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

from airgap.core.document import Block, Line
from airgap.core.folding import folded

MOST_SAMPLES = 12
FEWEST_LETTERS = 5
"""Letters from which a line tells anything."""
_SAME, _SURE = 0.6, 0.8
"""Likeness from which two readings are of the same text, and confidence from which pixels are believed."""
_MOST_WRONG = 0.4
"""Share of the samples that may differ for the rest of a page to be taken."""
_READ_FROM_PIXELS = ("LATIN", "GREEK", "CYRILLIC", "CJK", "HIRAGANA", "KATAKANA", "DIGIT")
"""How the names of characters begin that the CPU engine can read."""


def samples(blocks: Sequence[Block]) -> list[tuple[int, Line]]:
    """Lines to be read again, with the index of their block: the longest of each, large blocks first."""
    ranked = [
        (sorted(_telling(block), key=_length, reverse=True), index) for index, block in enumerate(blocks)
    ]
    ranked = sorted(((lines, index) for lines, index in ranked if lines), key=lambda found: -len(found[0]))
    chosen = [(index, lines[0]) for lines, index in ranked]
    chosen += [(index, lines[len(lines) // 2]) for lines, index in ranked if len(lines) > 1]
    return chosen[:MOST_SAMPLES]


def borne_out(
    blocks: Sequence[Block], sampled: Sequence[tuple[int, Line]], read: Sequence[Line | None]
) -> tuple[Block, ...] | None:
    """The blocks of which no line reads differently; None where too many do. `read`: each sample, or None."""
    judged = [(index, _is_same(line, seen)) for (index, line), seen in zip(sampled, read, strict=True)]
    wrong = {index for index, same in judged if same is False}
    known = [same for _, same in judged if same is not None]
    if known and known.count(False) > _MOST_WRONG * len(known):
        return None
    return tuple(block for index, block in enumerate(blocks) if index not in wrong)


def _telling(block: Block) -> list[Line]:
    return [line for line in block.lines if _length(line) >= FEWEST_LETTERS]


def _length(line: Line) -> int:
    return len(folded(line.text))


def _is_same(line: Line, seen: Line | None) -> bool | None:
    """Whether a line reads as it says; None where the pixels do not tell."""
    said, read = folded(line.text), folded(seen.text) if seen else ""
    if seen is None or (seen.confidence or 0.0) < _SURE or len(read) < 0.5 * len(said):
        return None
    legible = sum(unicodedata.name(c, "").startswith(_READ_FROM_PIXELS) for c in said if c.isalnum())
    if legible < 0.5 * len(said) and any(unicodedata.category(c) == "Lo" for c in said):
        return None
    return SequenceMatcher(None, said, read, autojunk=False).ratio() >= _SAME
