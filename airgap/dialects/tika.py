"""Apache Tika's server, as far as it reads text: the body of a PUT is the file.

    PUT /tika                       text, HTML or JSON, by `Accept`
    PUT /tika/text /html /xml /md   the same as JSON, with metadata beside `X-TIKA:content`
    PUT /rmeta /rmeta/text …        a list with one such object
    PUT /meta, /detect/stream       what the file is; nothing is read
    GET /tika, /version             whether somebody is there

`Accept` and the last part of the path choose the form. `X-Tika-OCRLanguage` is the hint of a language, and
`X-Tika-PDFOcrStrategy: auto` or `no_ocr` takes a PDF page's own text where it is sound; all other headers
are about parsers that are not here. Version 4 of Tika calls the text `tk:content`; `/tika/json/md` is its.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import PlainTextResponse

from airgap.core.document import Document, ReadOptions
from airgap.core.file_names import shown_name
from airgap.core.opening import WHOLE, Opening
from airgap.core.version import VERSION
from airgap.dialects.documents import RAW_BODY, account, answers_with, json_answer, opened_body, read
from airgap.exporters.html import to_html
from airgap.exporters.markdown import document_markdown
from airgap.exporters.text import document_text
from airgap.http.forms import checked_language
from airgap.http.live import Admitted
from airgap.http.responses import json_in_memory
from airgap.http.service import ReadyService, ServiceDep
from process.decode import IMAGE_KINDS
from process.pages import Source
from process.sniff import HEAD_BYTES, sniff
from process.work import at_length

router = APIRouter(tags=["tika"])

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Response]])
Form = Literal["text", "html", "xml", "body", "md", "ignore"]
CONTENT, CONTENT_4 = "X-TIKA:content", "tk:content"

_WRITERS: Mapping[str, Callable[[Document], str]] = {
    "text": document_text,
    "body": document_text,
    "md": document_markdown,
    "html": lambda document: to_html(document).decode(),
    "xml": lambda document: to_html(document).decode(),
}
_ACCEPTED = {"text/html": "html", "text/xml": "xml", "text/markdown": "md"}
_MEDIA_TYPES = {
    "pdf": "application/pdf",
    "zip": "application/zip",
    "html": "text/html",
    "xml": "application/xml",
    "rtf": "application/rtf",
}
_UNKNOWN = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was read of a file, and what the file is."""

    document: Document
    metadata: dict[str, Any]


@router.get("/tika", summary="Whether somebody is there", response_class=PlainTextResponse)
async def greeting(service: ServiceDep) -> str:
    return f"Airgap OCR {VERSION} speaks as Tika's server here. PUT a file to this address.\n"


@router.get(
    "/version",
    summary="What answers as Tika's server, or to Docling's client",
    response_class=Response,
    responses=answers_with("text/plain", "application/json"),
)
async def version(
    accept_docling_document_version: Annotated[
        str | None, Header(description="Docling's client sends it, and gets JSON.")
    ] = None,
) -> Response:
    if accept_docling_document_version is not None:
        return await json_in_memory({"airgap-ocr": VERSION})
    return PlainTextResponse(f"Airgap OCR {VERSION}")


@router.put(
    "/tika",
    summary="The file as the body, its text as `Accept` asks for it",
    response_class=Response,
    responses=answers_with("text/plain", "text/html", "text/xml", "text/markdown", "application/json"),
    openapi_extra=RAW_BODY,
)
async def tika(
    request: Request, service: ReadyService, _: Admitted, accept: Annotated[str, Header()] = "*/*"
) -> Response:
    parsed = await _parsed(request, service)
    if "application/json" in accept:
        return await _as_json(parsed, "text", CONTENT)
    form = next((form for kind, form in _ACCEPTED.items() if kind in accept), "text")
    text = await at_length(_WRITERS[form], parsed.document)
    media_type = next((kind for kind, found in _ACCEPTED.items() if found == form), "text/plain")
    return Response(
        text.encode("utf-8", "replace"),
        media_type=f"{media_type}; charset=utf-8",
        headers=account(parsed.document),
    )


