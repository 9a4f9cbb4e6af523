"""The attacks of tests/attacks on one server in little memory: does it answer, and what does it take?

    python -m benchmarks.attacks [--memory-gb 4] [--rounds 2]

Each attack runs alone while `/healthz` is asked twenty times a second; the whole list runs `--rounds` times
against the same server, in a cgroup of so much memory (root; `--memory-gb 0` goes without). Prints a table,
and exits with 1 where an attack was not answered as it should be, the tree took more than `MOST_MB` over
the idle server, or the kernel ended a process. Times are printed and decide nothing: the attackers are on
the same machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
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
        for kind, values in zip(marks[0].kwargs["ids"], marks[0].args[1], strict=True):
            found[f"{words}: {kind}"] = lambda target, test=test, values=values: test(target, *values)  # type: ignore[misc]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--memory-gb", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args(arguments)
    limit = int(options.memory_gb * (1 << 30))
    with memory_group(limit) if limit else nullcontext() as group, tempfile.TemporaryDirectory() as folder:
        with attacked(Path(folder), group.command if group else lambda command: command) as target:
            bad = [wrong for _ in range(options.rounds) if (wrong := one_round(target))]
        if group:
            print(f"\ncgroup {limit / MIB:.0f} MiB, peak {group.peak_bytes() / MIB:.0f} MiB, ", end="")
            print(f"ended by the kernel: {group.oom_kills()}")
        return 1 if bad or (group and group.oom_kills()) else 0


def one_round(target: Target) -> list[str]:
    """All attacks, one after the other. Returns what went wrong."""
    wrong = []
    url = str(target.client.base_url)
    with Watch(target.pid, url, every=0.2) as idle:
        time.sleep(5)
    print(f"\n| attack | s | `/healthz` p50, p99, most (ms) | MiB over idle ({idle.peak():.0f}) |")
    print("|---|---:|---:|---:|")
    print(f"| none | 5 | {_times(idle)} | 0 |")
    for name, attack in attacks().items():
        began = time.monotonic()
        with Watch(target.pid, url, every=0.2) as watch:
            try:
                attack(target)
            except AssertionError as error:
                wrong.append(f"{name}: {error}")
            time.sleep(1)  # for what is over at once, too
        over = watch.peak() - idle.peak()
        if over > test_attacks.MOST_MB:
            wrong.append(f"{name}: {over:.0f} MiB over idle")
        print(f"| {name} | {time.monotonic() - began:.0f} | {_times(watch)} | {over:.0f} |", flush=True)
    print("\n".join(wrong))
    return wrong


def _times(watch: Watch) -> str:
    answers = watch.answering
    return f"{percentile(answers, 0.5):.0f}, {percentile(answers, 0.99):.0f}, {max(answers):.0f}"


if __name__ == "__main__":
    sys.exit(main())
