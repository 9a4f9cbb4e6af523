"""Engines side by side: the least loaded reads, a dead one costs its own pages, and it comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image
from prometheus_client import REGISTRY

from airgap.core.document import Page, ReadOptions, Usage
from airgap.core.engine import Capabilities, Delta, Engine, Events, PageRead
from airgap.core.errors import AirgapError, ConfigurationError, EngineBusy, EngineFailed, EngineUnavailable
from airgap.engines.replicated import ReplicatedEngine
from airgap.engines.table import EngineChoice, create_engine
from airgap.engines.vllm.engine import VllmEngine, require_gpus
from airgap.engines.vllm.replicas import create
from airgap.engines.vllm.share import shares
from airgap.settings.engines import EngineSettings
from config import Settings, load_settings
from process.accounting import NOTHING_READ
from process.defaults import Defaults
from process.pipeline import Reader
from tests.engines.started import started as running

PAGE = Image.new("RGB", (40, 30), "white")


@dataclass(eq=False)
class Replica:
    """An engine whose pages end when `go` is set, and which can be killed and be well again."""

    label: str
    starts: list[Exception | None] = field(default_factory=list)
    name: str = "replica"
    model: str = "m"
    device: str = "none"
    model_digest: str | None = None
    max_concurrency: int = 2
    capabilities: Capabilities = field(default_factory=Capabilities)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    alive: bool = True
    stale: bool = False
    """Says that it is well where it is not, as before anybody has seen that it died."""
    inside: int = 0
    reads: int = 0
    closed: int = 0
    failure: AirgapError | None = None

    def health(self) -> tuple[bool, str]:
        well = self.alive or self.stale
        return well, "ready" if well else "the engine process died and is being restarted"

    async def start(self) -> None:
        if self.starts and (error := self.starts.pop(0)):
            raise error

    async def close(self) -> None:
        self.closed += 1

    async def kill(self) -> None:
        self.alive = False
        self.go.set()
        while self.inside:
            await asyncio.sleep(0)
        self.go = asyncio.Event()

    async def read(self, images: Sequence[Image.Image], options: ReadOptions) -> Events:
        if not self.alive:
            raise EngineUnavailable("The engine is not ready.")
        if self.failure:
            raise self.failure
        self.reads += 1
        self.inside += 1
        try:
            yield Delta("begun ")
            await self.go.wait()
            if not self.alive:
                raise EngineFailed("The engine died while it was reading this page.")
            yield PageRead(raw="begun ", blocks=(), usage=Usage(1, 1), model=self.label)
        finally:
            self.inside -= 1


@asynccontextmanager
async def started(*replicas: Replica) -> AsyncIterator[ReplicatedEngine]:
    async with running(ReplicatedEngine(replicas, start_again_seconds=0.01)) as engine:
        await asyncio.sleep(0)  # the others are started beside
        yield engine


def reader_of(engine: Engine) -> Reader:
    return Reader(engine, Defaults(None, "base"), max_concurrency=8, max_queue=10, page_timeout=30)


async def until(condition: object) -> None:
    async with asyncio.timeout(20):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.001)


async def in_flight(engine: Engine, pages: int, heard: list[str] | None = None) -> list[asyncio.Task[Page]]:
    reader = reader_of(engine)
    hear = None if heard is None else heard.append
    tasks = []
    for _ in range(pages):
        tasks.append(asyncio.create_task(reader._read([PAGE], ReadOptions(), 1, hear)))
        await asyncio.sleep(0.005)
    return tasks


async def test_pages_go_to_the_engine_with_the_fewest() -> None:
    one, two, three = Replica("one"), Replica("two"), Replica("three")
    async with started(one, two, three) as engine:
        assert isinstance(engine, Engine)
        assert engine.max_concurrency == 6
        assert engine.device == "3 × none"
        tasks = await in_flight(engine, 5)
        assert [replica.inside for replica in (one, two, three)] == [2, 2, 1]
        one.go.set()
        await asyncio.gather(*tasks[0::3])
        tasks += await in_flight(engine, 1)
        assert [replica.reads for replica in (one, two, three)] == [3, 2, 1]
        for replica in (one, two, three):
            replica.go.set()
        assert {page.status for page in await asyncio.gather(*tasks)} == {"ok"}


async def test_pages_one_after_the_other_take_turns() -> None:
    one, two = Replica("one"), Replica("two")
    one.go.set()
    two.go.set()
    async with started(one, two) as engine:
        read = [(await reader_of(engine).read_page([PAGE], ReadOptions())).model for _ in range(4)]
    assert read == ["one", "two", "one", "two"]


async def test_a_dead_engine_costs_only_its_pages_and_another_reads_them_again() -> None:
    one, two = Replica("one"), Replica("two")
    async with started(one, two) as engine:
        tasks = await in_flight(engine, 4)
        await one.kill()
        await until(lambda: two.inside == 4)
        assert engine.health() == (
            True,
            "1 of 2 engines run; replica 0: the engine process died and is being restarted",
        )
        two.go.set()
        pages = await asyncio.gather(*tasks)
    assert [page.status for page in pages] == ["ok"] * 4
    again = [page for page in pages if any("broke off" in warning for warning in page.warnings)]
    assert len(again) == 2
    assert {page.model for page in pages} == {"two"}


async def test_a_page_whose_words_were_handed_out_fails() -> None:
    one, two, heard = Replica("one"), Replica("two"), list[str]()
    async with started(one, two) as engine:
        (task,) = await in_flight(engine, 1, heard)
        await one.kill()
        with pytest.raises(EngineFailed, match="died"):
            await task
    assert heard == ["begun "]
    assert two.reads == 0


async def test_the_last_engine_to_die_says_so() -> None:
    one, two = Replica("one"), Replica("two")
    async with started(one, two) as engine:
        (task,) = await in_flight(engine, 1)
        two.alive = False
        await one.kill()
        with pytest.raises(EngineFailed, match="died"):
            await task
        ready, why = engine.health()
        assert not ready
        assert why.startswith("0 of 2 engines run; replica 0: ")
        with pytest.raises(EngineUnavailable, match="replica 1: ") as caught:
            await reader_of(engine).read_page([PAGE], ReadOptions())
        assert caught.value.retry_after
        one.alive = True
        one.go.set()
        assert (await reader_of(engine).read_page([PAGE], ReadOptions())).status == "ok"


async def test_an_engine_whose_death_nobody_saw_yet_is_passed_over() -> None:
    one, two = Replica("one", alive=False, stale=True), Replica("two")
    two.go.set()
    async with started(one, two) as engine:
        page = await reader_of(engine).read_page([PAGE], ReadOptions())
    assert (page.status, page.model, page.warnings) == ("ok", "two", (NOTHING_READ,))


async def test_a_full_queue_is_said_and_not_tried_elsewhere() -> None:
    one, two = Replica("one", failure=EngineBusy("full", retry_after=3)), Replica("two")
    async with started(one, two) as engine:
        with pytest.raises(EngineBusy):
            await reader_of(engine).read_page([PAGE], ReadOptions())
    assert two.reads == 0


async def test_one_that_does_not_start_is_tried_again_beside_the_reading() -> None:
    one, two = Replica("one"), Replica("two", starts=[EngineUnavailable("no memory"), OSError(), None])
    one.go.set()
    async with started(one, two) as engine:
        await asyncio.sleep(0)
        assert engine.health()[0]
        assert "1 of 2 engines run; replica 1: it did not start: no memory" in engine.health()[1]
        assert (await reader_of(engine).read_page([PAGE], ReadOptions())).model == "one"
        await until(lambda: engine.health()[1] == "2 of 2 engines run")


async def test_the_second_reads_where_the_first_does_not_start() -> None:
    one, two = Replica("one", starts=[EngineUnavailable("GPU 0 is broken")]), Replica("two")
    async with started(one, two) as engine:
        assert "GPU 0 is broken" in engine.health()[1] or engine.health()[1].startswith("2 of 2")
        await until(lambda: engine.health()[1] == "2 of 2 engines run")


async def test_wrong_settings_stop_the_start_at_once() -> None:
    wrong = ConfigurationError("no such model", "Set MODEL_PATH.")
    one, two = Replica("one", starts=[wrong]), Replica("two")
    with pytest.raises(ConfigurationError, match="no such model"):
        await ReplicatedEngine([one, two]).start()


async def test_none_that_starts_is_the_first_ones_failure() -> None:
    engines = [Replica(name, starts=[EngineUnavailable(f"{name} broke")]) for name in ("one", "two")]
    with pytest.raises(EngineUnavailable, match="one broke"):
        await ReplicatedEngine(engines).start()


async def test_closing_closes_each_and_frees_what_they_share_once() -> None:
    freed: list[int] = []
    replicas = [Replica("one"), Replica("two")]
    engine = ReplicatedEngine(replicas, closed=lambda: freed.append(1))
    await engine.start()
    await engine.close()
    await engine.close()
    assert freed == [1]
    assert all(replica.closed for replica in replicas)
    assert engine.health() == (False, "0 of 2 engines run; replica 0: it is closed; replica 1: it is closed")


async def test_the_metric_counts_them() -> None:
    one, two = Replica("one"), Replica("two")
    async with started(one, two):
        one.alive = False
        values = [REGISTRY.get_sample_value("ocr_engines", {"state": s}) for s in ("running", "down")]
    assert values == [1, 1]


# --- vLLM's ------------------------------------------------------------------------------------------


def options(tmp_path: Path, **changes: object) -> EngineSettings:
    return EngineSettings(model_path=tmp_path, data_dir=tmp_path, **changes)


def test_one_engine_has_no_other_beside_it(tmp_path: Path) -> None:
    assert isinstance(create(options(tmp_path)), VllmEngine)


def test_each_engine_has_its_gpus_and_its_share_of_the_pages(tmp_path: Path) -> None:
    made = shares(options(tmp_path, data_parallel_size=3, tensor_parallel_size=2, max_concurrency=100))
    assert [each.devices for each in made] == [(0, 1), (2, 3), (4, 5)]
    assert [each.number for each in made] == [0, 1, 2]
    assert {each.pages for each in made} == {34}
    on_ray = shares(options(tmp_path, data_parallel_size=2, distributed_executor_backend="ray"))
    assert [each.devices for each in on_ray] == [(), ()]


async def test_several_engines_prepare_pages_on_the_same_threads(tmp_path: Path) -> None:
    engine = create(options(tmp_path, data_parallel_size=2, num_workers=3))
    assert isinstance(engine, ReplicatedEngine)
    pools = {replica.engine._threads for replica in engine._replicas}  # type: ignore[attr-defined]
    (pool,) = pools
    assert pool._max_workers == 3
    await engine.close()
    with pytest.raises(RuntimeError):
        pool.submit(print)


def test_a_hundred_pages_for_each_engine_unless_told_otherwise(tmp_path: Path) -> None:
    for given, expected in ((None, 200), (10, 10)):
        settings = Settings(model_path=tmp_path, data_parallel_size=2, max_concurrency=given)
        assert create_engine(settings, EngineChoice("vllm", "test")).max_concurrency == expected


def test_more_engines_than_gpus_are_refused(tmp_path: Path) -> None:
    wanted = options(tmp_path, data_parallel_size=2, tensor_parallel_size=2)
    require_gpus(wanted, 4)
    with pytest.raises(ConfigurationError, match="wants 4 GPUs; 3 can be seen") as caught:
        require_gpus(wanted, 3)
    assert "CUDA_VISIBLE_DEVICES" in caught.value.remedy
    require_gpus(options(tmp_path, data_parallel_size=9, distributed_executor_backend="ray"), 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TENSOR_PARALLEL_SIZE", "3"),
        ("TENSOR_PARALLEL_SIZE", "4"),
        ("VLLM_ENGINE_ARGS", '{"data_parallel_size": 2}'),
    ],
)
def test_what_would_run_copies_in_lockstep_or_not_at_all_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="DATA_PARALLEL_SIZE") as caught:
        load_settings()
    assert name in caught.value.message
