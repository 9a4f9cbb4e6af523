"""What stands at the same place on page after page of a document is no part of its text.

One page alone shows headers and footers only where white sets them apart. Several pages show them by saying
the same, and page numbers by counting on.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from airgap.core.document import Block, Box, Page
from airgap.core.folding import folded
from airgap.layout.furniture import PAGE_NUMBER

EDGE = 0.12
"""Share of the page's height at its top and bottom in which a block may be one."""
MIN_PAGES, MIN_SHARE = 3, 0.2
"""On so many pages, and on so large a share of those with text, must the same be said: left and right
pages may differ, and so may chapters."""
NEAR = 0.02
"""How far from the place on other pages it may stand, against the page's height."""
MAX_LENGTH = 150
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class _Edge:
    """A block at a page's edge. `page` and `block` are indexes; `place` is 0..1 down the page."""

    page: int
    block: int
    upper: bool
    text: str
    place: float


def with_running_heads(pages: Sequence[Page]) -> tuple[Page, ...]:
    """The pages, their text blocks labelled header, footer and page_number where the document shows it."""
    least = max(MIN_PAGES, MIN_SHARE * sum(bool(page.blocks) for page in pages))
    edges = list(_edges(pages, {"text"}))
    labels = {(edge.page, edge.block): "page_number" for edge in _numbers(pages, edges, least)}
    alike = [*_repeated(edges, least), *_repeated(_edges(pages, {"page_number"}), least, counting=False)]
    for edge in alike:
        labels.setdefault((edge.page, edge.block), "header" if edge.upper else "footer")
    changed = {page for page, _ in labels}
    return tuple(
        replace(page, blocks=tuple(_labelled(index, page, labels))) if index in changed else page
        for index, page in enumerate(pages)
    )


def _labelled(index: int, page: Page, labels: dict[tuple[int, int], str]) -> Iterator[Block]:
    for number, block in enumerate(page.blocks):
        label = labels.get((index, number))
        yield replace(block, label=label) if label else block


def _edges(pages: Sequence[Page], labels: Collection[str]) -> Iterator[_Edge]:
    for index, page in enumerate(pages):
        for number, block in enumerate(page.blocks):
            if block.label not in labels or not block.boxes or not 0 < len(block.text) <= MAX_LENGTH:
                continue
            box = Box.around(block.boxes)
            upper = box.y1 <= EDGE * page.height
            if upper or box.y0 >= (1 - EDGE) * page.height:
                place = (box.y0 + box.y1) / 2 / max(1, page.height)
                yield _Edge(index, number, upper, block.text.strip(), place)


def _repeated(edges: Iterable[_Edge], least: float, *, counting: bool = True) -> Iterator[_Edge]:
    """Those that say the same; unless `counting` is False, numbers in them may differ."""
    alike: defaultdict[tuple[bool, str], list[_Edge]] = defaultdict(list)
    for edge in edges:
        text = folded(edge.text)
        alike[edge.upper, _NUMBER.sub("0", text) if counting else text].append(edge)
    for group in alike.values():
        yield from _at_one_place(group, least)


def _numbers(pages: Sequence[Page], edges: Sequence[_Edge], least: float) -> Iterator[_Edge]:
    """Those that count on with the pages."""
    counting: defaultdict[tuple[bool, int], list[_Edge]] = defaultdict(list)
    for edge in edges:
        found = _NUMBER.search(edge.text)
        if found and PAGE_NUMBER.fullmatch(edge.text):
            counting[edge.upper, int(found[0]) - pages[edge.page].number].append(edge)
    for group in counting.values():
        yield from _at_one_place(group, least)


def _at_one_place(group: Sequence[_Edge], least: float) -> list[_Edge]:
    """Those that stand where most of the group do; none where these are too few."""
    middle = median(edge.place for edge in group)
    near = [edge for edge in group if abs(edge.place - middle) <= NEAR]
    most = Counter(edge.page for edge in near)
    return near if len(most) >= least else []
