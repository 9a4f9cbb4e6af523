"""Which predicted block is which true one. Layouts cut text differently: paragraphs are joined where it fits.

Follows what OmniDocBench calls quick match: a true block may be several predicted ones in a row, and a
predicted block several true ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airgap.evaluation.text import contained_distance, distance

SURE = 0.25
"""A distance below which two blocks are one for sure."""
PART = 0.6
WORST = 0.7
INSIDE = 0.4


@dataclass(frozen=True, slots=True)
class Pair:
    """Indices of the true and of the predicted blocks that are taken for the same; either may be empty."""

    truth: tuple[int, ...]
    predicted: tuple[int, ...]


def match(truth: Sequence[str], predicted: Sequence[str]) -> list[Pair]:
    """Every true block in one pair, by what the blocks are compared by, both in reading order."""
    costs = [[distance(true, text) for text in predicted] for true in truth]
    units = _joined(truth, predicted, costs)
    texts = ["".join(predicted[i] for i in unit) for unit in units]
    chosen = _assign([[distance(true, text) for text in texts] for true in truth], WORST)
    pairs = {units[unit]: [true] for true, unit in chosen.items()}
    free = [index for index in range(len(truth)) if index not in chosen]
    for index, text in enumerate(predicted):
        inside = [true for true in free if contained_distance(truth[true], text) < INSIDE]
        key = next((unit for unit in pairs if unit == (index,)), (index,))
        if inside:
            pairs.setdefault(key, []).extend(inside)
            free = [true for true in free if true not in inside]
    used = {index for unit in pairs for index in unit}
    rest = [index for index in range(len(predicted)) if index not in used]
    leftover = _assign([[costs[true][index] for index in rest] for true in free], 1.0)
    result = [Pair(tuple(sorted(true)), unit) for unit, true in pairs.items()]
    for position, true in enumerate(free):
        result.append(Pair((true,), (rest[leftover[position]],) if position in leftover else ()))
    return result


def _assign(costs: Sequence[Sequence[float]], worst: float) -> dict[int, int]:
    """Rows to columns, each at most once, the cheapest first, none dearer than `worst`."""
    cheapest = sorted(
        (cost, row, column)
        for row, line in enumerate(costs)
        for column, cost in enumerate(line)
        if cost <= worst
    )
    chosen: dict[int, int] = {}
    taken: set[int] = set()
    for _, row, column in cheapest:
        if row not in chosen and column not in taken:
            chosen[row] = column
            taken.add(column)
    return chosen


def _joined(
    truth: Sequence[str], predicted: Sequence[str], costs: Sequence[Sequence[float]]
) -> list[tuple[int, ...]]:
    """The predicted blocks as they are compared: neighbours are joined where together they fit a true one."""
    sure_rows = {row for row, line in enumerate(costs) if any(cost < SURE for cost in line)}
    sure = {column for line in costs for column, cost in enumerate(line) if cost < SURE}
    runs = []
    for row in range(len(truth)):
        if row not in sure_rows:
            found = [
                _run(truth[row], predicted, start, sure)
                for start in range(len(predicted))
                if start not in sure
            ]
            if found:
                runs.append(min(found))
    taken: set[int] = set()
    kept = []
    for _, run in sorted(runs):
        if len(run) > 1 and not taken & set(run):
            taken |= set(run)
            kept.append(run)
    return sorted([*kept, *((index,) for index in range(len(predicted)) if index not in taken)])


def _run(true: str, predicted: Sequence[str], start: int, sure: set[int]) -> tuple[float, tuple[int, ...]]:
    """The neighbours from `start` on that together come nearest to a true block, and how near."""
    stop, text = start + 1, predicted[start]
    best = distance(true, text)
    while stop < len(predicted) and stop not in sure and len(text) <= len(true):
        longer = text + predicted[stop]
        if contained_distance(text, true) > PART or contained_distance(predicted[stop], true) >= PART:
            break
        if (cost := distance(true, longer)) > best:
            break
        stop, text, best = stop + 1, longer, cost
    return best, tuple(range(start, stop))
