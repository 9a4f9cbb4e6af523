"""Durable jobs over HTTP: files in, an id at once; pages as they come; a ZIP at the end.

A route parses, calls one function, answers. How a job is kept, shared and resumed is known in `jobs`.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, File, Form, Header, Query, Request, Response, UploadFile
from fastapi import Path as UrlPath
from fastapi.responses import FileResponse, JSONResponse
from fastapi.sse import format_sse_event
from pydantic import Field
from typing_extensions import TypedDict

from airgap.accounts.caller import Caller, CallerDep
from airgap.core.document import ReadOptions
from airgap.core.errors import Forbidden, InvalidOption
from airgap.exporters.json_export import page_to_dict
from airgap.exporters.markdown import page_markdown
from airgap.exporters.preview import LONGEST_SIDE, MEDIA_TYPE, to_preview
from airgap.http.forms import CONFIDENCE, FormOpening, FormOptions, requested_outputs
from airgap.http.live import LiveResponse
from airgap.http.responses import content_disposition, unless_gone, zip_response
from airgap.http.service import Service, ServiceDep, ServiceStatus
from airgap.http.uploads import display_name, save_upload, temporary_path
from airgap.jobs.description import JobAnswer, describe
from airgap.jobs.events import JobEvent
from airgap.jobs.intake import Order, take_in
from airgap.jobs.plan import Input, Priority, Status
from airgap.jobs.quota import Quota
from airgap.jobs.service import Jobs
from airgap.jobs.store import JobFolder
from airgap.jobs.tables import Job, Wanted
from airgap.jobs.unpack import file_name, is_zip, unpack
from airgap.jobs.webhooks import Webhooks

router = APIRouter(prefix="/jobs", tags=["jobs"])

USAGE = {
    "submit": "curl -F files=@a.pdf -F files=@scans.zip -F output=markdown,searchable_pdf http://localhost:8000/jobs",
    "several": "curl 'http://localhost:8000/jobs?id=$ID&id=$OTHER'",
    "state": "curl http://localhost:8000/jobs/$ID",
    "pages as they come": "curl -N http://localhost:8000/jobs/$ID/events",
    "result": "curl -o results.zip http://localhost:8000/jobs/$ID/result",
    "cancel": "curl -X POST http://localhost:8000/jobs/$ID/cancel",
    "erase": "curl -X DELETE http://localhost:8000/jobs/$ID",
}

Files = Annotated[list[UploadFile], File(description="Pictures, PDFs, and ZIPs of them.")]


def unavailable() -> str | None:
    """Why there are no jobs on this server; None where there are."""
    missing = [name for name in ("dbos", "sqlalchemy") if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


def attach(app: FastAPI, service: Service) -> None:
    """Give an application its jobs, to be started and closed with it."""

    def note(event: str, who: str, details: dict[str, Any]) -> None:
        audit = getattr(app.state, "audit", None)
        if audit is not None:
            audit.note_now(event, who, details)

    quota = Quota(lambda: getattr(app.state, "accounts", None))
    app.state.jobs = jobs = Jobs(service.settings, service.reader, service.limits, service.tasks, quota, note)
    service.parts.append(jobs)
    app.state.webhooks = webhooks = Webhooks(service.settings, jobs)
    service.parts.append(webhooks)


def get_jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


JobsDep = Annotated[Jobs, Depends(get_jobs)]


async def get_job(jobs: JobsDep, caller: CallerDep, job_id: Annotated[str, UrlPath(max_length=64)]) -> Job:
    return await jobs.job(caller.id, job_id)


async def get_any_job(
    jobs: JobsDep, caller: CallerDep, job_id: Annotated[str, UrlPath(max_length=64)]
) -> Job:
    """As `get_job`; an administrator's also that of another."""
    return await jobs.job(None if caller.is_admin else caller.id, job_id)


JobDep = Annotated[Job, Depends(get_job)]
AnyJobDep = Annotated[Job, Depends(get_any_job)]


async def note_administrator(jobs: Jobs, caller: Caller, event: str, job: Job) -> None:
    if not caller.owns(job.caller):
        await jobs.note_administrator(event, caller.id, job)


def job_options(
    options: FormOptions, confidence: Annotated[bool, Form(description=CONFIDENCE)] = True
) -> ReadOptions:
    """The fields that all reading routes share. What a job reads is kept: it has its confidences."""
    return replace(options, confidence=confidence)


class JobList(TypedDict):
    """`next` is the `cursor` of what follows, null at the end."""

    jobs: list[JobAnswer]
    next: str | None


