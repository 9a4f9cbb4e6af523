"""How much memory this process may take: the smallest bound of its control groups, else the machine's.

Source: the kernel's cgroup-v2 and cgroup-v1 documents, proc(5).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CONTROL_GROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def memory_bytes() -> int:
    """The smallest of the bounds that are set, of the process's own group and of those around it."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = [machine]
    for path in _bounds():
        with suppress(OSError, ValueError):  # not there, or "max"
            found.append(int(path.read_text()))
    return min(found)


def _bounds() -> Iterator[Path]:
    """The files that may hold a bound. A container's own group is the root that it sees."""
    v1 = CONTROL_GROUPS / "memory"
    yield from (CONTROL_GROUPS / "memory.max", v1 / "memory.limit_in_bytes")
    with suppress(OSError):
        for line in MEMBERSHIP.read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers:
                yield from _up(CONTROL_GROUPS, group, "memory.max")
            elif "memory" in controllers.split(","):
                yield from _up(v1, group, "memory.limit_in_bytes")


def _up(root: Path, group: str, name: str) -> Iterator[Path]:
    place = root / group.lstrip("/")
    return (folder / name for folder in (place, *place.parents) if folder.is_relative_to(root))
