"""One page through all the stages: picture → pieces in reading order, each as soon as it is read.

`PageReader.read` is a plain generator that blocks; it is meant for a thread of its own. Lines are
read on the workers' pool that all pages share.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airgap.core.document import UNREADABLE, Box, Line
from airgap.engines.ppocr.alphabet import Alphabet
from airgap.engines.ppocr.foreign import ForeignLines
from airgap.engines.ppocr.formula_network import FormulaNetwork
from airgap.engines.ppocr.layout_networks import LayoutNetworks
from airgap.engines.ppocr.line_reading import CROWDED, density, read_both_ways, read_line, read_under_stamps
from airgap.engines.ppocr.long_pictures import parts
from airgap.engines.ppocr.networks import Networks
from airgap.engines.ppocr.orientation import TURN_MARGIN, Finding, find_orientation
from airgap.engines.ppocr.raised import with_raised
from airgap.engines.ppocr.scripts import Tesseract, is_rule
from airgap.engines.ppocr.strips import STRIP_HEIGHT, cut_strip, upside_down
from airgap.layout.bridges import parted_at_gutters
from airgap.layout.code import code_of
from airgap.layout.furniture import number_places
from airgap.layout.justified import around, torn_rows
from airgap.layout.lines import Inset, Reading, Row, TextLine, body_height, done, joined
from airgap.layout.page_layout import PageLayout
from airgap.layout.paragraphs import Piece, pieces
from airgap.layout.quads import Picture, Quads, along, is_upended, quad_size
from airgap.layout.regions import Region
from airgap.layout.rulings import Place, large_lines
from airgap.layout.view import View, places, sure_slant

log = logging.getLogger(__name__)

DETECTION_SIDE = 1280
FINE_DETECTION_SIDE = 2240
FINE_BELOW = 14.0
"""Typical line height, in pixels of the detector's input, below which the page is looked at again, larger."""
MIN_CONFIDENCE = 0.5
LEGIBLE, DOUBTFUL = 0.4, 0.9
"""Scores of the sample lines below which PP-OCR cannot tell which way up a page is, and below which it
may be deceived: columns of short figures look like lines when they lie on their side."""


@dataclass(frozen=True, slots=True)
class ReadPiece:
    """A piece of the page, placed on the picture as it was sent. `text` is Markdown or, for a table, HTML."""

    label: str
    text: str
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...] = ()

    @property
    def confidence(self) -> float | None:
        """Mean over the lines, weighted by their characters."""
        weights = [(line.confidence, len(line.text)) for line in self.lines if line.confidence is not None]
        total = sum(weight for _, weight in weights)
        return sum(value * weight for value, weight in weights) / total if total else None


@dataclass
class PageReader:
    """Reads one page once. `cancelled` stops it soon after it is set; `read` then raises `CancelledError`.

    After `read` has ended, `warnings` and `degraded` say what it could not do.
    """

    networks: Networks
    pool: Executor
    tesseract: Tesseract | None
    no_tesseract: str = ""
    language: str | None = None
    layout: LayoutNetworks | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    warnings: list[str] = field(default_factory=list)
    degraded: bool = False

    def read(self, picture: Picture) -> Iterator[ReadPiece]:
        """The pieces of a BGR page. Raises `CancelledError`."""
        view, quads, finding = self._upright(picture)
        view = View(view.pixels, view.quarter_turns, sure_slant(view.pixels, quads))
        page = _Page(self, view, quads, finding)
        try:
            for piece in page.pieces():
                self.check()
                yield piece
            self.warnings += [*page.foreign.warnings, *page.warnings()]
            self.degraded = bool(page.foreign.unreadable or page.foreign.silent)
        finally:
            page.close()

    def check(self) -> None:
        """Raise `CancelledError` if nobody waits for the page any more."""
        if self.cancelled.is_set():
            raise CancelledError

    def _upright(self, picture: Picture) -> tuple[View, Quads, Finding]:
        view = View(picture)
        quads = self._detect(picture)
        finding = find_orientation(picture, quads, self._read_strips)
        quarter_turns, score = finding.quarter_turns, finding.score
        if len(quads) and finding.score < LEGIBLE and self.tesseract is not None:
            self.check()
            found = self.tesseract.detect_orientation(picture)
            quarter_turns = quarter_turns if found is None else found
        elif len(quads) and finding.score < DOUBTFUL:
            sideways = view.turned(1)
            other = find_orientation(sideways.pixels, self._detect(sideways.pixels), self._read_strips)
            if other.score > max(LEGIBLE, finding.score + TURN_MARGIN):
                quarter_turns, score = (other.quarter_turns + 1) % 4, other.score
        if quarter_turns == 0:
            return view, quads, finding
        view = view.turned(quarter_turns)
        # Detected again rather than mapped, so that a turned page gives what the upright one does.
        return view, self._detect(view.pixels), Finding(0, score, {})

    def _detect(self, picture: Picture) -> Quads:
        found = [self._detect_part(part) + np.array(start, np.float32) for start, part in parts(picture)]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _detect_part(self, picture: Picture) -> Quads:
        self.check()
        quads = self.networks.detector.detect(picture, DETECTION_SIDE)
        longest = max(picture.shape[:2])
        if len(quads) and longest > DETECTION_SIDE:
            scale = DETECTION_SIDE / longest
            if median(min(quad_size(quad)) for quad in quads) * scale < FINE_BELOW:
                self.check()
                quads = self.networks.detector.detect(picture, min(FINE_DETECTION_SIDE, longest))
        self.check()
        return quads

    def _read_strips(self, strips: list[Picture]) -> list[Reading]:
        self.check()
        return list(self.pool.map(self.networks.recognizer.read, strips))


