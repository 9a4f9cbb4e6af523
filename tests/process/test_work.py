"""The server-wide budget: who is let in, in which order, and what comes back."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack

import pytest

from process import work as working
from process.turns import acting_for
from process.work import Threads, Work, abandoned, briefly, default_pixels, in_turn


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Page:
    """A task that holds a share until it is told to let go."""

    def __init__(self, work: Work, pixels: int, caller: str = "", request: str = "") -> None:
        self.inside = False
        self._leave = asyncio.Event()
        with acting_for(caller, request):
            self.task = asyncio.create_task(self._hold(work, pixels))

    async def _hold(self, work: Work, pixels: int) -> None:
        async with work.hold(pixels) as held:
            self.inside = True
            await held.draw(lambda: None)
            await self._leave.wait()

    async def end(self) -> None:
        self._leave.set()
        await self.task


@pytest.fixture
def work() -> Work:
    return Work(workers=2, pages=4, pixels=100)


async def inside(pages: list[Page]) -> list[bool]:
    for _ in range(50):
        await asyncio.sleep(0.002)
    return [page.inside for page in pages]


async def test_pixels_and_pages_are_bounded(work: Work) -> None:
    pages = [Page(work, 40) for _ in range(3)]
    assert await inside(pages) == [True, True, False]
    assert work.held == (2, 80)
    await pages[0].end()
    assert await inside(pages) == [True, True, True]
    small = [Page(work, 1) for _ in range(3)]
    assert await inside(small) == [True, True, False]
    for page in (*pages[1:], *small):
        await page.end()
    assert work.held == (0, 0)


async def test_no_more_are_drawn_at_once_than_there_are_workers(work: Work) -> None:
    go, running, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    def draw() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        go.wait(20)
        with lock:
            running[0] -= 1

    async def page() -> None:
        async with work.hold(1) as held:
            await held.draw(draw)

    tasks = [asyncio.create_task(page()) for _ in range(6)]
    await asyncio.sleep(0.05)
    assert work.held == (2, 2)
    go.set()
    await asyncio.gather(*tasks)
    assert most == [2]
    assert work.held == (0, 0)


async def test_a_page_larger_than_the_budget_is_let_in_alone(work: Work) -> None:
    first, large, last = Page(work, 10), Page(work, 5000), Page(work, 1)
    assert await inside([first, large, last]) == [True, False, False]
    await first.end()
    assert await inside([large, last]) == [True, False]
    await large.end()
    assert await inside([last]) == [True]
    await last.end()


async def test_what_turns_out_larger_makes_others_wait(work: Work) -> None:
    async with work.hold(1) as held:
        held.resize(150)
        other = Page(work, 1)
        assert await inside([other]) == [False]
        held.resize(20)
        assert await inside([other]) == [True]
    await other.end()
    assert work.held == (0, 0)


async def test_callers_and_their_requests_are_served_in_rotation() -> None:
    work = Work(workers=1, pages=1, pixels=100)
    served: list[str] = []

    async def page(name: str) -> None:
        async with work.hold(1) as held:
            served.append(name)
            await held.draw(lambda: None)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(work.hold(1))
        tasks = []
        for caller, request, count in (("a", "long", 30), ("a", "short", 1), ("b", "tiny", 1)):
            with acting_for(caller, request):
                tasks += [asyncio.create_task(page(f"{caller} {request}")) for _ in range(count)]
        await settle()
    await asyncio.gather(*tasks)
    assert served.index("b tiny") <= 1
    assert served.index("a short") <= 3


async def test_who_is_cancelled_while_waiting_holds_nothing(work: Work) -> None:
    pages = [Page(work, 60), Page(work, 60), Page(work, 60)]
    assert await inside(pages) == [True, False, False]
    pages[1].task.cancel()
    await asyncio.gather(pages[1].task, return_exceptions=True)
    await pages[0].end()
    assert await inside([pages[2]]) == [True]
    await pages[2].end()
    assert work.held == (0, 0)


async def test_granted_and_cancelled_in_one_breath() -> None:
    work = Work(workers=1, pages=1, pixels=1)
    first = Page(work, 1)
    waiting = Page(work, 1)
    await inside([first])
    first._leave.set()
    await first.task
    waiting.task.cancel()
    await asyncio.gather(waiting.task, return_exceptions=True)
    assert work.held == (0, 0)
    async with asyncio.timeout(5), work.hold(1):
        pass


async def test_the_thread_of_who_is_cancelled_is_told_and_keeps_its_place() -> None:
    work = Work(workers=1, pages=4, pixels=100)
    began, go, told = threading.Event(), threading.Event(), threading.Event()

    def draw() -> None:
        event = abandoned.get()
        assert event is not None
        began.set()
        if event.wait(20):
            told.set()
        go.wait(20)

    async def page() -> None:
        async with work.hold(1) as held:
            await held.draw(draw)

    task = asyncio.create_task(page())
    await asyncio.get_running_loop().run_in_executor(None, began.wait)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    other = Page(work, 1)
    assert await inside([other]) == [False]
    assert told.wait(5)
    go.set()
    assert await inside([other]) == [True]
    await other.end()


async def test_threads_are_bounded_and_carry_the_context() -> None:
    names: set[str] = set()
    with acting_for("somebody", "one"):
        for _ in range(40):
            names.add(await briefly(lambda: threading.current_thread().name))
    assert len(names) <= 8
    threads = Threads(1, "one")
    with acting_for("somebody", "one"):
        from process.turns import who

        assert await threads(who) == ("somebody", "one")
    threads.close()


def test_the_default_follows_the_memory() -> None:
    assert default_pixels() > 1_000_000


async def test_looking_at_pages_goes_in_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "_CORES", 1)
    seen: list[str] = []
    tasks = []
    for caller, count in (("long", 20), ("tiny", 1)):
        with acting_for(caller, "x"):
            tasks += [asyncio.create_task(in_turn(seen.append, caller)) for _ in range(count)]
    await asyncio.gather(*tasks)
    assert seen.index("tiny") <= 2
