"""The contract of `airgap.core.engine`, as tests that every engine passes.

A test module derives a class from `EngineContract` and gives it a fixture `engine`, started. The close is
tested last, so that the fixture may be shared by the class.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from PIL import Image, ImageDraw, ImageFont

from airgap.core.document import Box, ReadOptions
from airgap.core.engine import Delta, Engine, PageRead, check_capabilities
from airgap.core.errors import UnsupportedOption
from airgap.engines.table import ENGINES

LINES = ["The quick brown fox jumps", "over the lazy dog, again", "and again until evening."]


def page(lines: list[str] = LINES) -> Image.Image:
    """A page of three printed lines, 900 × 400 pixels."""
    image = Image.new("RGB", (900, 400), "white")
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        draw.text((60, 60 + 100 * row), line, fill="black", font=ImageFont.load_default(48))
    return image


async def events_of(engine: Engine, image: Image.Image, options: ReadOptions) -> list[Delta | PageRead]:
    async with aclosing(engine.read([image], options)) as stream:
        return [event async for event in stream]


def inside(box: Box, image: Image.Image) -> bool:
    return 0 <= box.x0 <= box.x1 <= image.width and 0 <= box.y0 <= box.y1 <= image.height


class EngineContract:
    reads = True
    """Whether what the engine says depends on the page."""

    async def test_fulfils_the_protocol(self, engine: Engine) -> None:
        assert isinstance(engine, Engine)
        assert engine.name in ENGINES
        assert engine.model
        assert engine.device
        assert engine.max_concurrency >= 1

    async def test_ends_with_one_page_read_that_its_deltas_add_up_to(self, engine: Engine) -> None:
        events = await events_of(engine, page(), ReadOptions())
        *deltas, end = events
        assert isinstance(end, PageRead)
        assert all(isinstance(delta, Delta) for delta in deltas)
        assert "".join(delta.text for delta in deltas if isinstance(delta, Delta)) == end.raw
        assert end.finish_reason == "stop"
        assert end.usage.completion_tokens > 0

    async def test_blocks_lie_on_the_page_and_have_text(self, engine: Engine) -> None:
        image = page()
        end = (await events_of(engine, image, ReadOptions()))[-1]
        assert isinstance(end, PageRead)
        assert end.blocks
        for block in end.blocks:
            assert block.boxes
            assert all(inside(box, image) for box in block.boxes)
            assert block.confidence is None or 0 <= block.confidence <= 1
            assert all(inside(line.box, image) for line in block.lines)
        assert any(block.text.strip() for block in end.blocks)

    async def test_the_same_page_reads_the_same_alone_and_in_a_crowd(self, engine: Engine) -> None:
        images = [page(), page(LINES[::-1]), page(LINES[:1])]
        alone = [(await events_of(engine, image, ReadOptions()))[-1] for image in images]
        crowd = await asyncio.gather(*(events_of(engine, image, ReadOptions()) for image in images * 2))
        for first, together in zip(alone * 2, crowd, strict=True):
            last = together[-1]
            assert isinstance(first, PageRead)
            assert isinstance(last, PageRead)
            assert last.raw == first.raw

    async def test_a_blank_page_has_no_text(self, engine: Engine) -> None:
        if not self.reads:
            pytest.skip("the model of this test says the same of every page")
        end = (await events_of(engine, Image.new("RGB", (600, 800), "white"), ReadOptions()))[-1]
        assert isinstance(end, PageRead)
        assert not "".join(block.text for block in end.blocks).strip()

    async def test_leaving_early_frees_the_engine(self, engine: Engine) -> None:
        for _ in range(2 * engine.max_concurrency):
            async with aclosing(engine.read([page()], ReadOptions())) as stream:
                assert isinstance(await anext(stream), Delta)
        end = (await asyncio.wait_for(events_of(engine, page(), ReadOptions()), 60))[-1]
        assert isinstance(end, PageRead)

    async def test_max_tokens_is_kept(self, engine: Engine) -> None:
        if engine.name == "fake":
            pytest.skip("the fake engine has no notion of length")
        end = (await events_of(engine, page(), ReadOptions(max_tokens=5)))[-1]
        assert isinstance(end, PageRead)
        assert end.finish_reason == "length"

    @pytest.mark.parametrize(
        ("images", "options"),
        [(99, ReadOptions()), (0, ReadOptions())],
    )
    async def test_what_it_cannot_do_is_refused_before_the_call(
        self, engine: Engine, images: int, options: ReadOptions
    ) -> None:
        if images == 0 and engine.capabilities.text_only:
            pytest.skip("this engine answers without an image")
        with pytest.raises(UnsupportedOption):
            check_capabilities(engine.capabilities, images, options)

    async def test_close_may_be_called_twice(self, engine: Engine) -> None:
        await engine.close()
        await engine.close()
