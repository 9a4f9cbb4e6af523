"""A bound on the memory of a command and its children, as a container has it: a cgroup, v2 or v1. Needs root.

Source: the kernel's cgroup-v2 and cgroup-v1/memory documents.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_V1 = Path("/sys/fs/cgroup/memory")
_V2 = Path("/sys/fs/cgroup")
REMOVE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """One cgroup. `peak` and `killed` are the names of its files."""

    folder: Path
    peak: str
    killed: str

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line that runs `arguments` in the group, its children too."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / "cgroup.procs"), *arguments]

    def peak_bytes(self) -> int:
        """Most that the group ever held, the cache of its files among it; 0 where the kernel does not say."""
        with suppress(OSError):
            return int((self.folder / self.peak).read_text())
        return 0

    def oom_kills(self) -> int:
        """How many processes the kernel has ended for want of memory."""
        lines = (self.folder / self.killed).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup]:
    """A new cgroup with this bound and no swap, removed at the end. Raises OSError where none can be made."""
    name = f"airgap-{os.getpid()}-{time.monotonic_ns()}"
    is_v1 = (_V1 / "memory.limit_in_bytes").exists()
    folder = (_V1 if is_v1 else _V2) / name
    if not is_v1:
        (_V2 / "cgroup.subtree_control").write_text("+memory")
    folder.mkdir()
    try:
        if is_v1:
            _bound_v1(folder, limit_bytes)
            group = MemoryGroup(folder, "memory.max_usage_in_bytes", "memory.oom_control")
        else:
            (folder / "memory.max").write_text(str(limit_bytes))
            with suppress(OSError):  # a machine without swap
                (folder / "memory.swap.max").write_text("0")
            group = MemoryGroup(folder, "memory.peak", "memory.events")
        yield group
    finally:
        _remove(folder)


def _bound_v1(folder: Path, limit_bytes: int) -> None:
    (folder / "memory.limit_in_bytes").write_text(str(limit_bytes))
    with suppress(OSError):
        (folder / "memory.memsw.limit_in_bytes").write_text(str(limit_bytes))


def _remove(folder: Path) -> None:
    """The last process of a group leaves it a moment after it was waited for."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while True:
        try:
            folder.rmdir()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
