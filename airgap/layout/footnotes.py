"""Notes at the foot of a column: small lines under a short rule, or such whose mark stands in the text.

Found by place; characters are asked for only where lines at a column's foot are found so. What is set smaller
there and is neither stays what it was: text, or furniture.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from statistics import median

from airgap.core.raised import FROM_RAISED, TO_RAISED
from airgap.layout.lines import Row, TextLine, body_height, visual_length
from airgap.layout.regions import Region, rows
from airgap.layout.rulings import Place

SMALLER = 0.93
"""Height of a note's lines against those above it, at most."""
LOWEST, FEWEST_ABOVE, LOOKED_AT = 0.5, 3, 6
"""Notes stand below so much of the page, under lines of text, of which the nearest are compared."""
SHORT = 0.6
"""Of a column, the longest rule over notes: a longer one parts what is above from what is below."""
APART, UNDER_RULE, TOGETHER = 0.4, 1.0, 0.6
"""White, in heights of text: least above a note without a rule, most below a rule, and most between rows."""
MOST_TRIED = 40
"""Lines from which notes without a rule may begin, the lowest of the page; bounds the work on small print."""
EDGE = 0.88
"""Share of the page's height below which what follows notes is furniture."""
FEWEST_LETTERS = 15
MARK = re.compile(r"(?:[*†‡§]{1,2}|[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2}|[①-⑳]|\[\d{1,2}\]|\d{1,2}(?![\d.,:/%-]))(?=\s*\S)")
"""What a note begins with."""


@dataclass(frozen=True, slots=True)
class _Column:
    """The lines of text above a place, the nearest first, and how far they reach."""

    above: tuple[TextLine, ...]

    @property
    def height(self) -> float:
        return median(line.height for line in self.above)

    @property
    def x0(self) -> float:
        return min(line.x0 for line in self.above)

    @property
    def x1(self) -> float:
        return max(line.x1 for line in self.above)

    def holds(self, line: TextLine) -> bool:
        """Whether a line stands in it, not across its edges."""
        return self.x0 - self.height < line.x0 and line.x1 < self.x1 + self.height


def find_notes(lines: Sequence[TextLine], rules: Sequence[Place], height: float) -> list[list[TextLine]]:
    """The notes of a page `height` pixels high, column by column, each column's from top to bottom.

    `rules`: places of rules that run across. Waits for lines where a mark has to be looked for.
    """
    found = [_under_rule(rule, lines, height) for rule in rules if rule[3] > LOWEST * height]
    body = body_height(lines)
    low = [line for line in lines if line.y0 > LOWEST * height and line.height < SMALLER * body]
    found += [_from_mark(line, lines, height) for line in sorted(low, key=lambda line: line.y0)[-MOST_TRIED:]]
    kept: list[list[TextLine]] = []
    for notes in found:
        taken = {id(line) for other in kept for line in other}
        if notes and not any(id(line) in taken for line in notes):
            kept.append(notes)
    return kept


def _under_rule(rule: Place, lines: Sequence[TextLine], height: float) -> list[TextLine]:
    column = _column_above(lines, rule)
    if column is None or abs(rule[0] - column.x0) > column.height:
        return []
    is_short = rule[2] - rule[0] < SHORT * (column.x1 - column.x0)
    notes = _notes_from(column, lines, rule[3], height) if is_short else []
    return notes if notes and _are_smaller(notes, column) else []


def _from_mark(first: TextLine, lines: Sequence[TextLine], height: float) -> list[TextLine]:
    """Notes that begin with a line that white sets apart and whose mark stands raised in the text."""
    column = _column_above(lines, first.place)
    if column is None or first.y0 - column.above[0].y1 < APART * column.height:
        return []
    notes = _notes_from(column, lines, first.y0, height)
    is_small = all(line.height < SMALLER * column.height for line in notes)
    mark = mark_of(_seen(first)) if notes and is_small else None
    if mark is None:
        return []
    ends = re.compile(rf"(?<=[^\s\d]){re.escape(mark.translate(FROM_RAISED))}(?!\w)")
    may_have = [
        line for line in lines if line not in notes and ends.search(_seen(line).translate(FROM_RAISED))
    ]
    return notes if any(mark in line.text for line in may_have) else []


def _column_above(lines: Sequence[TextLine], place: Place) -> _Column | None:
    x0, y, x1, _ = place
    over = [line for line in lines if line.middle < y and min(line.x1, x1) > max(line.x0, x0)]
    nearest = tuple(nlargest(LOOKED_AT, over, key=lambda line: line.y1))
    return _Column(nearest) if len(nearest) >= FEWEST_ABOVE else None


def _notes_from(column: _Column, lines: Sequence[TextLine], y: float, height: float) -> list[TextLine]:
    """The close rows from `y` on that end the column; none where something else follows them."""
    below = [line for line in lines if line.middle > y and _shares(column, line)]
    notes: list[TextLine] = []
    bottom = y
    for row in rows(below):
        most = TOGETHER if notes else UNDER_RULE
        is_near = min(line.y0 for line in row) - bottom < most * column.height
        if not (is_near and all(column.holds(line) for line in row)):
            break
        notes += row
        bottom = max(line.y1 for line in row)
    rest = [line for line in below if line not in notes]
    return notes if all(line.y0 > EDGE * height for line in rest) else []


def _are_smaller(notes: Sequence[TextLine], column: _Column) -> bool:
    """Whether notes are set smaller than the text: lines as found are lower, or else letters are narrower."""
    if median(line.height for line in notes) < SMALLER * column.height:
        return True
    of_notes, of_text = _letter_width(notes), _letter_width(column.above)
    return of_notes is not None and of_text is not None and of_notes < SMALLER * of_text


def _letter_width(lines: Sequence[TextLine]) -> float | None:
    """The typical width of half a wide character, in pixels; None without long lines. Waits for the lines."""
    counted = [(line.width, visual_length(_seen(line))) for line in lines]
    widths = [width / count for width, count in counted if count >= FEWEST_LETTERS]
    return median(widths) if widths else None


def _seen(line: TextLine) -> str:
    """What is read on a line so far: the last word on it depends on the lines around, not known yet."""
    return line.start().result().text


def _shares(column: _Column, line: TextLine) -> bool:
    return min(line.x1, column.x1) - max(line.x0, column.x0) > column.height


def mark_of(text: str) -> str | None:
    """The mark that a note begins with, raised as it stands in the text; None where it begins with none."""
    found = MARK.match(text)
    return found[0].strip("[]").translate(TO_RAISED) if found else None


def note_regions(notes: Sequence[Sequence[TextLine]]) -> list[Region]:
    """One region for each note: rows from one that begins with a mark to the next; waits for their text."""
    regions: list[Region] = []
    for column in notes:
        begun: list[Row] = []
        for row in rows(column):
            if begun and MARK.match(_seen(row[0])):
                regions.append(Region(begun, label="footnote"))
                begun = []
            begun = [*begun, row]
        regions.append(Region(begun, label="footnote"))
    return regions
