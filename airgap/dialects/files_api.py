"""`/v1/files`, as Mistral's and OpenAI's clients upload a document to have it read later.

A file is its caller's alone, also by its link: who follows it says who they are, as everywhere. Files expire.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, File, Form, Query, Request, Response, UploadFile
from fastapi import Path as UrlPath
from fastapi.responses import FileResponse
from typing_extensions import TypedDict

from airgap.accounts.caller import CallerDep
from airgap.core.errors import Forbidden
from airgap.dialects.file_store import FileStore, KeptFile
from airgap.http.responses import file_response, new_file
from airgap.http.service import Service, ServiceDep
from airgap.http.uploads import display_name, saved_upload
from process.work import briefly

router = APIRouter(prefix="/v1/files", tags=["files"])

MAX_HOURS = 168


class FileAnswer(TypedDict):
    """A file, in the fields of Mistral and of OpenAI; times are Unix's."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    sample_type: str
    source: Literal["upload"]
    status: Literal["processed"]
    deleted: bool


class FileList(TypedDict):
    """What the caller keeps here."""

    object: Literal["list"]
    data: list[FileAnswer]
    total: int


class DeletedFile(TypedDict):
    """What is gone."""

    id: str
    object: Literal["file"]
    deleted: bool


class Link(TypedDict):
    """Where the file's content is, for its caller."""

    url: str


def attach(app: FastAPI, service: Service) -> None:
    """Give an application its place for files, swept as long as it lives."""
    app.state.files = store = FileStore(service.settings)
    service.parts.append(store)


def get_files(request: Request) -> FileStore:
    store: FileStore = request.app.state.files
    return store


FilesDep = Annotated[FileStore, Depends(get_files)]


async def get_file(
    files: FilesDep, caller: CallerDep, file_id: Annotated[str, UrlPath(max_length=64)]
) -> KeptFile:
    return await briefly(files.get, caller.id, file_id)


FileDep = Annotated[KeptFile, Depends(get_file)]


@router.post("", summary="Keep a file, to have it read later")
async def upload(
    service: ServiceDep,
    files: FilesDep,
    caller: CallerDep,
    file: Annotated[UploadFile, File(description="A picture or a PDF.")],
    purpose: Annotated[str, Form(max_length=40)] = "ocr",
    expiry: Annotated[
        int | None, Form(ge=1, le=MAX_HOURS, description="Hours, up to FILES_TTL_HOURS.")
    ] = None,
) -> FileAnswer:
    async with saved_upload(file, service.uploads) as path:
        kept = await briefly(
            files.add, path, caller=caller.id, name=display_name(file), purpose=purpose, hours=expiry
        )
    return described(kept)


@router.get("", summary="Your files, the newest first")
async def list_files(files: FilesDep, caller: CallerDep) -> FileList:
    if caller.is_anonymous:
        raise Forbidden(
            "Without accounts nobody is told of files whose ids they do not have.",
            "Keep the `id` that POST /v1/files answers with.",
        )
    found = await briefly(files.files, caller.id)
    return {"object": "list", "data": [described(file) for file in found], "total": len(found)}


@router.get("/{file_id}", summary="What is known of a file")
async def show(file: FileDep) -> FileAnswer:
    return described(file)


@router.get("/{file_id}/url", summary="A link to a file's content, for POST /v1/ocr")
async def link(
    request: Request,
    files: FilesDep,
    file: FileDep,
    expiry: Annotated[int, Query(ge=1, le=MAX_HOURS, description="Hours.")] = 24,
) -> Link:
    query = urlencode(files.sign(file, expiry))
    return {"url": f"{str(request.base_url).rstrip('/')}/v1/files/{file.id}/content?{query}"}


@router.get(
    "/{file_id}/content",
    summary="The file as it was sent",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
async def content(
    service: ServiceDep,
    files: FilesDep,
    caller: CallerDep,
    file: FileDep,
    expires: Annotated[str | None, Query(max_length=20)] = None,
    signature: Annotated[str | None, Query(max_length=64)] = None,
) -> FileResponse:
    if signature is not None:
        files.check_link(file, expires or "", signature)
    async with new_file(service, ".bin") as place:
        await briefly(files.lend, caller.id, file, place)
    return file_response(place, "application/octet-stream", file.name, {"Cache-Control": "no-store"})


@router.delete("/{file_id}", summary="Erase a file now")
async def delete(files: FilesDep, caller: CallerDep, file: FileDep) -> DeletedFile:
    await briefly(files.delete, caller.id, file)
    return {"id": file.id, "object": "file", "deleted": True}


def described(file: KeptFile) -> FileAnswer:
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
        "filename": file.name,
        "purpose": file.purpose,
        "sample_type": "ocr_input",
        "source": "upload",
        "status": "processed",
        "deleted": False,
    }
