"""One test file under coverage: which of its tests run which lines.

    python -m tests.mutants.plugin TEST_FILE OUT.json

is run by `covering`, in the copy of the tree. A fixture that several tests share counts for all that use it.
What the file's servers run is known only of the file as a whole.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import coverage
import pytest

SHARED = "fixture "
LEFT_OUT = {"postgresql", "database"}
"""Fixtures of tests that are not run on changed code: a killed run would leave their PostgreSQL behind."""


class Contexts:
    """Tells coverage which test runs, and notes who passed, in which time."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self._measured = measured
        self._now = ""
        self.seconds: dict[str, float] = {}
        self.users: dict[str, list[str]] = defaultdict(list)

    def _switch(self, context: str) -> str:
        before, self._now = self._now, context
        self._measured.switch_context(context)
        return before

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not LEFT_OUT & set(item.fixturenames) and _on_sqlite(item)]  # type: ignore[attr-defined]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        for name in item.fixturenames:  # type: ignore[attr-defined]
            self.users[SHARED + name].append(item.nodeid)
        before, started = self._switch(item.nodeid), time.monotonic()
        try:
            return (yield)
        finally:
            self._switch(before)
            if item.nodeid in self.seconds:
                self.seconds[item.nodeid] = round(time.monotonic() - started, 3)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        shared = fixturedef.scope != "function"
        before = self._switch(SHARED + fixturedef.argname) if shared else self._now
        try:
            return (yield)
        finally:
            if shared:
                self._switch(before)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.seconds[report.nodeid] = 0.0
        elif report.failed:
            self.seconds.pop(report.nodeid, None)

    def tests(self, contexts: list[str]) -> set[str]:
        """The tests that passed of those in these contexts."""
        found = {test for context in contexts for test in self.users.get(context, [context])}
        return found & self.seconds.keys()


def _on_sqlite(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is None or "postgresql" not in callspec.params.values()


def measure(test_file: str, folder: Path) -> dict[str, Any]:
    """Run a test file; its tests with their seconds, lines with their tests, lines of servers."""
    root = Path.cwd()
    settings = folder / "coveragerc"
    settings.write_text(
        f"[run]\nsource = {root}\nomit =\n  {root}/tests/*\nparallel = true\nsigterm = true\n"
        f"data_file = {folder}/servers\n"
    )
    measured = coverage.Coverage(
        data_file=str(folder / "own"), source=[str(root)], omit=[f"{root}/tests/*"], config_file=False
    )
    contexts = Contexts(measured)
    os.environ["COVERAGE_PROCESS_START"] = str(settings)
    measured.start()
    pytest.main(["-q", "-p", "no:cacheprovider", f"--basetemp={folder}/tmp", test_file], [contexts])
    measured.stop()
    own, servers = measured.get_data(), coverage.CoverageData(str(folder / "combined"))
    for part in folder.glob("servers.*"):
        other = coverage.CoverageData(str(part))
        other.read()
        servers.update(other)
    lines: dict[str, dict[int, list[str]]] = {}
    for path in own.measured_files():
        by_line = {
            line: sorted(contexts.tests(names)) for line, names in own.contexts_by_lineno(path).items()
        }
        lines[_short(path, root)] = {line: tests for line, tests in by_line.items() if tests}
    lines = {path: found for path, found in lines.items() if found}
    served = {
        _short(path, root): found for path in servers.measured_files() if (found := servers.lines(path))
    }
    return {"tests": contexts.seconds, "lines": lines, "servers": served}


def _short(path: str, root: Path) -> str:
    return str(Path(path).relative_to(root))


def main() -> None:
    test_file, out = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        found = measure(test_file, Path(folder))
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
