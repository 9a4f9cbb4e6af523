"""Who writes the result of a job, with which bounds; and what the route says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airgap.core.errors import Conflict, ExportFailed
from airgap.jobs.results import Results
from airgap.jobs.routes import router
from airgap.jobs.store import JobStore
from airgap.jobs.tables import Job
from process.pages import Limits
from tests.jobs.in_process.test_rows import job


class Writing:
    """Stands for the processes that write results: notes what it is asked for."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked: list[tuple[str, int]] = []
        self._failure = failure

    async def run(self, call: str, *, pages: int, target: str, **_: Any) -> None:
        self._write(call, pages, Path(target))

    def _write(self, call: str, pages: int, target: Path) -> None:
        self.asked.append((call, pages))
        if self._failure:
            raise self._failure
        target.write_text("a result")


def results(path: Path, writing: Writing, row: Job) -> Results:
    store = JobStore(path / "jobs")
    store.folder(row.id).path.mkdir(parents=True)
    return Results(writing, store, Limits())  # type: ignore[arg-type]


@pytest.mark.parametrize(("pages", "counted"), [(None, 1), (0, 1), (1, 1), (7, 7)])
async def test_a_result_has_the_time_of_its_pages(pages: int | None, counted: int, tmp_path: Path) -> None:
    writing, row = Writing(), job(pages=pages, status="done", finished_at=1.0)
    assert await results(tmp_path, writing, row).unwritten(row) is None
    assert writing.asked == [("airgap.jobs.closing:write", counted)]


async def test_what_is_written_is_not_written_again(tmp_path: Path) -> None:
    writing, row = Writing(), job(pages=2, status="done", finished_at=1.0)
    kept = results(tmp_path, writing, row)
    for _ in range(2):
        path, passing = await kept.result(row, lambda: tmp_path / "beside")
        assert (path.name, path.read_text(), passing) == ("result.zip", "a result", False)
    assert len(writing.asked) == 1


async def test_of_a_job_that_goes_on_there_is_what_there_is(tmp_path: Path) -> None:
    writing, row = Writing(), job(pages=2, status="running")
    kept = results(tmp_path, writing, row)
    assert await kept.result(row, lambda: tmp_path / "beside") == (tmp_path / "beside", True)
    with pytest.raises(Conflict) as refused:
        await kept.result(job(status="queued"), lambda: tmp_path / "beside")
    assert refused.value.retry_after == 2


async def test_a_result_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    row = job(pages=2, status="done", finished_at=1.0)
    kept = results(tmp_path, Writing(ExportFailed("It is broken.", "Mend it.")), row)
    assert await kept.unwritten(row) == "the result could not be written: It is broken."


def test_the_route_answers_with_an_archive() -> None:
    (route,) = (route for route in router.routes if getattr(route, "name", "") == "result")
    assert route.responses == {200: {"content": {"application/zip": {}}}}  # type: ignore[attr-defined]
