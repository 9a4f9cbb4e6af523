"""A job's folder: its inputs, one small JSON file per page, its result.

    <root>/<job id>/job.json  plan.json  inputs/000000 …  pages/000/000000.json …  result.zip

`job.json` says with `schema_version` how the folder is laid out; none stands for 1, that of 0.1.0.
Everything is written beside its place and moved there, so that what has its name is whole, whatever
dies and whichever server writes. The root may be a folder that several servers share. All calls block.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airgap.core.document import Page
from airgap.core.errors import JobsUnavailable, StorageFull
from airgap.db.away import is_full
from airgap.exporters.json_export import page_from_dict, page_to_dict
from airgap.jobs.ages import Ages
from airgap.jobs.plan import Plan, Spec

SCHEMA_VERSION = 1
_PAGES_PER_FOLDER = 1000
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
DISK_TROUBLE = "the disk under DATA_DIR takes nothing more: make room on it, or mount it for writing"
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EMLINK}
_ERASED = ".erased-"
_INCOMING = ".incoming-"
_INCOMING_SECONDS = 3600.0

NAMES_SHOWN = 20
"""How many of a job's file names are shown with it."""

_NAMES_REMEMBERED = 500

RESERVED_BYTES = 256 * 2**20
"""Room that is left free for the database and the results, on disks large enough for that."""


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page, and what read it: servers of one queue may have different engines."""

    page: Page
    engine: str
    model: str
    mode: str | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "model": self.model,
            "mode": self.mode,
            "page": page_to_dict(self.page),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StoredPage:
        return cls(page_from_dict(data["page"]), data["engine"], data["model"], data["mode"])


class JobFolder:
    """One job's folder. Nothing here makes the folder itself again once it was erased."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.result = path / "result.zip"

    def exists(self) -> bool:
        return self.path.is_dir()

    def input(self, file: str) -> Path:
        return self.path / "inputs" / file

    def write_spec(self, spec: Spec) -> None:
        write_json(self.path / "job.json", {"schema_version": SCHEMA_VERSION, **spec.to_dict()})

    def spec(self) -> Spec:
        """Raises `FileNotFoundError` when the job was erased, `JobsUnavailable` when it is of later."""
        data = json.loads((self.path / "job.json").read_bytes())
        version = data.pop("schema_version", 1)
        if version > SCHEMA_VERSION:
            raise JobsUnavailable(
                f"The job's folder is of version {version}, and this release knows {SCHEMA_VERSION}.",
                "Start the release that wrote it, or a later one.",
            )
        return Spec.from_dict(data)

    def write_plan(self, plan: Plan) -> None:
        for number in range(-(-plan.pages // _PAGES_PER_FOLDER)):
            (self.path / "pages" / f"{number:03d}").mkdir(parents=True, exist_ok=True)
        write_json(self.path / "plan.json", plan.to_dict())

    def plan(self) -> Plan:
        """Raises `FileNotFoundError` before the job was planned, and after it was erased."""
        return Plan.from_dict(json.loads((self.path / "plan.json").read_bytes()))

    def page_path(self, index: int) -> Path:
        return self.path / "pages" / f"{index // _PAGES_PER_FOLDER:03d}" / f"{index:06d}.json"

    def has_page(self, index: int) -> bool:
        return self.page_path(index).exists()

    def page(self, index: int) -> StoredPage | None:
        """The page, or None while it was not read."""
        try:
            return StoredPage.from_dict(json.loads(self.page_path(index).read_bytes()))
        except FileNotFoundError:
            return None

    def publish(self, index: int, stored: StoredPage) -> bool:
        """Give a page its place, for good. False when another server was first, whose page then stays.

        Raises OSError: `FileNotFoundError` when the job was erased meanwhile.
        """
        target = self.page_path(index)
        with _written(target, _encoded(stored.to_dict())) as path:
            try:
                os.link(path, target)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                if target.exists():
                    return False
                path.rename(target)  # where there are no hard links: the same, but for a narrow race
        self._tries_path(index).unlink(missing_ok=True)
        return True

    def unread(self, plan: Plan) -> list[int]:
        """The indexes of the pages that failed, or that are missing."""
        return [
            index
            for index in range(plan.pages)
            if (stored := self.page(index)) is None or stored.page.status == "failed"
        ]

    def forget(self, indexes: Sequence[int]) -> None:
        """Remove pages, which are to be read again."""
        for index in indexes:
            self.page_path(index).unlink(missing_ok=True)

    def note_try(self, index: int) -> int:
        """Count the times that a page was begun and its server died before it was done."""
        with self._tries_path(index).open("ab") as file:
            file.write(b".")
            return file.tell()

    def forget_tries(self, index: int) -> None:
        """The page was given back by a living server."""
        with suppress(FileNotFoundError):
            self._tries_path(index).unlink()

    def _tries_path(self, index: int) -> Path:
        return self.page_path(index).with_suffix(".tries")


class JobStore:
    """All jobs' folders, under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ages = Ages()
        self._names: dict[str, list[str]] = {}

    def folder(self, job_id: str) -> JobFolder:
        return JobFolder(self.root / job_id)

    def filenames(self, job_id: str) -> list[str]:
        """The names of a job's first `NAMES_SHOWN` files; none where its folder is gone."""
        known = self._names.get(job_id)
        if known is not None:
            return known
        try:
            inputs = self.folder(job_id).spec().inputs
        except (OSError, ValueError):
            return []
        if len(self._names) >= _NAMES_REMEMBERED:
            self._names.clear()
        return self._names.setdefault(job_id, [entry.name for entry in inputs[:NAMES_SHOWN]])

    @contextmanager
    def staging(self) -> Iterator[JobFolder]:
        """A folder that becomes a job's by `adopt`, and is removed at the end if it did not."""
        path = Path(tempfile.mkdtemp(dir=self.root, prefix=_INCOMING))
        try:
            (path / "inputs").mkdir()
            yield JobFolder(path)
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def adopt(self, staging: JobFolder, job_id: str) -> None:
        staging.path.rename(self.root / job_id)

    def erase(self, job_id: str) -> None:
        """Remove all that is there of a job, also twice, by several servers, while one still writes."""
        self._names.pop(job_id, None)
        doomed = self.root / f"{_ERASED}{job_id}-{uuid.uuid4().hex[:8]}"
        with suppress(FileNotFoundError):
            (self.root / job_id).rename(doomed)  # from now on nobody can put anything into it by its name
        self.sweep()

    def sweep(self) -> None:
        """Remove what an erasure, or a server that died while a job was sent to it, left behind."""
        for doomed in self.root.glob(f"{_ERASED}*"):
            shutil.rmtree(doomed, ignore_errors=True)
        for incoming in self.root.glob(f"{_INCOMING}*"):
            with suppress(FileNotFoundError):
                if self._age(incoming) > _INCOMING_SECONDS:
                    shutil.rmtree(incoming, ignore_errors=True)

    def _age(self, entry: Path) -> float:
        return self.ages.of(entry.stat().st_mtime)

    def ids(self, older_than: float) -> list[str]:
        """The jobs whose folder was last changed `older_than` seconds ago or before."""
        found = []
        for entry in self.root.iterdir():
            with suppress(FileNotFoundError):
                if len(entry.name) == 32 and entry.is_dir() and self._age(entry) >= older_than:
                    found.append(entry.name)
        return found

    def has_room(self, wanted: int = 0, *, factor: float = 1.0) -> bool:
        """Whether the disk can take `wanted` bytes and keep its reserve, times `factor`."""
        usage = shutil.disk_usage(self.root)
        return usage.free - wanted >= factor * min(RESERVED_BYTES, usage.total * 0.05)

    def require_room(self, wanted: int = 0) -> None:
        """Raise `StorageFull` unless the disk can take `wanted` bytes."""
        if not self.has_room(wanted):
            raise StorageFull("There is no room on the server's disk.", retry_after=60)

    def identity(self) -> str:
        """An id of this very root, the same for all servers that share it."""
        path = self.root / ".store"
        with suppress(FileExistsError), _written(path, uuid.uuid4().hex.encode()) as written:
            if not path.exists():
                with suppress(OSError):
                    os.link(written, path)
                if not path.exists():
                    written.rename(path)
        return path.read_text()


def is_disk_full(error: BaseException) -> bool:
    """Of a file's, a database's, or as it was told already."""
    if isinstance(error, OSError):
        return error.errno in _DISK_FULL
    return isinstance(error, StorageFull) or is_full(error)


def write_json(path: Path, data: Any) -> None:
    """Write a file whole or not at all, and through to the disk."""
    with _written(path, _encoded(data)) as written:
        written.replace(path)


def _encoded(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


@contextmanager
def _written(target: Path, data: bytes) -> Iterator[Path]:
    """A file beside `target` with these bytes, on the disk; removed at the end if it is still there."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".new-")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield path
    finally:
        path.unlink(missing_ok=True)
