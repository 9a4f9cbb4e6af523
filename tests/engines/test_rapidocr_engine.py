"""The CPU engine on real pages: streaming, boxes, turning, slant, scripts, limits, cancellation."""

from __future__ import annotations

import asyncio
import math
import re
import threading
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

import deepseek_ocr
from airgap.core.document import ReadOptions
from airgap.core.engine import Delta, PageRead
from airgap.core.errors import EngineUnavailable
from airgap.engines.ppocr.engine import RapidOcrEngine
from airgap.engines.ppocr.scripts import find_tessdata
from benchmarks.scoring import plain_text, score
from tests.engines.started import started

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
CLOCKWISE = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
has_russian = (tessdata := find_tessdata(None)) is not None and (tessdata / "rus.traineddata").is_file()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[RapidOcrEngine]:
    """One engine for the tests that do not meddle with it."""
    async with started(RapidOcrEngine(num_workers=2)) as engine:
        yield engine


@pytest_asyncio.fixture(loop_scope="module")
async def own_engine() -> AsyncIterator[RapidOcrEngine]:
    """An engine to be closed or instrumented."""
    async with started(RapidOcrEngine(num_workers=2)) as engine:
        yield engine


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def table(engine: RapidOcrEngine) -> PageRead:
    """The sample with a table, read as it is."""
    return (await read(engine, sample("table.png")))[1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chinese(engine: RapidOcrEngine) -> PageRead:
    """The Chinese sample, upright."""
    return (await read(engine, sample("traditional_chinese.png", 0.6)))[1]


def sample(name: str, scale: float = 1.0) -> Image.Image:
    with Image.open(SAMPLES / name) as opened:
        image = opened.convert("RGB")
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


async def read(
    engine: RapidOcrEngine, image: Image.Image, options: ReadOptions | None = None
) -> tuple[list[str], PageRead]:
    deltas: list[str] = []
    async with aclosing(engine.read([image], options or ReadOptions())) as stream:
        async for item in stream:
            if isinstance(item, PageRead):
                return deltas, item
            assert isinstance(item, Delta)
            deltas.append(item.text)
    raise AssertionError("no page came")


def text_of(page: PageRead) -> str:
    return "\n\n".join(block.text for block in page.blocks)


async def test_a_page_streams_and_its_deltas_are_its_raw(engine: RapidOcrEngine) -> None:
    image = sample("table.png")
    deltas, page = await read(engine, image)
    assert len(deltas) == len(page.blocks) > 3
    assert "".join(deltas) == page.raw
    parsed = deepseek_ocr.parse(page.raw, image.width, image.height).blocks
    assert [(b.label, b.text) for b in parsed] == [(b.label, b.text) for b in page.blocks]
    assert (page.status, page.finish_reason, page.warnings) == ("ok", "stop", ())
    assert page.usage.completion_tokens == math.ceil(sum(len(block.text) for block in page.blocks) / 4)
    assert page.confidence is not None
    assert page.confidence > 0.9


async def test_a_table_a_heading_and_a_figure_are_told_apart(table: PageRead) -> None:
    labels = [block.label for block in table.blocks]
    assert "table" in labels
    assert "image" in labels
    assert labels[0] in ("title", "sub_title")
    (block,) = [block for block in table.blocks if block.label == "table"]
    assert block.text.startswith("<table><tr><td>")
    assert block.text.count("<tr>") >= 3
    cells = re.findall(r"<td>(.*?)</td>", block.text)
    assert " ".join(line.text for line in block.lines) == " ".join(cells), (
        "lines are in the order of the cells"
    )


async def test_line_boxes_hold_the_ink_of_their_lines(table: PageRead) -> None:
    dark = np.asarray(sample("table.png").convert("L")) < 128
    lines = [line for block in table.blocks if block.label == "text" for line in block.lines]
    assert lines
    for line in lines:
        x0, y0, x1, y1 = line.box.rounded()
        assert dark[y0:y1, x0:x1].mean() > 0.02
        assert line.confidence is not None


@pytest.mark.parametrize(
    "degrees", [90, *(pytest.param(turn, marks=pytest.mark.slow) for turn in (180, 270))]
)
async def test_a_turned_page_reads_the_same_with_its_boxes_on_it(
    engine: RapidOcrEngine, chinese: PageRead, degrees: int
) -> None:
    image = sample("traditional_chinese.png", 0.6)
    _, turned = await read(engine, image.transpose(CLOCKWISE[degrees]))
    assert score(text_of(turned), plain_text(text_of(chinese))).cer < 0.02
    for straight, box in zip(chinese.blocks, turned.blocks, strict=True):
        x0, y0, x1, y1 = straight.boxes[0].rounded()
        corners = {
            90: (image.height - y1, x0, image.height - y0, x1),
            180: (image.width - x1, image.height - y1, image.width - x0, image.height - y0),
            270: (y0, image.width - x1, y1, image.width - x0),
        }[degrees]
        assert box.boxes[0].rounded() == pytest.approx(corners, abs=12)


@pytest.mark.parametrize("degrees", [-10, pytest.param(10, marks=pytest.mark.slow)])
async def test_a_slanted_page_reads_as_a_straight_one(
    engine: RapidOcrEngine, table: PageRead, degrees: float
) -> None:
    slanted = sample("table.png").rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    _, page = await read(engine, slanted)
    assert score(text_of(page), plain_text(text_of(table))).cer < 0.03


@pytest.mark.parametrize("size", [(1, 1), (400, 300), (3, 900)])
async def test_a_blank_page_has_no_blocks(engine: RapidOcrEngine, size: tuple[int, int]) -> None:
    _, page = await read(engine, Image.new("RGB", size, "white"))
    assert (page.blocks, page.raw, page.status) == ((), "", "ok")


async def test_noise_is_read_without_an_error(engine: RapidOcrEngine) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)
    _, page = await read(engine, Image.fromarray(noise))
    assert page.finish_reason == "stop"


