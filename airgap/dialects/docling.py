"""docling-serve: a document in, its Markdown, `DoclingDocument`, HTML and text out.

    POST /v1/convert/file, /v1/convert/source                 the answer itself
    POST /v1/convert/file/async, /v1/convert/source/async     a task, which is a durable job
    POST /v1/chunk/hierarchical/file, /source                 the document in chunks, both with /async, too
    GET  /v1/status/poll/{id}, /v1/result/{id}

Pages that could not be read make a `partial_success` and are named in `errors`. Chunks of so many tokens
(`hybrid`) are not made here: they hang on the tokenizer of whatever embeds them.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, File, Form, Query, Request, Response, UploadFile
from fastapi import Path as UrlPath
from fastapi.responses import JSONResponse
from typing_extensions import TypedDict

from airgap.accounts.caller import Caller, CallerDep
from airgap.core.errors import AirgapError, FeatureDisabled, UnsupportedOption
from airgap.core.file_names import shown_name
from airgap.dialects import docling_answers as answers
from airgap.dialects.docling_chunk_request import Chunking, ChunkRequest, form_chunking, form_reading
from airgap.dialects.docling_request import (
    FORMATS,
    ConvertOptions,
    ConvertRequest,
    check_target,
    form_options,
    one_of,
)
from airgap.dialects.documents import answers_with, read
from airgap.dialects.inputs import fetcher_of, file_of
from airgap.http.error_answers import error_response
from airgap.http.json_bodies import JsonRoute
from airgap.http.live import Admitted
from airgap.http.opening import opened
from airgap.http.responses import on_thread
from airgap.http.service import ReadyService, Service, ServiceDep
from airgap.http.uploads import display_name, saved_bytes, saved_upload
from airgap.jobs import finished
from airgap.jobs.intake import Order, moved_in, take_in
from airgap.jobs.plan import Input
from airgap.jobs.service import Jobs
from airgap.jobs.store import JobFolder, write_json
from airgap.jobs.tables import Job

MAX_WAIT = 60.0
"""Most seconds that a poll may wait for the end of a task."""

_OPTIONS = "docling.json"
_STATUS = {"queued": "pending", "running": "started", "paused": "started", "done": "success"}
_NO_TOKENS = (
    "Send it to /v1/chunk/hierarchical/…; or convert it with `to_formats: json`, and have docling-core's "
    "HybridChunker cut it with your tokenizer."
)


class DoclingRoute(JsonRoute):
    """Errors have a `detail` besides: what Docling's clients show, and act on."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except (UnsupportedOption, FeatureDisabled) as error:
                answer = error_response(error, str(request.scope.get("request_id", "")))
                members = json.loads(bytes(answer.body)) | {"detail": f"{error.message} {error.remedy}"}
                return JSONResponse(members, answer.status_code)

        return handled


router = APIRouter(prefix="/v1", tags=["docling"], route_class=DoclingRoute)

Files = Annotated[list[UploadFile], File(description="One picture or PDF.")]
Options = Annotated[ConvertOptions, Depends(form_options)]
ChunkReading = Annotated[ConvertOptions, Depends(form_reading)]
FormChunking = Annotated[Chunking, Depends(form_chunking)]
TargetType = Annotated[str, Form(max_length=40, description="`inbody`.")]


class Task(TypedDict):
    """How a task goes, in the fields of docling-serve."""

    task_id: str
    task_type: Literal["convert", "chunk"]
    task_status: str
    task_position: int | None
    task_meta: dict[str, int]
    error_message: str | None


def get_jobs(service: ServiceDep, request: Request) -> Jobs:
    """Raises `FeatureDisabled` where this server has no jobs."""
    jobs: Jobs | None = getattr(request.app.state, "jobs", None)
    if jobs is None:
        raise FeatureDisabled("Tasks are jobs, and this server has none.", "Use /v1/convert/file.")
    return jobs


JobsDep = Annotated[Jobs, Depends(get_jobs)]


