"""Facts about pages, one a line, as in olmOCR-bench (Poznanski et al., 2025): each holds or does not.

`present` and `absent` text, `order` of two texts, `table` cells with their neighbours and headings. Formulas
(`math`) are counted and not checked: that takes a browser.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from airgap.evaluation.markdown import pieces
from airgap.evaluation.text import plain
from airgap.exporters.html_tables import Table, split_tables

Place = tuple[int, int]
SIDES = ("up", "down", "left", "right", "top_heading", "left_heading")
LEAST_LIKENESS = 0.5


@dataclass(frozen=True, slots=True)
class Fact:
    """What is said of page `page` of file `pdf`; `details` are the fields that its type has."""

    identity: str
    pdf: str
    page: int
    type: str
    details: Mapping[str, Any]

    @property
    def is_checkable(self) -> bool:
        return self.type in _CHECKS

    def holds(self, markdown: str) -> bool:
        """Whether it is true of the page's Markdown. Raises `KeyError` on a type that cannot be checked."""
        return _CHECKS[self.type](self, markdown)


def read_facts(path: Path) -> list[Fact]:
    """The facts of a JSON-lines file. Raises `ValueError` where it is something else."""
    try:
        return [_fact(json.loads(line)) for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not facts in the form of olmOCR-bench's") from error


def _fact(fields: Mapping[str, Any]) -> Fact:
    return Fact(fields["id"], fields["pdf"], int(fields["page"]), fields["type"], fields)


def _likeness(fact: Fact, length: int) -> float:
    return 1.0 - int(fact.details.get("max_diffs", 0)) / max(1, length)


def _is_present(fact: Fact, markdown: str) -> bool:
    wanted, text = plain(fact.details["text"]), plain(markdown)
    if not fact.details.get("case_sensitive", True):
        wanted, text = wanted.lower(), text.lower()
    first, last = fact.details.get("first_n"), fact.details.get("last_n")
    if first or last:
        text = (text[:first] if first else "") + (text[-last:] if last else "")
    return fuzz.partial_ratio(wanted, text) / 100 >= _likeness(fact, len(wanted))


def _is_in_order(fact: Fact, markdown: str) -> bool:
    text, most = plain(markdown), int(fact.details.get("max_diffs", 0))
    before = list(_places(plain(fact.details["before"]), text, most))
    after = list(_places(plain(fact.details["after"]), text, most))
    return bool(before and after) and before[0] < after[-1]


def _places(wanted: str, text: str, most: int) -> Iterator[int]:
    """Where a text begins, with at most so many edits."""
    if most == 0:
        start = text.find(wanted)
        while start >= 0:
            yield start
            start = text.find(wanted, start + 1)
        return
    width = len(wanted)
    for start in range(max(1, len(text) - width + most + 1)):
        if Levenshtein.distance(wanted, text[start : start + width], score_cutoff=2 * most) <= most:
            yield start


def _cell_stands(fact: Fact, markdown: str) -> bool:
    wanted = {side: plain(text) for side in SIDES if (text := fact.details.get(side))}
    cell = plain(fact.details["cell"])
    for table in (piece.text for piece in pieces(markdown) if piece.kind == "table"):
        for part in split_tables(table):
            if isinstance(part, Table) and _stands_in(_Grid(part), fact, cell, wanted):
                return True
    return False


def _stands_in(grid: _Grid, fact: Fact, cell: str, wanted: Mapping[str, str]) -> bool:
    return any(
        all(
            any(_alike(fact, text, grid.text(o)) for o in grid.beside(place, side))
            for side, text in wanted.items()
        )
        for place in grid.origins
        if _alike(fact, cell, grid.text(place))
    )


def _alike(fact: Fact, wanted: str, text: str) -> bool:
    return fuzz.ratio(wanted, text) / 100 >= max(LEAST_LIKENESS, _likeness(fact, len(wanted)))


_STEPS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


class _Grid:
    """The cells of a table by place; a cell that spans has its first place as its name."""

    def __init__(self, table: Table) -> None:
        self._height, self._width, placed = table.placed()
        self._cells = {(row, column): cell for row, column, cell in placed}
        self._owner: dict[Place, Place] = {}
        for row, column, cell in placed:
            for r in range(row, row + cell.rowspan):
                for c in range(column, column + cell.colspan):
                    self._owner[r, c] = (row, column)
        self.origins = list(self._cells)

    def text(self, place: Place) -> str:
        return plain(self._cells[place].text)

    def beside(self, place: Place, side: str) -> set[Place]:
        """The cells next to a cell on a side, or at the end of the way there where headings are."""
        if side in _STEPS:
            return self._next(place, _STEPS[side])
        return self._headings(place, _STEPS["up" if side == "top_heading" else "left"])

    def _next(self, place: Place, step: Place) -> set[Place]:
        cell = self._cells[place]
        found = set()
        rows = range(place[0], place[0] + cell.rowspan) if step[1] else [place[0]]
        columns = range(place[1], place[1] + cell.colspan) if step[0] else [place[1]]
        for start in ((r, c) for r in rows for c in columns):
            r, c = start
            while 0 <= r < self._height and 0 <= c < self._width:
                owner = self._owner.get((r, c))
                if owner is not None and owner != place:
                    found.add(owner)
                    break
                r, c = r + step[0], c + step[1]
        return found

    def _headings(self, place: Place, step: Place) -> set[Place]:
        """Heading cells on the way to the edge, or those at the edge where none is marked as one."""
        seen, waiting = set(), {place}
        ends = set()
        while waiting:
            current = waiting.pop()
            seen.add(current)
            further = self._next(current, step)
            if not further:
                ends.add(current)
            waiting |= further - seen
        marked = {cell for cell in seen if self._is_heading(cell)} - {place}
        return marked or ends - {place}

    def _is_heading(self, place: Place) -> bool:
        return self._cells[place].header


_CHECKS: dict[str, Callable[[Fact, str], bool]] = {
    "present": _is_present,
    "absent": lambda fact, markdown: not _is_present(fact, markdown),
    "order": _is_in_order,
    "table": _cell_stands,
}
