"""How wide the strip of a line is made before it is read, and which way up.

    strip → reading → wider, where its letters stood too close to be told apart

The recogniser says one character, or none, for each step of 8 pixels, and needs a step between two letters
that are the same: of `committee` it leaves one out where they stand close, and is sure of the rest.
"""

from __future__ import annotations

from collections.abc import Callable

from airgap.engines.ppocr.scripts import is_foreign
from airgap.engines.ppocr.strips import stretched, upside_down
from airgap.layout.coloured_ink import without_coloured_ink
from airgap.layout.lines import Reading
from airgap.layout.quads import Picture

Read = Callable[[Picture], Reading]

STEP = 8
CROWDED = 0.56
"""Characters a step from which a line is read again, wider. Measured on some 200 lines whose text is known:
what lost letters at full width had 0.56 and more; narrowed by a fifth nearly three times as many words were
not as printed. Lines with more room, read wider, lose spaces."""
CLEAR, NARROWING, MIN_NARROWED, WIDENING = 0.95, 0.8, 300, 1.25
"""On a page whose sample lines score `CLEAR`, strips from `MIN_NARROWED` pixels on are read narrowed by a
fifth if that leaves their letters room, which takes a fifth less time; a line that is then less sure is read
again at its full width."""
GLANCE = 0.5
"""How narrow lines are made on an illegible page, where most need only be seen to be in another script."""
SURER = 0.05
"""How much surer the other reading of a line that runs down the page has to be."""


def read_line(read: Read, strip: Picture, score: float, legible: float, typical: float) -> Reading:
    """What a strip says. `score`: how well the page's sample lines read, which it can be told from
    `legible` on; `typical`: characters a step of these."""
    if strip.shape[1] < MIN_NARROWED or legible <= score < CLEAR:
        return _with_room(read, strip)
    if score < legible:
        glance = read(stretched(strip, GLANCE))
        return glance if is_foreign(strip, glance) else _with_room(read, strip)
    if typical > CROWDED * NARROWING:
        return _with_room(read, strip)
    narrow = stretched(strip, NARROWING)
    reading = read(narrow)
    if reading.confidence >= CLEAR and density(narrow, reading) < CROWDED:
        return reading
    full = _with_room(read, strip)
    return full if full.confidence >= reading.confidence or reading.confidence >= CLEAR else reading


def read_under_stamps(read: Read, strip: Picture) -> Reading:
    """What a strip says, and what it says without coloured ink over black print where it is then surer."""
    reading, faded = read(strip), without_coloured_ink(strip)
    if faded is None:
        return reading
    other = read(faded)
    is_surer = other.confidence > reading.confidence and len(other.text) >= len(reading.text)
    return other if is_surer else reading


def read_both_ways(read: Read, strip: Picture) -> tuple[Reading, bool]:
    """What a strip of a line that runs down the page says, and whether it stands on its head."""
    first, other = _with_room(read, strip), _with_room(read, upside_down(strip))
    is_turned = len(other.text) * (other.confidence - SURER) > len(first.text) * first.confidence
    return (other, True) if is_turned else (first, False)


def density(strip: Picture, reading: Reading) -> float:
    """Characters a step."""
    return len(reading.text) * STEP / int(strip.shape[1])


def _with_room(read: Read, strip: Picture) -> Reading:
    reading = read(strip)
    return reading if density(strip, reading) < CROWDED else read(stretched(strip, WIDENING))
