"""A page and an engine that do as a test says, and the reader between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw

from airgap.core.document import Block, Box, Page, ReadOptions, Usage
from airgap.core.engine import Capabilities, Delta, Events, PageRead
from airgap.engines.fake import FakeEngine
from airgap.monitoring import metrics
from process.defaults import Defaults
from process.pipeline import Reader
from process.source import PageImage, Source

SIZE = (400, 60)


class Engine(FakeEngine):
    """Answers with what the test says, one `PageRead` after the other, each after its deltas."""

    def __init__(
        self, *answers: PageRead | Exception, modes: bool = True, deltas: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self.answers = list(answers)
        self.deltas = deltas
        self.capabilities = Capabilities(supports_modes=modes, max_images=3)

    async def _read(self, images: Sequence[Image.Image], options: ReadOptions) -> Events:
        for text in self.deltas:
            yield Delta(text)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        yield answer


class OnePage(Source):
    """A source of one page that is drawn as the test says."""

    kind = "pdf"

    def __init__(self, error: Exception | None = None, **drawn: Any) -> None:
        super().__init__(b"", "one", "application/pdf", 1, range(3, 4))
        self.notes = ("a note",)
        self.error = error
        self.drawn = drawn

    def pixels(self, number: int) -> int:
        return SIZE[0] * SIZE[1]

    def render(self, number: int) -> PageImage:
        if self.error:
            raise self.error
        image = Image.new("RGB", SIZE, "white")
        if not self.drawn.get("blank"):
            ImageDraw.Draw(image).rectangle((5, 10, 44, 29), fill="black")
        return PageImage(number, image, 144.0, 72.0, **self.drawn)

    def image(self, number: int) -> Image.Image:
        return self.render(number).image

    def close(self) -> None:
        """Nothing is open."""


def answer(text: str = "words", **fields: Any) -> PageRead:
    given = {
        "blocks": (Block("text", text, (Box(5, 10, 45, 30),)),),
        "raw": text,
        "usage": Usage(7, 5, 3, 0.0),
    }
    return PageRead(**{"status": "ok", "finish_reason": "stop", **given, **fields})


def reader_of(engine: FakeEngine, **bounds: Any) -> Reader:
    limits = {"max_concurrency": 2, "max_queue": 2, "page_timeout": 20.0} | bounds
    return Reader(engine, Defaults(None, "gundam"), **limits)


async def read(engine: FakeEngine, source: Any = None, options: ReadOptions | None = None) -> Page:
    return await reader_of(engine).page(source or OnePage(), options or ReadOptions(), 3)


def counted(text: str) -> float:
    """The sum of the samples whose line of the metrics begins so."""
    lines = metrics.exposition().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(text))


LOOPED = answer("again", finish_reason="repetition", warnings=("looped",))
ASK = ReadOptions(prompt="ask")
