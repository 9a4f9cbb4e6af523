"""The changes that `make mutants` makes, and the table of those that nothing can notice."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.mutants.changes import changes, changes_of
from tests.mutants.equivalents import equivalents


def made(source: str) -> set[str]:
    return {change.applied(source.encode()).decode() for change in changes("x.py", source.encode())}


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("a < b", {"a <= b"}),
        ("a is not b", {"a is b"}),
        ("a < b <= c", {"a <= b <= c", "a < b < c"}),
        ("a + b", {"a - b"}),
        ("a and b", {"a or b"}),
        ("not a", {"a"}),
        ("x = 3", {"x = 4", "x = 2"}),
        ("x = 0", {"x = 1", "x = (-1)"}),
        ("x = 0.5", {"x = 1.0", "x = 0.25"}),
        ("x = True", {"x = False"}),
        ("x = 'key'", {"x = 'keyX'"}),
        ("x = 'A sentence for people.'", set()),
        ("x: Literal['a'] = y", set()),
        ("def f(a=1): ...", {"def f(a=2): ...", "def f(a=0): ..."}),
        ("def f():\n    return a", {"def f():\n    return None"}),
        ("f(a)", {"pass"}),
        ("x = f(a, b=c)", {"x = f(a)"}),
        ("x = f(b=c, d=e)", {"x = f(d=e)", "x = f(b=c)"}),
        ("x += y", {"x -= y", "pass"}),
        ("raise Error('word')", set()),
        ("assert a < 3", set()),
        ("log.info('word', 3)", set()),
        ("'''3 < 4'''", set()),
        ("x = 'ü'; y = a < b", {"x = 'üX'; y = a < b", "x = 'ü'; y = a <= b"}),
    ],
)
def test_one_thing_is_changed_at_a_time(source: str, changed: set[str]) -> None:
    assert made(source) == changed


def test_changes_know_their_lines() -> None:
    (change,) = changes("x.py", b"a = b\nif (\n    a\n    < b\n): ...")
    assert (change.line, change.last_line, str(change)) == (4, 4, "< \u2192 <=")


def test_what_nothing_can_notice_is_still_there() -> None:
    """Each row of docs/testing.md names a change that can be made to a line as it stands."""
    for path, text, change in equivalents(ROOT):
        lines = (ROOT / path).read_text().splitlines()
        named = [number for number, line in enumerate(lines, 1) if line.strip() == text]
        assert named, (path, text)
        assert change in map(str, changes_of(ROOT, path, named)), (path, text, change)
