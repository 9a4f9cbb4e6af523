"""Which way up a page is: decided once per page, from the run of its lines and a few of them read both ways.

PP-OCR's own classifier judges every line by itself and turns upright ones over; it is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airgap.engines.ppocr.strips import cut_strip, upside_down
from airgap.layout.lines import Reading, visual_length
from airgap.layout.quads import Picture, Quads, is_upended, quad_size

SAMPLE_LINES = 5
SURE = 0.85
"""Score from which lines are taken to be upright without reading them upside down. Measured: upright
lines of scripts that PP-OCR knows score 0.9 and more, the same upside down 0.75 and less."""
TURN_MARGIN = 0.05

ReadStrips = Callable[[list[Picture]], list[Reading]]


@dataclass(frozen=True, slots=True)
class Finding:
    """`quarter_turns`: how often to turn the page clockwise to set it upright. `score`: 0..1, how well
    its lines then read; `readings`: what was read on the way, valid where no turn is needed."""

    quarter_turns: int
    score: float
    readings: dict[int, Reading]


def find_orientation(picture: Picture, quads: Quads, read: ReadStrips) -> Finding:
    """Decide among 0, 90, 180 and 270 degrees."""
    sideways = _is_sideways(quads)
    sample = _sample(quads, sideways)
    if not sample:
        return Finding(0, 0.0, {})
    # A strip of a line that runs down is turned to the left, as the whole page is by three turns clockwise.
    as_cut = 3 if sideways else 0
    strips = [cut_strip(picture, quads[index]) for index in sample]
    readings = read(strips)
    score = _score(strips, readings)
    kept = {} if sideways else dict(zip(sample, readings, strict=True))
    if score >= SURE:
        return Finding(as_cut, score, kept)
    flipped = [upside_down(strip) for strip in strips]
    flipped_score = _score(flipped, read(flipped))
    if sideways and max(score, flipped_score) < 0.5:
        return Finding(0, 0.0, {})
    if flipped_score > score + TURN_MARGIN:
        return Finding((as_cut + 2) % 4, flipped_score, {})
    return Finding(as_cut, score, kept)


def _is_sideways(quads: Quads) -> bool:
    """Whether most of the length of text runs up or down the page."""
    down = across = 0.0
    for quad in quads:
        width, height = quad_size(quad)
        if is_upended(quad):
            down += height
        elif width >= 1.5 * height:
            across += width
    return down > 1.5 * across


def _sample(quads: Quads, sideways: bool) -> list[int]:
    """A few lines that are long enough to tell and short enough to be read quickly."""
    candidates = []
    for index, quad in enumerate(quads):
        if is_upended(quad) != sideways:
            continue
        width, height = quad_size(quad)
        length = max(width, height) / max(1.0, min(width, height))
        if length >= 2.5:
            candidates.append((abs(length - 10), index))
    return [index for _, index in sorted(candidates)[:SAMPLE_LINES]]


def _score(strips: list[Picture], readings: list[Reading]) -> float:
    """Mean confidence, lessened where few characters were read for the length of the lines."""
    scores: list[float] = []
    for strip, reading in zip(strips, readings, strict=True):
        density = visual_length(reading.text) / max(1.0, 2 * strip.shape[1] / strip.shape[0])
        scores.append(reading.confidence * min(1.0, density / 0.6))
    return sum(scores) / len(scores)
