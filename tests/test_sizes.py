"""Files and functions stay small enough to be read at a sitting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median, quantiles

import pytest

from tests.architecture import ROOT

LONGEST_FILE = 400
LONGEST_FUNCTION = 50
MEDIAN, NINETY_FIVE_OF_A_HUNDRED = 8, 25
_NOT_OURS = {"node_modules", "build", "data", "dist", "__pycache__"}


def sources() -> Iterator[Path]:
    """Every Python file of the project, tests included."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).parts
        if not _NOT_OURS & set(parts) and not any(part.startswith(".") for part in parts):
            yield path


@cache
def texts() -> dict[str, str]:
    return {str(path.relative_to(ROOT)): path.read_text() for path in sources()}


def functions(text: str) -> Iterator[tuple[str, int]]:
    """Each function's name and its lines, from `def` to its last."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


@cache
def lengths() -> list[tuple[str, str, int]]:
    """File, function and its lines, of all functions."""
    return [(name, function, lines) for name, text in texts().items() for function, lines in functions(text)]


def test_no_file_is_long() -> None:
    assert len(texts()) > 400
    long = {name: lines for name, text in texts().items() if (lines := len(text.splitlines())) > LONGEST_FILE}
    assert not long


def test_no_function_is_long() -> None:
    assert not [entry for entry in lengths() if entry[2] > LONGEST_FUNCTION]


@pytest.mark.parametrize("place", ["", "airgap/", "process/", "tests/"])
def test_most_functions_are_short(place: str) -> None:
    found = [lines for name, _, lines in lengths() if name.startswith(place)]
    assert median(found) <= MEDIAN
    assert quantiles(found, n=20)[-1] <= NINETY_FIVE_OF_A_HUNDRED
