"""How lines are set: in stacks of running text, and on the same rows as the lines beside them or not.

Works on places alone; asks for no characters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from airgap.layout.lines import Inset, TextLine

Stack = list[TextLine]
RECENT = 12
"""How many stacks, the latest, a line may go on; bounds the work on a dense page."""
MIN_CAPACITY = 14.0
MAX_GAP, MAX_LAP = 0.9, 0.5
SHARED_WIDTH = 0.7
SAME_EDGE = 3.0
SAME_HEIGHT = 0.7
FULL, FULL_LINES = 0.85, 0.4
"""A stack is running text if this share of its lines reaches this far across its measure."""
NEAR, LEVEL = 0.4, 0.15
"""Distances, in line heights, up to which two lines may be of one row, and of one row for sure."""


def stacked_share(lines: Sequence[TextLine], least: int = 2) -> float:
    """The share of the lines' width that stands in stacks of at least `least` lines of running text, 0..1."""
    lines = [line for line in lines if not isinstance(line, Inset)]
    total = sum(line.width for line in lines)
    held = [stack for stack in stacks(lines) if len(stack) >= least and _is_running(stack)]
    return sum(line.width for stack in held for line in stack) / total if total else 0.0


def stacks(lines: Sequence[TextLine]) -> list[Stack]:
    """Wide lines under one another, close, of one height, from one edge on; each line in one stack."""
    found: list[Stack] = []
    for line in sorted(lines, key=lambda line: line.y0):
        if line.capacity < MIN_CAPACITY:
            continue
        for stack in reversed(found[-RECENT:]):
            if _goes_on(stack, line):
                stack.append(line)
                break
        else:
            found.append([line])
    return found


def _goes_on(stack: Stack, line: TextLine) -> bool:
    last = stack[-1]
    shared = min(last.x1, line.x1) - max(last.x0, line.x0)
    edge = min(member.x0 for member in stack)
    return (
        -MAX_LAP * line.height < line.y0 - last.y1 < MAX_GAP * line.height
        and shared > SHARED_WIDTH * min(last.width, line.width)
        and abs(line.x0 - edge) < SAME_EDGE * line.height
        and SAME_HEIGHT < line.height / max(1.0, last.height) < 1 / SAME_HEIGHT
    )


def _is_running(stack: Stack) -> bool:
    x0, x1 = min(line.x0 for line in stack), max(line.x1 for line in stack)
    full = sum(line.x1 > x0 + FULL * (x1 - x0) for line in stack)
    return full >= FULL_LINES * len(stack)


def level_share(left: Sequence[TextLine], right: Sequence[TextLine], height: float) -> float:
    """Of the lines that may stand in one row with one of the other side, the share that surely do, 0..1.

    Cells of a table have one baseline; lines of two columns that are set apart meet by chance.
    `height`: the typical line's. 0 where no lines meet.
    """
    few, many = sorted((right, left), key=len)
    middles = np.array([line.middle for line in many])
    distances = np.array([np.abs(middles - line.middle).min() for line in few]) / height
    near = distances < NEAR
    return float((distances < LEVEL).sum() / near.sum()) if near.any() else 0.0
