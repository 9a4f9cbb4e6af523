"""Sample small changes in the modules named, see which of them the tests notice, and hold a score.

    python -m tests.mutants [--of NAME ...] [--sample 40] [--seed 1] [--again] [--least 85]

`--again` tries what survived the last time. Ends with 1 where a module scores less than `--least` percent.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tests.mutants.changes import Change, changes_of
from tests.mutants.covering import Covering, copy_tree, covering, test_files
from tests.mutants.equivalents import equivalents

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/mutants"
MODULES: dict[str, tuple[list[str], list[str]]] = {
    "document": (["airgap/core/document*.py"], ["core/test_document.py"]),
    "grammar": (["airgap/models/deepseek_grammar.py"], ["models"]),
    "pipeline": (["process/pipeline.py"], ["process/test_pipeline*.py"]),
    "loop guard": (["process/loop_guard.py"], ["process/test_loop_guard*.py"]),
    "n-gram": (["process/ngram_norepeat.py"], ["process/test_ngram*.py"]),
    "jobs": (
        ["airgap/jobs/*.py"],
        ["jobs/in_process", "jobs/test_store.py", "jobs/test_turns_and_plan.py"],
    ),
    "accounts": (["airgap/accounts/*.py"], ["accounts/in_process", "accounts/test_credentials.py"]),
    "audit": (
        ["airgap/accounts/audit*.py", "airgap/accounts/login_audit.py", "airgap/jobs/auditing.py"],
        ["accounts/in_process", "accounts/test_audit*.py", "jobs/in_process"],
    ),
    "exporters": (["airgap/exporters/*.py"], ["exporters"]),
    "layout": (["airgap/layout/*.py"], ["layout"]),
    "edge": (["airgap/http/edge*.py"], ["http/test_edge*.py"]),
}
"""Files of the product, and where below tests/ the tests stand that are to notice."""

QUICK_SECONDS, MOST_SECONDS = 3.0, 90.0


def files(name: str) -> list[str]:
    """The files of a module; `accounts` is what `audit` does not name."""
    found = {str(path.relative_to(ROOT)) for pattern in MODULES[name][0] for path in ROOT.glob(pattern)}
    if name in ("accounts", "jobs"):
        found -= set(files("audit"))
    return sorted(found)


def sample(name: str, most: int, seed: int) -> list[Change]:
    """At most so many changes of a module, the same for the same seed and sources; equivalents are none."""
    known = equivalents(ROOT)
    found = [change for path in files(name) for change in changes_of(ROOT, path)]
    found = [change for change in found if (change.path, _text(change), str(change)) not in known]
    return random.Random(f"{seed} {name}").sample(found, min(most, len(found)))


def _text(change: Change) -> str:
    return (ROOT / change.path).read_text().splitlines()[change.line - 1].strip()


def rounds(tests: list[str], seconds: dict[str, float]) -> list[tuple[list[str], float]]:
    """The quick tests first, then the others as far as time is; with each round the seconds it may take."""
    parts: list[list[str]] = [[], []]
    spent = 0.0
    for test in tests:
        spent += seconds[test] + 0.01
        if spent < MOST_SECONDS or not parts[0]:
            parts[spent > QUICK_SECONDS and bool(parts[0])].append(test)
    return [(part, 30 + 4 * sum(seconds[test] for test in part)) for part in parts if part]


class Workers:
    """So many processes, each on a copy of the tree of its own."""

    def __init__(self, count: int) -> None:
        self._free: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        for number in range(count):
            tree = BUILD / f"worker-{number}"
            copy_tree(ROOT, tree)
            command = [sys.executable, "-m", "tests.mutants.worker"]
            self._free.put(
                subprocess.Popen(
                    command,
                    cwd=tree,
                    env=environment,
                    text=True,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )

    def ask(self, request: dict[str, Any]) -> dict[str, str]:
        worker = self._free.get()
        assert worker.stdin is not None
        assert worker.stdout is not None
        print(json.dumps(request), file=worker.stdin, flush=True)
        answer: dict[str, str] = json.loads(worker.stdout.readline())
        self._free.put(worker)
        return answer

    def close(self) -> None:
        while not self._free.empty():
            worker = self._free.get()
            worker.communicate()


def attempt(change: Change, known: Covering, workers: Workers) -> dict[str, Any]:
    """What became of one change."""
    source = (ROOT / change.path).read_bytes()
    tests = known.tests(change, source)
    if not tests:
        return {"outcome": "no test", "said": ""}
    request = {"path": change.path, "source": change.applied(source).decode()}
    return workers.ask(request | {"rounds": rounds(tests, known.seconds)})


def check_unchanged(sampled: list[Change], known: Covering, workers: Workers) -> None:
    """Raises where the tests fail on files as they are: nothing could be told from their failing then."""
    tests: dict[str, None] = {}
    for change in sampled:
        source = (ROOT / change.path).read_bytes()
        first = rounds(known.tests(change, source), known.seconds)[:1]
        tests |= dict.fromkeys(test for part, _ in first for test in part)
    if tests:
        path = sampled[0].path
        rest = {"path": path, "source": (ROOT / path).read_text(), "rounds": [(sorted(tests), 600)]}
        answer = workers.ask(rest)
        if answer["outcome"] != "survived":
            raise RuntimeError(f"the tests fail on unchanged files:\n{answer['said']}")


def tried(
    name: str, sampled: list[Change], known: Covering, workers: Workers, count: int
) -> Iterator[dict[str, Any]]:
    started = time.monotonic()
    with ThreadPoolExecutor(count) as pool:
        for change, answer in zip(
            sampled, pool.map(lambda c: attempt(c, known, workers), sampled), strict=True
        ):
            shown = f"{change.path}:{change.line}: {change}"
            took = time.monotonic() - started
            print(f"{took:6.0f} s  {answer['outcome']:9} {shown}", file=sys.stderr, flush=True)
            yield {"module": name, "shown": shown, "change": asdict(change), "text": _text(change), **answer}


def report(results: list[dict[str, Any]], least: float) -> bool:
    """Print scores and survivors; whether every module has the score."""
    print("\n| Module | changes | noticed | score |\n|---|---:|---:|---:|")
    good = True
    for name in dict.fromkeys(result["module"] for result in results):
        of = [result for result in results if result["module"] == name]
        noticed = sum(result["outcome"] in ("killed", "hung") for result in of)
        good &= 100 * noticed >= least * len(of)
        print(f"| {name} | {len(of)} | {noticed} | {100 * noticed / len(of):.0f} % |")
    print("\nNot noticed:")
    for result in results:
        if result["outcome"] in ("survived", "no test"):
            print(f"- {result['shown']}  ({result['outcome']})\n    {result['text']}")
    return good


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--of", nargs="+", choices=MODULES, default=list(MODULES))
    parser.add_argument("--sample", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=85.0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--again", action="store_true")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    copy_tree(ROOT, BUILD / "tree")
    kept = BUILD / "survivors.json"
    last = set(json.loads(kept.read_text())) if asked.again and kept.exists() else None
    workers = Workers(asked.workers)
    results: list[dict[str, Any]] = []
    for name in asked.of:
        sampled = sample(name, asked.sample, asked.seed)
        sampled = [c for c in sampled if last is None or f"{c.path}:{_text(c)}: {c}" in last]
        tests = test_files(BUILD / "tree", MODULES[name][1])
        known = covering(BUILD / "tree", BUILD / "coverage", tests, asked.workers)
        check_unchanged(sampled, known, workers)
        results += tried(name, sampled, known, workers, asked.workers)
    workers.close()
    survivors = [r for r in results if r["outcome"] in ("survived", "no test")]
    kept.write_text(
        json.dumps([f"{r['change']['path']}:{r['text']}: {r['shown'].split(': ', 1)[1]}" for r in survivors])
    )
    return 0 if report(results, asked.least) else 1


if __name__ == "__main__":
    sys.exit(main())
