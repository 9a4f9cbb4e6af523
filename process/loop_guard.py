"""Finds out that a model has begun to go round in circles, from its text alone, and cuts the circle out.

A real loop runs on until it is stopped, so the thresholds can be generous: they are set above what a
printed page can hold. Rows of equal or empty cells, dotted leaders and columns of similar numbers pass;
the same sentence for the twentieth time does not. What is compared leaves the positions of blocks out,
for these wander while the words stay the same; and a second look reads every number as alike, and asks
that the numbers themselves count in steps, as they do in an endless list.

This file must not know engines or models, except for the form of positions in the markup.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

MAX_PERIOD = 2048
_TAIL = 24_000  # characters remembered
_CHECK_EVERY = 512  # characters, so that a character costs about _TAIL / _CHECK_EVERY looks
_MAX_LOOP = 16_000  # this much of the same is a loop however short it counts
_ANCHOR = 24
_MAX_CANDIDATES = 128
_NUMBER = "\ue000"  # private use: stands for any number
_STEADY = 0.9  # the share of equal steps that makes numbers a count

_POSITIONS = re.compile(r"<\|det\|>[^<]{0,4096}<\|/det\|>")
_POSITIONS_OR_NUMBERS = re.compile(rf"{_POSITIONS.pattern}|(\d+)")
_TAG = re.compile(r"<[^<>\n]{0,200}>")
_BOUNDARIES = ("<|ref|>", "\n\n", "\n", "<tr>", ". ", "。", " ")

# Letters in one round, and how many rounds make a loop: in running text, and in a table.
_ROUNDS = ((600, 5, 15), (200, 8, 15), (60, 15, 40), (40, 20, 40), (20, 20, 120), (5, 80, 120), (1, 150, 120))
_ROUNDS_WITHOUT_LETTERS = 200
_ROUNDS_OF_ONE_CHARACTER = 500
_ROUNDS_WHEN_CERTAIN = 3
_COUNTING_ROUNDS = ((40, 40, 60), (20, 40, 160), (1, 160, 160))
_COUNTING_ROUNDS_WITHOUT_LETTERS = 400


@dataclass(frozen=True, slots=True)
class Loop:
    """The end of a text that repeats itself: `rounds` times `unit`, from the character `start` on.

    `keep` is the end of the first round: `text[:keep]` holds it once. Offsets count in the text that was
    looked at; numbers in a `unit` that counts stand as U+E000.
    """

    unit: str
    rounds: int
    start: int
    keep: int


class LoopDetector:
    """Watches a text that grows; bounded memory, and a bounded number of looks per character."""

    def __init__(self) -> None:
        self._tail = ""
        self._dropped = 0
        self._unchecked = 0

    def feed(self, delta: str) -> Loop | None:
        """Take in the text that came next; the loop it completes, if it does, with offsets in all of it."""
        for start in range(0, len(delta), _CHECK_EVERY):
            piece = delta[start : start + _CHECK_EVERY]
            self._tail += piece
            self._unchecked += len(piece)
            if self._unchecked >= _CHECK_EVERY and (loop := self.check()):
                return loop
        return None

    def check(self) -> Loop | None:
        """Look now, as at the end of an output, whatever has come since the last look."""
        self._unchecked = 0
        excess = len(self._tail) - _TAIL
        if excess > 0:
            self._tail = self._tail[excess:]
            self._dropped += excess
        loop = find_loop(self._tail)
        if loop is None:
            return None
        return Loop(loop.unit, loop.rounds, loop.start + self._dropped, loop.keep + self._dropped)


def cut_loop(text: str, *, certain: bool = False) -> str:
    """`text` with a loop at its end reduced to one round; any other text as it is.

    `certain` is for a text that is known to end in a loop, because something else (an engine's own guard)
    stopped it for that: a few rounds are then enough.
    """
    loop = find_loop(text, certain=certain)
    return text if loop is None else text[: loop.keep]


def find_loop(text: str, *, certain: bool = False) -> Loop | None:
    """The loop at the end of `text`, if there is one; see `cut_loop` for `certain`."""
    most = _ROUNDS_WHEN_CERTAIN if certain else _ROUNDS_OF_ONE_CHARACTER
    exact = _Reduced(text, _POSITIONS)
    for period, length in _repetitions(exact.text):
        unit = exact.text[-period:]
        if length // period >= min(most, _rounds_needed(unit)):
            return exact.loop(period, length)
    counting = _Reduced(text, _POSITIONS_OR_NUMBERS)
    for period, length in _repetitions(counting.text):
        unit = counting.text[-period:]
        rounds = length // period
        if rounds >= min(most, _counting_rounds_needed(unit)) and counting.counts(unit, rounds):
            return counting.loop(period, length)
    return None


def _repetitions(text: str) -> list[tuple[int, int]]:
    """`(period, length)` of the repetitions that `text` ends in, the shortest period first.

    Every earlier place of the last few characters gives a period. One that fits into the repetition of
    a shorter period together with that period is a multiple of it (Fine and Wilf), and is skipped.
    """
    anchor = text[-_ANCHOR:]
    found: list[tuple[int, int]] = []
    before = len(text) - 1
    while len(found) < _MAX_CANDIDATES and len(anchor) == _ANCHOR:
        place = text.rfind(anchor, max(0, len(text) - _ANCHOR - MAX_PERIOD), before)
        if place < 0:
            break
        period = len(text) - _ANCHOR - place
        length = _periodic_length(text, period)
        found.append((period, length))
        before = len(text) - max(length - period, period) - 1
    return found


def _periodic_length(text: str, period: int) -> int:
    """How many characters at the end of `text` repeat with `period`, by halving; at least the anchor's."""
    low, high = 0, len(text) - period  # equal pairs: known to be, and the most there can be
    step = max(period, _ANCHOR)
    while low < high:
        probe = min(low + step, high)
        end = len(text) - low
        if text[len(text) - probe : end] == text[len(text) - probe - period : end - period]:
            low, step = probe, step * 2
        elif probe - low == 1:
            break
        else:
            high, step = probe - 1, max(1, (probe - low) // 2)
    return low + period


def _letters(unit: str) -> int:
    """Letters outside tags; those of scripts without spaces say about twice as much."""
    return sum(1 + (c >= "\u2e80") for c in _TAG.sub("", unit) if c.isalpha())


def _is_row(unit: str) -> bool:
    is_html = "<td" in unit or "<tr" in unit or "</t" in unit
    return is_html or ("\n" in unit and _TAG.sub("", unit).count("|") > 1)


def _rounds_needed(unit: str) -> int:
    if len(unit) == 1:
        return _ROUNDS_OF_ONE_CHARACTER
    return _threshold(unit, _ROUNDS, _ROUNDS_WITHOUT_LETTERS)


def _counting_rounds_needed(unit: str) -> int:
    return _threshold(unit, _COUNTING_ROUNDS, _COUNTING_ROUNDS_WITHOUT_LETTERS)


def _threshold(unit: str, rounds: tuple[tuple[int, int, int], ...], without_letters: int) -> int:
    turn = max(0, unit.find("<"))  # a round may begin in the middle of a tag
    unit = unit[turn:] + unit[:turn]
    letters, is_row = _letters(unit), _is_row(unit)
    needed = without_letters
    for at_least, in_text, in_table in rounds:
        if letters >= at_least:
            needed = in_table if is_row else in_text
            break
    return min(needed, _MAX_LOOP // len(unit))


class _Reduced:
    """A text without what a pattern matches, numbers becoming `_NUMBER`; it can find its way back."""

    def __init__(self, original: str, pattern: re.Pattern[str]) -> None:
        self._original = original
        self._numbers: list[str] = []
        self._reduced_at: list[int] = [0]  # from here on in the reduced text …
        self._original_at: list[int] = [0]  # … the original goes on from here
        parts: list[str] = []
        length = position = 0
        for match in pattern.finditer(original):
            kept = original[position : match.start()]
            length += len(kept)
            parts.append(kept)
            position = match.end()
            if match.lastindex:
                self._numbers.append(match[0])
                parts.append(_NUMBER)
                self._reduced_at.append(length)
                self._original_at.append(match.start())
                length += 1
            self._reduced_at.append(length)
            self._original_at.append(position)
        parts.append(original[position:])
        self.text = "".join(parts)

    def _offset(self, reduced: int) -> int:
        i = bisect_right(self._reduced_at, reduced) - 1
        return self._original_at[i] + reduced - self._reduced_at[i]

    def counts(self, unit: str, rounds: int) -> bool:
        """Whether each number of the rounds goes up or down from one to the next by the same step."""
        fields = unit.count(_NUMBER)
        # The digits of the newest number may still be coming, and those of the oldest be cut off.
        numbers = [int(number[-15:]) for number in self._numbers[-fields * rounds :]] if fields else []
        for field in range(fields):
            values = numbers[field::fields]
            steps = Counter(b - a for a, b in pairwise(values))
            if not steps or steps.most_common(1)[0][1] < _STEADY * (len(values) - 1):
                return False
        return fields > 0

    def loop(self, period: int, length: int) -> Loop:
        start = len(self.text) - length
        first = self.text[start : start + period]
        keep = start + period
        for boundary in _BOUNDARIES:
            place = first.find(boundary)
            if place >= 0:
                # A boundary at the very end of a round is one at its very start as well.
                keep += (place if boundary.startswith("<") else place + len(boundary)) % period
                break
        unit = self.text[-period:]
        return Loop(unit, length // period, self._offset(start), self._offset(keep))
