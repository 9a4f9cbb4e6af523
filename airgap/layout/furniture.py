"""Running headers and footers, page numbers and marks in the margin: what a page has besides its text.

Found by place and, for page numbers, by what they say. The layout network's word counts near the edges alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from airgap.layout.areas import Area, area_of
from airgap.layout.lines import Row, TextLine, body_height, median_height
from airgap.layout.regions import Region, rows

EDGE = 0.09
"""Share of the page's height at its top and bottom in which a row set apart by white is furniture."""
AREA_EDGE = 0.12
MAX_ROWS = 2
MIN_ROWS_INSIDE = 3
MIN_WHITE = 1.0
MIN_ROWS_AROUND, MIN_FAR = 8, 2.0
MAX_HEIGHT = 1.25
"""Against the page's typical line: what is larger is a heading."""
SIDE = 0.08
NUMBER_CAPACITY = 16.0
PAGE_NUMBER = re.compile(
    r"[-–—·•|\[( ]*(?:\d{1,4}|[ivxlcIVXLC]{1,7})[-–—·•|\]) ]*"
    r"|(?:page|pages?|seite|p\.|s\.|стр\.?) ?\d{1,4}(?: ?(?:of|/|von|de|из) ?\d{1,4})?"
    r"|\d{1,4} ?/ ?\d{1,4}|第 ?\d{1,4} ?[頁页](?: ?共 ?\d{1,4} ?[頁页])?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Furniture:
    """The furniture's lines by label, and all the other lines."""

    header: tuple[TextLine, ...]
    footer: tuple[TextLine, ...]
    page_number: tuple[TextLine, ...]
    margin: tuple[TextLine, ...]
    text: tuple[TextLine, ...]

    def above(self, height: float) -> list[Region]:
        """What comes before the text: headers and a number in the upper half of a page of that height."""
        numbers = [line for line in self.page_number if line.middle < height / 2]
        return _regions(("header", self.header), ("page_number", numbers))

    def below(self, height: float) -> list[Region]:
        """What comes after the text."""
        numbers = [line for line in self.page_number if line.middle >= height / 2]
        return _regions(("margin", self.margin), ("footer", self.footer), ("page_number", numbers))


def _regions(*labelled: tuple[str, Sequence[TextLine]]) -> list[Region]:
    return [Region(rows(lines), label=label) for label, lines in labelled if lines]


def find_furniture(
    lines: Sequence[TextLine], areas: Sequence[Area], width: float, height: float
) -> Furniture:
    """Part the lines of a page of `width` × `height` pixels, straightened."""
    margin = [line for line in lines if _is_beside(line, lines, width)]
    rest = [line for line in lines if line not in margin]
    header = _edge_rows(rest, height, upper=True)
    footer = _edge_rows(rest, height, upper=False)
    for line in rest:
        area = area_of(line, areas)
        if area is None or line in header or line in footer:
            continue
        if area.label == "header" and area.place[3] < AREA_EDGE * height:
            header.append(line)
        elif area.label == "footer" and area.place[1] > (1 - AREA_EDGE) * height:
            footer.append(line)
    numbers = [line for line in number_places(rest, height) if PAGE_NUMBER.fullmatch(line.text.strip())]
    taken = {id(line) for line in (*margin, *header, *footer, *numbers)}
    return Furniture(
        tuple(line for line in header if line not in numbers),
        tuple(line for line in footer if line not in numbers),
        tuple(numbers),
        tuple(margin),
        tuple(line for line in lines if id(line) not in taken),
    )


def _edge_rows(lines: Sequence[TextLine], height: float, *, upper: bool) -> list[TextLine]:
    """The one or two rows at an edge that are small and that white sets apart from what is inside."""
    grouped = rows(lines) if upper else rows(lines)[::-1]
    typical, body = median_height(lines), body_height(lines)
    found: list[TextLine] = []
    for count in range(1, MAX_ROWS + 1):
        if len(grouped) < count + MIN_ROWS_INSIDE:
            break
        edge, inner = [line for row in grouped[:count] for line in row], grouped[count]
        is_apart = _white_between(edge, inner, upper) > MIN_WHITE * typical
        is_small = all(line.height < MAX_HEIGHT * body for line in edge)
        if _is_at_edge(edge, height, upper) and is_apart and is_small:
            found = edge
    return found


def _outermost(lines: Sequence[TextLine]) -> list[TextLine]:
    """The single lines above and below all others, far from them: a page may end early."""
    grouped = rows(lines)
    if len(grouped) < MIN_ROWS_AROUND:
        return []
    far = MIN_FAR * median_height(lines)
    ends = ((grouped[0], grouped[1], True), (grouped[-1], grouped[-2], False))
    return [
        edge[0] for edge, inner, upper in ends if len(edge) == 1 and _white_between(edge, inner, upper) > far
    ]


def _is_at_edge(edge: Row, height: float, upper: bool) -> bool:
    if upper:
        return max(line.y1 for line in edge) < EDGE * height
    return min(line.y0 for line in edge) > (1 - EDGE) * height


def _white_between(edge: Row, inner: Row, upper: bool) -> float:
    if upper:
        return min(line.y0 for line in inner) - max(line.y1 for line in edge)
    return min(line.y0 for line in edge) - max(line.y1 for line in inner)


def _is_beside(line: TextLine, lines: Sequence[TextLine], width: float) -> bool:
    """Whether a line runs up or down at the page's side, with no other line further out."""
    if line.height < 3 * line.width:
        return False
    if line.x1 < SIDE * width:
        return all(other.x0 > line.x1 or other.height > other.width for other in lines if other is not line)
    if line.x0 > (1 - SIDE) * width:
        return all(other.x1 < line.x0 or other.height > other.width for other in lines if other is not line)
    return False


def number_places(lines: Sequence[TextLine], height: float) -> list[TextLine]:
    """The lines that may be page numbers by their place: these are asked what they say before all others."""
    edge = [line for line in lines if not AREA_EDGE * height < line.middle < (1 - AREA_EDGE) * height]
    places = {id(line) for line in (*edge, *_outermost(lines)) if line.capacity <= NUMBER_CAPACITY}
    return [line for line in lines if id(line) in places and _is_alone(line, lines)]


def _is_alone(line: TextLine, lines: Sequence[TextLine]) -> bool:
    return not any(
        min(other.x1, line.x1) > max(other.x0, line.x0) - line.height
        and min(abs(other.y0 - line.y1), abs(line.y0 - other.y1)) < line.height
        for other in lines
        if other is not line
    )
