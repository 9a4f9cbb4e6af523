"""A server's own folder for files in work, gone with the server, however it ends.

What people upload lies here while it is read. A server that is killed cannot clean up; so each has a
folder of its own, holds a lock on it while it lives, and at its start removes the folders whose lock
nobody holds. Several servers may share the parent folder.

Knows nothing of what the files are.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

_LOCK = ".lock"


class Scratch:
    """Made on first use of `path` under a name that begins with `kind`, removed by `close`."""

    def __init__(self, parent: Path, kind: str = "server") -> None:
        self._parent = parent
        self._kind = kind
        self._path: Path | None = None
        self._lock: IO[bytes] | None = None

    @property
    def path(self) -> Path:
        """The folder. Raises OSError when the disk does not let it be made."""
        if self._path is None:
            self._parent.mkdir(parents=True, exist_ok=True)
            remove_orphans(self._parent, self._kind)
            # Named like the others only once it is locked, so that nobody takes it for an orphan.
            folder = Path(tempfile.mkdtemp(dir=self._parent, prefix="new-"))
            self._lock = _locked(folder)
            self._path = folder.rename(folder.with_name(folder.name.replace("new-", f"{self._kind}-", 1)))
        return self._path

    def close(self) -> None:
        """Remove the folder with all that is in it. May be called twice."""
        path, self._path = self._path, None
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def remove_orphans(parent: Path, kind: str = "server") -> list[Path]:
    """Remove the folders in `parent` whose server is no more; return them."""
    removed = []
    for folder in parent.glob(f"{kind}-*"):
        lock = _locked(folder) if _is_trusted(folder) else None
        if lock is not None:
            log.info("removing files that a server left behind: %s", folder.name)
            shutil.rmtree(folder, ignore_errors=True)
            lock.close()
            removed.append(folder)
    return removed


def _is_trusted(folder: Path) -> bool:
    """Where everybody may write, somebody else may have put a link or a folder under such a name."""
    with suppress(OSError):
        return not folder.parent.stat().st_mode & stat.S_IWOTH or folder.lstat().st_uid == os.geteuid()
    return False


def _locked(folder: Path) -> IO[bytes] | None:
    """The folder's lock, held until it is closed; None when another process holds it."""
    with suppress(OSError):
        lock = (folder / _LOCK).open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except OSError:
            lock.close()
    return None
