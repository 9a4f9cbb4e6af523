"""What became of a job's file: its document, of the pages in the job's folder, and its written results."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

from airgap.core.document import Document
from airgap.core.errors import AirgapError, Conflict, ExportFailed, NotFound, from_page_error
from airgap.jobs.closing import joined
from airgap.jobs.service import Jobs
from airgap.jobs.store import JobFolder
from airgap.jobs.tables import Job
from process.pages import Limits, open_source
from process.work import at_length


async def document_of(jobs: Jobs, job: Job, position: int = 0) -> Document:
    """The document at `position`. Raises what kept the file from being opened, `Conflict`, `NotFound`."""
    _require_finished(job)
    try:
        return await at_length(_document, jobs.store.folder(job.id), position, jobs.limits)
    except FileNotFoundError as error:
        raise NotFound("There is no such job.") from error


def _require_finished(job: Job) -> None:
    if job.status != "done":
        raise Conflict(f"The job is {job.status}.", "Ask again once it is done.", retry_after=2)


def _document(folder: JobFolder, position: int, limits: Limits) -> Document:
    spec, plan = folder.spec(), folder.plan()
    if (error := plan.inputs[position].error) is not None:
        raise from_page_error(error)
    stored = [page for index in plan.indexes(position) if (page := folder.page(index)) is not None]
    entry = spec.inputs[position]
    with open_source(
        folder.input(entry.file), name=entry.name, limits=limits, opening=spec.opening
    ) as source:
        return replace(
            joined(stored), language=spec.options.language, notes=source.notes, left_out=source.left_out
        )


async def failure_of(jobs: Jobs, job: Job) -> AirgapError:
    """Why nothing of a job's only file was read."""
    folder = jobs.store.folder(job.id)
    try:
        document = await at_length(_document, folder, 0, jobs.limits)
        errors = [page.error for page in document.pages if page.error]
    except AirgapError as error:
        return error
    except FileNotFoundError:
        errors = []
    return from_page_error(errors[0]) if errors else Conflict(f"The job is {job.status}: {job.reason}.")


async def outputs_of(jobs: Jobs, job: Job) -> tuple[str, ...]:
    """The formats that were asked for. Raises `NotFound` where the job is gone."""
    try:
        return (await at_length(jobs.store.folder(job.id).spec)).outputs
    except FileNotFoundError as error:
        raise NotFound("There is no such job.") from error


async def written_result(jobs: Jobs, job: Job, suffix: str, place: Path) -> None:
    """The one file of the job's result with this suffix, copied to `place`.

    Raises `Conflict` while the job goes on, `NotFound` where it is gone, `ExportFailed` where its result
    has no such file.
    """
    _require_finished(job)
    path, _ = await jobs.result(job, lambda: place)
    await at_length(_extract, path, suffix, place)


def _extract(archive: Path, suffix: str, place: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        found = [name for name in file.namelist() if name.endswith(suffix)]
        if not found:
            raise ExportFailed(f"The job's result has no file of the kind {suffix}.")
        with file.open(found[0]) as packed, place.open("wb") as target:
            shutil.copyfileobj(packed, target, 1 << 20)
