"""Tries changes: one warm process forks for each, so that no library is imported twice.

    python -m tests.mutants.worker

runs in a copy of the tree and takes requests as JSON, one a line: `path` of the file, its changed `source`,
`rounds` of tests with the `seconds` that each may take. It answers `survived`, `killed` or `hung`, with the
end of what pytest said. None of the project's own modules may be imported before the fork.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

_OURS = (
    "airgap",
    "config",
    "deepseek_ocr",
    "ocr_",
    "pdf_routes",
    "batch_routes",
    "serve_ocr",
    "process",
    "tests",
    "__",
)
_LIST = """
import contextlib, io, json, sys, pytest
with contextlib.redirect_stdout(io.StringIO()):
    pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "tests/core", "tests/http"])
import docx, lxml.html, openai, serve_ocr
print(json.dumps([*sys.modules]))
"""
_NO_TESTS = 5
_WARM = ("-W", "ignore::pytest.PytestAssertRewriteWarning")


def warm_up() -> None:
    """Import the libraries that the product and the tests import."""
    listed = subprocess.run([sys.executable, "-c", _LIST], check=True, capture_output=True, text=True)
    for name in json.loads(listed.stdout.splitlines()[-1]):
        if not name.startswith(_OURS) and name not in sys.modules:
            with suppress(Exception):
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or each fork goes through all of it at its end


class Place:
    """A file of the tree that holds something else for a while."""

    def __init__(self, path: Path) -> None:
        self._path, self._kept = path, path.with_suffix(".py.kept")

    def put(self, source: str) -> None:
        self._path.rename(self._kept)
        self._path.write_bytes(source.encode())
        self._forget_bytecode()

    def restore(self) -> None:
        self._kept.rename(self._path)
        self._forget_bytecode()

    def _forget_bytecode(self) -> None:
        for compiled in (self._path.parent / "__pycache__").glob(f"{self._path.stem}.*.pyc"):
            compiled.unlink()


def run(tests: Sequence[str], seconds: float, scratch: Path) -> tuple[str, str]:
    """Run tests in a fork, until the first one fails: the outcome, and the end of the output."""
    scratch.mkdir(parents=True, exist_ok=True)
    log = scratch / "log"
    child = os.fork()
    if child == 0:
        _in_the_fork(tests, scratch, log)
    watch = os.pidfd_open(child)
    ended, _, _ = select.select([watch], [], [], seconds)
    os.close(watch)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    said = log.read_text(errors="replace")[-1500:]
    shutil.rmtree(scratch, ignore_errors=True)
    if not ended:
        return "hung", said
    code = os.waitstatus_to_exitcode(status)
    if code == _NO_TESTS:
        raise RuntimeError(f"could not run {tests[:3]}:\n{said}")
    return ("killed" if code else "survived"), said


def _in_the_fork(tests: Sequence[str], scratch: Path, log: Path) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = 1
    try:
        options = ["-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", *_WARM]
        code = int(pytest.main([*options, f"--basetemp={scratch / 'tmp'}", *tests]))
    except BaseException:  # a warning of what nobody closed comes after the last test
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def trial(request: dict[str, Any], scratch: Path) -> dict[str, str]:
    """The outcome of one change. `by` is pytest's line on the test that failed."""
    place = Place(Path(request["path"]))
    outcome, said = "survived", ""
    place.put(request["source"])
    try:
        for tests, seconds in request["rounds"]:
            outcome, said = run(tests, seconds, scratch)
            if outcome != "survived":
                break
    finally:
        place.restore()
    return {"outcome": outcome, "said": said}


def main() -> None:
    warm_up()
    scratch = Path(f"{Path.cwd()}.scratch")
    for line in sys.stdin:
        print(json.dumps(trial(json.loads(line), scratch)), flush=True)


if __name__ == "__main__":
    main()