@router.post(
    "/convert/file",
    summary="A file to Markdown, DoclingDocument, HTML or text",
    response_class=Response,
    responses=answers_with("application/json"),
)
async def convert_file(
    request: Request,
    service: ReadyService,
    _: Admitted,
    files: Files,
    options: Options,
    target_type: TargetType = "inbody",
) -> Response:
    check_target(target_type)
    options.check()
    upload = one_of(files)
    async with saved_upload(upload, service.uploads) as path:
        return await _converted(request, service, path, display_name(upload), options)


@router.post(
    "/convert/source",
    summary="The same for base64 in JSON, or a URL where the site fetches them",
    response_class=Response,
    responses=answers_with("application/json"),
)
async def convert_source(
    request: Request, service: ReadyService, _: Admitted, body: ConvertRequest
) -> Response:
    check_target(body.target.kind)
    body.options.check()
    data, name = await _sent(request, body)
    return await _converted(request, service, data, name, body.options)


async def _sent(request: Request, body: ConvertRequest) -> tuple[bytes, str]:
    """The one document that a body holds or names, and what it is called."""
    source = body.source()
    return await file_of(source.text(), fetcher_of(request)), shown_name(source.filename, "document")


async def _converted(
    request: Request,
    service: Service,
    file: Path | bytes,
    name: str,
    options: ConvertOptions,
    chunking: Chunking | None = None,
) -> Response:
    started = time.monotonic()
    async with opened(service, file, name, options.opening()) as source:
        document = await read(request, service, source, options.reading())
    seconds = time.monotonic() - started
    if chunking is not None:
        return await answers.chunked(document, name, chunking, seconds)
    return await answers.converted(document, name, options, seconds)


@router.post(
    "/chunk/hierarchical/file",
    summary="A file to chunks: an element each, under its headings",
    response_class=Response,
    responses=answers_with("application/json"),
)
async def chunk_file(
    request: Request,
    service: ReadyService,
    _: Admitted,
    files: Files,
    options: ChunkReading,
    chunking: FormChunking,
    target_type: TargetType = "inbody",
) -> Response:
    check_target(target_type)
    upload = one_of(files)
    async with saved_upload(upload, service.uploads) as path:
        return await _converted(request, service, path, display_name(upload), options, chunking)


@router.post(
    "/chunk/hierarchical/source",
    summary="The same for base64 in JSON, or a URL where the site fetches them",
    response_class=Response,
    responses=answers_with("application/json"),
)
async def chunk_source(request: Request, service: ReadyService, _: Admitted, body: ChunkRequest) -> Response:
    check_target(body.target.kind)
    data, name = await _sent(request, body)
    return await _converted(request, service, data, name, body.reading(), body.chunking())


@router.post("/chunk/hybrid/{source}", summary="Not made here", include_in_schema=False)
@router.post("/chunk/hybrid/{source}/async", summary="Not made here", include_in_schema=False)
async def chunk_by_tokens(source: str) -> None:
    raise FeatureDisabled("Chunks of so many tokens are not made by this server.", _NO_TOKENS)


# --- tasks ---------------------------------------------------------------------------------------


@router.post("/convert/file/async", summary="The same as a task, answered at once")
async def convert_file_later(
    service: ReadyService,
    jobs: JobsDep,
    caller: CallerDep,
    files: Files,
    options: Options,
    target_type: TargetType = "inbody",
) -> Task:
    check_target(target_type)
    options.check()
    upload = one_of(files)
    async with saved_upload(upload, service.uploads) as path:
        return await _begun(jobs, caller, path, display_name(upload), options)


@router.post("/convert/source/async", summary="The same for base64 or a URL")
async def convert_source_later(
    request: Request, service: ReadyService, jobs: JobsDep, caller: CallerDep, body: ConvertRequest
) -> Task:
    check_target(body.target.kind)
    body.options.check()
    data, name = await _sent(request, body)
    async with saved_bytes(data, service.uploads) as path:
        return await _begun(jobs, caller, path, name, body.options)


@router.post("/chunk/hierarchical/file/async", summary="A file to chunks, as a task")
async def chunk_file_later(
    service: ReadyService,
    jobs: JobsDep,
    caller: CallerDep,
    files: Files,
    options: ChunkReading,
    chunking: FormChunking,
    target_type: TargetType = "inbody",
) -> Task:
    check_target(target_type)
    upload = one_of(files)
    async with saved_upload(upload, service.uploads) as path:
        return await _begun(jobs, caller, path, display_name(upload), options, chunking)


