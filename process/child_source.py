"""What sources have in common whose files are opened by child processes. It knows no file format."""

from __future__ import annotations

from pathlib import Path

from process.child_pool import Bounds, ChildPool, shared_pool
from process.source import Limits, OpenedFile, Source


class ChildSource(Source):
    """A file that children have open under an id of ours, until it is closed here."""

    def _hold(self, path: Path | bytes, limits: Limits, bounds: Bounds) -> None:
        """To be called first: what is asked of a child costs at most `bounds`."""
        self._limits = limits
        self._bounds = bounds
        self._pool: ChildPool = shared_pool(limits.render_workers)
        self._file = OpenedFile(path)

    @property
    def on_disk(self) -> Path:
        """Where the file lies."""
        return self._file.path

    def close(self) -> None:
        if not self._file.closed:
            self._file.close()
            self._pool.forget(self._file.id, self._bounds)
