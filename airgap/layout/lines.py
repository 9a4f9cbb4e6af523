"""A line of text with its place on the straightened page, and its characters, read when asked for.

Layout works on places alone wherever it can, so that the first blocks of a page can be handed out
while its later lines are still being read.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from statistics import median

WIDE_FROM = 0x2E80
"""Characters from here on (CJK and their kin) are as wide as they are high; others about half that."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The characters of one line and their mean probability, 0..1; both empty where nothing was read.

    `plain`: the same without the accents that are doubtful, where there are any. `silent`: stretches in
    which no letter was read, as shares of the strip's width, 0..1.
    """

    text: str
    confidence: float
    plain: str | None = None
    silent: tuple[tuple[float, float], ...] = ()


def done(reading: Reading) -> Future[Reading]:
    """A reading that is there already, as a future."""
    future: Future[Reading] = Future()
    future.set_result(reading)
    return future


def joined(readings: Sequence[Reading]) -> Reading:
    """What several pieces of a line say, one after the other."""
    said = [reading for reading in readings if reading.text]
    length = sum(len(reading.text) for reading in said)
    sureness = sum(reading.confidence * len(reading.text) for reading in said)
    return Reading(" ".join(reading.text for reading in said), sureness / length if length else 0.0)


class TextLine:
    """`x0`, `y0`, `x1`, `y1`: pixels of the straightened page. `index`: which quadrilateral it is.

    `submit` starts the reading on a worker and is called at most once. `settle`, where given, has
    the last word on what was read; it is called at most once, by whoever asks for it first.
    """

    __slots__ = ("_future", "_settle", "_submit", "index", "x0", "x1", "y0", "y1")

    def __init__(
        self,
        place: tuple[float, float, float, float],
        index: int,
        submit: Callable[[], Future[Reading]],
        settle: Callable[[TextLine, Reading], Reading] | None = None,
    ) -> None:
        self.x0, self.y0, self.x1, self.y1 = place
        self.index = index
        self._submit = submit
        self._settle = settle
        self._future: Future[Reading] | None = None

    @classmethod
    def known(
        cls, place: tuple[float, float, float, float], text: str, confidence: float = 1.0, index: int = 0
    ) -> TextLine:
        """A line that has been read already."""
        future = done(Reading(text, confidence))
        return cls(place, index, lambda: future)

    def start(self) -> Future[Reading]:
        """Have the line read, if that has not begun."""
        if self._future is None:
            self._future = self._submit()
        return self._future

    def replace(self, future: Future[Reading]) -> None:
        """Take another reading of the same line instead, as the last word."""
        self._future = future
        self._settle = None

    @property
    def reading(self) -> Reading:
        """What the line says; waits for it."""
        reading = self.start().result()
        if self._settle is None:
            return reading
        settle, self._settle = self._settle, None
        settled = settle(self, reading)
        if settled is not reading:
            self.replace(done(settled))
        return settled

    @property
    def text(self) -> str:
        return self.reading.text

    @property
    def place(self) -> tuple[float, float, float, float]:
        return self.x0, self.y0, self.x1, self.y1

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def middle(self) -> float:
        return (self.y0 + self.y1) / 2

    @property
    def capacity(self) -> float:
        """About how many Latin characters fit the line: its width in half heights."""
        return 2 * self.width / max(1.0, self.height)


class Inset(TextLine):
    """A ruled table or a figure, laid out as if it were one tall line.

    `lines` are those inside. `render` gives its text, HTML for a table, and waits for them.
    """

    __slots__ = ("label", "lines", "render")

    def __init__(
        self,
        place: tuple[float, float, float, float],
        label: str,
        lines: Sequence[TextLine] = (),
        render: Callable[[], str] = str,
    ) -> None:
        super().__init__(place, -1, lambda: done(Reading("", 1.0)))
        self.label = label
        self.lines = tuple(lines)
        self.render = render


Row = list[TextLine]
"""Lines that stand beside one another, from left to right."""


def runs_to_the_left(texts: Iterable[str]) -> bool:
    """Whether most letters of some texts are of a script that is written from right to left."""
    kinds = Counter(unicodedata.bidirectional(character) for text in texts for character in text)
    return kinds["R"] + kinds["AL"] > kinds["L"]


def said(row: Row) -> str:
    """The text of lines beside one another, in the order in which they are read; waits for them."""
    texts = [line.text for line in row if line.text]
    return " ".join(reversed(texts)) if runs_to_the_left(texts) else "  ".join(texts)


def visual_length(text: str) -> int:
    """Characters without white space, wide ones counted twice."""
    return sum(2 if ord(character) >= WIDE_FROM else 1 for character in text if not character.isspace())


def median_height(lines: Sequence[TextLine]) -> float:
    """The typical line height in pixels, at least 1."""
    heights = [line.height for line in lines if not isinstance(line, Inset)]
    return max(1.0, median(heights)) if heights else 1.0


def body_height(lines: Sequence[TextLine]) -> float:
    """The height, in pixels, of the line in the middle of all text, counted by width; 1 where none is."""
    weighted = sorted((line.height, line.width) for line in lines)
    half = sum(width for _, width in weighted) / 2
    for height, width in weighted:
        half -= width
        if half <= 0:
            return height
    return 1.0
