"""A whole document in, read, and accounted for: what the dialects of document loaders share.

It knows no dialect's field names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request, Response
from PIL.Image import Image

from airgap.core.document import Document, Page, ReadOptions
from airgap.core.errors import AirgapError
from airgap.core.opening import WHOLE, Opening
from airgap.exporters.json_export import ledger_to_dict
from airgap.exporters.placeholder import placeholder
from airgap.http.opening import opened
from airgap.http.responses import accounted, json_from_disk, json_in_memory, raise_if_failed, unless_gone
from airgap.http.service import Service
from airgap.http.uploads import saved_body
from process.pages import Source

RAW_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""For the description of a route whose body is the file itself."""


def answers_with(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """For the description of a route: the media types of a success, whose form the protocol describes."""
    return {200: {"content": {media_type: {} for media_type in media_types}}}


@asynccontextmanager
async def opened_body(
    request: Request, service: Service, name: str, opening: Opening = WHOLE
) -> AsyncIterator[Source]:
    """The request's body as a file, whatever its declared type, open for the length of a block."""
    async with (
        saved_body(request.stream(), service.uploads) as path,
        opened(service, path, name, opening) as source,
    ):
        yield source


async def read(
    request: Request, service: Service, source: Source, options: ReadOptions | None = None
) -> Document:
    """The document, read while its sender waits. Raises the first page's error where none could be read."""
    document = await unless_gone(request, service.reader.recognize(source, options or ReadOptions()))
    raise_if_none_read(document)
    return document


def raise_if_none_read(document: Document) -> None:
    """Protocols without a place for what failed get an error where all did."""
    if document.ledger.failed == document.ledger.expected:
        raise_if_failed(document.pages[0])


def drawn(page: Page, source: Source) -> Image:
    """A page's pixels, or a picture that says why there are none. Blocks."""
    try:
        return source.image(page.number)
    except AirgapError as error:
        return placeholder((page.width, page.height), [f"Page {page.number}: {error.message}"])


def account(document: Document) -> dict[str, str]:
    """The headers that say of an answer what its protocol has no field for."""
    return accounted(ledger_to_dict(document.ledger), document.warnings)


async def json_answer(
    value: Mapping[str, Any] | Sequence[Mapping[str, Any]], documents: Sequence[Document]
) -> Response:
    """A JSON value, with the account of the document where it is one."""
    response = await json_in_memory(value)
    if len(documents) == 1:
        response.headers.update(account(documents[0]))
    return response


async def long_json_answer(
    request: Request, service: Service, members: Mapping[str, Any], document: Document
) -> Response:
    """A JSON object that is too long for memory, written while its sender waits, with the account."""
    response = await unless_gone(request, json_from_disk(members, service.uploads))
    response.headers.update(account(document))
    return response
