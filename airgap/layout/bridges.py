"""Lines found across the gutter between two columns, cut where the columns near them begin.

Where columns stand closer than justified words, a detector takes two lines for one. It shows by the lines
above and below: these begin where it does and end before the gutter, or begin right behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from airgap.layout.lines import Inset, TextLine
from airgap.layout.quads import Picture
from airgap.layout.running_text import MIN_CAPACITY, SAME_HEIGHT

NEAR, FEWEST, MOST_OVER = 6.0, 3, 0.25
"""Heights within which other lines tell of columns, how many have to on either side, and the share of them
that may run over the gutter as well."""
EDGE = 0.4
"""Heights by which lines of one column begin apart."""
WHITE, LIGHT = 0.4, 0.5
"""Heights that are white before the second column, and the share of a line's contrast that is no ink."""

Part = Callable[[TextLine, float, float], TextLine]


def parted_at_gutters(lines: Sequence[TextLine], page: Picture, part: Part) -> list[TextLine]:
    """The lines of a straightened page; those across a gutter in two. `part` gives a line between two x."""
    result: list[TextLine] = []
    for line in lines:
        gutter = _gutter_in(line, lines, page)
        if gutter is None:
            result.append(line)
        else:
            result += [part(line, line.x0, gutter), part(line, gutter, line.x1)]
    return result


def _gutter_in(line: TextLine, lines: Sequence[TextLine], page: Picture) -> float | None:
    if isinstance(line, Inset) or line.capacity < 2 * MIN_CAPACITY:
        return None
    height = line.height
    near = [other for other in lines if other is not line and _is_near(other, line)]
    least, most = line.x0 + MIN_CAPACITY / 2 * height, line.x1 - MIN_CAPACITY / 2 * height
    starts = sorted(other.x0 for other in near if least < other.x0 < most)
    for start in starts:
        if _parts_columns(start, line, near, starts):
            gutter = _white_before(start, line, page)
            if gutter is not None:
                return gutter
    return None


def _is_near(other: TextLine, line: TextLine) -> bool:
    apart = abs(other.middle - line.middle)
    alike = SAME_HEIGHT < other.height / max(1.0, line.height) < 1 / SAME_HEIGHT
    return 0.5 * line.height < apart < NEAR * line.height and alike


def _parts_columns(start: float, line: TextLine, near: Sequence[TextLine], starts: Sequence[float]) -> bool:
    """Whether enough lines near by begin there, and as many begin with the line and end before."""
    slack = EDGE * line.height
    right = sum(abs(other - start) < slack for other in starts)
    left = sum(abs(other.x0 - line.x0) < 2 * slack and other.x1 < start + slack / 2 for other in near)
    over = sum(other.x0 < start - line.height and other.x1 > start + line.height for other in near)
    return right >= FEWEST and left >= FEWEST and over <= MOST_OVER * min(left, right)


def _white_before(start: float, line: TextLine, page: Picture) -> float | None:
    """The middle of the white strip that ends about where a column begins; None where there is ink."""
    reach = round(2 * EDGE * line.height)
    top, bottom = round(line.y0 + 0.1 * line.height), round(line.y1 - 0.1 * line.height)
    left, right = max(0, round(start) - 2 * reach), round(start) + reach
    part = page[max(0, top) : bottom, left:right].astype(np.int16).mean(axis=2)
    whole = page[max(0, top) : bottom, max(0, round(line.x0)) : round(line.x1)].astype(np.int16).mean(axis=2)
    if not part.size or not whole.size:
        return None
    paper = float(np.median(whole))
    contrast = float(np.abs(whole - paper).max())
    white = (np.abs(part - paper) < LIGHT * contrast).all(axis=0)
    edges = np.flatnonzero(np.diff(np.r_[False, white, False]))
    runs = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= WHITE * line.height]
    return left + (runs[0][0] + runs[0][1]) / 2 if runs else None
