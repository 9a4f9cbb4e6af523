"""The attacks of tests/attacks on one server in little memory: does it answer, and what does it take?

    python -m benchmarks.attacks [--memory-gb 4] [--rounds 2] [--only jpeg]

Each attack runs alone while `/healthz` is asked twenty times a second; the whole list runs `--rounds` times
against the same server, in a cgroup of so much memory (root; `--memory-gb 0` goes without). A second server
that nobody attacks, outside the cgroup, is asked at the same times: what it is late with, the machine is
late with. Prints a table, and exits with 1 where an attack was not answered as it should be, the tree took
more than `MOST_MB` over the idle server, or the kernel ended a process. Times are printed and decide
nothing: the attackers are on the same machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.cgroup import memory_group
from benchmarks.watch import MIB, Watch, percentile
from tests.attacks import test_attacks
from tests.attacks.target import Target, attacked


def attacks() -> dict[str, Callable[[Target], Any]]:
    """Every test of tests/attacks by its name, each kind of file apart."""
    found: dict[str, Callable[[Target], Any]] = {}
    for name, test in vars(test_attacks).items():
        if not name.startswith("test_"):
            continue
        words = name.removeprefix("test_").replace("_", " ")
        marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
        if not marks:
            found[words] = test
            continue
        names, rows = marks[0].args
        for kind, row in zip(marks[0].kwargs["ids"], rows, strict=True):
            values = row if isinstance(names, tuple) else (row,)
            values = row.values if hasattr(row, "values") else values  # a `pytest.param`
            found[f"{words}: {kind}"] = lambda target, test=test, values=values: test(target, *values)  # type: ignore[misc]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--memory-gb", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="attacks whose name holds this")
    options = parser.parse_args(arguments)
    limit = int(options.memory_gb * (1 << 30))
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        group = stack.enter_context(memory_group(limit)) if limit else None
        around = {"around": group.command} if group else {}
        with attacked(folders[0], **around) as target, attacked(folders[1]) as control:
            bad = [
                wrong for _ in range(options.rounds) if (wrong := one_round(target, control, options.only))
            ]
        if group:
            print(f"\ncgroup {limit / MIB:.0f} MiB, peak {group.peak_bytes() / MIB:.0f} MiB, ", end="")
            print(f"ended by the kernel: {group.oom_kills()}")
        return 1 if bad or (group and group.oom_kills()) else 0


def one_round(target: Target, control: Target, only: str) -> list[str]:
    """All attacks, one after the other. Returns what went wrong."""
    wrong = []

    def watching() -> Watch:
        return Watch(target.pid, str(target.client.base_url), 0.2, str(control.client.base_url))

    with watching() as idle:
        time.sleep(5)
    print(f"\n| attack | s | load | `/healthz` p50, p99, most (ms) | at rest | MiB over {idle.peak():.0f} |")
    print("|---|---:|---:|---:|---:|---:|")
    print(_row("none", 5, idle, 0))
    for name, attack in attacks().items():
        if only not in name:
            continue
        began = time.monotonic()
        with watching() as watch:
            try:
                attack(target)
            except AssertionError as error:
                wrong.append(f"{name}: {error}")
            time.sleep(1)  # for what is over at once, too
        over = watch.peak() - idle.peak()
        if over > test_attacks.MOST_MB:
            wrong.append(f"{name}: {over:.0f} MiB over idle")
        print(_row(name, time.monotonic() - began, watch, over), flush=True)
    print("\n".join(wrong))
    return wrong


def _row(name: str, seconds: float, watch: Watch, over: float) -> str:
    cells = (
        name,
        f"{seconds:.0f}",
        f"{os.getloadavg()[0]:.0f}",
        _times(watch.answering),
        _times(watch.resting),
    )
    return f"| {' | '.join(cells)} | {over:.0f} |"


def _times(answers: Sequence[float]) -> str:
    return f"{percentile(answers, 0.5):.0f}, {percentile(answers, 0.99):.0f}, {max(answers):.0f}"


if __name__ == "__main__":
    sys.exit(main())
