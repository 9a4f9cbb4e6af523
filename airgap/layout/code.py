"""Program text: lines of one pitch that use the signs of programs, kept with their breaks and indentation.

A typewriter has one pitch as well, so that pitch alone is not enough. Asks for the characters of regions
only that are not set as running text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from airgap.layout.lines import Inset, Reading, Row, TextLine, said
from airgap.layout.quads import Picture
from airgap.layout.regions import rows as text_rows
from airgap.layout.rulings import Place
from airgap.layout.running_text import stacked_share

MIN_ROWS, MAX_STACKED = 4, 0.6
MAX_PIECES, MOST_IN_TABLES = 1.8, 0.5
"""Lines found for a row of a program, and the share of them that may have been taken for a table."""
MIN_CHARACTERS, MIN_SPREAD = 4, 6
"""Characters of a line that tells the pitch, and by how many the longest and the shortest have to differ."""
FITS, MOSTLY = 0.7, 0.75
"""Characters by which a line may be longer or shorter than the pitch says, and the share that has to fit."""
MIN_SIGNS, MIN_CODE_ROWS = 0.06, 0.4
BLANK = 1.6
"""Distances of lines from which a line between them is empty."""
SURE = 0.8
LEAST_STEP, NEAR_STEP = 1.5, 0.25

SIGNS = re.compile(r"[\[\]{}()=<>;_/\\\"'#*+:&|!%$@]")
CODE = re.compile(
    r"[{};:,(\[]$|[=!<>]=|\w\(|\)$|->|=>|::|//|/\*|^\s*[#@]\w|\w = |"
    r"^(?:def|class|for|if|else|elif|while|return|import|from|try|end|fi|do|done|SELECT|INSERT|UPDATE)\b"
)

ReadPlace = Callable[[Place], Reading]
"""Reads a place of the straightened page as one line."""


def code_of(
    rows: Sequence[Row], read: ReadPlace, picture: Picture
) -> tuple[str, tuple[TextLine, ...]] | None:
    """The text and the lines of rows that are a program, or None. `picture`: the straightened page."""
    lines = _unfolded([line for row in rows for line in row])
    rows = text_rows(lines)
    if len(rows) < MIN_ROWS or len(lines) > MAX_PIECES * len(rows) or stacked_share(lines) > MAX_STACKED:
        return None
    if not any(CODE.search(said(row)) for row in rows[:MIN_ROWS]):  # the rest need not be waited for
        return None
    rows = [kept for row in rows if (kept := [line for line in row if line.text])]
    lines = [line for row in rows for line in row]
    if len(rows) < MIN_ROWS or not _is_code(rows):
        return None
    pitch = _pitch(lines)
    if pitch is None:
        return None
    indents = _indents([row[0].x0 for row in rows], pitch)
    texts = [
        " " * indent + _row_text(row, pitch, read, picture) for indent, row in zip(indents, rows, strict=True)
    ]
    return "\n".join(_with_blanks(rows, texts)), tuple(lines)


def _unfolded(items: Sequence[TextLine]) -> list[TextLine]:
    """The lines, and those of tables; none where there is anything else, or most stand in tables.

    Brackets and operators that stand apart may have been taken for columns.
    """
    insets = [item for item in items if isinstance(item, Inset)]
    lines = [line for item in items for line in (item.lines if isinstance(item, Inset) else [item])]
    in_tables = sum(len(inset.lines) for inset in insets)
    other = any(inset.label != "table" for inset in insets)
    return [] if other or in_tables > MOST_IN_TABLES * len(lines) else lines


def _is_code(rows: Sequence[Row]) -> bool:
    texts = [" ".join(line.text for line in row) for row in rows]
    letters = sum(len(text) for text in texts)
    signs = sum(len(SIGNS.findall(text)) for text in texts)
    like = sum(bool(CODE.search(text)) for text in texts)
    return signs >= MIN_SIGNS * max(1, letters) and like >= MIN_CODE_ROWS * len(texts)


def _pitch(lines: Sequence[TextLine]) -> float | None:
    """The width of a character, in pixels, if all have the same."""
    sizes = [(len(line.text), line.width) for line in lines if len(line.text) >= MIN_CHARACTERS]
    counts = [count for count, _ in sizes]
    if len(sizes) < MIN_ROWS or max(counts) - min(counts) < MIN_SPREAD:
        return None
    slopes = [
        (width - other_width) / (count - other_count)
        for index, (count, width) in enumerate(sizes)
        for other_count, other_width in sizes[:index]
        if abs(count - other_count) >= MIN_SPREAD // 2
    ]
    pitch = median(slopes) if slopes else 0.0
    edge = median(width - pitch * count for count, width in sizes)
    fits = sum(abs(width - pitch * count - edge) < FITS * pitch for count, width in sizes)
    return pitch if pitch > 0 and fits >= MOSTLY * len(sizes) else None


def _indents(starts: Sequence[float], pitch: float) -> list[int]:
    """By how many characters rows are set in: by whole steps of the smallest, where all fit."""
    inside = [(start - min(starts)) / pitch for start in starts]
    step = min((indent for indent in inside if indent >= LEAST_STEP), default=0.0)
    if step and all(abs(indent / step - round(indent / step)) < NEAR_STEP for indent in inside):
        return [round(indent / step) * round(step) for indent in inside]
    return [round(indent) for indent in inside]


def _row_text(row: Row, pitch: float, read: ReadPlace, picture: Picture) -> str:
    """What a row says; read as a whole where it was found in pieces."""
    place = (row[0].x0, min(o.y0 for o in row), max(o.x1 for o in row), max(o.y1 for o in row))
    text = row[0].text
    if len(row) > 1:
        whole = read(place)
        text = whole.text if whole.confidence >= SURE else _set_apart(row, pitch)
    return _with_underscores(text, _underscores(picture, place, pitch)) if "_" in text else text


def _set_apart(row: Row, pitch: float) -> str:
    text = row[0].text
    for before, line in pairwise(row):
        text += " " * max(1, round((line.x0 - before.x1) / pitch)) + line.text
    return text


def _with_underscores(text: str, runs: Sequence[int]) -> str:
    """Underscores run together when they are read; how many there are is seen."""
    parts = re.split(r"_+", text)
    if len(parts) - 1 != len(runs):
        return text
    return "".join(part + "_" * run for part, run in zip(parts, [*runs, 0], strict=True))


def _underscores(picture: Picture, place: Place, pitch: float) -> list[int]:
    """How many characters long each stroke below the letters of a line is, from left to right."""
    x0, y0, x1, y1 = (max(0, round(value)) for value in place)
    grey: NDArray[np.int16] = picture[y0:y1, x0:x1].mean(axis=2).astype(np.int16)
    if not grey.size:
        return []
    paper = int(np.median(grey))
    ink = np.abs(grey - paper) > 0.4 * np.abs(grey - paper).max()
    low = ink[round(0.7 * len(ink)) :].any(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], low.astype(np.int8), [0]))))
    above = ink[round(0.25 * len(ink)) : round(0.65 * len(ink))]
    runs = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 0.75 * pitch]
    return [round((b - a) / pitch) for a, b in runs if above[:, a:b].mean() < 0.1]


def _with_blanks(rows: Sequence[Row], texts: Sequence[str]) -> list[str]:
    """An empty line where the distance of two is that of three."""
    tops = [row[0].middle for row in rows]
    step = median(below - above for above, below in pairwise(tops))
    result = [texts[0]]
    for (above, below), text in zip(pairwise(tops), texts[1:], strict=True):
        result += ["", text] if below - above > BLANK * step else [text]
    return result