def _json_of_a_file(path: str, summary: str) -> Callable[[Endpoint], Endpoint]:
    """A route that takes a file as its body and answers with JSON."""
    return router.put(
        path,
        summary=summary,
        response_class=Response,
        responses=answers_with("application/json"),
        openapi_extra=RAW_BODY,
    )


@_json_of_a_file("/tika/{form}", "The same as JSON: `X-TIKA:content` and metadata")
async def tika_as_json(request: Request, service: ReadyService, _: Admitted, form: Form) -> Response:
    return await _as_json(await _parsed(request, service), form, CONTENT)


@_json_of_a_file("/tika/json/{form}", "The same in the names of Tika 4: `tk:content`")
async def tika_4_as_json(request: Request, service: ReadyService, _: Admitted, form: Form) -> Response:
    return await _as_json(await _parsed(request, service), form, CONTENT_4)


@_json_of_a_file("/rmeta", "A list of one object: the file's text as HTML, and metadata")
async def rmeta(request: Request, service: ReadyService, _: Admitted) -> Response:
    return await _as_list(await _parsed(request, service), "xml")


@_json_of_a_file("/rmeta/{form}", "The same with the text in another form")
async def rmeta_as(request: Request, service: ReadyService, _: Admitted, form: Form) -> Response:
    return await _as_list(await _parsed(request, service), form)


@_json_of_a_file("/meta", "What the file is, and how many pages it has; nothing is read")
async def meta(request: Request, service: ReadyService, _: Admitted) -> Response:
    async with opened_body(request, service, _name(request)) as source:
        return await json_in_memory(_metadata(request, source))


@router.put(
    "/detect/stream",
    summary="The media type of the body, by its first bytes",
    response_class=PlainTextResponse,
    openapi_extra=RAW_BODY,
)
async def detect(request: Request) -> str:
    head = b""
    async for piece in request.stream():
        head = (head + piece)[:HEAD_BYTES]
    return media_type_of(sniff(head))


def media_type_of(kind: str | None) -> str:
    """The media type of a kind of `process.sniff`."""
    return f"image/{kind}" if kind in IMAGE_KINDS else _MEDIA_TYPES.get(kind or "", _UNKNOWN)


async def _parsed(request: Request, service: ReadyService) -> Parsed:
    strategy = request.headers.get("x-tika-pdfocrstrategy", "").lower()
    opening = Opening(text_layer="auto") if strategy in ("auto", "no_ocr") else WHOLE
    options = ReadOptions(language=checked_language(request.headers.get("x-tika-ocrlanguage")))
    async with opened_body(request, service, _name(request), opening) as source:
        metadata = _metadata(request, source)
        document = await read(request, service, source, options)
    if document.warnings:
        metadata["X-TIKA:EXCEPTION:warn"] = list(document.warnings)
    return Parsed(document, metadata)


def _name(request: Request) -> str:
    """The file's name, from `Content-Disposition`."""
    header = Message()
    header["content-disposition"] = request.headers.get("content-disposition", "")
    return shown_name(header.get_filename())


def _metadata(request: Request, source: Source) -> dict[str, Any]:
    """In the names of Tika, Dublin Core and XMP; numbers are strings there."""
    return {
        "Content-Type": source.media_type,
        "resourceName": _name(request),
        "xmpTPg:NPages": str(source.page_count),
        "X-TIKA:Parsed-By": ["airgap-ocr"],
    }


async def _as_json(parsed: Parsed, form: Form, key: str) -> Response:
    return await json_answer(await _members(parsed, form, key), [parsed.document])


async def _as_list(parsed: Parsed, form: Form) -> Response:
    return await json_answer([await _members(parsed, form, CONTENT)], [parsed.document])


async def _members(parsed: Parsed, form: Form, key: str) -> dict[str, Any]:
    if form == "ignore":
        return parsed.metadata
    return {**parsed.metadata, key: await at_length(_WRITERS[form], parsed.document)}
