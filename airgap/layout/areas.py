"""Labelled areas of the straightened page, and which of them a line stands in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airgap.layout.lines import TextLine
from airgap.layout.rulings import Place

INSIDE = 0.6
"""Share of a line that has to be in an area for the line to be of it."""


@dataclass(frozen=True, slots=True)
class Area:
    """`label`: one of the layout network's; `score`: how sure it is, 0..1; `place`: pixels."""

    label: str
    score: float
    place: Place

    @property
    def size(self) -> float:
        x0, y0, x1, y1 = self.place
        return max(0.0, x1 - x0) * max(0.0, y1 - y0)

    def shared(self, place: Place) -> float:
        """The size of what an area and a place have in common."""
        wide = min(self.place[2], place[2]) - max(self.place[0], place[0])
        high = min(self.place[3], place[3]) - max(self.place[1], place[1])
        return max(0.0, wide) * max(0.0, high)

    def share_of(self, place: Place) -> float:
        """How much of a place lies in the area, 0..1."""
        size = (place[2] - place[0]) * (place[3] - place[1])
        return self.shared(place) / size if size > 0 else 0.0

    def holds(self, line: TextLine) -> bool:
        """Whether a line stands in it."""
        return self.share_of(line.place) >= INSIDE


def area_of(line: TextLine, areas: Iterable[Area]) -> Area | None:
    """The smallest area that a line stands in."""
    return min((area for area in areas if area.holds(line)), key=lambda area: area.size, default=None)


def held(area: Area, lines: Sequence[TextLine]) -> list[TextLine]:
    """The lines that stand in an area."""
    return [line for line in lines if area.holds(line)]
