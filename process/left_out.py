"""Which lines of one reading of a page another reading lacks, and where they belong in it.

For output without places: what the page holds is taken from the lines of a second engine, and each is
looked for in the text of the first, letter groups against letter groups, so that misread letters do not
matter. What a line was found in is used up: of two equal lines, one that was left out is missed.

Pure functions over blocks and lines; must not know engines or pictures.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from airgap.core.document import FIGURE_LABELS, Block, Box, Line
from airgap.layout.lines import WIDE_FROM
from airgap.layout.literal import escaped

_GROUP, _SHORT = 3, 4
"""Letters that are looked for together, and length up to which a line is looked for as it is, as a word."""
_FOUND = 0.5
"""Share of a line's groups that has to stand together in the text."""
_SLACK = 0.2
"""Share of a line's length by which letters may have been added or lost."""
_SURE = 0.8
"""Confidence from which a line of the second reading is believed to be there."""
_MOST_LINES = 4000
_NO_TEXT = FIGURE_LABELS | {"equation", "formula"}
_TAG = re.compile(
    r"</?(?:table|thead|tbody|tfoot|tr|td|th|caption|colgroup|col|br|hr|p|div|span|center|h[1-6]|ul|ol|li|"
    r"b|strong|i|em|u|s|sub|sup|small|mark|code|pre|img)(?![\w:-])[^<>]{0,400}>|<!--[^<>]{0,400}-->",
    re.IGNORECASE,
)
"""Markup, which is not printed. Other words between angle brackets are: `<name of the author>`."""

_Span = tuple[int, int]
"""Where among the letters of the text something begins and ends."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A line that was left out; it goes after `offset` characters of the text of block `index`, or before
    that block where `offset` is 0."""

    line: Line
    index: int
    offset: int


def left_out(blocks: Sequence[Block], lines: Sequence[Line]) -> list[Missing]:
    """The lines (in reading order) whose text `blocks` lack. Lines in figures and formulas are left alone."""
    text = _Text(blocks)
    wanted = [line for line in lines[:_MOST_LINES] if _counts(line, blocks)]
    found = _found([_folded(line.text) for line in wanted], text)
    missing = list[Missing]()
    for number, line in enumerate(wanted):
        if found[number] is None:
            before, after = _around(found, number)
            missing.append(_placed(line, text, before, after))
    return missing


def _found(wanted: Sequence[str], text: _Text) -> list[_Span | None]:
    """Where each line stands: first those that stand there word for word and once, which settle the order;
    then the others between these; then what is left, wherever it is."""
    found: list[_Span | None] = [None] * len(wanted)
    times = Counter(wanted)
    for number in sorted(range(len(wanted)), key=lambda number: -len(wanted[number])):
        if times[wanted[number]] == 1:
            found[number] = text.take_only(wanted[number])
    for take in (text.take_exactly, text.take):
        for number in _not_found(found):
            before, after = _around(found, number)
            span = (before[1] if before else 0, after[0] if after else None)
            found[number] = take(wanted[number], *span)
    for take in (text.take_exactly, text.take):
        for number in sorted(_not_found(found), key=lambda number: -len(wanted[number])):
            found[number] = take(wanted[number], 0, None)
    return found


def _not_found(found: Sequence[_Span | None]) -> list[int]:
    return [number for number, span in enumerate(found) if span is None]


def _around(found: Sequence[_Span | None], number: int) -> tuple[_Span | None, _Span | None]:
    """The nearest lines before and after one that were found."""
    before = next((span for span in reversed(found[:number]) if span is not None), None)
    return before, next((span for span in found[number + 1 :] if span is not None), None)


def insert_missing(blocks: Sequence[Block], missing: Iterable[Missing], engine: str) -> tuple[Block, ...]:
    """`blocks` with the missing lines in their places, signed by the engine that read them.

    A paragraph is parted where a line goes into its middle; a table is not, the line follows it.
    """
    by_block: defaultdict[int, list[Missing]] = defaultdict(list)
    for one in missing:
        by_block[one.index].append(one)
    result = list[Block]()
    for index, block in enumerate(blocks):
        result += _with_lines(block, by_block[index], engine)
    return (*result, *_as_blocks([one.line for one in by_block[len(blocks)]], engine))


def _counts(line: Line, blocks: Sequence[Block]) -> bool:
    if (line.confidence is not None and line.confidence < _SURE) or not _folded(line.text):
        return False
    x, y = (line.box.x0 + line.box.x1) / 2, (line.box.y0 + line.box.y1) / 2
    silent = (box for block in blocks if block.label.strip().lower() in _NO_TEXT for box in block.boxes)
    return not any(box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1 for box in silent)