class _Page:
    """The lines of one page in their regions."""

    def __init__(self, reader: PageReader, view: View, quads: Quads, finding: Finding) -> None:
        self._reader = reader
        self._view = view
        self._quads = quads
        sampled = finding.readings if view.quarter_turns == 0 else {}
        self._score = finding.score
        densities = {index: density(self._cut(index, STRIP_HEIGHT), said) for index, said in sampled.items()}
        self._typical_density = median(densities.values()) if densities else 0.0
        self._readings = {index: said for index, said in sampled.items() if densities[index] < CROWDED}
        self._on_their_heads: set[int] = set()
        self._region_lines: dict[int, list[TextLine]] = {}
        self.foreign = ForeignLines(
            self._strip, reader.pool, reader.tesseract, reader.no_tesseract, reader.language
        )
        self._lines = [
            TextLine(place, index, lambda i=index: self._submit(i), self._settle)  # type: ignore[misc]
            for index, place in enumerate(places(view, quads))
        ]
        self._alphabet = Alphabet(self._lines, reader.language)
        self._unsure_formulas = 0

    def close(self) -> None:
        """Let go of the lines, which know the page: else its picture waits for the cycles' collector."""
        self._lines.clear()
        self._region_lines.clear()
        del self.foreign, self._alphabet

    def pieces(self) -> Iterator[ReadPiece]:
        # The workers read from top to bottom while the layout is found here, after what it asks for itself.
        asked = (*number_places(self._lines, self._view.height), *large_lines(self._lines))
        first = {id(line) for line in asked}
        for line in sorted(self._lines, key=lambda line: (id(line) not in first, line.y0)):
            line.start()
        ordered = self._lay_out()
        body = body_height(self._lines)
        for region in ordered:
            for row in region.rows:
                for line in row:
                    inside = list(line.lines) if isinstance(line, Inset) else None
                    for member in [line] if inside is None else inside:
                        self._region_lines[member.index] = region.lines if inside is None else inside
        for region in ordered:
            program = None if region.side else code_of(region.rows, self._read_place, self._view.straight)
            if program is not None:
                text, lines = program
                yield self._placed(Piece("code", f"```\n{text}\n```", lines))
                continue
            for piece in pieces(region, body):
                yield self._placed(piece)
        yield from self._unreadable_pieces()

    def warnings(self) -> list[str]:
        """What there is to say of equations, once all pieces are handed out."""
        count = self._unsure_formulas
        said = "An equation was" if count == 1 else f"{count} equations were"
        return [f"{said} not read as a formula for sure; the picture stands for it."] if count else []

    def _lay_out(self) -> list[Region]:
        """Regions in reading order; tables, equations and figures stand in them as insets."""
        networks = self._reader.layout
        lines = self._mended()
        if networks is None:
            return PageLayout(self._view, lines, part=self._part).regions()
        areas = networks.areas.find(self._view.straight)
        self._reader.check()
        formula = partial(self._formula, networks.formulas) if networks.formulas is not None else None
        return PageLayout(self._view, lines, areas, networks.tables.plan, self._part, formula).regions()

    def _mended(self) -> list[TextLine]:
        """The lines; those across a gutter in two, the pieces of those that justification tore as one."""
        lines = parted_at_gutters(self._lines, self._view.straight, self._part)
        rows = torn_rows(lines)
        torn = {id(line) for row in rows for line in row}
        return [line for line in lines if id(line) not in torn] + [self._joined(row) for row in rows]

    def _joined(self, row: Row) -> TextLine:
        """A line of several pieces, with a quadrilateral of its own; it says what these say."""
        quads = self._quads[[line.index for line in row]]
        whole = np.array([quads[0][0], quads[-1][1], quads[-1][2], quads[0][3]], self._quads.dtype)
        return TextLine(around(row), self._add(whole), lambda: done(joined([line.reading for line in row])))

    def _add(self, quad: NDArray[Any]) -> int:
        """The index of a further quadrilateral."""
        self._quads = np.concatenate([self._quads, quad[None]])
        return len(self._quads) - 1

    def _formula(self, network: FormulaNetwork, picture: Picture) -> str:
        """The Markdown of a formula that fills a picture; empty, with a warning, where that is not sure."""
        try:
            found = network.read(picture, self._reader.check)
        except RuntimeError:
            log.exception("the model of FORMULA_MODEL_PATH broke on a picture")
            found = None
        if found is not None and found.is_sure:
            return f"$${found.latex}$$"
        self._unsure_formulas += 1
        return ""

    def _part(self, line: TextLine, x0: float, x1: float) -> TextLine:
        """The piece of a line between two x of the straightened page, with a quadrilateral of its own."""
        quad = self._quads[line.index]
        across = np.array([x0 - line.x0, x1 - line.x0]) / max(1.0, line.width)
        index = self._add(along(quad, across).astype(self._quads.dtype))
        return TextLine((x0, line.y0, x1, line.y1), index, lambda: self._submit(index), self._settle)

    def _placed(self, piece: Piece) -> ReadPiece:
        lines = tuple(
            Line(line.text, self._view.box_on_page(self._quads[line.index]), line.reading.confidence)
            for line in piece.lines
            if line.text
        )
        if piece.place is not None:
            x0, y0, x1, y1 = piece.place
            corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
            box = self._view.box_on_page(self._view.unstraighten(corners))
        else:
            box = lines[0].box
        box = Box.around([box, *(line.box for line in lines)])
        return ReadPiece(piece.label, piece.text, (box,), lines)

    def _submit(self, index: int) -> Future[Reading]:
        if index in self._readings:
            return done(self._readings[index])
        return self._reader.pool.submit(self._recognize, index)

    def _recognize(self, index: int) -> Reading:
        self._reader.check()
        strip, read = self._cut(index, STRIP_HEIGHT), self._reader.networks.recognizer.read
        if not is_upended(self._quads[index]):
            return read_under_stamps(
                lambda given: read_line(read, given, self._score, LEGIBLE, self._typical_density), strip
            )
        reading, on_its_head = read_both_ways(read, strip)
        if on_its_head:
            self._on_their_heads.add(index)
        return reading

    def _read_place(self, place: Place) -> Reading:
        """A place of the straightened page, read as one line."""
        x0, y0, x1, y1 = place
        quad = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
        return self._alphabet.settled(
            self._reader.networks.recognizer.read(cut_strip(self._view.straight, quad))
        )

    def _strip(self, index: int, height: int) -> Picture:
        """A line as it was read."""
        strip = self._cut(index, height)
        return upside_down(strip) if index in self._on_their_heads else strip

    def _cut(self, index: int, height: int) -> Picture:
        return cut_strip(self._view.pixels, self._quads[index], height)

    def _settle(self, line: TextLine, reading: Reading) -> Reading:
        """The last word on a line: Tesseract's if the script is foreign, none where PP-OCR is unsure."""
        self._reader.check()
        settled = self.foreign.settle(line, reading, self._region_lines.get(line.index, [line]))
        if settled is None:
            is_read = reading.confidence >= MIN_CONFIDENCE and not is_rule(reading.text)
            if not is_read:
                return Reading("", 0.0)
            return with_raised(lambda: self._strip(line.index, STRIP_HEIGHT), self._alphabet.settled(reading))
        return settled

    def _unreadable_pieces(self) -> Iterator[ReadPiece]:
        for line in self.foreign.unreadable:
            yield ReadPiece(UNREADABLE, "", (self._view.box_on_page(self._quads[line.index]),))
        for line, start, stop in self.foreign.silent:
            quad = self._quads[line.index]
            part = quad if is_upended(quad) else along(quad, np.array([start, stop]))
            yield ReadPiece(UNREADABLE, "", (self._view.box_on_page(part),))
