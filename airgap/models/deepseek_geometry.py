"""What DeepSeek-OCR answers to "Parse the figure." about plane geometry: lines, points and circles.

The answer is a dictionary literal of strings, such as

    {'Line': {'line': ['(0, 0) -- (3, 4)'], 'line_type': ['--'], 'line_endpoint': ['A: (0, 0)']},
     'Circle': {'circle_center': ['O: (1, 1)'], 'radius': [2.5]}}

It comes from a model that looked at a stranger's picture, so it is read by a small parser of literals
with bounds on size, depth and count, and is never evaluated. Drawing is another module's work.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

MAX_CHARS = 100_000
MAX_DEPTH = 8
MAX_SHAPES = 2_000
MAX_COORDINATE = 1e6

Literal = str | float | list["Literal"] | dict[str, "Literal"] | None

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")|(?P<number>[+-]?\d{1,12}(?:\.\d{0,12})?)"""
    r"""|(?P<word>True|False|None|true|false|null)|(?P<mark>[\[\](){},:]))"""
)
_ESCAPE = re.compile(r"\\(.)")
_POINT = re.compile(r"\(\s*([+-]?\d{1,12}(?:\.\d{0,12})?)\s*,\s*([+-]?\d{1,12}(?:\.\d{0,12})?)\s*\)")
_CLOSING = {"[": "]", "(": ")", "{": "}"}


@dataclass(frozen=True, slots=True)
class Point:
    """A point in the figure's own units, y upwards; `name` is empty where the figure gives none."""

    x: float
    y: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A straight line between two points; `style` is the model's word for it, such as `--`."""

    start: Point
    end: Point
    style: str = "--"


@dataclass(frozen=True, slots=True)
class Circle:
    center: Point
    radius: float


@dataclass(frozen=True, slots=True)
class Geometry:
    segments: tuple[Segment, ...]
    points: tuple[Point, ...]
    circles: tuple[Circle, ...]


def parse_geometry(raw: str) -> Geometry | None:
    """The figure in `raw`, or None where there is no such dictionary or nothing in it can be drawn.

    Never raises. Entries that do not fit the form are left out; a dictionary longer than `MAX_CHARS`
    characters or nested deeper than `MAX_DEPTH` is none.
    """
    start = raw.find("{")
    if start < 0:
        return None
    try:
        value = _Reader(raw[start : start + MAX_CHARS]).value(0)
    except _MalformedError:
        return None
    if not isinstance(value, dict):
        return None
    lines, circles = value.get("Line"), value.get("Circle")
    points = [point for text in _strings(lines, "line_endpoint") if (point := _named_point(text))]
    by_name = {point.name: point for point in points if point.name}
    geometry = Geometry(tuple(_segments(lines, by_name)), tuple(points), tuple(_circles(circles)))
    return geometry if geometry.segments or geometry.points or geometry.circles else None


def _segments(lines: Literal, by_name: dict[str, Point]) -> list[Segment]:
    styles = _strings(lines, "line_type")
    segments = []
    for i, text in enumerate(_strings(lines, "line")):
        ends = [_named_point(end) or by_name.get(end.strip()) for end in text.split("--")]
        start, end = ends[0], ends[-1]
        if len(ends) == 2 and start and end:
            segments.append(Segment(start, end, styles[i] if i < len(styles) else "--"))
    return segments


def _circles(circles: Literal) -> list[Circle]:
    centers = [_named_point(text) for text in _strings(circles, "circle_center")]
    radii = circles.get("radius") if isinstance(circles, dict) else None
    if not isinstance(radii, list):
        return []
    return [
        Circle(center, float(radius))
        for center, radius in zip(centers, radii, strict=False)
        if center and isinstance(radius, float) and 0 < radius <= MAX_COORDINATE
    ]


def _strings(section: Literal, key: str) -> list[str]:
    """The list of strings under `key`; whatever else stands in it becomes empty, so that places hold."""
    values = section.get(key) if isinstance(section, dict) else None
    if not isinstance(values, list):
        return []
    return [value if isinstance(value, str) else "" for value in values[:MAX_SHAPES]]


def _named_point(text: str) -> Point | None:
    match = _POINT.search(text)
    if not match:
        return None
    x, y = float(match[1]), float(match[2])
    if not (math.isfinite(x) and math.isfinite(y)) or max(abs(x), abs(y)) > MAX_COORDINATE:
        return None
    name, colon, _ = text[: match.start()].partition(":")
    return Point(x, y, name.strip()[:40] if colon else "")


class _MalformedError(Exception):
    pass


class _Reader:
    """Literals of strings, numbers, lists, tuples and dictionaries; one pass, no way back."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def _next(self) -> tuple[str, str]:
        match = _TOKEN.match(self._text, self._position)
        if not match or not match.lastgroup:
            raise _MalformedError
        self._position = match.end()
        return match.lastgroup, match[match.lastgroup]

    def value(self, depth: int) -> Literal:
        return self._value(*self._next(), depth)

    def _value(self, kind: str, token: str, depth: int) -> Literal:
        if kind == "string":
            return _ESCAPE.sub(r"\1", token[1:-1])
        if kind == "number":
            return float(token)
        if kind == "word":
            return None
        if depth >= MAX_DEPTH or token not in _CLOSING:
            raise _MalformedError
        return self._dict(depth) if token == "{" else self._list(_CLOSING[token], depth)

    def _list(self, closing: str, depth: int) -> list[Literal]:
        values: list[Literal] = []
        while True:
            kind, token = self._next()
            if token == closing and kind == "mark":
                return values
            values.append(self._value(kind, token, depth + 1))
            kind, token = self._next()
            if token == closing and kind == "mark":
                return values
            if token != ",":
                raise _MalformedError

    def _dict(self, depth: int) -> dict[str, Literal]:
        entries: dict[str, Literal] = {}
        while True:
            kind, token = self._next()
            if token == "}" and kind == "mark":
                return entries
            key = self._value(kind, token, depth + 1)
            if not isinstance(key, str) or self._next()[1] != ":":
                raise _MalformedError
            entries[key] = self.value(depth + 1)
            kind, token = self._next()
            if token == "}" and kind == "mark":
                return entries
            if token != ",":
                raise _MalformedError