async def test_words_on_the_page_cannot_forge_markup(engine: RapidOcrEngine) -> None:
    from PIL import ImageDraw, ImageFont

    image = Image.new("RGB", (1400, 300), "white")
    font = ImageFont.load_default(48)
    ImageDraw.Draw(image).text((40, 100), "<|ref|>title<|/ref|><|det|>[[0,0,9,9]]<|/det|>", "black", font)
    _, page = await read(engine, image)
    assert len(page.blocks) == 1
    assert page.blocks[0].label == "text"
    assert "title" in page.blocks[0].text


async def test_max_tokens_cuts_after_about_as_much_text_as_a_model_would_write(
    engine: RapidOcrEngine,
) -> None:
    deltas, page = await read(engine, sample("traditional_chinese.png", 0.6), ReadOptions(max_tokens=50))
    assert page.finish_reason == "length"
    assert page.usage.completion_tokens == 50
    assert "".join(deltas) == page.raw
    assert 197 < sum(len(block.text.encode()) for block in page.blocks) <= 200


@pytest.mark.slow
async def test_a_models_limit_of_tokens_does_not_cut_a_full_page(engine: RapidOcrEngine) -> None:
    """What clients set for a model: a page of 4,100 characters is some 1,000 tokens."""
    _, page = await read(engine, sample("english.png", 0.6), ReadOptions(max_tokens=2048))
    assert len(text_of(page)) > 4000
    assert (page.finish_reason, page.status) == ("stop", "ok")
    assert page.usage.completion_tokens < 2048


@pytest.mark.slow
async def test_without_tesseract_a_russian_page_is_degraded_and_says_why(tmp_path: Path) -> None:
    engine = RapidOcrEngine(tessdata_dir=str(tmp_path))
    await engine.start()
    _, page = await read(engine, sample("russian.png", 0.7))
    await engine.close()
    assert page.status == "degraded"
    left_out, *within = page.warnings
    assert "tesseract-ocr-rus" in left_out
    assert all("something that looks like letters was not read" in warning for warning in within)
    unreadable = [block for block in page.blocks if block.label == "unreadable"]
    assert len(unreadable) > 20
    assert all(block.text == "" and block.boxes for block in unreadable)
    assert len(text_of(page).strip()) < 100


@pytest.mark.tesseract
@pytest.mark.skipif(not has_russian, reason="Tesseract's Russian data are not installed (tesseract-ocr-rus)")
@pytest.mark.parametrize("degrees", [0, pytest.param(180, marks=pytest.mark.slow)])
async def test_with_tesseract_a_russian_page_is_read(engine: RapidOcrEngine, degrees: int) -> None:
    image = sample("russian.png", 0.8)
    _, page = await read(engine, image.transpose(CLOCKWISE[degrees]) if degrees else image)
    assert page.status == "ok"
    text = text_of(page)
    letters = [character.lower() for character in text if character.isalpha()]
    assert sum("а" <= letter <= "я" or letter == "ё" for letter in letters) > 0.9 * len(letters) > 1000


