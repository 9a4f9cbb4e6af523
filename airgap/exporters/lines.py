"""The printed lines and words of a page, with their places and the way they are turned.

Formats that place text (hOCR, ALTO, searchable PDF) need lines. Engines that know them give them in
`Block.lines`; for the others a block's text is shared out over its box. Boxes lie on the page as it
was sent, so text on a page that was sent turned is turned too: by how much is told by the order in
which its lines are read (downwards, upwards, to the left, to the right).
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airgap.core.document import Block, Box, Line, Page
from airgap.exporters.figures import is_figure
from airgap.exporters.html_tables import Table, split_tables
from airgap.exporters.text import plain_text

LINE_HEIGHT_EM = 1.25
MAX_LINES_PER_BLOCK = 2000
MIN_PIXELS = 0.01
TALL = 1.8  # height over width, from which a line of several letters is taken to run up or down

_NARROW = frozenset("iIjlrtf.,:;'|!()[]{}`\"- ")
_BROAD = frozenset("mwMW@%—")
# XML 1.0, section 2.2: what a document may not contain, plus what cannot be encoded.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its box in page pixels."""

    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """A line of text on the page.

    `turn` is the clockwise angle in degrees (0, 90, 180 or 270) by which the text is turned on the
    page: at 90 it reads downwards. `exact` is False where the place was shared out, not measured.
    """

    text: str
    box: Box
    turn: int
    confidence: float | None
    exact: bool

    def words(self) -> list[Word]:
        """The words, their boxes cut from the line's in proportion to their width in print."""
        before = list(itertools.accumulate(map(_em, self.text), initial=0.0))
        total = before[-1] or 1.0
        return [
            Word(
                word[0],
                _slice(self.box, before[word.start()] / total, before[word.end()] / total, self.turn),
            )
            for word in re.finditer(r"\S+", self.text)
        ]


def xml_text(text: str) -> str:
    """The text without the characters that XML 1.0 forbids or discourages."""
    return _FORBIDDEN.sub("", text)


def em_width(text: str) -> float:
    """About how wide the text is in print, in em."""
    return sum(_em(c) for c in text)


def _em(c: str) -> float:
    if unicodedata.east_asian_width(c) in "WF":
        return 1.0
    if unicodedata.combining(c):
        return 0.0
    return 0.3 if c in _NARROW else 0.85 if c in _BROAD else 0.65 if c.isupper() else 0.53


def page_lines(page: Page) -> list[tuple[Block, list[PrintedLine]]]:
    """Every block of the page with its lines, in reading order. A block without a box has none."""
    turn = page_turn(page)
    return [(block, list(_block_lines(block, turn))) for block in page.blocks]


def _block_lines(block: Block, turn: int) -> Iterator[PrintedLine]:
    exact = bool(block.lines)
    for line in block.lines or shared_out(block):
        text = " ".join(xml_text(line.text).split())
        if text and min(line.box.width, line.box.height) >= MIN_PIXELS:
            yield PrintedLine(text, line.box, _line_turn(text, line.box, turn), line.confidence, exact)


def page_turn(page: Page) -> int:
    """By how many degrees, clockwise, the text of the page is turned: 0, 90, 180 or 270.

    Only engines that give lines tell it; without them, or with too few, text is taken to be upright.
    Prose is asked first: the cells of a table need not follow each other downwards.
    """
    prose = [block.lines for block in page.blocks if block.lines and block.label != "table"]
    tables = [block.lines for block in page.blocks if block.lines and block.label == "table"]
    firsts = [lines[0] for lines in prose]
    for runs in (prose, [firsts], tables):
        votes = _votes(pair for run in runs for pair in itertools.pairwise(run))
        if votes:
            return votes.most_common(1)[0][0]
    return 0