@router.post(
    "",
    status_code=202,
    summary="Take a job in and answer at once",
    responses={
        200: {"model": JobAnswer, "description": "The job that was sent with this key before."},
        202: {"model": JobAnswer},
    },
)
async def submit(
    request: Request,
    service: ServiceDep,
    jobs: JobsDep,
    caller: CallerDep,
    options: Annotated[ReadOptions, Depends(job_options)],
    files: Files,
    opening: FormOpening,
    outputs: Annotated[tuple[str, ...], Depends(requested_outputs)],
    priority: Annotated[
        Priority, Form(description="The share of the queue; none starves another.")
    ] = "normal",
    idempotency_key: Annotated[str | None, Form(max_length=200)] = None,
    webhook: Annotated[
        str | None, Form(max_length=2048, description="A URL that is told when the job has ended.")
    ] = None,
    idempotency_key_header: Annotated[
        str | None, Header(alias="Idempotency-Key", max_length=200, description="Sent twice, taken once.")
    ] = None,
) -> JSONResponse:
    webhooks: Webhooks = request.app.state.webhooks
    if webhook:
        webhooks.check(webhook)
    order = Order(
        options,
        opening=opening,
        outputs=tuple(name for name in outputs if name != "zip"),
        priority=priority,
        key=idempotency_key_header or idempotency_key,
    )
    size = sum(file.size or 0 for file in files)
    job, new = await take_in(jobs, caller, size, lambda folder: save_inputs(files, folder, service), order)
    if webhook:
        await webhooks.expect(job, webhook)
    (answer,) = await _described(jobs, [job])
    location = str(request.url.path).rstrip("/") + f"/{job.id}"
    return JSONResponse(answer, 202 if new else 200, headers={"Location": location})


def save_inputs(files: list[UploadFile], folder: JobFolder, service: Service) -> tuple[Input, ...]:
    """Copy what was sent into a job's folder, ZIPs unpacked. Blocks."""
    inputs: list[Input] = []
    room = service.settings.job_max_unpacked_mb * 2**20
    place = folder.input("")
    for upload in files:
        path = save_upload(upload, place)
        if is_zip(path):
            found, size = unpack(path, place, len(inputs), room)
            path.unlink()
            room -= size
            inputs += found
        else:
            file = file_name(len(inputs))
            path.rename(place / file)
            inputs.append(Input(file, display_name(upload)))
    return tuple(inputs)


@router.get("", summary="Your jobs, the newest first")
async def list_jobs(
    jobs: JobsDep,
    caller: CallerDep,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=80, description="`next` of an earlier answer.")] = None,
    ids: Annotated[
        list[Annotated[str, Field(max_length=64)]] | None,
        Query(alias="id", max_length=100, description="These alone. Without accounts they must be named."),
    ] = None,
    everyone: Annotated[bool, Query(description="Those of all callers, for administrators.")] = False,
) -> JobList:
    if caller.is_anonymous and ids is None:
        raise Forbidden(
            "Without accounts nobody is told of jobs whose ids they do not have.",
            "Keep the `id` that POST /jobs answers with, and ask for it: /jobs?id=….",
        )
    if everyone:
        if not caller.is_admin:
            raise Forbidden("Only an administrator may list everybody's jobs.")
        await jobs.note_administrator("jobs_listed", caller.id, None)
    owner = None if everyone else caller.id
    before = _parsed(cursor) if cursor else None
    found = await jobs.jobs(Wanted(owner, status, before, limit, None if ids is None else tuple(ids)))
    following = f"{found[-1].created_at!r}_{found[-1].id}" if len(found) == limit else None
    return {"jobs": await _described(jobs, found, caller), "next": following}


async def _described(jobs: Jobs, found: list[Job], caller: Caller | None = None) -> list[JobAnswer]:
    """The jobs as the caller may see them; for None as their owner does."""
    counts, names = await jobs.counts(found), await jobs.filenames(found)
    own = {job.id: names[job.id] if caller is None or caller.owns(job.caller) else [] for job in found}
    return [describe(job, counts[job.id], own[job.id]) for job in found]


def _parsed(cursor: str) -> tuple[float, str]:
    created, _, job_id = cursor.partition("_")
    try:
        return float(created), job_id
    except ValueError as error:
        raise InvalidOption("`cursor` is not one that this server gave out.") from error


@router.get("/status", summary="Whether jobs can be taken now")
async def status(service: ServiceDep) -> ServiceStatus:
    return service.status()