@pytest.mark.slow
@pytest.mark.tesseract
@pytest.mark.skipif(not has_russian, reason="Tesseract's Russian data are not installed (tesseract-ocr-rus)")
async def test_a_page_of_two_scripts_is_read_in_both(engine: RapidOcrEngine) -> None:
    russian, chinese = sample("russian.png", 0.6), sample("traditional_chinese.png", 0.6)
    width = max(russian.width, chinese.width)
    image = Image.new("RGB", (width, russian.height + chinese.height), "white")
    image.paste(russian, (0, 0))
    image.paste(chinese, (0, russian.height))
    text = text_of((await read(engine, image))[1])
    assert sum("а" <= character <= "я" for character in text) > 500
    assert sum("一" <= character <= "鿿" for character in text) > 200


async def test_the_first_delta_comes_while_lines_are_still_being_read(own_engine: RapidOcrEngine) -> None:
    loaded = own_engine._loaded
    assert loaded is not None
    gate, asked = threading.Event(), []
    recognize = loaded.networks.recognizer.read

    def slow(strip: np.ndarray) -> object:
        asked.append(strip.shape)
        if len(asked) > 14:
            assert gate.wait(60)
        return recognize(strip)

    loaded.networks.recognizer.read = slow  # type: ignore[method-assign,assignment]
    # A page without a ruled table: lines that touch its rules are read before they are laid out.
    image = sample("english.png")
    upper = image.crop((0, 0, image.width, image.height // 2))
    async with aclosing(own_engine.read([upper], ReadOptions())) as stream:
        first = await anext(stream)
        assert isinstance(first, Delta)
        gate.set()
        assert [item async for item in stream]


async def test_closing_the_iterator_stops_the_work(engine: RapidOcrEngine) -> None:
    before = set(threading.enumerate())
    own_engine = RapidOcrEngine(num_workers=2)
    await own_engine.start()
    loaded = own_engine._loaded
    assert loaded is not None
    done = 0
    recognize = loaded.networks.recognizer.read

    def counted(strip: np.ndarray) -> object:
        nonlocal done
        done += 1
        return recognize(strip)

    loaded.networks.recognizer.read = counted  # type: ignore[method-assign,assignment]
    async with aclosing(own_engine.read([sample("english.png")], ReadOptions())) as stream:
        await anext(stream)
    await own_engine.close()
    assert done < 150
    left = [thread.name for thread in set(threading.enumerate()) - before]
    assert not [name for name in left if name.startswith("ocr-")]


async def test_closing_the_engine_ends_pages_that_are_read_and_pages_that_wait() -> None:
    engine = RapidOcrEngine(num_workers=1)
    await engine.start()
    image = sample("english.png", 0.5)
    pages = [asyncio.create_task(read(engine, image)) for _ in range(3)]
    await asyncio.sleep(0.05)
    await engine.close()
    results = await asyncio.gather(*pages, return_exceptions=True)
    assert all(isinstance(result, EngineUnavailable) for result in results)


@pytest.mark.slow
async def test_the_event_loop_stays_free(engine: RapidOcrEngine) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.005)
            turns += 1

    counter = asyncio.create_task(count())
    started = time.monotonic()
    await asyncio.gather(*(read(engine, sample("table.png")) for _ in range(3)))
    counter.cancel()
    assert turns > 20 * min(1.0, time.monotonic() - started)


async def test_an_engine_that_is_not_started_says_so() -> None:
    with pytest.raises(EngineUnavailable):
        await read(RapidOcrEngine(), Image.new("RGB", (10, 10)))


async def test_missing_models_stop_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airgap.engines.ppocr.networks.model_directory", lambda: tmp_path)
    with pytest.raises(EngineUnavailable) as caught:
        await RapidOcrEngine().start()
    assert "rapidocr" in caught.value.remedy


async def test_closing_twice_is_fine(own_engine: RapidOcrEngine) -> None:
    await own_engine.close()
    await own_engine.close()
