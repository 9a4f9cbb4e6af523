"""One page's lines, ink and labelled areas → its regions in reading order, each with its label.

Works on places; characters are asked for only where `layout`, `furniture` or `tables` do. What the layout
network says is taken where the lines bear it out: it gives labels and never an order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from airgap.layout.areas import Area, area_of, held
from airgap.layout.footnotes import find_notes, note_regions
from airgap.layout.furniture import find_furniture
from airgap.layout.lines import Inset, Row, TextLine, median_height
from airgap.layout.planned_tables import MAX_BESIDE, TablePlan, beside_share, fitted_table
from airgap.layout.quads import Picture
from airgap.layout.regions import Region, insert_figure, regions, rows
from airgap.layout.rulings import (
    Drawing,
    Grid,
    Ink,
    Place,
    find_figures,
    find_grids,
    is_drawn,
    is_inside,
    rules_across,
)
from airgap.layout.running_text import stacked_share
from airgap.layout.tables import RuledTable, parted_at_rules, plan_table
from airgap.layout.view import View
from airgap.layout.wide_tables import clean_grid, widened

MIN_TABLE_LINES = 4
MAX_TABLE_SIZE = 0.8
MAX_PROSE = 0.8
"""Share of running text, in stacks of `PROSE_STACK` lines, from which an area is no table."""
PROSE_STACK = 6
OVERLAP = 0.3
COVERED = 0.5
MARGIN = 4
MIN_SIDE = 20
MAX_EQUATION_PROSE = 0.5
HEADLINE_ROWS = 4
MAX_TITLES = 0.5
SIGN = re.compile(r"[=<>±×÷∑∏∫√∂∇∞≈≠≤≥∈→⇒+*/^|α-ωΑ-Ω]")
WORD = re.compile(r"[^\W\d_]{4,}|[\u3400-\u9fff]")
OF_ROWS = frozenset({"title", "figure_caption", "table_caption"})
"""Labels of areas that part a region's rows."""


