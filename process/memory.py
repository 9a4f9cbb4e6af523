"""How much memory this process may take: the container's bound, else the machine's.

Source: the kernel's cgroup-v2 and cgroup-v1 documents.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_BOUNDS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def memory_bytes() -> int:
    """The smallest of the bounds that are set."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = [machine]
    for path in _BOUNDS:
        with suppress(OSError, ValueError):  # not there, or "max"
            found.append(int(path.read_text()))
    return min(found)