def _folded(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


class _Text:
    """The letters and digits of a page's blocks, in order, and what of them is used up."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        self._places: list[tuple[int, int]] = []  # of each letter: its block, and the offset behind it
        letters = list[str]()
        self._edges = {0}  # where words and numbers begin and end
        for index, block in enumerate(blocks):
            for character, end in readable(block.text):
                folded = _folded(character)
                letters.append(folded)
                self._places += [(index, end)] * len(folded)
                if not folded:
                    self._edges.add(len(self._places))
            self._edges.add(len(self._places))
        self._letters = "".join(letters)
        self._used = bytearray(len(self._letters))
        self._groups: defaultdict[str, list[int]] = defaultdict(list)
        for start in range(len(self._letters) - _GROUP + 1):
            self._groups[self._letters[start : start + _GROUP]].append(start)

    def take_only(self, wanted: str) -> _Span | None:
        """Use up where `wanted` stands, if it stands in one place only."""
        span = self._find(wanted, 0, len(self._letters))
        if span is None or self._find(wanted, span[0] + 1, len(self._letters)) is not None:
            return None
        return self._use(*span)

    def take_exactly(self, wanted: str, low: int, high: int | None) -> _Span | None:
        """Use up the first place between two positions where `wanted` stands letter for letter."""
        span = self._find(wanted, low, len(self._letters) if high is None else high)
        return None if span is None else self._use(*span)

    def take(self, wanted: str, low: int, high: int | None) -> _Span | None:
        """Use up the place between two positions that has most of `wanted`; None where none has enough."""
        high = len(self._letters) if high is None else high
        if len(wanted) <= _SHORT:
            return None
        pairs = sorted(
            (start - i, i, start)
            for i in range(len(wanted) - _GROUP + 1)
            for start in self._groups.get(wanted[i : i + _GROUP], ())
            if low <= start < high and not self._used[start]
        )
        best = _densest(pairs, max(2, round(_SLACK * len(wanted))))
        if len({i for _, i, _ in best}) < _FOUND * (len(wanted) - _GROUP + 1):
            return None
        return self._use(min(start for _, _, start in best), max(start for _, _, start in best) + _GROUP)

    def _find(self, wanted: str, low: int, high: int) -> _Span | None:
        """The first place not used up where `wanted` stands as whole words."""
        start = self._letters.find(wanted, low, high)
        while start >= 0:
            end = start + len(wanted)
            whole = self._is_edge(start) and self._is_edge(end)
            if (whole or len(wanted) > _SHORT) and not any(self._used[start:end]):
                return start, end
            start = self._letters.find(wanted, start + 1, high)
        return None

    def _is_edge(self, place: int) -> bool:
        """Whether a word may begin or end there: writing in wide characters has no spaces."""
        around = self._letters[max(0, place - 1) : place + 1]
        return place in self._edges or any(ord(letter) >= WIDE_FROM for letter in around)

    def _use(self, start: int, end: int) -> _Span:
        self._used[start:end] = b"\x01" * (end - start)
        return start, end

    def place(self, end: int) -> tuple[int, int]:
        """The block and the offset in its text behind which the letters before `end` stand."""
        return self._places[end - 1]


def _densest(pairs: list[tuple[int, int, int]], width: int) -> list[tuple[int, int, int]]:
    """The pairs whose first numbers lie within `width` of each other, where most do."""
    best, first = (0, 0), 0
    for last, (shift, _, _) in enumerate(pairs):
        while shift - pairs[first][0] > width:
            first += 1
        if last + 1 - first > best[1] - best[0]:
            best = (first, last + 1)
    return pairs[best[0] : best[1]]


def readable(text: str) -> Iterable[tuple[str, int]]:
    """The characters that are seen, with the offset behind each: without tags, entities as what they mean."""
    tags = {match.start(): match.end() for match in _TAG.finditer(text)}
    entities = {match.start(): match for match in re.finditer(r"&#?\w{1,31};", text)}
    position = 0
    while position < len(text):
        if position in tags:
            position = tags[position]
            yield "\n", position  # a cell ends as a word does
        elif position in entities:
            match = entities[position]
            position = match.end()
            yield from ((character, position) for character in html.unescape(match[0]))
        else:
            position += 1
            yield text[position - 1], position


def _placed(line: Line, text: _Text, before: _Span | None, after: _Span | None) -> Missing:
    """Behind the line before it that was found, in the midst of a paragraph only where that goes on after it.

    `before` and `after` are where the found lines around it stand.
    """
    following = len(text.blocks) if after is None else text.place(after[1])[0]
    if before is None:
        return Missing(line, following, 0)
    index, offset = text.place(before[1])
    if index == following and "<table" not in text.blocks[index].text:
        return Missing(line, index, offset)
    return Missing(line, index + 1, 0)


def _with_lines(block: Block, missing: Sequence[Missing], engine: str) -> list[Block]:
    result = _as_blocks([one.line for one in missing if not one.offset], engine)
    begun = 0
    for offset in sorted({one.offset for one in missing if one.offset}):
        cut = _word_end(block.text, offset)
        part = block.text[begun:cut].strip()
        result += [replace(block, text=part)] if part else []
        result += _as_blocks([one.line for one in missing if one.offset == offset], engine)
        begun = cut
    rest = block.text[begun:].strip() if begun else block.text
    return [*result, replace(block, text=rest)] if rest or not begun else result


def _word_end(text: str, offset: int) -> int:
    """The end of the word and its punctuation, where writing has spaces."""
    end = offset
    while end < len(text) and not text[end].isspace() and end - offset < 24:
        end += 1
    return end if end == len(text) or text[end].isspace() else offset


def _as_blocks(lines: Sequence[Line], engine: str) -> list[Block]:
    if not lines:
        return []
    box = Box.around(line.box for line in lines)
    known = [line.confidence for line in lines if line.confidence is not None]
    confidence = sum(known) / len(known) if known else None
    text = "\n".join(escaped(line.text) for line in lines)
    return [Block("text", text, (box,), confidence, tuple(lines), engine)]
