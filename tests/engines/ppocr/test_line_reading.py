"""How wide strips are made before they are read, and lines that run up the page."""

from __future__ import annotations

import numpy as np
import pymupdf
import pytest
import pytest_asyncio

from airgap.engines.ppocr.engine import RapidOcrEngine
from airgap.engines.ppocr.line_reading import (
    CROWDED,
    STEP,
    density,
    read_both_ways,
    read_line,
    read_under_stamps,
)
from airgap.layout.lines import Reading
from airgap.layout.quads import Picture
from tests.engines.drawn_pages import one_engine, picture_of, read

WIDTH = 800
STRIP = np.zeros((48, WIDTH, 3), np.uint8)
LEGIBLE = 0.4

engine = pytest_asyncio.fixture(one_engine, scope="module", loop_scope="module", name="engine")


class Recognizer:
    """Says so many characters of each strip and notes how wide it was."""

    def __init__(self, characters: int, confidence: float = 0.99) -> None:
        self.characters, self.confidence = characters, confidence
        self.widths: list[int] = []

    def read(self, strip: Picture) -> Reading:
        self.widths.append(strip.shape[1])
        return Reading("x" * self.characters, self.confidence)


def characters_at(share: float) -> int:
    """As many as fill so much of the strip's steps."""
    return round(share * WIDTH / STEP)


def test_letters_that_stand_close_are_read_wider() -> None:
    recognizer = Recognizer(characters_at(CROWDED) + 1)
    read_line(recognizer.read, STRIP, 0.9, LEGIBLE, 0.3)
    assert recognizer.widths == [WIDTH, 1000]


def test_letters_with_room_are_read_narrowed_on_a_clear_page() -> None:
    recognizer = Recognizer(characters_at(0.4))
    read_line(recognizer.read, STRIP, 0.99, LEGIBLE, 0.4)
    assert recognizer.widths == [640]


def test_narrowing_that_crowds_the_letters_is_undone() -> None:
    recognizer = Recognizer(characters_at(0.5))
    read_line(recognizer.read, STRIP, 0.99, LEGIBLE, 0.4)
    assert recognizer.widths == [640, WIDTH]
    assert density(STRIP, Reading("x" * 50, 1.0)) == 0.5


def test_nothing_is_narrowed_where_the_page_is_set_closely() -> None:
    recognizer = Recognizer(characters_at(0.5))
    read_line(recognizer.read, STRIP, 0.99, LEGIBLE, 0.5)
    assert recognizer.widths == [WIDTH]


def test_a_line_less_sure_when_narrowed_is_read_at_its_width() -> None:
    recognizer = Recognizer(characters_at(0.3), confidence=0.9)
    read_line(recognizer.read, STRIP, 0.99, LEGIBLE, 0.3)
    assert recognizer.widths == [640, WIDTH]


def test_black_print_under_a_stamp_is_read_without_it() -> None:
    strip = np.full((48, 400, 3), 255, np.uint8)
    strip[10:38, 20:380:8] = 0
    assert read_under_stamps(lambda given: Reading("clear", 0.9), strip) == Reading("clear", 0.9)
    strip[5:20, 100:200] = (60, 60, 220)

    def read(given: Picture) -> Reading:
        is_stamped = bool((given.max(axis=2) != given.min(axis=2)).any())
        return Reading("to r gh", 0.8) if is_stamped else Reading("to right", 0.99)

    assert read_under_stamps(read, strip) == Reading("to right", 0.99)


def test_a_coloured_word_in_a_black_line_is_not_lost_with_its_colour() -> None:
    strip = np.full((48, 400, 3), 255, np.uint8)
    strip[10:38, 20:200:8] = 0
    strip[10:38, 220:380:8] = (0, 0, 250)

    def read(given: Picture) -> Reading:
        is_whole = bool((given.max(axis=2) != given.min(axis=2)).any())
        return Reading("black and red", 0.9) if is_whole else Reading("black", 0.99)

    assert read_under_stamps(read, strip) == Reading("black and red", 0.9)


def test_a_line_that_runs_down_is_read_both_ways() -> None:
    def read(strip: Picture) -> Reading:
        return Reading("letters", 0.99) if strip[0, 0, 0] else Reading("slo", 0.6)

    strip = STRIP.copy()
    assert read_both_ways(read, strip) == (Reading("slo", 0.6), False)
    strip[-1, -1] = 255
    assert read_both_ways(read, strip) == (Reading("letters", 0.99), True)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("turn", [90, 270])
async def test_a_note_up_the_margin_is_read_whichever_way_it_runs(engine: RapidOcrEngine, turn: int) -> None:
    with pymupdf.open() as pdf:
        page = pdf.new_page(width=420, height=300)
        for row in range(9):
            page.insert_text((60, 40 + 26 * row), "The minutes were approved without a vote.", fontsize=14)
        start = (30, 220) if turn == 90 else (22, 70)
        page.insert_text(start, "Form 27 Harbour Trust", fontsize=12, rotate=turn)
        image = picture_of(page)
    text = "\n".join(block.text for block in (await read(engine, image)).blocks)
    assert "Form 27 Harbour Trust" in text
