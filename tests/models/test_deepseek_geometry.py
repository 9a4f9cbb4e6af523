"""Figures are read from the model's dictionary literal, within bounds and without evaluating it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airgap.models.deepseek_geometry import MAX_CHARS, Circle, Point, Segment, parse_geometry

FIGURE = (
    "{'Line': {'line': ['(-3.5, 0) -- (3, 4)', 'A -- B'], 'line_type': ['--', '-'], "
    "'line_endpoint': ['A: (0, 0)', 'B: (1, 2)']}, "
    "'Circle': {'circle_center': ['O: (1, 1)'], 'radius': [2.5]}}"
)


def test_lines_points_and_circles_are_read() -> None:
    geometry = parse_geometry(f"Here it is: {FIGURE}\nDone.")
    assert geometry is not None
    a, b = Point(0, 0, "A"), Point(1, 2, "B")
    assert geometry.points == (a, b)
    assert geometry.segments == (Segment(Point(-3.5, 0), Point(3, 4), "--"), Segment(a, b, "-"))
    assert geometry.circles == (Circle(Point(1, 1, "O"), 2.5),)


def test_json_spelling_and_tuples_are_read_too() -> None:
    geometry = parse_geometry('{"Line": {"line": ("(0,0) -- (1,1)",), "line_type": null}}')
    assert geometry is not None
    assert geometry.segments == (Segment(Point(0, 0), Point(1, 1), "--"),)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "no figure",
        "{}",
        "{'Line': {'line': ['nonsense', '(1,2)']}}",
        "{'Line': 3, 'Circle': [1]}",
        "{'Line': {'line': __import__('os').abort()}}",
        "{'Circle': {'circle_center': ['O: (1, 1)'], 'radius': ['2']}}",
        "{'Circle': {'circle_center': ['O: (1, 1)'], 'radius': [-2]}}",
        "{'Circle': {'circle_center': ['O: (99999999, 1)'], 'radius': [2]}}",
        "{'Line': {'line': ['(0,0) -- (1,1)']",
        "{1: 2}",
        "{'a' 'b'}",
        "{" * 100_000,
        "{'a': " + "[" * 100_000,
        "{'Line': {'line': ['" + "x" * MAX_CHARS + "(0,0) -- (1,1)']}}",
    ],
)
def test_what_is_no_figure_is_none(raw: str) -> None:
    assert parse_geometry(raw) is None


def test_a_wrong_entry_does_not_move_the_others() -> None:
    geometry = parse_geometry("{'Line': {'line': [5, '(0,0) -- (1,1)'], 'line_type': ['a', 'b']}}")
    assert geometry is not None
    assert geometry.segments == (Segment(Point(0, 0), Point(1, 1), "b"),)


pieces = st.sampled_from([*FIGURE.split(" "), "{", "}", "[", "]", "'", '"', "\\", ":", ",", "(", "9" * 50])


@settings(deadline=None)
@given(st.lists(st.one_of(pieces, st.text(max_size=4)), max_size=60).map(" ".join))
def test_it_never_raises(text: str) -> None:
    parse_geometry("{" + text)
