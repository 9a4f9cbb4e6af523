"""Azure Document Intelligence, its models `prebuilt-read` and `prebuilt-layout`, over durable jobs.

    POST   …/documentModels/prebuilt-read:analyze     202, with `Operation-Location` to be polled
    GET    …/documentModels/prebuilt-read/analyzeResults/{id}
    GET    …/documentModels/prebuilt-read/analyzeResults/{id}/pdf     where `output=pdf` was asked for
    DELETE …/documentModels/prebuilt-read/analyzeResults/{id}

The document is the body, or JSON with `base64Source` or `urlSource`. An operation is a job: its id is the
job's, it is its caller's alone, survives a restart and is erased when results are. Offsets count code points,
or UTF-16's units where `stringIndexType` asks for them; the result says which.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as UrlPath
from fastapi.responses import JSONResponse

from airgap.accounts.caller import CallerDep
from airgap.core.document import ReadOptions
from airgap.core.errors import BadRequest, InvalidOption, NotFound, UnsupportedOption
from airgap.core.opening import WHOLE, Opening
from airgap.dialects.azure_result import API_VERSION, ContentFormat, IndexType, analyze_result
from airgap.dialects.documents import answers_with
from airgap.dialects.inputs import fetcher_of, file_of, is_readable
from airgap.exporters.json_export import error_to_dict
from airgap.http.forms import checked_language
from airgap.http.json_bodies import JsonRequest
from airgap.http.responses import file_response, json_from_disk, new_file, on_thread
from airgap.http.service import ReadyService, Service, ServiceDep
from airgap.http.uploads import saved_body, saved_bytes
from airgap.jobs import finished
from airgap.jobs.intake import Order, moved_in, take_in
from airgap.jobs.routes import JobsDep, unavailable
from airgap.jobs.tables import Job
from process.decode import unsupported
from process.sniff import sniff_file
from process.work import at_length, briefly

__all__ = ["router", "unavailable"]

router = APIRouter(prefix="/documentintelligence/documentModels", tags=["azure"])

Model = Literal["prebuilt-read", "prebuilt-layout"]

_STATUS = {"queued": "notStarted", "running": "running", "paused": "running", "done": "succeeded"}
_FEATURES = frozenset({"ocrHighResolution", "languages", "styleFont"})
_PAGES = re.compile(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})?)?\s*")
_HIGH_DPI = 216
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"base64Source": {"type": "string"}, "urlSource": {"type": "string"}},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def analysis(
    pages: Annotated[str | None, Query(max_length=200, description="`2-5`: one range, from 1.")] = None,
    locale: Annotated[str | None, Query(max_length=64)] = None,
    content_format: Annotated[ContentFormat, Query(alias="outputContentFormat")] = "text",
    output: Annotated[list[str] | None, Query(max_length=10, description="`pdf`.")] = None,
    features: Annotated[list[str] | None, Query(max_length=10)] = None,
    query_fields: Annotated[list[str] | None, Query(alias="queryFields", max_length=10)] = None,
) -> Order:
    """The query as an order. Raises `InvalidOption`, `UnsupportedOption`."""
    wanted, extras = _listed(features), _listed(output)
    unknown = [*(wanted - _FEATURES), *(extras - {"pdf"}), *(["queryFields"] if query_fields else [])]
    if unknown:
        raise UnsupportedOption(
            f"{sorted(unknown)[0][:40]!r} cannot be had here.",
            f"Features are {', '.join(sorted(_FEATURES))}; `output` may be `pdf`.",
        )
    written = ("markdown",) if content_format == "markdown" else ("text",)
    opening = _opened_as(pages, _HIGH_DPI if "ocrHighResolution" in wanted else WHOLE.dpi)
    options = ReadOptions(language=checked_language(locale), confidence=True)
    return Order(options, opening, written + (("searchable_pdf",) if "pdf" in extras else ()))


def _listed(values: list[str] | None) -> set[str]:
    """Values that are repeated, or joined by commas."""
    return {name.strip() for value in values or [] for name in value.split(",") if name.strip()}


def _opened_as(pages: str | None, dpi: int) -> Opening:
    if not pages:
        return Opening(dpi)
    match = _PAGES.fullmatch(pages)
    if match is None or not int(match[1]):
        raise InvalidOption(
            f"`pages` is {pages[:40]!r}.", "Send one page or range, from 1: `3`, `2-5`, `4-`."
        )
    last = match[2] or (None if "-" in pages else match[1])
    return Opening(dpi, int(match[1]), int(last) if last else None)


@router.post(
    "/{model}:analyze",
    status_code=202,
    summary="Take a document in and answer at once",
    response_class=Response,
    responses={202: {"description": "`Operation-Location` says where the result will be."}},
    openapi_extra=_BODY,
)
async def analyze(
    request: Request,
    service: ReadyService,
    jobs: JobsDep,
    caller: CallerDep,
    model: Model,
    order: Annotated[Order, Depends(analysis)],
    index: Annotated[IndexType, Query(alias="stringIndexType")] = "textElements",
) -> Response:
    async with _saved(request, service) as path:
        size = await on_thread(lambda: path.stat().st_size)
        job, _ = await take_in(jobs, caller, size, moved_in([(path, "document")]), order)
    place = (
        f"{request.base_url}documentintelligence/documentModels/{model}/analyzeResults/{uuid.UUID(job.id)}"
    )
    query = urlencode({"api-version": API_VERSION, "stringIndexType": index})
    return Response(status_code=202, headers={"Operation-Location": f"{place}?{query}", "Retry-After": "1"})


@asynccontextmanager
async def _saved(request: Request, service: Service) -> AsyncIterator[Path]:
    """The document that was sent, as a file of ours, for the length of a block.

    Raises `UnsupportedMedia` for no picture and no PDF.
    """
    is_json = request.headers.get("content-type", "").partition(";")[0].strip().endswith("json")
    if is_json:
        data = await file_of(_source(await _json(request)), fetcher_of(request))
        saved = saved_bytes(data, service.uploads)
    else:
        saved = saved_body(request.stream(), service.uploads)
    async with saved as path:
        kind = await briefly(sniff_file, path)
        if not is_readable(kind):
            raise unsupported(kind)
        yield path


async def _json(request: Request) -> Any:
    try:
        return await JsonRequest(request.scope, request.receive).json()
    except ValueError as error:
        raise BadRequest("The body is not JSON.", 'Send {"base64Source": …} or the file itself.') from error


def _source(body: Any) -> str:
    sources = [body.get(name) for name in ("base64Source", "urlSource")] if isinstance(body, Mapping) else []
    found = [source for source in sources if isinstance(source, str) and source]
    if len(found) != 1:
        raise BadRequest(f"{len(found)} documents were sent.", "Send `base64Source` or `urlSource`.")
    return found[0]


async def get_operation(
    jobs: JobsDep, caller: CallerDep, result_id: Annotated[str, UrlPath(max_length=64)]
) -> Job:
    """The caller's job behind an operation's id. Raises `NotFound`."""
    return await jobs.job(caller.id, result_id.replace("-", ""))


Operation = Annotated[Job, Depends(get_operation)]


@router.get(
    "/{model}/analyzeResults/{result_id}",
    summary="How an operation goes, and its result",
    response_class=Response,
    responses=answers_with("application/json"),
)
async def result(
    service: ServiceDep,
    jobs: JobsDep,
    model: Model,
    operation: Operation,
    index: Annotated[IndexType, Query(alias="stringIndexType")] = "textElements",
) -> Response:
    state = {
        "status": _STATUS.get(operation.status, "failed"),
        "createdDateTime": _time(operation.created_at),
        "lastUpdatedDateTime": _time(operation.finished_at or operation.changed_at),
    }
    if operation.status == "done":
        document = await finished.document_of(jobs, operation)
        form: ContentFormat = (
            "markdown" if "markdown" in await finished.outputs_of(jobs, operation) else "text"
        )
        found = await at_length(analyze_result, document, model, form, index)
        return await json_from_disk(state | {"analyzeResult": found}, service.uploads)
    if state["status"] == "failed":
        failure = (await finished.failure_of(jobs, operation)).as_page_error()
        return JSONResponse(state | {"error": error_to_dict(failure)})
    return JSONResponse(state, headers={"Retry-After": "1"})


@router.get(
    "/{model}/analyzeResults/{result_id}/pdf",
    summary="The document as a searchable PDF",
    response_class=Response,
    responses=answers_with("application/pdf"),
)
async def pdf(service: ServiceDep, jobs: JobsDep, model: Model, operation: Operation) -> Response:
    if "searchable_pdf" not in await finished.outputs_of(jobs, operation):
        raise NotFound("This operation has no PDF.", "Ask for it when the document is sent: `output=pdf`.")
    async with new_file(service, ".pdf") as place:
        await finished.written_result(jobs, operation, ".pdf", place)
    return file_response(place, "application/pdf", "document.pdf", {"Cache-Control": "no-store"})


@router.delete("/{model}/analyzeResults/{result_id}", status_code=204, summary="Erase an operation")
async def erase(jobs: JobsDep, caller: CallerDep, model: Model, operation: Operation) -> Response:
    await jobs.erase(operation, caller.id)
    return Response(status_code=204)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
