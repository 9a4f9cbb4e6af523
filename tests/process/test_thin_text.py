"""A line that a model leaves out of the midst of a paragraph is missed and put there."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from PIL import Image, ImageDraw, ImageFont

from airgap.core.document import Block, Box, Line, Page
from process.accounting import account_for
from process.thin_text import thin_blocks

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
    assert thin_blocks(image, whole) == []
    assert thin_blocks(image, [*whole[:-1], grounded(found[-1], without)]) == [paragraphs - 1]


async def test_its_line_is_put_where_it_stood() -> None:
    image, found = page_of(2)
    blocks = (grounded(found[0]), grounded(found[1], 1))

    async def again(picture: Image.Image) -> tuple[str, Sequence[Block]]:
        return "second", [Block("text", "", lines=tuple(lines)) for lines in found]

    page = await account_for(Page(1, *image.size, blocks=blocks), image, "model", again)
    assert " ".join(block.text for block in page.blocks[1:]) == grounded(found[1]).text
    assert [block.engine for block in page.blocks] == [None, None, "second", None]


async def test_a_translation_is_let_be() -> None:
    image, found = page_of(1)
    blocks = (
        Block("text", "Der Ausschuss kam im Mai zusammen und hörte den Bericht.", grounded(found[0]).boxes),
    )

    async def again(picture: Image.Image) -> tuple[str, Sequence[Block]]:
        return "second", [Block("text", "", lines=tuple(found[0]))]

    assert (await account_for(Page(1, *image.size, blocks=blocks), image, "model", again)).blocks == blocks
