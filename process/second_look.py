"""Places of a page read once more, larger and by themselves, and what was read put where it belongs.

    places → one picture of their cut-outs, at a height that is read well → lines → blocks on the page

Knows pictures and blocks; must not know engines. Nothing is invented: a place on which nothing is read
for sure stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageStat

from airgap.core.document import Block, Box, Line
from airgap.layout.coloured_ink import without_coloured_ink
from airgap.layout.insertion import place_among
from airgap.layout.literal import escaped

MOST_PLACES, MOST_IN_ONE = 400, 16
"""Places that are looked at again at most, and how many of them in one picture."""

_ROW_HEIGHT = 40
"""Pixels that a row of text is to be tall in the picture."""
_LARGEST = 4.0
"""How much larger a place is made at most."""
_WIDEST = 2400
_AROUND, _BETWEEN = 0.6, 36
"""Row heights of the page around a cut-out, and pixels between two of them."""
_SURE, _SURE_OF_ONE = 0.7, 0.9
"""Confidence from which a second reading is believed, and one of a single letter."""


@dataclass(frozen=True, slots=True)
class _CutOut:
    """A place, what of the page was cut out around it, and where that stands in the picture."""

    place: Box
    corners: tuple[int, int, int, int]
    scale: float
    top: int

    @property
    def height(self) -> int:
        return max(1, round((self.corners[3] - self.corners[1]) * self.scale))

    @property
    def width(self) -> int:
        return max(1, round((self.corners[2] - self.corners[0]) * self.scale))

    def on_page(self, box: Box) -> Box:
        """A box of the picture, in page pixels."""
        x, y = self.corners[:2]
        return Box(
            x + max(0.0, box.x0 - _BETWEEN) / self.scale,
            y + max(0.0, box.y0 - self.top) / self.scale,
            min(float(self.corners[2]), x + (box.x1 - _BETWEEN) / self.scale),
            min(float(self.corners[3]), y + (box.y1 - self.top) / self.scale),
        )


@dataclass(frozen=True, slots=True)
class CloseUp:
    """The cut-outs of places, one below the other in `picture`."""

    picture: Image.Image
    cut_outs: tuple[_CutOut, ...]

    def blocks(self, read: Sequence[Block], engine: str) -> list[Block]:
        """What was read for sure in the picture, a block for each place, in page pixels."""
        found = []
        for cut_out, placed in self._placed(read, _is_sure):
            if placed and _fills(placed, cut_out.place):
                found.append(_block(placed, engine))
        return found

    def lines(self, read: Sequence[Block]) -> list[Line | None]:
        """What was read of each place, sure or not, as one line; None where nothing was."""
        blocks = [_block(placed, "") if placed else None for _, placed in self._placed(read, bool)]
        return [
            None
            if block is None
            else Line(" ".join(block.text.split("\n")), block.boxes[0], block.confidence)
            for block in blocks
        ]

    def _placed(
        self, read: Sequence[Block], take: Callable[[Line], bool]
    ) -> Iterator[tuple[_CutOut, tuple[Line, ...]]]:
        lines = [line for block in read for line in block.lines if take(line)]
        for cut_out in self.cut_outs:
            bottom = cut_out.top + cut_out.height
            inside = [line for line in lines if cut_out.top <= (line.box.y0 + line.box.y1) / 2 < bottom]
            yield cut_out, tuple(Line(o.text, cut_out.on_page(o.box), o.confidence) for o in inside)


def close_up(image: Image.Image, places: Sequence[Box], read: Sequence[Box]) -> CloseUp:
    """Cut places (page pixels, at most `MOST_PLACES` of them) out of a page and set them larger.

    What was `read` beside them is painted over, so that no half of a neighbour is read as well.
    """
    cut_outs, top = list[_CutOut](), _BETWEEN
    for place in places[:MOST_PLACES]:
        margin = _AROUND * min(place.height, place.width)
        x0, y0, x1, y1 = Box(
            max(0.0, place.x0 - margin),
            max(0.0, place.y0 - margin),
            min(float(image.width), place.x1 + margin),
            min(float(image.height), place.y1 + margin),
        ).rounded()
        scale = min(_LARGEST, _ROW_HEIGHT / max(1.0, place.height), _WIDEST / max(1, x1 - x0))
        cut_outs.append(_CutOut(place, (x0, y0, x1, y1), scale, top))
        top += cut_outs[-1].height + _BETWEEN
    width = max((cut_out.width for cut_out in cut_outs), default=1) + 2 * _BETWEEN
    picture = Image.new("RGB", (width, top), "white")
    for cut_out in cut_outs:
        piece = _piece(image, cut_out, read)
        piece = piece.resize((cut_out.width, cut_out.height), Image.Resampling.BICUBIC)
        picture.paste(piece, (_BETWEEN, cut_out.top))
    return CloseUp(picture, tuple(cut_outs))


def close_ups(image: Image.Image, places: Sequence[Box], read: Sequence[Box]) -> Iterator[CloseUp]:
    """`close_up` of so many places at a time as an engine still sees well in one picture."""
    places = places[:MOST_PLACES]
    for start in range(0, len(places), MOST_IN_ONE):
        yield close_up(image, places[start : start + MOST_IN_ONE], read)


def _piece(image: Image.Image, cut_out: _CutOut, read: Sequence[Box]) -> Image.Image:
    left, top, right, bottom = cut_out.corners
    piece = image.crop(cut_out.corners).convert("RGB")
    place = cut_out.place.rounded()
    itself = image.crop(place).convert("RGB")
    ground = tuple(round(value) for value in ImageStat.Stat(piece).median)
    for box in read:
        x0, y0, x1, y1 = box.rounded()
        if x0 < right and x1 > left and y0 < bottom and y1 > top:
            start = (max(0, x0 - left), max(0, y0 - top))
            piece.paste(ground, (*start, min(right, x1) - left, min(bottom, y1) - top))
    piece.paste(itself, (place[0] - left, place[1] - top))
    faded = without_coloured_ink(np.asarray(piece))
    return piece if faded is None else Image.fromarray(faded)


def insert(blocks: Sequence[Block], found: Sequence[Block]) -> tuple[Block, ...]:
    """`blocks` with what was found at its place in the reading order; lines of one paragraph as one block."""
    result = list(blocks)
    for block in sorted(found, key=lambda block: (block.boxes[0].y0, block.boxes[0].x0)):
        index = place_among(result, block.boxes[0])
        before = result[index - 1] if index else None
        if before is not None and before.engine == block.engine and _continues(before, block):
            result[index - 1] = _block((*before.lines, *block.lines), block.engine or "")
        else:
            result.insert(index, block)
    return tuple(result)


def _continues(before: Block, block: Block) -> bool:
    if not before.lines or not block.lines or before.label != block.label:
        return False
    last, first = before.lines[-1].box, block.lines[0].box
    beneath = 0 <= first.y0 - last.y0 < 2.2 * max(last.height, first.height)
    return beneath and min(last.x1, first.x1) - max(last.x0, first.x0) > 0.5 * min(last.width, first.width)


def _is_sure(line: Line) -> bool:
    confidence = 1.0 if line.confidence is None else line.confidence
    letters = sum(character.isalnum() for character in line.text)
    return confidence >= (_SURE if letters > 1 else _SURE_OF_ONE) and letters > 0


def _fills(lines: Sequence[Line], place: Box) -> bool:
    """Whether lines are as long as their place: a letter or two read in a long row are read wrongly."""
    return max(line.box.x1 for line in lines) - min(line.box.x0 for line in lines) > 0.5 * place.width


def _block(lines: tuple[Line, ...], engine: str) -> Block:
    box = Box.around(line.box for line in lines)
    known = [(line.confidence, len(line.text)) for line in lines if line.confidence is not None]
    total = sum(length for _, length in known)
    confidence = sum(value * length for value, length in known) / total if total else None
    text = "\n".join(escaped(line.text) for line in lines)
    return Block("text", text, (box,), confidence, lines, engine)
