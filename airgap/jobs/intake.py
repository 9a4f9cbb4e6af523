"""Taking a job in: room is asked for, files come into a folder of its own, and the folder becomes a job.

Whoever has files to be read as a job, from whatever kind of request, comes through here.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from airgap.accounts.caller import Caller
from airgap.core.document import ReadOptions
from airgap.core.errors import StorageFull
from airgap.core.opening import WHOLE, Opening
from airgap.exporters.archive import sha256_of
from airgap.http.responses import on_thread
from airgap.jobs.plan import Input, Priority, Spec
from airgap.jobs.service import Jobs
from airgap.jobs.store import JobFolder, is_disk_full
from airgap.jobs.tables import Job
from airgap.jobs.unpack import file_name
from airgap.monitoring import trace

Save = Callable[[JobFolder], tuple[Input, ...]]
"""Puts a job's files into its folder. Blocks."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to become of a job's files; Sent twice with a `key`, it counts once."""

    options: ReadOptions
    opening: Opening = WHOLE
    outputs: tuple[str, ...] = ()
    priority: Priority = "normal"
    key: str | None = None


async def take_in(jobs: Jobs, caller: Caller, size: int, save: Save, order: Order) -> tuple[Job, bool]:
    """The job, and whether it is new. `size` is that of its files, in bytes.

    Raises `TooManyJobs`, `QuotaExceeded`, `StorageFull`, `Conflict`, and what `save` raises.
    """
    await jobs.require_place(caller.id, size)
    staging = jobs.store.staging()
    folder = await on_thread(staging.__enter__)
    try:
        inputs = await on_thread(_saved, save, folder, jobs)
        spec = Spec(
            id="",
            caller=caller.id,
            inputs=inputs,
            options=order.options,
            opening=order.opening,
            outputs=order.outputs,
            priority=order.priority,
            pages_per_day=caller.pages_per_day,
            account=caller.account,
        )
        mark = await on_thread(fingerprint, spec, folder) if order.key else None
        job, new = await jobs.submit(spec, folder, hashed(order.key) if order.key else None, mark)
    finally:
        await on_thread(staging.__exit__, None, None, None)
    trace.note_job(job.id)
    return job, new


def _saved(save: Save, folder: JobFolder, jobs: Jobs) -> tuple[Input, ...]:
    try:
        inputs = save(folder)
        jobs.store.require_room()
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise StorageFull("There is no room on the server's disk.", retry_after=60) from error
    return inputs


def moved_in(files: list[tuple[Path, str]]) -> Save:
    """Files of our own naming, with their names, which become the job's."""

    def save(folder: JobFolder) -> tuple[Input, ...]:
        inputs = []
        for number, (path, name) in enumerate(files):
            shutil.move(path, folder.input(file_name(number)))
            inputs.append(Input(file_name(number), name))
        return tuple(inputs)

    return save


def fingerprint(spec: Spec, folder: JobFolder) -> str:
    """What tells one job from another: its files and what is to become of them. Blocks."""
    sums = [sha256_of(folder.input(entry.file)) for entry in spec.inputs]
    asked = replace(spec, id="").to_dict() | {"sums": sums}
    del asked["account"]  # who pays changes nothing of it
    return hashed(json.dumps(asked, sort_keys=True))


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
