"""A watched folder: which files have arrived whole, and where they go once they were read.

It reads no file and knows no engine; `ocr watch` does the reading. Polling, not notifications: those do
not come from network folders, where scanners and colleagues put their files.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from airgap.client.files import files_in
from airgap.core.errors import Conflict
from airgap.core.file_names import safe_stem

_WORKING = ".working"


class Inbox:
    """The folder `entrance`, whose files leave it for `done` or `failed` beneath it.

    A file has arrived when its size and time have not changed for `settle` seconds.
    """

    def __init__(self, entrance: Path, settle: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.entrance = entrance
        self.settle = settle
        self._clock = clock
        self._seen: dict[Path, tuple[tuple[int, int], float]] = {}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder. Raises `Conflict` when another process watches it."""
        with (self.entrance / ".ocr-watch").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Conflict("Another `ocr watch` has this folder.", "Watch another one.") from error
            yield

    def arrived(self) -> list[Path]:
        """The files that are whole, by name; those still growing come later."""
        now = self._clock()
        seen = {}
        for path in files_in(self.entrance, deep=False):
            if path.name.startswith("."):
                continue
            with suppress(FileNotFoundError):
                stat = path.stat()
                mark = (stat.st_size, stat.st_mtime_ns)
                earlier, since = self._seen.get(path, (mark, now))
                seen[path] = (mark, since if earlier == mark else now)
        self._seen = seen
        return [path for path, (_, since) in seen.items() if now - since >= self.settle]

    @property
    def empty(self) -> bool:
        """Whether nothing was there at the last look, arrived or not."""
        return not self._seen

    def finish(self, path: Path, problems: tuple[str, ...]) -> Path:
        """Move an original that was dealt with out of the way; beside a failed one lies why it failed."""
        place = self.entrance / ("failed" if problems else "done")
        place.mkdir(exist_ok=True)
        target = _free(place, path.stem, path.suffix)
        path.rename(target)
        self._seen.pop(path, None)
        if problems:
            target.with_name(f"{target.name}.txt").write_text("".join(f"{line}\n" for line in problems))
        return target


class Outbox:
    """The folder of results. A result appears whole, under a name that no other has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._working = folder / _WORKING
        shutil.rmtree(self._working, ignore_errors=True)  # of a run that was cut short
        self._working.mkdir(parents=True)
        self._promised: set[Path] = set()

    def begin(self, filename: str) -> Path:
        """A folder to write one file's results into; its name is the one they will have."""
        target = _free(self._folder, safe_stem(filename), "", self._promised)
        self._promised.add(target)
        return self._working / target.name

    def finish(self, folder: Path) -> None:
        """Let the results appear, if any were written."""
        with suppress(FileNotFoundError):
            folder.rename(self._folder / folder.name)
        self._promised.discard(self._folder / folder.name)

    def close(self) -> None:
        shutil.rmtree(self._working, ignore_errors=True)


def _free(folder: Path, stem: str, suffix: str, taken: set[Path] | None = None) -> Path:
    """A path in `folder` that is not there yet."""
    number, path = 1, folder / f"{stem}{suffix}"
    while path.exists() or path in (taken or ()):
        number += 1
        path = folder / f"{stem}_{number}{suffix}"
    return path
