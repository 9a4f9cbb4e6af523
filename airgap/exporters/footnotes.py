"""Footnotes as Markdown has them: `word[^3-1]` in the text of page 3, `[^3-1]: …` where the note stands.

Only where the mark is sure: it is raised, or a sign such as `†`, stands once in the page's text, after a word
and not after a number or a unit, and begins one note. All else stays as it is printed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from airgap.core.document import Block, Page
from airgap.core.raised import FROM_RAISED, RAISED, TO_RAISED

LABEL = "footnote"
SIGNS = "*†‡§"
NOTE = re.compile(rf"\\?(?:([{SIGNS}])|([{RAISED}]{{1,2}})|\[?(\d{{1,2}})(?![\d.,:/%-])\]?)\s*(?=\S)")
UNIT = re.compile(r"(?<![^\W\d_])[A-Za-zµ]{1,2}$")
"""What a raised 2 or 3 after it may make an area, a volume or a power."""


def with_notes(page: Page) -> Page:
    """The page, its footnotes and their marks written as Markdown's where they are sure."""
    notes = {index: mark for index, block in enumerate(page.blocks) if (mark := _mark(block))}
    counts = Counter(notes.values())
    blocks = list(page.blocks)
    for index, mark in notes.items():
        places = _places(page.blocks, mark) if counts[mark] == 1 else ()
        if len(places) != 1:
            continue
        name = f"[^{page.number}-{_name(mark)}]"
        [at] = places
        text = _standing(mark).sub(partial(_named, name), blocks[at].text)
        blocks[at] = replace(blocks[at], text=text)
        blocks[index] = replace(blocks[index], text=NOTE.sub(f"{name}: ", blocks[index].text, count=1))
    return replace(page, blocks=tuple(blocks))


def _mark(block: Block) -> str | None:
    """The mark that a footnote begins with, raised where it is a figure; None where there is none."""
    found = NOTE.match(block.text) if block.label.strip().lower() == LABEL else None
    return (found[1] or found[2] or found[3].translate(TO_RAISED)) if found else None


def _name(mark: str) -> str:
    return "abcd"[SIGNS.index(mark)] if mark in SIGNS else mark.translate(FROM_RAISED)


def _standing(mark: str) -> re.Pattern[str]:
    """A mark after a word or the sign that ends one, and no part of a longer one."""
    others = RAISED + SIGNS
    return re.compile(rf"(?<=[^\s\d{others}])(?<![(\[])\\?{re.escape(mark)}(?![{others}A-Za-z0-9])")


def _is_unit(found: re.Match[str]) -> bool:
    before = found.string[max(0, found.start() - 3) : found.start()]  # a unit, and what stands before it
    return found[0] in "²³" and UNIT.search(before) is not None


def _named(name: str, found: re.Match[str]) -> str:
    return found[0] if _is_unit(found) else name


def _places(blocks: Sequence[Block], mark: str) -> list[int]:
    """The block of each place at which a mark stands in the text; none are looked for in tables and notes."""
    return [
        index
        for index, block in enumerate(blocks)
        if block.label.strip().lower() not in {LABEL, "table", "code", "equation", "formula"}
        for found in _standing(mark).finditer(block.text)
        if not _is_unit(found)
    ]