@router.get("/info", summary="How to use jobs")
async def info(service: ServiceDep) -> dict[str, Any]:
    settings = service.settings
    return {
        "routes": ["/jobs", "/jobs/{id}", "/jobs/{id}/events", "/jobs/{id}/result", "/jobs/{id}/cancel"],
        "max_upload_mb": settings.max_upload_mb,
        "max_unpacked_mb": settings.job_max_unpacked_mb,
        "max_jobs_per_caller": settings.max_jobs_per_caller,
        "result_ttl_hours": settings.result_ttl_hours,
        "examples": USAGE,
    }


@router.get("/{job_id}", summary="State, ledger, speed and estimate")
async def show(jobs: JobsDep, caller: CallerDep, job: AnyJobDep) -> JobAnswer:
    await note_administrator(jobs, caller, "job_seen", job)
    return (await _described(jobs, [job], caller))[0]


@router.get(
    "/{job_id}/events",
    summary="Pages as they come, as server-sent events",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(
    jobs: JobsDep,
    job: JobDep,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", max_length=20, description="The last page you have.")
    ] = None,
) -> LiveResponse:
    try:
        after = int(last_event_id) if last_event_id else -1
    except ValueError as error:
        raise InvalidOption("`Last-Event-ID` is not a number.", "Send back the id of an event.") from error
    return LiveResponse(_stream(jobs, job, max(-1, after)), "text/event-stream; charset=utf-8")


async def _stream(jobs: Jobs, job: Job, after: int) -> AsyncGenerator[str, None]:
    async with aclosing(jobs.events(job, after)) as found:
        async for event in found:
            if event.kind == "ping":
                yield format_sse_event(comment="still here").decode()
                continue
            data = await _data(jobs, event)
            text = json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace").decode()
            number = None if event.index is None else str(event.index)
            yield format_sse_event(data_str=text, event=event.kind, id=number).decode()


async def _data(jobs: Jobs, event: JobEvent) -> Mapping[str, Any]:
    if event.stored is None:
        return (await _described(jobs, [event.job]))[0]
    page = event.stored.page
    read = page_to_dict(page) | {"markdown": page_markdown(page)}
    return {"index": event.index, "file": event.position, "filename": event.name, "page": read}


@router.get(
    "/{job_id}/result",
    summary="The ZIP; of a job that is not done, what there is",
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}}},
)
async def result(request: Request, service: ServiceDep, jobs: JobsDep, job: JobDep) -> FileResponse:
    path, passing = await unless_gone(
        request, jobs.result(job, lambda: temporary_path(service.uploads, ".zip"))
    )
    name = f"results-{job.id[:8]}.zip"
    if passing:
        response = zip_response(path, name)
    else:
        headers = {"Content-Disposition": content_disposition(name)}
        response = FileResponse(path, media_type="application/zip", headers=headers)
    response.headers["X-Job-Status"] = job.status
    return response


@router.post("/{job_id}/cancel", summary="Stop a job; what was read stays")
async def cancel(jobs: JobsDep, caller: CallerDep, job: AnyJobDep) -> JobAnswer:
    await note_administrator(jobs, caller, "job_cancelled", job)
    return (await _described(jobs, [await jobs.cancel(job)], caller))[0]


@router.post("/{job_id}/retry", summary="Read again what failed, and what a cancelled job left unread")
async def retry(jobs: JobsDep, job: JobDep) -> JobAnswer:
    return (await _described(jobs, [await jobs.retry(job)]))[0]


@router.get(
    "/{job_id}/pages/{index}.jpg",
    summary="How a page looks; `index` is that of its event",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
async def picture(
    jobs: JobsDep,
    job: JobDep,
    index: Annotated[int, UrlPath(ge=0, le=100_000_000)],
    longest_side: Annotated[int, Query(ge=16, le=LONGEST_SIDE, description="In pixels.")] = LONGEST_SIDE,
) -> Response:
    picture = await jobs.picture(job, index, lambda image: to_preview(image, longest_side))
    return Response(picture, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


@router.get(
    "/{job_id}/files/{position}",
    summary="A file of the job as it was sent; `position` is the `file` of an event",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
async def original(
    jobs: JobsDep, job: JobDep, position: Annotated[int, UrlPath(ge=0, le=1_000_000)]
) -> FileResponse:
    path, name = await jobs.original(job, position)
    headers = {"Content-Disposition": content_disposition(name), "Cache-Control": "no-store"}
    return FileResponse(path, media_type="application/octet-stream", headers=headers)


@router.delete("/{job_id}", status_code=204, summary="Stop a job and erase files, results and rows")
async def erase(jobs: JobsDep, caller: CallerDep, job: AnyJobDep) -> Response:
    await jobs.erase(job, caller.id)
    return Response(status_code=204)
