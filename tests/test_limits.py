"""docs/limits.md is what the code says, and each limit has a test that goes past it."""

from __future__ import annotations

import ast

import pytest

from tests.conftest import ROOT
from tests.http.test_errors import CASES
from tests.limits import ERROR_TESTS, LIMITS, Limit, to_markdown


def test_the_document_is_the_codes() -> None:
    assert (ROOT / "docs" / "limits.md").read_text() == to_markdown()


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_test_goes_past_each_limit(limit: Limit) -> None:
    path, _, name = limit.test.partition("::")
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {n.name for n in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(n, functions)}
    assert name in found
    if limit.test == ERROR_TESTS:
        assert limit.error is not None
        assert CASES[limit.error.code][0] == limit.error.status
