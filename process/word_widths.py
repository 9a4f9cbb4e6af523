"""Which rows of a paragraph's ink its text has no words for: widths in ink held against widths of letters.

    marks → rows → words in ink ↘
                                  alignment → the rows that the text does best without
    text → words, wide as in print ↗

Words follow each other in ink as they do in the text, and have lengths of their own: a row that was left
out shows as a run of words to which nothing answers, wherever it stands. Writing without spaces is parted
where its punctuation is.

Knows marks and text; must not know blocks, pages or engines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from process.left_out import readable
from process.marks import Marks
from process.writing import quantile

Widths = NDArray[np.float32]

MOST_WORDS, FEWEST_WORDS = 1200, 3
_SKIPPED, _JOINED, _UNLIKE = 0.45, 0.12, 1.2
"""What it costs to leave a word without an answer, to take two for one, and at most to take one for another;
that a word is e times as wide as the other costs 1."""
_MOST_LEFT_OUT = 0.6
"""Share of the ink beyond which a paragraph does not lack rows of it but says something else."""
_SHORTEST = 0.3
"""Share of the longest row from which a row may be missed."""
_BORNE_OUT, _ALLOWANCE = 0.3, 0.03
"""How much of the ink that a row adds has to show in the measure of the whole, and how far that is off."""
_LEVEL, _LEVEL_ROW, _MOST_ASTRAY = 0.35, 1.2, 0.2
"""Letter heights between the middles of neighbours in a row, of all marks in one, and the share of a
paragraph's marks that may stand in taller rows: where text lies on its side they all do."""
_SLOPES, _FEWEST_FOR_SLOPE = tuple(step / 400 for step in range(-14, 15)), 40

_WIDE = re.compile(r"[\u1100-\u11ff\u2e80-\ud7ff\uf900-\ufaff\uff21-\uffdc]")
_BETWEEN_WIDE = re.compile(r"[\s\u3000-\u303f\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65·…—]+")
_FORMULA = re.compile(r"\\\(.{1,400}?\\\)|\\\[.{1,400}?\\\]|\$[^$\n]{1,400}\$", re.DOTALL)
_COMMAND, _MARKUP = re.compile(r"\\[A-Za-z]+|[{}^_]"), re.compile(r"[#*_`~|]|\\(?=\W)")
_NARROWEST, _NARROW = frozenset(".,:;'`|!ijlI’‘"), frozenset('ft-r()[]/\\"“”')
_BROAD = frozenset("mwMW@%&—ŒÆœæШЩЖЮМшщжюмфФЫ…")


@dataclass(frozen=True, slots=True)
class Words:
    """A text's words: `widths` in widths of a wide letter, `letters` in all; `wide` without spaces."""

    widths: Widths
    letters: int
    wide: bool


@dataclass(frozen=True, slots=True)
class Skipped:
    """Rows from `first` up to `end` that the text does better without; `sureness` is 1 where all their words
    are left over and the rest fits no worse."""

    first: int
    end: int
    sureness: float


def words_of(text: str) -> Words:
    """The words of a text (Markdown), and how wide they are in print."""
    text = "".join(character for character, _ in readable(text))
    text = _FORMULA.sub(lambda formula: _COMMAND.sub("", formula[0]), text)
    text = _MARKUP.sub("", text)
    printed = [c for c in text if not c.isspace()]
    wide = len(_WIDE.findall(text)) > 0.3 * len(printed)
    parts = _BETWEEN_WIDE.split(text) if wide else text.split()
    widths = [sum(map(_width, part)) for part in parts if any(map(str.isalnum, part))]
    return Words(np.array(widths, np.float32), len(printed), wide)


def _width(letter: str) -> float:
    if _WIDE.match(letter):
        return 1.0
    if letter in _NARROWEST:
        return 0.27
    if letter in _NARROW:
        return 0.34
    if letter in _BROAD:
        return 0.86
    return 0.68 if letter.isupper() else 0.54


