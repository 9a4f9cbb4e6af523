"""Answers: from memory, from disk, as one file or a ZIP; work that ends when the client goes."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask
from tqdm import tqdm

from airgap.core.document import Document, Page
from airgap.core.errors import ClientGone, from_page_error
from airgap.exporters.json_export import ledger_to_dict
from airgap.exporters.writing import save, suffix_of
from airgap.http.service import Service
from airgap.http.uploads import temporary_path
from process.pages import Source
from process.work import at_length, briefly, stop_if_abandoned

WRITE = "airgap.exporters.writing:write"
"""What a process runs to write the formats of a document."""

P = ParamSpec("P")
T = TypeVar("T")


def encode_base64(data: bytes | memoryview) -> str:
    return base64.b64encode(data).decode("ascii")


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; when the client goes away, end it and raise `ClientGone`."""
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise ClientGone("The client hung up; what it had asked for was ended.")
    finally:
        for leftover in (task, watcher):
            leftover.cancel()


async def _gone(request: Request) -> None:
    """Return when the client has gone. The body must have been read: all that can still come is the end."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def on_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what would block the event loop for a moment on a thread. Nothing that draws or decodes."""
    return await briefly(function, *args, **kwargs)


@contextmanager
def progress_bar(total: int, name: str, unit: str) -> Iterator[Callable[[], None]]:
    """A bar on the console where there is one; call what it yields for each unit done."""
    with tqdm(total=total, desc=name, unit=unit, disable=None, leave=False) as bar:
        yield lambda: bar.update() and None


def raise_if_failed(page: Page) -> None:
    """Where one page is the whole answer, its failure is the request's."""
    if page.error is not None:
        raise from_page_error(page.error)


async def respond_with_files(
    service: Service, document: Document, source: Source, outputs: tuple[str, ...]
) -> Response:
    """One exporter's file, or a ZIP of several, written to disk first and deleted after it was sent.

    What cannot be said inside a file is said in the headers `X-Ledger` and `X-Warnings` (JSON).
    """
    suffix, media_type = suffix_of(outputs)
    path, warnings = await written_file(service, document, source, outputs)
    headers = accounted(ledger_to_dict(document.ledger), [*document.warnings, *warnings])
    return file_response(path, media_type, source.name + suffix, headers)


async def written_file(
    service: Service, document: Document, source: Source, outputs: tuple[str, ...]
) -> tuple[Path, list[str]]:
    """One exporter's file, or a ZIP of several, which the caller deletes; and warnings."""
    async with saved_document(service, document) as saved:
        return await written(
            service,
            suffix_of(outputs)[0],
            WRITE,
            pages=len(document.pages),
            document=str(saved),
            source=source.opening,
            outputs=list(outputs),
        )


@asynccontextmanager
async def saved_document(service: Service, document: Document) -> AsyncIterator[Path]:
    """The document on the disk, for a process that writes a result, for the length of a block."""
    path = await briefly(temporary_path, service.uploads, ".json")
    try:
        await at_length(save, document, path)
        yield path
    finally:
        await briefly(path.unlink, missing_ok=True)


@asynccontextmanager
async def new_file(service: Service, suffix: str) -> AsyncIterator[Path]:
    """A new file to be filled in the block; it stays unless the block fails."""
    path = await briefly(temporary_path, service.uploads, suffix)
    try:
        yield path
    except BaseException:
        path.unlink(missing_ok=True)
        raise


async def written(
    service: Service, suffix: str, call: str, *, pages: int = 1, **arguments: Any
) -> tuple[Path, Any]:
    """A new file that a function of ours wrote, as its `target`, in a process; and what it returned."""
    async with new_file(service, suffix) as path:
        return path, await service.tasks.run(call, pages=pages, target=str(path), **arguments)


def accounted(ledger: Mapping[str, object], warnings: Sequence[str]) -> dict[str, str]:
    return {"X-Ledger": json.dumps(ledger), "X-Warnings": json.dumps(list(warnings)[:20])}


async def json_in_memory(value: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Response:
    """JSON, written on a thread, so that a long one does not hold up the event loop."""

    def write() -> bytes:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")

    return Response(await at_length(write), media_type="application/json")


async def json_from_disk(members: Mapping[str, Any], folder: Path) -> Response:
    """A JSON object, written on a thread to a file and sent from there.

    A member that is an iterator becomes an array, item by item; one that is a path becomes the file's
    bytes as base64; an object is written member by member. So an answer of a thousand pages takes neither
    the event loop nor the memory.
    """
    path = await at_length(_write_json, members, folder)
    return FileResponse(
        path, media_type="application/json", background=BackgroundTask(path.unlink, missing_ok=True)
    )


def _write_json(members: Mapping[str, Any], folder: Path) -> Path:
    path = temporary_path(folder, ".json")
    try:
        with path.open("w", encoding="utf-8", errors="replace") as file:
            for piece in _json_pieces(members):
                stop_if_abandoned()
                file.write(piece)
    except BaseException:
        path.unlink()
        raise
    return path


def _json_pieces(members: Mapping[str, Any]) -> Iterator[str]:
    yield "{"
    for number, (name, value) in enumerate(members.items()):
        yield ("," if number else "") + json.dumps(name) + ":"
        if isinstance(value, Iterator):
            yield "["
            for index, item in enumerate(value):
                yield ("," if index else "") + json.dumps(item, ensure_ascii=False, allow_nan=False)
            yield "]"
        elif isinstance(value, Path):
            yield '"'
            with value.open("rb") as file:
                while piece := file.read(3 << 18):
                    yield encode_base64(piece)
            yield '"'
        elif isinstance(value, Mapping):
            yield from _json_pieces(value)
        else:
            yield json.dumps(value, ensure_ascii=False, allow_nan=False)
    yield "}"


def zip_response(path: Path, filename: str) -> FileResponse:
    """Stream a ZIP from disk and delete it, sent or not."""
    return file_response(path, "application/zip", filename)


def file_response(
    path: Path, media_type: str, filename: str, headers: Mapping[str, str] | None = None
) -> FileResponse:
    """Stream a file of ours from disk under a name of the client's, and delete it, sent or not."""
    return FileResponse(
        path,
        media_type=media_type,
        headers={"Content-Disposition": content_disposition(filename), **(headers or {})},
        background=BackgroundTask(path.unlink, missing_ok=True),
    )


def content_disposition(filename: str) -> str:
    """An attachment of this name, without its folders, for any script (RFC 6266, RFC 8187)."""
    filename = filename.rpartition("/")[2]
    ascii_name = filename.encode("ascii", "replace").decode("ascii").replace("?", "_").replace('"', "_")
    encoded = quote(filename.encode("utf-8", "replace"))  # half a character has no encoding
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{encoded}"
