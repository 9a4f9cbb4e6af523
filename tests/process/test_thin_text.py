"""A line that a model leaves out of the midst of a paragraph is missed and put there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from airgap.core.document import Block, Box, Line, Page
from process.accounting import Again, account_for
from process.marks import survey
from process.thin_text import thin_blocks
from process.word_widths import words_of

SENTENCES = (
    "The committee met on the third of May",
    "and heard the report of the treasurer",
    "who told that income had risen again",
    "and that all debts were paid in full",
)


def page_of(paragraphs: int = 4) -> tuple[Image.Image, list[list[Line]]]:
    """Paragraphs of four lines each, and their lines."""
    image, found = Image.new("RGB", (900, 260 * paragraphs + 80), "white"), list[list[Line]]()
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(26)
    for number in range(paragraphs):
        lines = []
        for row, text in enumerate(SENTENCES):
            at = (80, 60 + 260 * number + 44 * row)
            draw.text(at, f"{text} {number}", fill="black", font=font)
            lines.append(
                Line(f"{text} {number}", Box(*draw.textbbox(at, f"{text} {number}", font=font)), 0.99)
            )
        found.append(lines)
    return image, found


def grounded(lines: Sequence[Line], without: int | None = None) -> Block:
    """A paragraph as a model gives it."""
    box = lines[0].box
    for line in lines:
        box = box.union(line.box)
    return Block("text", " ".join(line.text for n, line in enumerate(lines) if n != without), (box,))


@pytest.mark.parametrize("paragraphs", [1, 2, 4])
@pytest.mark.parametrize("without", [0, 1, 2, 3])
def test_a_paragraph_that_lacks_a_line_is_seen(paragraphs: int, without: int) -> None:
    image, found = page_of(paragraphs)
    whole = [grounded(lines) for lines in found]
    seen = survey(image)
    assert thin_blocks(seen, whole) == []
    (thin,) = thin_blocks(seen, [*whole[:-1], grounded(found[-1], without)])
    (place,) = thin.places
    middle = (place.y0 + place.y1) / 2
    assert thin.index == paragraphs - 1
    assert found[-1][without].box.y0 < middle < found[-1][without].box.y1


def reader_of(paragraph: Sequence[Line]) -> Again:
    """An engine that reads this paragraph, where it is shown whole."""

    async def again(picture: Image.Image) -> tuple[str, Sequence[Block]]:
        box = ImageOps.invert(picture.convert("L")).getbbox()
        assert box is not None
        if box[3] - box[1] < paragraph[-1].box.y1 - paragraph[0].box.y0 - 12:
            return "second", []
        x, y = box[0] - paragraph[0].box.x0, box[1] - paragraph[0].box.y0
        lines = [
            replace(line, box=Box(line.box.x0 + x, line.box.y0 + y, line.box.x1 + x, line.box.y1 + y))
            for line in paragraph
        ]
        return "second", [Block("text", "", lines=tuple(lines))]

    return again


async def test_its_line_is_put_where_it_stood() -> None:
    image, found = page_of(2)
    blocks = (grounded(found[0]), grounded(found[1], 1))
    page = await account_for(Page(1, *image.size, blocks=blocks), image, "model", reader_of(found[1]))
    assert " ".join(block.text for block in page.blocks[1:]) == grounded(found[1]).text
    assert [block.engine for block in page.blocks] == [None, None, "second", None]
    assert (page.status, page.unread) == ("ok", ())


async def test_without_a_second_reading_the_line_is_said_to_be_unread() -> None:
    image, found = page_of(2)
    blocks = (grounded(found[0]), grounded(found[1], 1))
    page = await account_for(Page(1, *image.size, blocks=blocks), image, "model", None)
    (place,) = page.unread
    assert page.status == "degraded"
    assert found[1][1].box.y0 - 6 < place.y0 < place.y1 < found[1][1].box.y1 + 6
    assert page.coverage == pytest.approx(7 / 8, abs=0.03)


async def test_what_the_second_reading_does_not_find_either_stays_unread() -> None:
    image, found = page_of(2)
    blocks = (grounded(found[0]), grounded(found[1], 1))
    again = reader_of([line for number, line in enumerate(found[1]) if number != 1])
    page = await account_for(Page(1, *image.size, blocks=blocks), image, "model", again)
    assert (page.status, len(page.unread)) == ("degraded", 1)


async def test_a_translation_is_let_be() -> None:
    image, found = page_of(1)
    blocks = (
        Block("text", "Der Ausschuss kam im Mai zusammen und hörte den Bericht.", grounded(found[0]).boxes),
    )
    page = await account_for(Page(1, *image.size, blocks=blocks), image, "model", reader_of(found[0]))
    assert page.blocks == blocks


def test_a_paragraph_cut_off_is_seen() -> None:
    image, found = page_of(3)
    cut = replace(grounded(found[1]), text=" ".join(line.text for line in found[1][:2]))
    (thin,) = thin_blocks(survey(image), [grounded(found[0]), cut, grounded(found[2])])
    assert [place.y0 > found[1][1].box.y1 for place in thin.places] == [True, True]


@pytest.mark.parametrize("degrees", [-1.5, -0.7, 0.7, 1.5, 90, 270])
def test_no_line_is_missed_on_pages_that_are_whole_and_aslant_or_on_their_side(degrees: float) -> None:
    image, found = page_of(3)
    turned = image.rotate(degrees, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)
    whole = Box(0, 0, *turned.size)
    text = " ".join(line.text for lines in found for line in lines)
    assert thin_blocks(survey(turned), [Block("text", text, (whole,))]) == []


@pytest.mark.parametrize("without", [1, 4, 7])
def test_a_line_is_missed_on_a_page_that_is_aslant(without: int) -> None:
    image, found = page_of(3)
    turned = image.rotate(0.7, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)
    lines = [line for lines in found for line in lines]
    text = " ".join(line.text for number, line in enumerate(lines) if number != without)
    (thin,) = thin_blocks(survey(turned), [Block("text", text, (Box(0, 0, *turned.size),))])
    assert lines[without].box.y0 - 20 < thin.places[0].y0 < lines[without].box.y1 + 20


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (r"met on the \(3^{rd}\) of **May** &amp; heard", "met on the (3rd) of May & heard"),
        (
            r"\authorrunning{<names>} and <http://example.org/>",
            r"\authorrunning{<names>} and <http://example.org/>",
        ),
        ("one <b>two</b> three", "one two three"),
    ],
)
def test_words_are_those_that_are_printed(text: str, printed: str) -> None:
    assert words_of(text).letters == len("".join(printed.split()))