def fullness(rows: Sequence[Marks], words: Words) -> float:
    """How much ink there is for a text, in a measure that is about the same for all paragraphs of a page."""
    if not words.wide:
        return sum(map(len, rows)) / max(1, words.letters)
    height = quantile(np.concatenate(rows)[:, 3], 0.75)
    ink = sum(end - start + 0.2 * height for row in rows for start, end in _joined(row, 0.2 * height))
    return float(ink / height / max(1.0, words.widths.sum()))


def rows_of(marks: Marks, slope: float) -> list[Marks]:
    """Marks of one column in rows, from top to bottom; none where they do not stand in such."""
    if not len(marks) or not _is_upright(marks, slope):
        return []
    middles = _middles(marks, slope)
    order = np.argsort(middles, kind="stable")
    apart = np.flatnonzero(np.diff(middles[order]) > _LEVEL * quantile(marks[:, 3], 0.75)) + 1
    rows = np.split(order, apart)
    tall = sum(len(row) for row in rows if np.ptp(middles[row]) > _LEVEL_ROW * quantile(marks[:, 3], 0.75))
    return [] if tall > _MOST_ASTRAY * len(marks) else [marks[row] for row in rows]


def slope_of(marks: Marks) -> float:
    """How much rows of print fall, in pixels down a pixel across: where their middles gather most."""
    if len(marks) < _FEWEST_FOR_SLOPE:
        return 0.0
    bin_height = max(2.0, quantile(marks[:, 3], 0.75) / 3)
    return max(_SLOPES, key=lambda slope: (_gathered(_middles(marks, slope), bin_height), -abs(slope)))


def _gathered(values: NDArray[np.float64], width: float) -> int:
    counts = np.bincount(((values - values.min()) / width).astype(np.intp)).astype(np.int64)
    return int((counts**2).sum())


def _is_upright(marks: Marks, slope: float) -> bool:
    """Whether marks stand in rows rather than in columns, as the letters of a page on its side do."""
    width = max(2.0, quantile(marks[:, 3], 0.75) / 3)
    across = np.asarray(marks[:, 0] + marks[:, 2] / 2, np.float64)
    return _gathered(_middles(marks, slope), width) >= _gathered(across, width)


def _middles(marks: Marks, slope: float) -> NDArray[np.float64]:
    return np.asarray(marks[:, 1] + marks[:, 3] / 2 - slope * (marks[:, 0] + marks[:, 2] / 2), np.float64)


def skipped_rows(rows: Sequence[Marks], words: Words, fuller: float) -> Skipped | None:
    """The rows that a text most likely leaves out; None where it does well with all of them.

    `fuller` is how many times more ink there is for it than for other text of the page.
    """
    fuller = min(1 / (1 - _MOST_LEFT_OUT), max(1.0, fuller))
    inked = _inked(rows, round(len(words.widths) * fuller) + (len(rows) - 1 if words.wide else 0))
    widths = np.array([width for row in inked for width in row], np.float32)
    if not FEWEST_WORDS <= len(words.widths) <= MOST_WORDS or not 0 < len(widths) <= MOST_WORDS:
        return None
    expected = words.widths * (widths.sum() / words.widths.sum() / fuller)
    ends = np.cumsum([0, *map(len, inked)])
    lengths = np.array([0, *np.cumsum([sum(row) for row in inked])])
    return _best(_Alignment(widths, expected), ends, lengths, fuller, least=1 if words.wide else 2)


def _best(
    alignment: _Alignment, ends: NDArray[np.intp], lengths: NDArray[np.float64], fuller: float, least: int
) -> Skipped | None:
    """The run of rows without which most is gained."""
    best, best_gain = None, 0.0
    longest = np.diff(lengths).max()
    for first in range(len(ends) - 1):
        gains = alignment.gains(int(ends[first]), ends[first + 1 :])
        share = (lengths[first + 1 :] - lengths[first]) / lengths[-1]
        count = ends[first + 1 :] - ends[first]
        fits = (count >= least) & (share <= _MOST_LEFT_OUT) & (share * lengths[-1] >= _SHORTEST * longest)
        fits &= np.log(fuller) > -_BORNE_OUT * np.log1p(-np.minimum(share, 0.99)) - _ALLOWANCE
        for place in np.flatnonzero(fits & (gains > best_gain)):
            if gains[place] > best_gain:
                best_gain = float(gains[place])
                best = Skipped(first, first + 1 + int(place), best_gain / (int(count[place]) * _SKIPPED))
    return best


