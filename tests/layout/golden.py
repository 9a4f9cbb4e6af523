"""Pages made up by dice, and how they were laid out when somebody last looked.

    python -m tests.layout.golden

writes tests/data/layout/pages.txt anew: for each page its pieces in reading order, with the numbers of their
lines. A change of the layout changes some of them; look at which, and whether they read better.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import cv2
import numpy as np

from airgap.layout.areas import Area
from airgap.layout.lines import TextLine, body_height
from airgap.layout.page_layout import PageLayout
from airgap.layout.paragraphs import pieces
from airgap.layout.planned_tables import TableCell, TablePlan
from airgap.layout.quads import Picture
from airgap.layout.view import View

PATH = Path(__file__).parents[1] / "data" / "layout" / "pages.txt"
PAGES = 72
WIDTH, HEIGHT = 800, 1000
WORDS = ("word", "Word", "word.", "wo-", "12.5", "a) word", "- word", "Word:")
CELLS = ("1.5", "17", "cell", "Cell", "-")
_SAID = re.compile(r"~(?:a\) word|- word|Figure 1\. word|words of text|[^\s<]+)")


class Sheet:
    """One page that dice fill from the top: lines, what is painted, and what a network would say of it."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.picture: Picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        self.lines: list[TextLine] = []
        self.areas: list[Area] = []
        self.plan: TablePlan | None = None
        self.size = self.dice.choice((14, 18, 22))
        self.lead = self.dice.choice((1.2, 1.4, 1.8))

    def line(self, x0: float, y0: float, x1: float, text: str = "", size: float = 0) -> None:
        jitter = self.dice.uniform(-1.5, 1.5)
        place = (x0 + jitter, y0 + jitter / 2, x1 + jitter, y0 + (size or self.size) + jitter / 2)
        word = text or self.dice.choice(WORDS)
        self.lines.append(TextLine.known(place, f"{len(self.lines)}~{word}", index=len(self.lines)))

    def area(self, label: str, x0: float, y0: float, x1: float, y1: float) -> None:
        self.areas.append(Area(label, 0.9, (x0 - 4, y0 - 4, x1 + 4, y1 + 4)))

    def paragraphs(self, x0: float, x1: float, top: float, count: int) -> float:
        for number in range(count):
            first, last = self.dice.random() < 0.2, self.dice.random() < 0.2
            left = x0 + (1.5 * self.size if first else 0)
            right = x1 - (self.dice.uniform(0.1, 0.7) * (x1 - x0) if last else self.dice.uniform(0, 4))
            self.line(left, top, right)
            top += self.lead * self.size * (1.6 if last and number % 2 else 1)
        return top + self.size

    def heading(self, x0: float, x1: float, top: float) -> float:
        size = self.size * self.dice.choice((1.0, 1.3, 1.8))
        share = self.dice.uniform(0.3, 0.9)
        left = x0 if self.dice.random() < 0.5 else x0 + (1 - share) / 2 * (x1 - x0)
        self.line(left, top, left + share * (x1 - x0), "Heading", size)
        if self.dice.random() < 0.5:
            self.area("title", left, top, left + share * (x1 - x0), top + size)
        return top + 2.2 * size

    def columns(self, top: float) -> float:
        count, gap = self.dice.choice((1, 2, 2, 3)), self.dice.choice((12, 24, 40))
        wide = (WIDTH - 120 - gap * (count - 1)) / count
        ends = []
        for number in range(count):
            x0 = 60 + number * (wide + gap)
            start = top
            if self.dice.random() < 0.3:
                start = self.heading(x0, x0 + wide, start)
            ends.append(self.paragraphs(x0, x0 + wide, start, self.dice.randrange(3, 12)))
        return max(ends)

    def cells(self, top: float, ruled: bool) -> float:
        rows, columns = self.dice.randrange(2, 7), self.dice.randrange(2, 6)
        edges = sorted(self.dice.sample(range(80, 700, 40), columns - 1))
        xs, high = [60, *edges, 740], self.size * self.dice.choice((1.3, 1.8, 2.6))
        cells = []
        for row in range(rows):
            for column in range(columns):
                y0 = top + row * high
                place = (xs[column] - 50, y0 - top + 6, xs[column + 1] - 52, y0 - top + high)
                cells.append(TableCell(row, column, 1, 1, place))
                if self.dice.random() < 0.85:
                    x0 = xs[column] + 5
                    wide = min(xs[column + 1] - x0 - 6, self.dice.uniform(20, 90))
                    self.line(x0, y0 + 3, x0 + max(10, wide), self.dice.choice(CELLS))
        bottom = top + rows * high
        if ruled:
            self.rules(xs, [top - 1 + row * high for row in range(rows + 1)])
        elif self.dice.random() < 0.5:
            self.area("table", 60, top, 740, bottom)
            self.plan = TablePlan(tuple(cells), self.dice.choice((0.5, 0.99)))
        return bottom + 2 * self.size

    def rules(self, xs: list[int], ys: list[float]) -> None:
        for x in xs:
            if self.dice.random() < 0.9:
                cv2.line(self.picture, (x, int(ys[0])), (x, int(ys[-1])), (0, 0, 0), 2)
        for y in ys:
            cv2.line(self.picture, (xs[0], int(y)), (xs[-1], int(y)), (0, 0, 0), 2)

    def figure(self, top: float) -> float:
        x0, x1 = self.dice.choice(((60, 740), (60, 380), (300, 520), (60, 90)))
        high = self.dice.choice((20, 60, 140))
        cv2.rectangle(self.picture, (x0, int(top)), (x1, int(top + high)), (60, 60, 60), -1)
        if self.dice.random() < 0.5:
            self.line(x0, top + high + 6, min(x1, x0 + 200), "Figure 1. word")
            self.area("figure_caption", x0, top + high + 6, min(x1, x0 + 200), top + high + 6 + self.size)
            high += 30
        return top + high + 2 * self.size

    def equation(self, top: float) -> float:
        self.line(300, top, 460, self.dice.choice(("E = mc2", "x + y", "words of text")))
        self.area("equation", 300, top, 460, top + self.size)
        return top + 2.5 * self.size

    def furniture(self) -> None:
        for top, words in ((20, ("Report", "7", "word")), (970, ("- 12 -", "34", "word"))):
            if self.dice.random() < 0.6:
                left = self.dice.choice((60, 380, 700))
                self.line(left, top, left + self.dice.choice((20, 60)), self.dice.choice(words))
                if self.dice.random() < 0.5:
                    label = "page_number" if top > 500 else "header"
                    self.area(label, left, top, left + 60, top + self.size)

    def fill(self) -> None:
        top = 80.0
        while top < 760:
            kind = self.dice.choice(("columns", "columns", "heading", "ruled", "cells", "figure", "equation"))
            if kind == "heading":
                top = self.heading(60, 740, top)
            elif kind in ("ruled", "cells"):
                top = self.cells(top, kind == "ruled")
            else:
                top = {"columns": self.columns, "figure": self.figure, "equation": self.equation}[kind](top)
        self.furniture()


def laid_out(seed: int) -> str:
    """The page's pieces: label and level, then the numbers of the lines in each."""
    sheet = Sheet(seed)
    sheet.fill()
    view = View(sheet.picture, 0, sheet.dice.choice((0.0, 0.0, 0.01)))
    plan = sheet.plan
    regions = PageLayout(view, sheet.lines, sheet.areas, None if plan is None else lambda _: plan).regions()
    height = body_height(sheet.lines)
    found = [piece for region in regions for piece in pieces(region, height)]
    return " | ".join(f"{piece.label}: {shown(piece.text)}" for piece in found)


def shown(text: str) -> str:
    """The numbers of the lines; markup around them as it is."""
    return re.sub(r"\s+", " ", _SAID.sub("", text))


def main() -> None:
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text("".join(f"{seed}> {laid_out(seed)}\n" for seed in range(PAGES)))


if __name__ == "__main__":
    main()
