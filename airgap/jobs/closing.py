"""A job's pages → its result ZIP.

Equal pages make equal archives: whatever was killed on the way, in whatever order the pages came and
whichever server read them. So the times, `usage.seconds` among them, stand in the manifest alone. Blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from airgap.core.document import Document, Page, PageError
from airgap.core.errors import AirgapError
from airgap.exporters.archive import DEFAULT_OUTPUTS, Archive
from airgap.jobs.plan import Plan, PlannedInput, Spec
from airgap.jobs.store import JobFolder, StoredPage
from airgap.layout.whole_document import as_one
from process.pages import Limits, open_source

NOT_READ = PageError(
    "not_read",
    "The page was not read yet when this result was made.",
    "Ask again once the job is done, or send the page again if it was cancelled.",
)


def write(folder: str, limits: Mapping[str, Any], times: Mapping[str, Any], target: str) -> None:
    """As `write_result`, in a process of its own: values of JSON alone."""
    write_result(JobFolder(Path(folder)), Limits(**{**limits, "render_workers": 1}), times, Path(target))


def write_result(folder: JobFolder, limits: Limits, times: Mapping[str, Any], path: Path) -> None:
    """Write the ZIP of what there is, first beside `path`. Pages that were not read say so."""
    spec, plan = folder.spec(), folder.plan()
    beside = path.with_suffix(".part")
    try:
        with Archive(beside, spec.outputs or DEFAULT_OUTPUTS) as archive:
            seconds = 0.0
            for position, planned in enumerate(plan.inputs):
                seconds += _add(archive, folder, spec, plan, position, planned, limits)
            archive.notes["times"] = {**times, "reading_seconds": round(seconds, 3)}
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _add(
    archive: Archive,
    folder: JobFolder,
    spec: Spec,
    plan: Plan,
    position: int,
    planned: PlannedInput,
    limits: Limits,
) -> float:
    """Add one input. Returns the seconds its pages were in the engine."""
    entry = spec.inputs[position]
    if planned.error is not None:
        archive.add_failure(entry.name, planned.error)
        return 0.0
    stored = [folder.page(index) or _not_read(plan, index) for index in plan.indexes(position)]
    document = joined(stored)
    try:
        source = open_source(folder.input(entry.file), name=entry.name, limits=limits, opening=spec.opening)
    except AirgapError as error:
        archive.add_failure(entry.name, error.as_page_error())
        return document.usage.seconds
    with source:
        document = replace(
            document,
            language=spec.options.language,
            notes=source.notes,
            left_out=source.left_out,
            filename=entry.name,
        )
        archive.add(entry.name, without_times(document), source)
    return document.usage.seconds


def joined(stored: Iterable[StoredPage]) -> Document:
    """One document of pages that different engines may have read, its headings agreeing over them."""
    pages = list(stored)

    def names(values: Iterable[str | None]) -> str | None:
        return ", ".join(dict.fromkeys(value for value in values if value)) or None

    return Document(
        as_one([entry.page for entry in pages]),
        names(entry.engine for entry in pages) or "",
        names(entry.model for entry in pages) or "",
        names(entry.mode for entry in pages),
    )


def without_times(document: Document) -> Document:
    pages = (replace(page, usage=replace(page.usage, seconds=0.0)) for page in document.pages)
    return replace(document, pages=tuple(pages))


def _not_read(plan: Plan, index: int) -> StoredPage:
    number = plan.locate(index)[1]
    page = Page(number, 0, 0, "failed", finish_reason="error", error=NOT_READ)
    return StoredPage(page, "", "", None)
