"""Headings of single pages → headings of one document: a level means the same on every page.

Each page is laid out by itself, and there a heading is large or not against that page's text. Here headings
are ranked among all of the document: by their size on paper, and by their numbering, which goes before size.
Pages of engines that give no lines keep the levels that their model wrote.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from airgap.core.document import Block, Line, Page

MAX_LEVEL = 6
SPREAD = 0.1
"""By how much the height found for a heading may differ from that of others of its kind, either way."""
APART = 0.85
"""Of two kinds of headings, the smaller against the larger: above it they are one."""
WITHOUT_DESCENDERS = 0.87
"""How high a line is found whose letters all stand on it, against one with letters that go below."""
MIN_NUMBERED = 2
"""Headings that must be numbered alike for their numbers to be believed."""
MARK = re.compile(r"(#{1,6}) +(?=\S)")
_DESCENDS = re.compile(r"[gjpqyQçşţ()\[\]{}|,;рущцфд]|[^\x00-\u24ff]")
_LABELS = frozenset({"title", "sub_title"})
_DECIMAL = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,5})(?:\.|\\\.)?(?: +(?=\D)|(?=[\u3400-\u9fff]))")
_STYLES = (
    (
        "chapter",
        0,
        re.compile(r"(?:chapter|part|kapitel|teil|chapitre|глава) +[\dIVXLC]+\b|第.{1,4}章", re.I),
    ),
    ("chapter", 1, re.compile(r"第.{1,4}[节節条條]")),
    ("article", 0, re.compile(r"(?:article|artikel|статья|§) *\d+\b", re.I)),
    ("roman", 0, re.compile(r"[IVX]{1,5}\. +\S")),
    ("han", 0, re.compile(r"[一二三四五六七八九十]{1,3}[、.．]")),
    ("han", 1, re.compile(r"[（(][一二三四五六七八九十]{1,3}[)）]")),
)

Style = tuple[str, int]
"""How a heading is numbered, and how deep that is: 2.1 is decimal and 1."""


@dataclass(slots=True)
class _Heading:
    """`page` and `block` are indexes; `size` is in the unit of all pages; `own` is the level of its page."""

    page: int
    block: int
    size: float
    own: int
    style: Style | None


def levelled(pages: Sequence[Page]) -> tuple[Page, ...]:
    """The pages with their headings' marks and labels at the level that they have in the document."""
    headings = list(_headings(pages))
    if not headings:
        return tuple(pages)
    changed: dict[int, list[Block]] = {}
    for heading, level in zip(headings, _levels(headings), strict=True):
        if level != heading.own:
            blocks = changed.setdefault(heading.page, list(pages[heading.page].blocks))
            blocks[heading.block] = _at_level(blocks[heading.block], level)
    return tuple(
        replace(page, blocks=tuple(changed[index])) if index in changed else page
        for index, page in enumerate(pages)
    )


def _at_level(block: Block, level: int) -> Block:
    text = f"{'#' * level} {MARK.sub('', block.text, count=1)}"
    return replace(block, label="title" if level == 1 else "sub_title", text=text)


def _headings(pages: Sequence[Page]) -> Iterator[_Heading]:
    in_points = all(page.width_pt for page in pages if page.blocks)
    for number, page in enumerate(pages):
        scale = page.width_pt / page.width if in_points and page.width_pt and page.width else 1.0
        for index, block in enumerate(page.blocks):
            mark = MARK.match(block.text) if block.label in _LABELS and block.lines else None
            if mark is not None:
                size = median(_size(line) for line in block.lines)
                style = _style(block.text[mark.end() :])
                yield _Heading(number, index, max(size * scale, 0.1), len(mark[1]), style)


def _size(line: Line) -> float:
    """The height of a line's letters, as if some of them went below the line."""
    height = min(line.box.width, line.box.height)
    return height if _DESCENDS.search(line.text) else height / WITHOUT_DESCENDERS


def _style(text: str) -> Style | None:
    if decimal := _DECIMAL.match(text):
        return "decimal", decimal[1].count(".")
    return next(((name, depth) for name, depth, pattern in _STYLES if pattern.match(text)), None)


def _levels(headings: Sequence[_Heading]) -> list[int]:
    """The level of each: first that of its size, then that of its numbering."""
    styles = _believed(headings)
    sizes = [styles[h.style] if h.style and h.style in styles else h.size for h in headings]
    ranks = _ranks(sizes)
    top = Counter(
        h.own for h, rank in zip(headings, ranks, strict=True) if rank == 0 and not (h.style and h.style[1])
    )
    first = min(top, key=lambda level: (-top[level], level), default=min(h.own for h in headings))
    if ranks[0] == 0 and ranks.count(0) == 1 and len(headings) > 1:
        first = 1  # one larger than all others, before them
    by_size = [first + rank for rank in ranks]
    of_style = _levels_of_styles(headings, by_size, styles)
    return [
        min(MAX_LEVEL, of_style.get(h.style, level) if h.style else level)
        for h, level in zip(headings, by_size, strict=True)
    ]


def _believed(headings: Sequence[_Heading]) -> Mapping[Style, float]:
    """The typical size of the headings of each numbering that occurs often enough to be one."""
    sizes: defaultdict[Style, list[float]] = defaultdict(list)
    for heading in headings:
        if heading.style is not None:
            sizes[heading.style].append(heading.size)
    counts = Counter[str]()
    for (name, _), found in sizes.items():
        counts[name] += len(found)
    return {style: median(found) for style, found in sizes.items() if counts[style[0]] >= MIN_NUMBERED}


def _levels_of_styles(
    headings: Sequence[_Heading], by_size: Sequence[int], styles: Mapping[Style, float]
) -> dict[Style, int]:
    """Of each numbering the level: what is numbered deeper stands deeper, whatever its size."""
    level_of = {h.style: level for h, level in zip(headings, by_size, strict=True) if h.style in styles}
    result: dict[Style, int] = {}
    for name in {name for name, _ in styles}:
        depths = sorted(depth for other, depth in styles if other == name)
        base = level_of[name, depths[0]]
        result |= {(name, depth): base + depth - depths[0] for depth in depths}
    return result


def _ranks(sizes: Sequence[float]) -> list[int]:
    """Of each size the rank of its kind, 0 for the largest. Kinds are what most sizes lie around."""
    rest = sorted(sizes)
    kinds: list[float] = []
    while rest:
        middle = max(rest, key=lambda size: (_within(rest, size), size))
        low, high = _bounds(rest, middle)
        kinds.append(median(rest[low:high]))
        del rest[low:high]
    ordered: list[float] = []
    for kind in sorted(kinds, reverse=True):
        if not ordered or kind < APART * ordered[-1]:
            ordered.append(kind)
    return [min(range(len(ordered)), key=lambda rank: abs(ordered[rank] - size)) for size in sizes]


def _within(ordered: Sequence[float], size: float) -> int:
    low, high = _bounds(ordered, size)
    return high - low


def _bounds(ordered: Sequence[float], size: float) -> tuple[int, int]:
    return bisect_left(ordered, size * (1 - SPREAD)), bisect_right(ordered, size * (1 + SPREAD))