class PageLayout:
    """Lays one page out, once. `plan` has the table network look at a picture; None where there is none.

    `part` gives a line's piece between two x of the straightened page, to be read by itself. `formula` gives
    the text of an equation's picture, empty where it is to stay one.
    """

    def __init__(
        self,
        view: View,
        lines: Sequence[TextLine],
        areas: Sequence[Area] = (),
        plan: Callable[[Picture], TablePlan] | None = None,
        part: Callable[[TextLine, float, float], TextLine] | None = None,
        formula: Callable[[Picture], str] | None = None,
    ) -> None:
        self._view = view
        self._lines = lines
        self._areas = _without_idle_titles(areas, lines)
        self._plan = plan
        self._part = part
        self._formula = formula
        self._items: list[TextLine] = []

    def regions(self) -> list[Region]:
        """Regions in reading order; tables, equations and figures stand in them as insets."""
        ink = Ink.of(self._view)
        notes = find_notes(self._lines, rules_across(ink, self._lines), self._view.height)
        noted = {id(line) for column in notes for line in column}
        lines = [line for line in self._lines if id(line) not in noted]
        furniture = find_furniture(lines, self._areas, self._view.width, self._view.height)
        self._items = list(furniture.text)
        drawing = Drawing.of(ink, self._lines)
        grids = self._take_ruled_tables(ink, drawing)
        tables = self._take_tables(grids)
        self._take_equations()
        figures = find_figures(drawing, self._lines, tables)
        height = median_height(self._lines)
        items = [item for item in self._items if not is_drawn(item, figures, height)]
        clear = [place for place in figures if not any(is_inside(item, place) for item in items)]
        ordered = regions([*items, *(Inset(place, "image") for place in clear)])
        ordered = [part for region in ordered for part in self._parts(region)]
        for place in figures:
            if place not in clear:
                insert_figure(ordered, Inset(place, "image"))
        above, below = furniture.above(self._view.height), furniture.below(self._view.height)
        return [*above, *ordered, *note_regions(notes), *below]

    def _loose(self) -> list[TextLine]:
        return [item for item in self._items if not isinstance(item, Inset)]

    def _put(self, inset: Inset) -> None:
        taken = {id(line) for line in inset.lines}
        self._items = [item for item in self._items if id(item) not in taken]
        self._items.append(inset)

    def _replace(self, lines: Sequence[TextLine], others: Sequence[TextLine]) -> None:
        gone = {id(line) for line in lines}
        self._items = [item for item in self._items if id(item) not in gone] + list(others)

    def _take_ruled_tables(self, ink: Ink, drawing: Drawing) -> list[Grid]:
        grids = []
        for grid in find_grids(ink, self._lines):
            inside = [line for line in self._loose() if grid.holds(line)]
            table = None if drawing.fills(grid.place) else plan_table(grid, inside)
            if table is not None:
                self._put(self._better(grid.place, table) or self._ruled(grid, inside, table))
                grids.append(grid)
        return grids

    def _ruled(self, grid: Grid, inside: list[TextLine], table: RuledTable) -> Inset:
        """The ruled table, its lines cut where they run over a rule."""
        parted = inside if self._part is None else parted_at_rules(grid, inside, self._part)
        again = plan_table(grid, parted)
        if again is None:
            return _table(grid.place, inside, table)
        self._replace(inside, parted)
        return _table(grid.place, parted, again)

    def _better(self, place: Place, table: RuledTable) -> Inset | None:
        """The network's table of a place where lines share cells of the ruled one: rules were missed."""
        poor = beside_share([lines for row in table.rows for lines, _, _ in row])
        if poor > MAX_BESIDE:
            over = [area for area in self._areas if area.label == "table" and area.share_of(place) > COVERED]
            spot = over[0] if over else Area("table", 1.0, place)
            lines = held(spot, self._loose())
            other = self._planned(spot, lines)
            if other is not None:
                return _table(spot.place, lines, other)
        return None

    def _take_tables(self, grids: Sequence[Grid]) -> list[Place]:
        """Take those that the network sees, too; the places of all tables."""
        done = [grid.place for grid in grids]
        for area in self._areas:
            large = area.size > MAX_TABLE_SIZE * self._view.width * self._view.height
            if area.label != "table" or large or any(_meet(area, place) for place in done):
                continue
            place, lines = widened(area.place, held(area, self._loose()), self._loose())
            if stacked_share(lines, PROSE_STACK) > MAX_PROSE:
                continue
            table = clean_grid(lines) or self._planned(Area(area.label, area.score, place), lines)
            if table is not None:
                self._put(_table(place, lines, table))
                done.append(place)
        return done

    def _planned(self, area: Area, lines: Sequence[TextLine]) -> RuledTable | None:
        if self._plan is None or len(lines) < MIN_TABLE_LINES:
            return None
        picture, start = self._picture(area.place)
        if min(picture.shape[:2]) < MIN_SIDE:
            return None
        return fitted_table(self._plan(picture), start, lines)

    def _picture(self, place: Place) -> tuple[Picture, tuple[int, int]]:
        """A place with a margin, cut out of the straightened page, and where it begins there."""
        x0, y0 = (max(0, int(value) - MARGIN) for value in place[:2])
        x1, y1 = (int(value) + MARGIN for value in place[2:])
        return np.ascontiguousarray(self._view.straight[y0:y1, x0:x1]), (x0, y0)

    def _take_equations(self) -> None:
        for area in self._areas:
            if area.label == "equation":
                lines = held(area, self._loose())
                if lines and stacked_share(lines) < MAX_EQUATION_PROSE and is_formula(lines):
                    ordered = [line for row in rows(lines) for line in row]
                    self._put(self._equation(area.place, ordered))

    def _equation(self, place: Place, lines: list[TextLine]) -> Inset:
        if self._formula is None:
            return Inset(place, "equation", lines)
        read, picture = self._formula, self._picture(place)[0]
        return Inset(place, "equation", lines, lambda: read(picture))

    def _parts(self, region: Region) -> list[Region]:
        """A region's rows in runs of one labelled area each."""
        if region.side:
            return [region]
        result = []
        for area, group in groupby(region.rows, key=self._area_of_row):
            part = list(group)
            result.append(Region(part, label=area.label if area is not None else None))
        return result

    def _area_of_row(self, row: Row) -> Area | None:
        if any(isinstance(line, Inset) for line in row):
            return None
        found = {area_of(line, self._areas) for line in row}
        area = found.pop() if len(found) == 1 else None
        if area is None or area.label not in OF_ROWS:
            return None
        is_long = area.label == "title" and len(rows(held(area, self._lines))) > HEADLINE_ROWS
        return None if is_long else area


def _table(place: Place, lines: Sequence[TextLine], table: RuledTable) -> Inset:
    return Inset(place, "table", table.in_order(lines), table.to_html)


def _without_idle_titles(areas: Sequence[Area], lines: Sequence[TextLine]) -> Sequence[Area]:
    """The areas; without the titles where these hold most of the text: there is nothing that they head."""
    titles = [area for area in areas if area.label == "title"]
    headed = sum(line.width for line in lines if any(area.holds(line) for area in titles))
    if headed <= MAX_TITLES * sum(line.width for line in lines):
        return areas
    return [area for area in areas if area.label != "title"]


def is_formula(lines: Sequence[TextLine]) -> bool:
    """Whether what was read has signs of mathematics, and words make up less than half of it."""
    text = " ".join(line.text for line in lines)
    letters = sum(character.isalnum() for character in text)
    words = sum(len(word) for word in WORD.findall(text))
    return bool(SIGN.search(text)) and words < 0.5 * max(1, letters)


def _meet(area: Area, place: Place) -> bool:
    size = (place[2] - place[0]) * (place[3] - place[1])
    return area.shared(place) > OVERLAP * min(area.size, size)