class _Alignment:
    """Words in ink against those of a text, of which some may be left out on either side."""

    def __init__(self, ink: Widths, text: Widths) -> None:
        self._ahead = _costs(ink, text)
        self._behind = _costs(ink[::-1], text[::-1])[::-1, ::-1]

    def gains(self, start: int, ends: NDArray[np.intp]) -> NDArray[np.float32]:
        """What is gained by not having to answer the ink from `start` up to each end."""
        without = (self._ahead[start] + self._behind[ends]).min(axis=1)
        return np.asarray(self._ahead[-1, -1] - without, np.float32)


def _costs(ink: Widths, text: Widths) -> NDArray[np.float32]:
    """The least cost of aligning the first i words in ink with the first j of the text."""
    costs = np.empty((len(ink) + 1, len(text) + 1), np.float32)
    skipping = np.arange(len(text) + 1, dtype=np.float32) * np.float32(_SKIPPED)
    costs[0] = skipping
    of_ink, of_text = np.log(np.maximum(ink, 1)), np.log(np.maximum(text, 1))
    two_of_text = np.log(np.maximum(text[1:] + text[:-1], 1))
    for i in range(1, len(ink) + 1):
        row = costs[i - 1] + np.float32(_SKIPPED)
        row[1:] = np.minimum(row[1:], costs[i - 1, :-1] + _unlike(of_ink[i - 1], of_text))
        row[2:] = np.minimum(row[2:], costs[i - 1, :-2] + _unlike(of_ink[i - 1], two_of_text) + _JOINED)
        if i > 1:
            both = np.log(max(1.0, float(ink[i - 1] + ink[i - 2])))
            row[1:] = np.minimum(row[1:], costs[i - 2, :-1] + _unlike(both, of_text) + _JOINED)
        costs[i] = np.minimum.accumulate(row - skipping) + skipping
    return costs


def _unlike(one: float, others: Widths) -> Widths:
    return np.asarray(np.minimum(_UNLIKE, np.abs(others - one)), np.float32)


def _inked(rows: Sequence[Marks], count: int) -> list[list[float]]:
    """The widths of the words of each row, parted so that there are about `count` of them."""
    pieces = [_joined(row, 0) for row in rows]
    gaps = sorted((b[0] - a[1] for row in pieces for a, b in pairwise(row)), reverse=True)
    least = _parting(gaps, count - len(rows))
    found = []
    for row in pieces:
        words = [list(row[0])]
        for start, end in row[1:]:
            if start - words[-1][1] <= least:
                words[-1][1] = end
            else:
                words.append([start, end])
        found.append([end - start for start, end in words])
    return found


def _parting(gaps: Sequence[float], count: int) -> float:
    """The gap above which words part: near the `count` widest ones, where the widths fall the most."""
    if count <= 0 or not gaps:
        return gaps[0] if gaps else 0.0
    low, high = max(1, int(count * 0.85)), min(len(gaps) - 1, int(count * 1.2) + 1)
    if high <= low:
        return gaps[min(count, len(gaps)) - 1]
    place = max(range(low, high + 1), key=lambda i: (gaps[i - 1] - gaps[i], i))
    return (gaps[place - 1] + gaps[place]) / 2


def _joined(row: Marks, reach: float) -> list[tuple[float, float]]:
    """Where a row has ink, from left to right; ink within `reach` is one."""
    found = list[tuple[float, float]]()
    for start, width in row[np.argsort(row[:, 0], kind="stable")][:, [0, 2]].tolist():
        if found and start <= found[-1][1] + reach:
            found[-1] = (found[-1][0], max(found[-1][1], start + width))
        else:
            found.append((start, start + width))
    return found
