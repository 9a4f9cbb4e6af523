"""Results are written in processes that are bounded, killed with whoever asked, and know no secret."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airgap.core.errors import ExportFailed, ExportTooLarge, InvalidOption, StorageFull
from process.tasks import Tasks
from process.turns import acting_for

HERE = "tests.process.test_tasks"


# What the processes run.


def add(one: int, two: int) -> int:
    return one + two


def wait(started: str) -> None:
    Path(started).touch()
    time.sleep(600)


def eat() -> None:
    bytearray(64 << 30)


def refuse() -> None:
    raise InvalidOption("No.", "Ask otherwise.")


def miss() -> None:
    raise FileNotFoundError("x")


def fill() -> None:
    raise OSError(28, "full")


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def secrets() -> dict[str, Any]:
    parent = f"/proc/{os.getppid()}/environ"
    try:
        seen = Path(parent).read_text()
    except PermissionError:
        seen = "not to be read"
    return {"own": dict(os.environ), "parent": seen}


def temporary() -> str:
    return tempfile.mkdtemp()


def note(order: str, name: str) -> None:
    with Path(order).open("a") as file:
        file.write(name + "\n")
    time.sleep(0.05)


@pytest.fixture
def tasks() -> Iterator[Tasks]:
    made = Tasks(workers=1, seconds=60, memory_mb=1024)
    yield made
    made.close()


def is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_values_go_in_and_come_out(tasks: Tasks) -> None:
    assert await tasks.run(f"{HERE}:add", one=2, two=40) == 42
    (child,) = tasks.pids
    assert await tasks.run(f"{HERE}:add", one=1, two=1) == 2
    assert tasks.pids == (child,)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("eat", ExportTooLarge),
        ("refuse", InvalidOption),
        ("miss", FileNotFoundError),
        ("fill", StorageFull),
        ("crash", ExportFailed),
        ("no_such_function", ExportFailed),
    ],
)
async def test_what_goes_wrong_is_said(tasks: Tasks, call: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await tasks.run(f"{HERE}:{call}")
    assert await tasks.run(f"{HERE}:add", one=1, two=1) == 2


async def test_too_long_is_too_large(tmp_path: Path) -> None:
    tasks = Tasks(workers=1, seconds=0.1, memory_mb=1024)
    with pytest.raises(ExportTooLarge):
        await tasks.run(f"{HERE}:wait", pages=0, started=str(tmp_path / "started"))
    assert tasks.pids == ()
    tasks.close()


async def test_whoever_is_cancelled_takes_the_process_along(tasks: Tasks, tmp_path: Path) -> None:
    started = tmp_path / "started"
    running = asyncio.create_task(tasks.run(f"{HERE}:wait", started=str(started)))
    await until(started.exists)
    (child,) = tasks.pids
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await until(lambda: is_dead(child))
    assert await tasks.run(f"{HERE}:add", one=1, two=1) == 2


async def test_temporary_files_go_with_the_task(tasks: Tasks) -> None:
    made = await tasks.run(f"{HERE}:temporary")
    assert not os.path.exists(made)  # noqa: ASYNC240, PTH110
    assert made.startswith(tempfile.gettempdir())


async def test_callers_take_turns(tasks: Tasks, tmp_path: Path) -> None:
    order = tmp_path / "order"
    asked = []
    for caller, count in (("a", 5), ("b", 1)):
        with acting_for(caller, "x"):
            for _ in range(count):
                asked.append(asyncio.create_task(tasks.run(f"{HERE}:note", order=str(order), name=caller)))
    await asyncio.gather(*asked)
    assert order.read_text().split().index("b") <= 2


_SERVER = """
import asyncio, sys
from process.allocator import hide_from_others
from process.tasks import Tasks
hide_from_others()
async def main():
    tasks = Tasks(workers=1, seconds=600, memory_mb=1024)
    print(await tasks.run("tests.process.test_tasks:secrets"), flush=True)
    work = asyncio.create_task(tasks.run("tests.process.test_tasks:wait", started=sys.argv[1]))
    while not tasks.pids: await asyncio.sleep(0.01)
    print(*tasks.pids, flush=True)
    await work
asyncio.run(main())
"""


def test_no_secret_is_seen_and_no_server_outlived(tmp_path: Path) -> None:
    started = tmp_path / "started"
    environment = os.environ | {"SECRET_KEY": "hunter2", "LLM_API_KEY": "hunter2"}
    user = {"user": 65534} if os.geteuid() == 0 else {}  # root may look at everything
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _SERVER, str(started)]
    tmp_path.chmod(0o777)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, env=environment) as server:
        assert server.stdout is not None
        seen = server.stdout.readline()
        child = int(server.stdout.readline())
        while not started.exists():
            time.sleep(0.01)
        server.kill()
    assert "hunter2" not in seen.split("'parent'")[0]
    if not user:
        assert "not to be read" in seen
    while not is_dead(child):
        time.sleep(0.05)
