"""The outline of a document: its headings with their levels, in reading order, and where each stands.

Read off the headings' Markdown, so that it is the same for every engine, and for a document that a person has
corrected. HTML, the searchable PDF and JSON take it from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from typing_extensions import TypedDict

from airgap.core.document import Block, Box, Document, Page
from airgap.exporters.boxes import BoxJson, box_to_list
from airgap.exporters.furniture import is_furniture
from airgap.exporters.rich_text import Paragraph, rich_text

MAX_ENTRIES = 10_000
_MAY_HEAD = re.compile(r"^ {0,3}#{1,6}[ \t]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Heading:
    """`level` is 1 to 6; `page` a page's number; `block` the index of its block there; `box` the block's."""

    level: int
    title: str
    page: int
    block: int
    box: Box | None


class HeadingJson(TypedDict):
    """A heading: `page` is its page's number, `block` the index of its block there, from 0."""

    level: int
    title: str
    page: int
    block: int
    box: BoxJson | None


def outline(document: Document) -> list[Heading]:
    """The headings of a document; of one with more than `MAX_ENTRIES` the first."""
    found: list[Heading] = []
    for page in document.pages:
        found += page_headings(page)
        if len(found) >= MAX_ENTRIES:
            break
    return found[:MAX_ENTRIES]


def page_headings(page: Page) -> list[Heading]:
    """The headings of one page."""
    if page.status == "failed":
        return []
    return [
        Heading(level, title, page.number, index, Box.around(block.boxes) if block.boxes else None)
        for index, block in enumerate(page.blocks)
        for level, title in _titles(block)
    ]


def _titles(block: Block) -> Iterator[tuple[int, str]]:
    if is_furniture(block) or not _MAY_HEAD.search(block.text):
        return
    for piece in rich_text(block.text):
        if isinstance(piece, Paragraph) and piece.level:
            yield piece.level, title_of(piece)


def title_of(heading: Paragraph) -> str:
    """What a heading says, on one line."""
    return " ".join("".join(run.text for run in heading.runs).split())


def outline_to_list(document: Document) -> list[HeadingJson]:
    """The outline, JSON-ready; boxes are `[x0, y0, x1, y1]` in page pixels, to a hundredth."""
    return [
        {
            "level": heading.level,
            "title": heading.title,
            "page": heading.page,
            "block": heading.block,
            "box": None if heading.box is None else box_to_list(heading.box),
        }
        for heading in outline(document)
    ]