@router.post("/chunk/hierarchical/source/async", summary="The same for base64 or a URL")
async def chunk_source_later(
    request: Request, service: ReadyService, jobs: JobsDep, caller: CallerDep, body: ChunkRequest
) -> Task:
    check_target(body.target.kind)
    data, name = await _sent(request, body)
    async with saved_bytes(data, service.uploads) as path:
        return await _begun(jobs, caller, path, name, body.reading(), body.chunking())


async def _begun(
    jobs: Jobs,
    caller: Caller,
    path: Path,
    name: str,
    options: ConvertOptions,
    chunking: Chunking | None = None,
) -> Task:
    move = moved_in([(path, name)])
    asked = options.model_dump() | {"chunking": chunking and chunking.model_dump()}

    def save(folder: JobFolder) -> tuple[Input, ...]:
        write_json(folder.path / _OPTIONS, asked)
        return move(folder)

    size = await on_thread(lambda: path.stat().st_size)
    outputs = tuple(FORMATS[name] for name in dict.fromkeys(options.to_formats))
    order = Order(options.reading(), options.opening(), outputs)
    job, _ = await take_in(jobs, caller, size, save, order)
    return await _described(jobs, job, "chunk" if chunking else "convert")


async def get_task(jobs: JobsDep, caller: CallerDep, task_id: Annotated[str, UrlPath(max_length=64)]) -> Job:
    return await jobs.job(caller.id, task_id)


TaskDep = Annotated[Job, Depends(get_task)]


@router.get("/status/poll/{task_id}", summary="How a task goes; `wait` seconds for its end")
async def poll(
    jobs: JobsDep, caller: CallerDep, task: TaskDep, wait: Annotated[float, Query(ge=0)] = 0.0
) -> Task:
    asked = await on_thread(_asked, jobs.store.folder(task.id))
    deadline = time.monotonic() + min(wait, MAX_WAIT)
    while not task.finished and time.monotonic() < deadline:
        await asyncio.sleep(min(0.25, max(0.0, deadline - time.monotonic())))
        task = await jobs.job(caller.id, task.id)
    return await _described(jobs, task, "chunk" if asked.get("chunking") else "convert")


@router.get(
    "/result/{task_id}",
    summary="What became of a task's document",
    response_class=Response,
    responses=answers_with("application/json"),
)
async def result(jobs: JobsDep, task: TaskDep) -> Response:
    if task.finished and task.status != "done":
        raise await finished.failure_of(jobs, task)
    document = await finished.document_of(jobs, task)
    folder = jobs.store.folder(task.id)
    asked = await on_thread(_asked, folder)
    name = (await on_thread(folder.spec)).inputs[0].name
    if chunking := asked.pop("chunking", None):
        return await answers.chunked(document, name, Chunking(**chunking), _seconds(task))
    return await answers.converted(document, name, ConvertOptions(**asked), _seconds(task))


def _asked(folder: JobFolder) -> dict[str, Any]:
    """The options of a task; those of a job that came in otherwise are the defaults."""
    try:
        asked: dict[str, Any] = json.loads((folder.path / _OPTIONS).read_bytes())
    except FileNotFoundError:
        return {}
    return asked


def _seconds(task: Job) -> float:
    return (task.finished_at or task.changed_at) - (task.started_at or task.created_at)


async def _described(jobs: Jobs, task: Job, kind: Literal["convert", "chunk"]) -> Task:
    status = _STATUS.get(task.status, "failure")
    failure: AirgapError | None = await finished.failure_of(jobs, task) if status == "failure" else None
    done, failed = int(status == "success"), int(status == "failure")
    return {
        "task_id": task.id,
        "task_type": kind,
        "task_status": status,
        "task_position": None,
        "task_meta": {
            "num_docs": 1,
            "num_processed": done + failed,
            "num_succeeded": done,
            "num_failed": failed,
        },
        "error_message": failure.message if failure else None,
    }
