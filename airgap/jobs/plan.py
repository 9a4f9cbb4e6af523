"""What a job was asked for, and how its pages are cut into runs.

All pages of a job are counted through, from 0, over its inputs in order: the `index`. A run is a few
consecutive indexes, read as one durable step. Knows no file system and no database.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from airgap.core.document import PageError, ReadOptions
from airgap.core.opening import WHOLE, Opening

Priority = Literal["low", "normal", "high"]
Status = Literal["queued", "running", "paused", "done", "failed", "cancelled"]

UNFINISHED: tuple[Status, ...] = ("queued", "running", "paused")
FINISHED: tuple[Status, ...] = ("done", "failed", "cancelled")

SMALL_JOB = 32
"""Pages up to which a job counts as small: it has its own lane past the large ones."""

WEIGHTS: Mapping[str, float] = {"low": 0.5, "normal": 1.0, "high": 2.0}
"""Shares of the queue. No priority starves another."""


@dataclass(frozen=True, slots=True)
class Input:
    """One file of a job: `file` is its name in the job's folder, of our own making; `name` the client's."""

    file: str
    name: str


@dataclass(frozen=True, slots=True)
class Spec:
    """What was asked for, as it stands in `job.json`.

    `pages_per_day` is the quota, where there is one, of `account`; empty stands for the caller.
    """

    id: str
    caller: str
    inputs: tuple[Input, ...]
    options: ReadOptions = field(default_factory=ReadOptions)
    opening: Opening = WHOLE
    outputs: tuple[str, ...] = ()
    priority: Priority = "normal"
    pages_per_day: int | None = None
    account: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spec:
        """The inverse of `to_dict`, from JSON. Raises KeyError or TypeError for anything else."""
        return cls(
            **{
                **data,
                "inputs": tuple(Input(**entry) for entry in data["inputs"]),
                "opening": Opening(**data["opening"]),
                "options": ReadOptions(**data["options"]),
                "outputs": tuple(data["outputs"]),
            }
        )


@dataclass(frozen=True, slots=True)
class PlannedInput:
    """One input's pages: numbers `first` to `first + count - 1` of the file.

    A file that could not be opened has `error` and counts as one page, which failed.
    """

    first: int
    count: int
    kind: Literal["image", "pdf"] = "image"
    error: PageError | None = None


@dataclass(frozen=True)
class Plan:
    """A job's pages, and the runs they are read in: run r holds the indexes from `r * run_pages`."""

    inputs: tuple[PlannedInput, ...]
    run_pages: int

    @cached_property
    def _starts(self) -> list[int]:
        starts, total = [], 0
        for entry in self.inputs:
            starts.append(total)
            total += entry.count
        return [*starts, total]

    @property
    def pages(self) -> int:
        return self._starts[-1]

    @property
    def runs(self) -> int:
        return -(-self.pages // self.run_pages)

    def run(self, number: int) -> range:
        """The indexes of a run."""
        start = number * self.run_pages
        return range(start, min(start + self.run_pages, self.pages))

    def run_of(self, index: int) -> int:
        return index // self.run_pages

    def indexes(self, position: int) -> range:
        """The indexes of the input at `position`."""
        return range(self._starts[position], self._starts[position + 1])

    def locate(self, index: int) -> tuple[int, int]:
        """The input's position and the page's number in it, counted from 1."""
        position = bisect_right(self._starts, index) - 1
        return position, self.inputs[position].first + index - self._starts[position]

    def to_dict(self) -> dict[str, Any]:
        return {"inputs": [asdict(entry) for entry in self.inputs], "run_pages": self.run_pages}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """The inverse of `to_dict`, from JSON. Raises KeyError or TypeError for anything else."""
        inputs = [
            PlannedInput(**{**entry, "error": PageError(**entry["error"]) if entry["error"] else None})
            for entry in data["inputs"]
        ]
        return cls(tuple(inputs), data["run_pages"])


def pages_of_a_run(pages: int) -> int:
    """How many pages one durable step covers: fewer rows for large jobs, finer turns for small ones."""
    if pages <= SMALL_JOB:
        return 1
    return 4 if pages <= 1024 else 8


def lane(caller: str, pages: int) -> str:
    """The queue's partition: a caller's small jobs do not wait for its large ones."""
    return f"{caller}/small" if pages <= SMALL_JOB else caller


def width(runs: int, places: int, priority: Priority, jobs_of_caller: int) -> int:
    """How many runs of a job may be in the queue or in work at once: its share.

    `places` is how many runs all servers take at once; a caller's jobs divide them among themselves.
    """
    share = places * WEIGHTS[priority] / max(1, jobs_of_caller)
    return max(1, min(runs, round(share)))
