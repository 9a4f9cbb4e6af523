"""JSON in a text that somebody else wrote: in a form's field, or in a model's answer."""

from __future__ import annotations

import json
import math
from typing import Any

LEVELS = 64
"""Deepest nesting that is read: each level more is one more call for whoever goes through it."""


def read_json(text: str) -> Any:
    """Raises `ValueError` for no JSON, for numbers that JSON has not, and for more than `LEVELS` levels."""
    try:
        found = json.loads(text, parse_float=_finite, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if levels_of(found, LEVELS) > LEVELS:
        raise ValueError("nested too deep")
    return found


def levels_of(value: Any, most: int, level: int = 1) -> int:
    """Levels of nesting, counted no further than one past `most`."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if level > most:
        return level
    return max((levels_of(part, most, level + 1) for part in parts), default=level)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")
