"""Whose page is next, and how a job's pages are counted and cut."""

from __future__ import annotations

import asyncio
import json
import struct
import tracemalloc
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.core.document import Page, PageError, ReadOptions
from airgap.core.errors import TooLarge
from airgap.core.opening import Opening
from airgap.jobs.plan import Input, Plan, PlannedInput, Spec, lane, pages_of_a_run, width
from airgap.jobs.store import JobStore, StoredPage
from airgap.jobs.unpack import unpack
from process.turns import Turns


async def order(turns: Turns, wanted: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """In which order those who wait get the one place there is."""
    served: list[tuple[str, str]] = []

    async def take(caller: str, job: str) -> None:
        async with turns.turn(caller, job):
            served.append((caller, job))
            await asyncio.sleep(0)

    async with turns.turn("first", "first"):
        tasks = [asyncio.create_task(take(*who)) for who in wanted]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return served


async def test_callers_take_turns_and_so_do_their_jobs() -> None:
    wanted = [("a", "large")] * 4 + [("a", "small")] * 2 + [("b", "only")] * 3
    assert await order(Turns(1), wanted) == [
        ("a", "large"),
        ("b", "only"),
        ("a", "small"),
        ("b", "only"),
        ("a", "large"),
        ("b", "only"),
        ("a", "small"),
        ("a", "large"),
        ("a", "large"),
    ]


async def test_who_gives_up_waiting_costs_nobody_a_turn() -> None:
    turns = Turns(2)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(turns.turn("a", "a"))
        waiting = asyncio.create_task(order(turns, [("b", "b")]))
        gone = asyncio.create_task(order(turns, [("c", "c")]))
        await asyncio.sleep(0)
        gone.cancel()
        waiting.cancel()
        await asyncio.gather(gone, waiting, return_exceptions=True)
    async with turns.turn("a", "a"), turns.turn("b", "b"):  # both places are free again
        pass


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 9))
def test_every_page_is_in_one_run_and_of_one_input(counts: list[int], run_pages: int) -> None:
    plan = Plan(tuple(PlannedInput(3, count) for count in counts), run_pages)
    assert [index for run in range(plan.runs) for index in plan.run(run)] == list(range(sum(counts)))
    located = [plan.locate(index) for index in range(plan.pages)]
    assert located == [(at, 3 + n) for at, count in enumerate(counts) for n in range(count)]
    assert [index for at in range(len(counts)) for index in plan.indexes(at)] == list(range(plan.pages))
    assert all(index in plan.run(plan.run_of(index)) for index in range(plan.pages))
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_what_was_asked_for_comes_back_from_json() -> None:
    spec = Spec(
        "id",
        "me",
        (Input("000000", "a.pdf"),),
        ReadOptions(mode="base"),
        Opening(dpi=100),
        ("text",),
        "low",
        7,
    )
    assert Spec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    plan = Plan((PlannedInput(1, 1, error=PageError("c", "m", "r")), PlannedInput(2, 5, "pdf")), 4)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_shares_of_the_queue() -> None:
    assert [pages_of_a_run(pages) for pages in (1, 32, 33, 1024, 1025)] == [1, 1, 4, 4, 8]
    assert (lane("me", 3), lane("me", 300)) == ("me/small", "me")
    assert width(500, 40, "normal", 1) == 40
    assert width(500, 40, "high", 1) == 2 * width(500, 40, "normal", 1) == 4 * width(500, 40, "low", 1)
    assert width(500, 40, "normal", 8) == 5
    assert width(500, 40, "low", 1000) == 1
    assert width(3, 40, "normal", 1) == 3


def page(number: int) -> StoredPage:
    return StoredPage(Page(number, 10, 10), "engine", "model", None)


def test_a_page_is_published_once_and_whole(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    with store.staging() as staging:
        store.adopt(staging, "a" * 32)
    folder = store.folder("a" * 32)
    folder.write_plan(Plan((PlannedInput(1, 1500),), 4))
    assert folder.page(1200) is None
    assert [folder.note_try(1200), folder.note_try(1200)] == [1, 2]
    assert folder.publish(1200, page(1))
    assert not folder.publish(1200, page(2))
    assert folder.page(1200) == page(1)
    assert folder.note_try(1200) == 1
    assert not list(tmp_path.rglob(".new-*"))
    store.erase("a" * 32)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        folder.publish(3, page(3))
    assert list(tmp_path.iterdir()) == []


def test_links_are_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    store = JobStore(tmp_path)
    folder = store.folder("job")
    folder.path.mkdir()
    folder.write_plan(Plan((PlannedInput(1, 2),), 1))
    assert folder.publish(0, page(1))
    assert not folder.publish(0, page(2))
    assert folder.page(0) == page(1)
    assert store.identity() == store.identity()


def test_one_folder_has_one_identity(tmp_path: Path) -> None:
    assert JobStore(tmp_path).identity() == JobStore(tmp_path).identity()


def test_a_zip_of_millions_of_entries_is_refused_before_they_are_read(tmp_path: Path) -> None:
    entries = 200_000
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, 0, *[0] * 7, 1, *[0] * 6)[:46] + b"/"
    directory = entry * entries
    far = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, len(directory), 4
    ) + struct.pack("<4sLQL", b"PK\6\7", 0, 4 + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path = tmp_path / "many.zip"
    path.write_bytes(b"PK\3\4" + directory + far + end)
    tracemalloc.start()
    with pytest.raises(TooLarge, match="directory"):
        unpack(path, tmp_path, 0, 1 << 30)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
