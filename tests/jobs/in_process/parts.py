"""The parts of a server that jobs are made of, without the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from airgap.engines.fake import FakeEngine
from airgap.jobs.plan import Input, Spec
from airgap.jobs.quota import Quota
from airgap.jobs.reading import JobReading, Threads
from airgap.jobs.store import JobFolder, JobStore
from airgap.jobs.tables import Job, Tables
from process.pages import Limits
from tests.jobs.in_process.test_rows import job
from tests.process.one_page import reader_of


class Flow:
    """Stands for the workflows: notes what it is told. `alive` are the jobs that still have one."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self.told: list[tuple[Any, ...]] = []

    def is_alive(self, job_id: str) -> bool:
        return job_id in self.alive

    def reclaim(self, server_id: str) -> int:
        self.told.append(("reclaim", server_id))
        return 1

    def enqueue_open(self, job_id: str, generation: int) -> None:
        self.told.append(("open", int(job_id), generation))

    def cancel(self, job_id: str) -> None:
        self.told.append(("cancel", int(job_id)))

    def erase(self, job_id: str) -> None:
        self.told.append(("erase", int(job_id)))


class House:
    """Rows, folders and threads under one path, and a reader of jobs on the fake engine."""

    def __init__(self, path: Path, quota: Quota | None = None) -> None:
        self.store = JobStore(path / "jobs")
        self.store.root.mkdir()
        self.tables = Tables(None, self.store.root)
        self.threads = Threads()
        self.engine = FakeEngine()
        self.reader = reader_of(self.engine)
        self.reading = JobReading(
            server="here",
            reader=self.reader,
            limits=Limits(),
            tables=self.tables,
            store=self.store,
            threads=self.threads,
            quota=quota or Quota(),
        )

    def add(self, number: int = 1, files: Sequence[bytes] = (), **values: Any) -> Job:
        """A row, and a folder with these files."""
        options = values.pop("spec", {})
        made = replace(job(number), inputs=len(files), **values)
        self.tables.add(made)
        with self.store.staging() as staging:
            inputs = tuple(Input(f"{n:06d}", f"{n}.pdf") for n in range(len(files)))
            for entry, data in zip(inputs, files, strict=True):
                staging.input(entry.file).write_bytes(data)
            staging.write_spec(Spec(made.id, made.caller, inputs, **options))
            self.store.adopt(staging, made.id)
        return made

    def folder(self, number: int = 1) -> JobFolder:
        return self.store.folder(job(number).id)

    def row(self, number: int = 1) -> Job:
        found = self.tables.job(job(number).id)
        assert found is not None
        return found

    def close(self) -> None:
        self.tables.close()
        self.threads.close()