def _votes(pairs: Iterator[tuple[Line, Line]]) -> Counter[int]:
    """For each turn, how much text is in lines that follow each other as they would under it."""
    votes: Counter[int] = Counter()
    for a, b in pairs:
        weight = min(len(a.text.strip()), len(b.text.strip()))
        if weight < 3:
            continue
        dx = (b.box.x0 + b.box.x1 - a.box.x0 - a.box.x1) / 2
        dy = (b.box.y0 + b.box.y1 - a.box.y0 - a.box.y1) / 2
        shared_x = min(a.box.x1, b.box.x1) - max(a.box.x0, b.box.x0)
        shared_y = min(a.box.y1, b.box.y1) - max(a.box.y0, b.box.y0)
        if min(a.box.width, b.box.width) > max(a.box.height, b.box.height):
            thickness = min(a.box.height, b.box.height)
            if shared_x > 0 and 0.5 * thickness < abs(dy) < 4 * thickness:
                votes[0 if dy > 0 else 180] += weight
        elif min(a.box.height, b.box.height) > max(a.box.width, b.box.width):
            thickness = min(a.box.width, b.box.width)
            if shared_y > 0 and 0.5 * thickness < abs(dx) < 4 * thickness:
                votes[90 if dx < 0 else 270] += weight
    return votes


def _line_turn(text: str, box: Box, page: int) -> int:
    """The page's turn, unless the line's shape contradicts it: then it runs up, or down if CJK."""
    length, thickness = (box.width, box.height) if page % 180 == 0 else (box.height, box.width)
    if len(text) < 2 or thickness < TALL * length:
        return page
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return (page + (90 if wide * 2 >= len(text) else 270)) % 360


def _slice(box: Box, start: float, end: float, turn: int) -> Box:
    """The part of a line from `start` to `end` (0 to 1, in reading direction)."""
    if turn in (180, 270):
        start, end = 1 - end, 1 - start
    if turn % 180 == 0:
        return Box(box.x0 + start * box.width, box.y0, box.x0 + end * box.width, box.y1)
    return Box(box.x0, box.y0 + start * box.height, box.x1, box.y0 + end * box.height)


def shared_out(block: Block) -> list[Line]:
    """A block's text as lines over its box, for engines that know no lines.

    Prose is broken into as many lines as its amount and the shape of the box suggest; the cells of a
    table are set on an even grid; several boxes share the text by area. Figures have none.
    """
    boxes = [box for box in block.boxes if min(box.width, box.height) >= MIN_PIXELS]
    if not boxes or is_figure(block):
        return []
    parts = list(split_tables(block.text))
    tables = [part for part in parts if isinstance(part, Table)]
    if len(tables) == 1 and all(isinstance(p, Table) or not p.strip() for p in parts):
        return _grid(tables[0], boxes[0], block.confidence)
    words = _breakable(plain_text(block.text))
    total = sum(box.area for box in boxes)
    lines: list[Line] = []
    for index, box in enumerate(boxes):
        last = index == len(boxes) - 1
        count = len(words) if last else round(len(words) * box.area / total)
        lines += [Line(text, place, block.confidence) for text, place in _broken(words[:count], box)]
        words, total = words[count:], total - box.area
    return lines


def _breakable(text: str) -> list[str]:
    """The pieces between which a line may be broken, each with the space after it."""
    return re.findall(
        r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]\s*|[^\s\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]+\s*",
        text,
    )


def _broken(words: Sequence[str], box: Box) -> list[tuple[str, Box]]:
    if not words:
        return []
    widths = [em_width(word) for word in words]
    total = sum(widths)
    rows = math.ceil(math.sqrt(total * box.height / (LINE_HEIGHT_EM * box.width)) - 0.35)
    rows = min(max(1, rows), len(words), MAX_LINES_PER_BLOCK)
    lines: list[list[str]] = [[] for _ in range(rows)]
    done = 0.0
    for word, width in zip(words, widths, strict=True):
        row = min(rows - 1, int((done + width / 2) * rows / total)) if total else 0
        lines[row].append(word)
        done += width
    height = box.height / rows
    return [
        ("".join(line), Box(box.x0, box.y0 + i * height, box.x1, box.y0 + (i + 1) * height))
        for i, line in enumerate(lines)
        if line
    ]


def _grid(table: Table, box: Box, confidence: float | None) -> list[Line]:
    rows, columns, placed = table.placed()
    if not rows or not columns:
        return []
    width, height = box.width / columns, box.height / rows
    lines: list[Line] = []
    for row, column, cell in placed:
        place = Box(
            box.x0 + column * width,
            box.y0 + row * height,
            box.x0 + (column + cell.colspan) * width,
            box.y0 + (row + cell.rowspan) * height,
        )
        lines += [
            Line(text, part, confidence) for text, part in _broken(_breakable(plain_text(cell.text)), place)
        ]
    return lines
