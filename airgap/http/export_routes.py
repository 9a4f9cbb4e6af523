"""A document that was read, and perhaps corrected by hand, in; the same in another format out.

Nothing is read here: the pages come as the JSON of `/pdf/ocr` or of `output=json`, and the original,
where the format is made from it, beside them.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile

from airgap.core.opening import OPTIONS
from airgap.exporters.writing import suffix_of
from airgap.http.forms import requested_outputs
from airgap.http.live import admitted
from airgap.http.responses import accounted, file_response, unless_gone, written
from airgap.http.service import Service, ServiceDep
from airgap.http.uploads import display_name, saved_upload
from airgap.monitoring import trace

KEEP_ACTIVE = OPTIONS["keep_active_content"]

router = APIRouter(tags=["export"])


@router.post(
    "/export",
    summary="Pages that were read, and perhaps corrected, in another format",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}, "application/zip": {}}}},
)
async def export_document(
    request: Request,
    service: ServiceDep,
    _: Annotated[None, Depends(admitted)],
    document: Annotated[UploadFile, File(description="The JSON of the document, as `output=json` gives it.")],
    outputs: Annotated[tuple[str, ...], Depends(requested_outputs)],
    file: Annotated[UploadFile | None, File(description="The original, where the format needs it.")] = None,
    name: Annotated[str, Form(max_length=255, description="What to call the result.")] = "document",
    password: Annotated[str | None, Form(max_length=200)] = None,
    keep_active_content: Annotated[bool, Form(description=KEEP_ACTIVE.description)] = KEEP_ACTIVE.default,
) -> Response:
    outputs = outputs or ("json",)
    async with AsyncExitStack() as stack:
        sent = str(await stack.enter_async_context(saved_upload(document, service.uploads)))
        original = None
        if file is not None:
            path = str(await stack.enter_async_context(saved_upload(file, service.uploads)))
            original = {
                "path": path,
                "name": display_name(file),
                "password": password or None,
                "keep_active_content": keep_active_content,
            }
        arguments = {"document": sent, "original": original, "outputs": list(outputs), "name": name}
        arguments["login"] = login_of(request)
        return await unless_gone(request, _respond(service, outputs, arguments))


def login_of(request: Request) -> str | None:
    """The name of the login that asks; None where accounts are off."""
    return getattr(request.scope.get("caller"), "name", None)


async def _respond(service: Service, outputs: tuple[str, ...], arguments: dict[str, Any]) -> Response:
    suffix, media_type = suffix_of(outputs)
    call = "airgap.exporters.writing:write_sent"
    path, result = await written(service, suffix, call, limits=asdict(service.limits), **arguments)
    trace.note_exported(result["ledger"]["expected"])
    headers = accounted(result["ledger"], result["warnings"])
    return file_response(path, media_type, result["name"] + suffix, headers)
