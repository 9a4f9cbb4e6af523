"""What an engine leaves out is listed on the page, and read again where there is somebody to do it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from airgap.core.document import Block, Box, Line, Page, ReadOptions
from airgap.core.engine import Capabilities, Delta, Events, PageRead
from airgap.core.errors import EngineFailed
from airgap.exporters.annotated import UNREAD_COLOUR, annotate
from airgap.exporters.json_export import page_from_dict, page_to_dict
from airgap.exporters.markdown import page_markdown
from airgap.exporters.text import page_text
from airgap.layout.insertion import place_among
from process import ink_ledger
from process.accounting import NOT_COMPARED
from process.defaults import Defaults
from process.image_process import normalise
from process.left_out import insert_missing, left_out
from process.pages import Limits, open_source
from process.pipeline import BLANK_PAGE, Reader
from process.second_look import close_up, close_ups
from process.second_reader import SecondReader

WORDS = ("Alpha first line", "Bravo second line", "Carol third line", "Delta fourth line")


def sheet() -> tuple[Image.Image, list[Line]]:
    """A page with four lines, and what stands where on it."""
    page, lines = Image.new("RGB", (900, 700), "white"), list[Line]()
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(28)
    for number, text in enumerate(WORDS):
        at = (80, 80 + 140 * number)
        draw.text(at, text, fill=(0, 0, 0), font=font)
        lines.append(Line(text, Box(*draw.textbbox(at, text, font=font)), 0.99))
    return page, lines


class Lister:
    """An engine that answers with the blocks it was given, whatever it is shown."""

    model = "lister"
    device = "none"
    model_digest = None
    max_concurrency = 1

    def __init__(self, name: str, blocks: Sequence[Block], *, prompts: bool = True) -> None:
        self.name = name
        self.capabilities = Capabilities(supports_prompt=prompts, supports_modes=False)
        self.blocks = tuple(blocks)
        self.shown: list[Image.Image] = []

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    def health(self) -> tuple[bool, str]:
        return True, ""

    async def read(self, images: Sequence[Image.Image], options: ReadOptions) -> Events:
        self.shown.append(images[0])
        yield Delta("")
        yield PageRead("", self.blocks_for(images[0]))

    def blocks_for(self, image: Image.Image) -> tuple[Block, ...]:
        return self.blocks


class Spotter(Lister):
    """Reads each row of dark pixels of a picture as one line, from a list of what the rows say."""

    def __init__(self, texts: Sequence[str], *, confidence: float = 0.95) -> None:
        super().__init__("spotter", (), prompts=False)
        self.texts = texts
        self.confidence = confidence

    def blocks_for(self, image: Image.Image) -> tuple[Block, ...]:
        grey = image.convert("L").point([255 if level < 128 else 0 for level in range(256)])
        rows = [grey.crop((0, y, grey.width, y + 1)).getbbox() is not None for y in range(grey.height)]
        dark = [y for y, row in enumerate(rows) if row]
        starts = [y for last, y in zip([-99, *dark], dark, strict=False) if y - last > 12]
        found = []
        for text, top in zip(self.texts, starts, strict=False):
            bottom = max(y for y in dark if y < min([s for s in starts if s > top], default=1 << 30)) + 1
            box = grey.crop((0, top, grey.width, bottom)).getbbox()
            assert box is not None
            line = Line(text, Box(box[0], top, box[2], bottom), self.confidence)
            found.append(Block("text", text, (line.box,), self.confidence, (line,)))
        return tuple(found)


async def read(
    engine: Lister, image: Image.Image, second: Lister | None = None, options: ReadOptions | None = None
) -> Page:
    reader = Reader(
        engine,
        Defaults(None, "base"),
        max_concurrency=1,
        max_queue=2,
        page_timeout=20,
        second=SecondReader(lambda: second, timeout=20) if second else None,
    )
    data = io.BytesIO()
    image.save(data, "PNG")
    with open_source(data.getvalue(), name="page.png", limits=Limits()) as source:
        document = await reader.recognize(source, options or ReadOptions())
    return document.pages[0]


def grounded(lines: Sequence[Line]) -> list[Block]:
    return [Block("text", line.text, (line.box,)) for line in lines]


async def test_a_line_left_out_degrades_the_page_and_is_shown() -> None:
    image, lines = sheet()
    page = await read(Lister("model", grounded([*lines[:1], *lines[2:]])), image)
    assert page.status == "degraded"
    assert page.coverage == pytest.approx(0.75, abs=0.05)
    (place,) = page.unread
    assert place.y0 == pytest.approx(lines[1].box.y0, abs=6)
    assert any("was not read, in 1 place" in warning for warning in page.warnings)
    markdown = page_markdown(page)
    assert markdown.index("Alpha") < markdown.index("[unread: text at") < markdown.index("Carol")
    assert "[unread: text at" in page_text(page)
    kept = page_from_dict(page_to_dict(page))
    assert kept.unread == page.unread
    assert kept.coverage == pytest.approx(page.coverage, abs=1e-4)
    drawn = annotate(image, page.blocks, page.unread)
    assert UNREAD_COLOUR in {colour for _, colour in drawn.crop(place.rounded()).getcolors(1 << 16) or ()}


async def test_what_an_engine_could_not_read_is_unread_whatever_it_looks_like() -> None:
    image, lines = sheet()
    smudge = Box(80, 600, 400, 660)
    ImageDraw.Draw(image).rectangle((80, 600, 400, 660), fill=(90, 90, 90))
    page = await read(Lister("model", [*grounded(lines), Block("unreadable", "", (smudge,))]), image)
    assert (page.status, page.unread) == ("degraded", (smudge,))


async def test_a_page_read_whole_is_ok() -> None:
    image, lines = sheet()
    page = await read(Lister("model", grounded(lines)), image)
    assert (page.status, page.unread, page.coverage, page.warnings) == ("ok", (), 1.0, ())


@pytest.mark.parametrize("number", range(4))
async def test_a_place_left_out_is_filled_in_its_order_and_signed(number: int) -> None:
    image, lines = sheet()
    engine = Lister("model", grounded([line for line in lines if line is not lines[number]]))
    page = await read(engine, image, Spotter([WORDS[number]]))
    assert [block.text for block in page.blocks] == list(WORDS)
    assert [block.engine for block in page.blocks] == [("spotter" if i == number else None) for i in range(4)]
    assert (page.status, page.unread) == ("ok", ())
    assert any("left out in 1 place was read by spotter" in warning for warning in page.warnings)
    assert page.blocks[number].boxes[0].y0 == pytest.approx(lines[number].box.y0, abs=12)


@pytest.mark.parametrize("number", range(4))
async def test_a_line_left_out_of_an_answer_without_places_is_filled(number: int) -> None:
    image, lines = sheet()
    kept = [line.text for line in lines if line is not lines[number]]
    second = Lister("second", [Block("text", line.text, (line.box,), 0.99, (line,)) for line in lines])
    page = await read(Lister("model", [Block("text", "\n".join(kept))]), image, second)
    assert "\n".join(block.text for block in page.blocks) == "\n".join(WORDS)
    assert [block.text for block in page.blocks if block.engine == "second"] == [WORDS[number]]
    assert (page.status, page.coverage) == ("ok", 1.0)


async def test_without_places_and_without_a_second_engine_nothing_is_claimed() -> None:
    image, _ = sheet()
    page = await read(Lister("model", [Block("text", "Alpha first line")]), image)
    assert (page.status, page.unread, page.coverage) == ("ok", (), None)


async def test_fill_off_asks_nobody_and_still_tells() -> None:
    image, lines = sheet()
    second = Spotter(WORDS)
    page = await read(Lister("model", grounded(lines[1:])), image, second, ReadOptions(fill="off"))
    assert (page.status, len(page.unread), second.shown) == ("degraded", 1, [])


async def test_what_is_read_unsurely_does_not_fill() -> None:
    image, lines = sheet()
    page = await read(Lister("model", grounded(lines[1:])), image, Spotter(["Alfa"], confidence=0.55))
    assert (page.status, len(page.unread), len(page.blocks)) == ("degraded", 1, 3)


async def test_an_engine_that_reads_what_it_sees_looks_again_itself_only_where_something_is_left() -> None:
    image, lines = sheet()
    whole = Lister(
        "eyes", [Block("text", line.text, (line.box,), 0.9, (line,)) for line in lines], prompts=False
    )
    await read(whole, image)
    assert len(whole.shown) == 1
    partial = Lister("eyes", whole.blocks[1:], prompts=False)
    page = await read(partial, image)
    assert len(partial.shown) == 2
    assert partial.shown[1].height < image.height
    assert page.status == "degraded"


async def test_a_second_engine_that_fails_is_named_and_costs_nothing_read() -> None:
    class Broken(Lister):
        async def read(self, images: Sequence[Image.Image], options: ReadOptions) -> Events:
            for _ in images:
                raise EngineFailed("It is broken.")
            yield Delta("")

    image, lines = sheet()
    page = await read(Lister("model", grounded(lines[1:])), image, Broken("broken", ()))
    assert (page.status, len(page.blocks), len(page.unread)) == ("degraded", 3, 1)
    assert any("was not read again: It is broken." in warning for warning in page.warnings)


OWN = ReadOptions(prompt="What does it say?")


@pytest.mark.parametrize("placed", [True, False])
async def test_a_question_about_a_page_is_not_held_to_its_ink(placed: bool) -> None:
    image, lines = sheet()
    second = Lister("second", [Block("text", line.text, (line.box,), 0.99, (line,)) for line in lines])
    answer = Block("text", "4", (lines[0].box,) if placed else ())
    page = await read(Lister("model", [answer]), image, second, OWN)
    assert (page.status, page.coverage, page.unread, page.warnings) == ("ok", None, (), (NOT_COMPARED,))


@pytest.mark.parametrize("placed", [True, False])
async def test_a_page_transcribed_by_a_prompt_of_its_own_is_held_to_its_ink(placed: bool) -> None:
    image, lines = sheet()
    second = Lister("second", [Block("text", line.text, (line.box,), 0.99, (line,)) for line in lines])
    kept = [lines[0], *lines[2:]]
    blocks = grounded(kept) if placed else [Block("text", "\n".join(line.text for line in kept))]
    page = await read(Lister("model", blocks), image, second, OWN)
    (place,) = page.unread
    assert page.status == "degraded"
    assert page.coverage == pytest.approx(0.75, abs=0.05)
    assert place.y0 == pytest.approx(lines[1].box.y0, abs=6)
    assert page.blocks == tuple(blocks)


async def test_an_answer_in_the_models_own_words_is_held_to_the_ink_of_its_one_picture() -> None:
    image, lines = sheet()
    engine = Lister("model", grounded(lines[1:]))
    reader = Reader(engine, Defaults(None, "base"), max_concurrency=1, max_queue=2, page_timeout=20)
    one = await reader.read_page([image], ReadOptions())
    assert (one.status, len(one.unread), len(one.blocks)) == ("degraded", 1, 3)
    async with aclosing(reader.stream([image], ReadOptions())) as events:
        end = [event async for event in events][-1]
    assert isinstance(end, PageRead)
    assert (end.outcome, len(end.blocks), end.warnings) == ("degraded", 3, one.warnings)
    engine.capabilities = Capabilities(supports_modes=False, max_images=2)
    async with aclosing(reader.stream([image, image], ReadOptions())) as events:
        assert [event async for event in events][-1].outcome == "ok"  # type: ignore[union-attr]
    two = await reader.read_page([image, image], ReadOptions())
    assert (two.status, two.unread, two.coverage) == ("ok", (), None)


async def test_the_engines_place_is_free_while_a_stream_is_held_to_its_ink() -> None:
    image, lines = sheet()
    engine = Lister("model", grounded(lines))
    reader = Reader(engine, Defaults(None, "base"), max_concurrency=1, max_queue=2, page_timeout=20)
    account = reader._accountant.account

    async def meanwhile(page: Page, image: Image.Image, options: ReadOptions) -> Page:
        async with asyncio.timeout(20), reader._slot():
            return await account(page, image, options)

    reader._accountant.account = meanwhile  # type: ignore[method-assign]
    async with aclosing(reader.stream([image], ReadOptions())) as events:
        assert [type(event) for event in [event async for event in events]] == [Delta, PageRead]


async def test_a_page_is_blank_only_where_a_detector_finds_nothing_either() -> None:
    empty = Image.new("RGB", (900, 700), "white")
    model = Lister("model", grounded([]))
    page = await read(model, empty, Spotter([]))
    assert (page.status, page.warnings, model.shown) == ("ok", (BLANK_PAGE,), [])

    class Sees(Lister):
        """Finds something that no contrast shows."""

    seen = Line("faint", Box(10, 10, 90, 40), 0.9)
    model = Lister("model", grounded([seen]))
    page = await read(model, empty, Sees("second", [Block("text", "faint", (seen.box,), 0.9, (seen,))]))
    assert len(model.shown) == 1
    assert BLANK_PAGE not in page.warnings


async def test_nothing_read_where_nothing_looks_like_writing_is_said() -> None:
    image = Image.new("RGB", (900, 700), "white")
    ImageDraw.Draw(image).rectangle((200, 200, 700, 600), fill=(90, 120, 90))
    page = await read(Lister("eyes", (), prompts=False), image)
    assert page.status == "ok"
    assert len(page.warnings) == 1


def test_of_two_equal_lines_the_one_left_out_is_missed() -> None:
    texts = ["a1", "7", "b2", "7", "c3"]
    lines = [Line(text, Box(0, 30 * i, 90, 30 * i + 20), 0.99) for i, text in enumerate(texts)]
    for number in (1, 3):
        kept = [line for line in lines if line is not lines[number]]
        (missing,) = left_out([Block("text", line.text) for line in kept], lines)
        assert missing.line is lines[number]


def test_a_misread_line_and_a_table_are_no_loss() -> None:
    lines = [
        Line("Invoice nurnber 4471-B8", Box(0, 0, 90, 20), 0.95),
        Line("Total", Box(0, 30, 40, 50), 0.99),
        Line("12 & more", Box(50, 30, 90, 50), 0.99),
    ]
    table = "<table><tr><td>Total</td><td>12 &amp; more</td></tr></table>"
    assert left_out([Block("text", "**Invoice number 4471-88**"), Block("table", table)], lines) == []


def test_a_line_in_the_midst_of_a_paragraph_parts_it_between_words() -> None:
    lines = [Line(text, Box(0, 30 * i, 90, 30 * i + 20), 0.99) for i, text in enumerate(WORDS)]
    blocks = [Block("text", f"{WORDS[0]}. {WORDS[1]} {WORDS[3]}")]
    filled = insert_missing(blocks, left_out(blocks, lines), "second")
    assert [block.text for block in filled] == [f"{WORDS[0]}. {WORDS[1]}", WORDS[2], WORDS[3]]


def test_columns_are_read_down_and_rows_across() -> None:
    def at(x: float, y: float) -> Box:
        return Box(x, y, x + 80, y + 20)

    columns = [Block("text", "", (at(x, y),)) for x in (0, 200) for y in (0, 40, 80)]
    rows = [Block("text", "", (at(x, y),)) for y in (0, 40, 80) for x in (0, 200)]
    for blocks in (columns, rows):
        for number, block in enumerate(blocks):
            others = [other for other in blocks if other is not block]
            assert place_among(others, block.boxes[0]) == number


def test_a_close_up_shows_places_alone_and_knows_its_way_back() -> None:
    image, lines = sheet()
    close = close_up(image, [lines[2].box], [lines[1].box, lines[3].box])
    (found,) = close.blocks(Spotter([WORDS[2]]).blocks_for(close.picture), "spotter")
    assert found.text == WORDS[2]
    assert found.boxes[0].x0 == pytest.approx(lines[2].box.x0, abs=4)
    assert found.boxes[0].x1 == pytest.approx(lines[2].box.x1, abs=4)
    assert normalise(close.picture).mode == "RGB"
    assert replace(found, engine=None).engine is None


def test_many_places_are_looked_at_in_pictures_that_an_engine_sees_well() -> None:
    image, lines = sheet()
    places = [Box(80, 10 * number, 300, 10 * number + 20) for number in range(60)]
    closes = list(close_ups(image, places, [line.box for line in lines]))
    assert [cut_out.place for close in closes for cut_out in close.cut_outs] == places
    assert max(close.picture.height for close in closes) < 2240


def test_cells_of_a_table_and_words_in_angle_brackets_are_found() -> None:
    lines = [
        Line(text, Box(10, 30 * n, 200, 30 * n + 20), 0.99)
        for n, text in enumerate(("14A", "14B", "87", "\\institute{<name of an institute>}", "2"))
    ]
    table = Block("table", "<table><tr><td>14A</td><td>14B</td></tr><tr><td>87</td><td>2</td></tr></table>")
    text = Block("text", "\\institute{<name of an institute>}")
    assert left_out([table, text], lines) == []
    assert [one.line.text for one in left_out([text], lines)] == ["14A", "14B", "87", "2"]


def test_the_last_characters_of_a_paragraph_without_spaces_are_found() -> None:
    lines = [
        Line("各分公司應於期限內提出報告", Box(10, 10, 400, 30), 0.99),
        Line("補救。", Box(10, 40, 90, 60), 0.99),
    ]
    assert left_out([Block("text", "各分公司應於期限內提出報告補救。")], lines) == []


async def test_the_ledger_of_a_page_read_whole_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    image, lines = sheet()
    taken = []
    take_account = ink_ledger.take_account

    def counted(*arguments: Any) -> ink_ledger.Account:
        taken.append(arguments)
        return take_account(*arguments)

    monkeypatch.setattr(ink_ledger, "take_account", counted)
    page = await read(Lister("eyes", grounded(lines), prompts=False), image)
    assert (page.status, page.coverage) == ("ok", 1.0)
    assert len(taken) == 1
