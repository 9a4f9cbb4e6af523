"""A list of engines: the first that can read does, and never in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from PIL import Image

from airgap.core.document import ReadOptions, Usage
from airgap.core.engine import Capabilities, Delta, Engine, Events, PageRead
from airgap.core.errors import (
    AirgapError,
    ConfigurationError,
    EngineBusy,
    EngineFailed,
    EngineUnavailable,
    InvalidOption,
)
from airgap.engines.fallback import FallbackEngine
from airgap.engines.table import EngineChoice, choose_engine, create_engine
from airgap.monitoring import metrics
from config import Settings, load_settings
from process.defaults import Defaults
from process.pipeline import Reader
from tests.engines.started import started as running

PAGE = Image.new("RGB", (40, 30), "white")


@dataclass
class Scripted:
    """An engine that says its name, or raises `failure` before or after its first word."""

    name: str
    failure: Exception | None = None
    begins: bool = False
    starts: list[Exception | None] = field(default_factory=list)
    gate: asyncio.Event | None = None
    well: bool = True
    capabilities: Capabilities = field(default_factory=Capabilities)
    max_concurrency: int = 2
    device: str = "none"
    model_digest: str | None = None
    reads: int = 0
    inside: int = 0
    most_inside: int = 0

    @property
    def model(self) -> str:
        return f"model of {self.name}"

    def health(self) -> tuple[bool, str]:
        return self.well, "ready" if self.well else "unwell"

    async def start(self) -> None:
        if self.gate:
            await self.gate.wait()
        if self.starts and (error := self.starts.pop(0)):
            raise error

    async def close(self) -> None:
        """Nothing to free."""

    async def read(self, images: Sequence[Image.Image], options: ReadOptions) -> Events:
        self.reads += 1
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            await asyncio.sleep(0)
            if self.failure and not self.begins:
                raise self.failure
            yield Delta(self.name)
            if self.failure:
                raise self.failure
            yield PageRead(raw=self.name, blocks=(), usage=Usage(1, 1))
        finally:
            self.inside -= 1


@asynccontextmanager
async def started(*engines: Scripted) -> AsyncIterator[FallbackEngine]:
    async with running(FallbackEngine(engines, start_again_seconds=0.01)) as engine:
        await asyncio.sleep(0)  # the others are started beside
        yield engine


async def read(engine: FallbackEngine) -> PageRead:
    async with aclosing(engine.read([PAGE], ReadOptions())) as events:
        end = [event async for event in events][-1]
    assert isinstance(end, PageRead)
    return end


def reader_of(engine: Engine) -> Reader:
    defaults = Defaults(None, "base")
    return Reader(engine, defaults, max_concurrency=4, max_queue=10, page_timeout=30)


def fell_over(source: str, target: str) -> float:
    return metrics.ENGINE_FALLOVERS.labels(source, target)._value.get()


async def test_the_first_reads_while_it_can() -> None:
    async with started(Scripted("one"), Scripted("two")) as engine:
        end = await read(engine)
        assert (end.raw, end.warnings) == ("one", ())
        assert (end.engine, end.model) == ("one", "model of one")
        assert (engine.name, engine.health()[0]) == ("one", True)


@pytest.mark.parametrize(
    "failure", [EngineFailed("broken"), EngineUnavailable("away"), EngineBusy("full"), ZeroDivisionError()]
)
async def test_a_page_that_fails_goes_to_the_next_and_says_so(failure: Exception) -> None:
    before = fell_over("one", "two")
    async with started(Scripted("one", failure), Scripted("two")) as engine:
        end = await read(engine)
    assert end.raw == "two"
    assert end.engine == "two"
    assert any("one could not read" in warning for warning in end.warnings)
    assert any("two read this page" in warning for warning in end.warnings)
    assert fell_over("one", "two") == before + 1


async def test_an_unwell_engine_is_passed_over_until_it_is_well_again() -> None:
    one, two = Scripted("one", well=False), Scripted("two")
    async with started(one, two) as engine:
        end = await read(engine)
        assert end.raw == "two"
        assert any("unwell" in warning for warning in end.warnings)
        ready, why = engine.health()
        assert ready
        assert "two reads" in why
        assert "one: unwell" in why
        one.well = True
        assert (await read(engine)).raw == "one"
        assert one.reads == 1


async def test_one_that_did_not_start_is_started_again_beside() -> None:
    one = Scripted("one", starts=[EngineUnavailable("not yet"), EngineUnavailable("not yet"), None])
    async with started(one, Scripted("two")) as engine:
        assert "did not start" in engine.health()[1]
        async with asyncio.timeout(10):
            while engine.name != "one":
                await asyncio.sleep(0.01)
        assert (await read(engine)).raw == "one"


async def test_a_page_that_nobody_else_can_read_waits_for_a_start_under_way() -> None:
    one, two = Scripted("one"), Scripted("two", gate=asyncio.Event())
    async with started(one, two) as engine:
        assert (await read(engine)).raw == "one"
        one.failure = EngineFailed("It is gone.")
        waiting = asyncio.create_task(read(engine))
        for _ in range(5):
            await asyncio.sleep(0)
        assert (one.reads, waiting.done()) == (2, False)
        assert two.gate is not None
        two.gate.set()
        end = await waiting
        assert (end.raw, two.reads) == ("two", 1)
        assert "The engine one could not read this page (It is gone.)." in end.warnings


async def test_a_start_that_comes_to_nothing_is_waited_for_once() -> None:
    two = Scripted("two", gate=asyncio.Event(), starts=[EngineUnavailable("No GPU.")] * 99)
    async with started(Scripted("one", failure=EngineFailed("It is gone.")), two) as engine:
        waiting = asyncio.create_task(read(engine))
        await asyncio.sleep(0)
        assert two.gate is not None
        two.gate.set()
        with pytest.raises(EngineFailed, match="It is gone"):
            await waiting
        assert two.reads == 0


async def test_none_that_starts_stops_the_start_with_every_reason() -> None:
    engine = FallbackEngine(
        [Scripted("one", starts=[EngineUnavailable("no card")]), Scripted("two", starts=[OSError("no")])]
    )
    with pytest.raises(EngineUnavailable, match=r"one: .*no card.*two: .*OSError"):
        await engine.start()
    assert not engine.health()[0]


async def test_a_request_that_is_wrong_is_wrong_for_all() -> None:
    two = Scripted("two")
    async with started(Scripted("one", InvalidOption("bad prompt")), two) as engine:
        with pytest.raises(InvalidOption):
            await read(engine)
    assert two.reads == 0


async def test_when_all_fail_the_last_failure_comes_out() -> None:
    async with started(Scripted("one", EngineFailed("a")), Scripted("two", EngineFailed("b"))) as engine:
        with pytest.raises(EngineFailed, match="b"):
            await read(engine)


async def test_words_that_were_handed_out_are_not_taken_back() -> None:
    one, two = Scripted("one", EngineFailed("broken"), begins=True), Scripted("two")
    async with started(one, two) as engine:
        with pytest.raises(AirgapError) as caught:
            await read(engine)
        assert caught.value.read_again
        assert two.reads == 0


async def test_a_reader_that_hands_nothing_on_reads_the_page_again() -> None:
    one, two = Scripted("one", EngineFailed("broken"), begins=True), Scripted("two")
    async with started(one, two) as engine:

        async def fail_once(images: Sequence[Image.Image], options: ReadOptions) -> Events:
            one.read = original  # type: ignore[method-assign]
            one.well = False
            async with aclosing(original(images, options)) as events:
                async for event in events:
                    yield event

        original, one.read = one.read, fail_once  # type: ignore[method-assign]
        reader = reader_of(engine)
        page = await reader.read_page([PAGE], ReadOptions())
    assert (page.status, page.raw, page.engine) == ("ok", "two", "two")
    assert any("broke off" in warning for warning in page.warnings)
    assert reader.document([page], ReadOptions()).engine == "two"


async def test_each_engine_is_held_to_its_own_number() -> None:
    one = Scripted("one", EngineFailed("x"), max_concurrency=8)
    two = Scripted("two", max_concurrency=2)
    async with started(one, two) as engine:
        assert engine.max_concurrency == 8
        await asyncio.gather(*(read(engine) for _ in range(8)))
    assert one.most_inside == 8
    assert two.most_inside == 2


def test_backend_takes_a_list() -> None:
    settings = load_settings(backend=" rapidocr , fake ")
    choice = choose_engine(settings)
    assert choice == EngineChoice("rapidocr,fake", "BACKEND=rapidocr,fake")
    engine = create_engine(settings, choice)
    assert isinstance(engine, FallbackEngine)
    assert isinstance(engine, Engine)
    assert engine.name == "rapidocr"


@pytest.mark.parametrize("backend", ["abacus", "rapidocr,abacus", "auto,rapidocr", "fake,fake", "fake,"])
def test_a_list_that_is_wrong_is_refused(backend: str) -> None:
    with pytest.raises(ConfigurationError, match="BACKEND"):
        load_settings(backend=backend)


def test_openai_without_an_address_says_which_setting() -> None:
    with pytest.raises(ConfigurationError, match="LLM_BASE_URL"):
        create_engine(Settings(backend="openai"))


async def test_what_the_engine_that_read_has_no_use_for_is_said() -> None:
    """The first takes prompts and modes, the one that reads does not: nothing is dropped without a word."""
    plain = Capabilities(supports_prompt=False, supports_modes=False)
    one, two = Scripted("one", failure=EngineFailed("broke")), Scripted("two", capabilities=plain)
    async with started(one, two) as engine:
        reader = reader_of(engine)
        options = ReadOptions(prompt="Free OCR.", mode="large")
        page = await reader.read_page([PAGE], options)
        document = reader.document([page], options)
    assert page.engine == "two"
    for wish in ("prompt", "mode"):
        assert f"The engine two has no use for `{wish}`; it was ignored." in page.warnings
    assert (page.mode, document.mode) == (None, None)


async def test_the_mode_is_that_of_the_engine_that_read() -> None:
    async with started(Scripted("one"), Scripted("two")) as engine:
        reader = reader_of(engine)
        page = await reader.read_page([PAGE], ReadOptions(mode="large"))
        assert reader.document([page], ReadOptions(mode="large")).mode == "large"
