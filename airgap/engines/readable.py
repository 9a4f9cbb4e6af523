"""Whether this process may read a folder of files: said before anything opens one of them.

A library that loads weights calls a file it may not open "not found". Knows nothing about models.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from airgap.core.errors import ConfigurationError


def readable(path: str | Path) -> Path:
    """`path` itself. Raises `ConfigurationError`, which names what this user may not read on the way to
    it, at it or below it; what does not exist is not this function's business."""
    folder = Path(path)
    for place in _on_the_way(folder):
        if not _may_read(place, os.X_OK):
            raise _refused(place, folder)
    for place in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if not _may_read(place, os.R_OK | (os.X_OK if place.is_dir() else 0)):
            raise _refused(place, folder)
    return folder


def _on_the_way(folder: Path) -> Iterator[Path]:
    """The folders that lead to it, from the root on, and itself."""
    for place in (*reversed(folder.absolute().parents), folder.absolute()):
        if not place.exists():
            return
        yield place


def _may_read(place: Path, mode: int) -> bool:
    """A link that leads nowhere is for others to judge."""
    return not place.exists() or os.access(place, mode, effective_ids=True)


def _refused(place: Path, folder: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{place} cannot be read by user {os.geteuid()}, group {os.getegid()}.",
        f"On the machine that holds it: chmod -R a+rX {folder.name}, and a+x on the folders above it.",
    )
