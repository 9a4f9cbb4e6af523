"""One PDF in, its pages out, none left out.

A route parses, calls the reader, shapes the answer. How a PDF is opened or drawn is known elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NotRequired

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from typing_extensions import TypedDict

from airgap.core.document import Document, PageStatus, ReadOptions
from airgap.exporters.continued_tables import ContinuedTableJson, continued_tables_to_list
from airgap.exporters.images import iter_images
from airgap.exporters.json_export import (
    DisagreementJson,
    LedgerJson,
    PageJson,
    ReadingJson,
    disagreements_to_list,
    ledger_to_dict,
    page_to_dict,
    reading_to_dict,
)
from airgap.exporters.markdown import document_markdown, page_markdown
from airgap.exporters.outline import HeadingJson, outline_to_list
from airgap.exporters.text import document_text, page_text
from airgap.http.forms import FormOpening
from airgap.http.live import Admitted
from airgap.http.opening import opened
from airgap.http.responses import written_file
from ocr_utils import (
    Crosscheck,
    FormOptions,
    ReadyService,
    Service,
    ServiceDep,
    ServiceStatus,
    display_name,
    encode_base64,
    json_from_disk,
    progress_bar,
    requested_outputs,
    respond_with_files,
    saved_upload,
    unless_gone,
)
from process.pages import Source

router = APIRouter(prefix="/pdf", tags=["pdf"])

USAGE = {
    "full": "curl -F file=@document.pdf -F draw_layouts=true http://localhost:8000/pdf/ocr",
    "simple": "curl -F file=@document.pdf -F page_to=10 http://localhost:8000/pdf/ocr/simple",
    "searchable PDF": "curl -F file=@document.pdf -F output=searchable_pdf -o out.pdf "
    "http://localhost:8000/pdf/ocr",
}


async def uploaded_pdf(
    service: ReadyService,
    _: Admitted,
    file: Annotated[UploadFile, File(description="A PDF, or a TIFF or animation of several frames.")],
    opening: FormOpening,
) -> AsyncIterator[Source]:
    """The form's file as a source of pages, open as long as the request lasts."""
    async with (
        saved_upload(file, service.uploads) as path,
        opened(service, path, display_name(file), opening) as source,
    ):
        yield source


UploadedPdf = Annotated[Source, Depends(uploaded_pdf)]


class PdfPage(PageJson):
    """All of a page, and its text as Markdown."""

    markdown: str


class Figure(TypedDict):
    """A figure cut out of its page; `image` is a PNG as base64."""

    name: str
    image: str


class PdfAnswer(ReadingJson):
    """All that was read in a document; `layout_pdf` is base64."""

    success: bool
    markdown: str
    pages: list[PdfPage]
    outline: list[HeadingJson]
    continued_tables: list[ContinuedTableJson]
    ledger: LedgerJson
    images: list[Figure]
    layout_pdf: str | None


class PageText(TypedDict):
    """`disagreements` is there where a second reading was asked for."""

    number: int
    status: PageStatus
    text: str
    disagreements: NotRequired[list[DisagreementJson] | None]


class PdfText(TypedDict):
    """The text of a document, whole and page by page."""

    text: str
    pages: list[PageText]
    ledger: LedgerJson
    warnings: list[str]


@router.post(
    "/ocr",
    summary="Markdown, pages with blocks, figures, a PDF with the layout drawn, and the ledger",
    responses={200: {"model": PdfAnswer, "content": {"application/zip": {}, "application/pdf": {}}}},
)
async def pdf_ocr(
    request: Request,
    service: ReadyService,
    options: FormOptions,
    source: UploadedPdf,
    outputs: Annotated[tuple[str, ...], Depends(requested_outputs)],
    draw_layouts: Annotated[bool, Form(description="Answer with `layout_pdf`.")] = False,
    extract_images: Annotated[bool, Form(description="Answer with `images`, the figures cut out.")] = True,
    crosscheck: Crosscheck = False,
) -> Response:
    options = replace(options, crosscheck=crosscheck)
    document = await unless_gone(request, _read(service, source, options))
    if outputs:
        return await unless_gone(request, respond_with_files(service, document, source, outputs))
    return await unless_gone(request, _respond(service, document, source, draw_layouts, extract_images))


@router.post("/ocr/simple", summary="Just the text, page by page", responses={200: {"model": PdfText}})
async def pdf_simple(
    request: Request,
    service: ReadyService,
    options: FormOptions,
    source: UploadedPdf,
    crosscheck: Crosscheck = False,
) -> Response:
    options = replace(options, crosscheck=crosscheck)
    document = await unless_gone(request, _read(service, source, options))
    pages = (
        {"number": p.number, "status": p.status, "text": page_text(p)}
        | ({"disagreements": disagreements_to_list(p.disagreements)} if crosscheck else {})
        for p in document.pages
    )
    members = {
        "text": document_text(document),
        "pages": pages,
        "ledger": ledger_to_dict(document.ledger),
        "warnings": list(document.warnings),
    }
    return await json_from_disk(members, service.uploads)


async def _read(service: Service, source: Source, options: ReadOptions) -> Document:
    with progress_bar(len(source.numbers), source.name, "page") as advance:
        return await service.reader.recognize(source, options, lambda page: advance())


async def _respond(
    service: Service, document: Document, source: Source, draw_layouts: bool, extract_images: bool
) -> Response:
    if not draw_layouts:
        return await json_from_disk(_answer(document, source, None, extract_images), service.uploads)
    layout, _ = await written_file(service, document, source, ("layout_pdf",))
    try:
        return await json_from_disk(_answer(document, source, layout, extract_images), service.uploads)
    finally:
        layout.unlink(missing_ok=True)


def _answer(document: Document, source: Source, layout: Path | None, extract_images: bool) -> dict[str, Any]:
    """The answer's members; the long ones are generators, so that they are never in memory as a whole."""
    images = iter_images(document, source) if extract_images else ()
    return {
        "success": document.ledger.failed == 0,
        "markdown": document_markdown(document),
        "pages": (page_to_dict(page) | {"markdown": page_markdown(page)} for page in document.pages),
        "outline": outline_to_list(document),
        "continued_tables": continued_tables_to_list(document),
        "ledger": ledger_to_dict(document.ledger),
        "images": ({"name": name, "image": encode_base64(data)} for name, data in images),
        "layout_pdf": layout,
        **reading_to_dict(document),
    }


@router.get("/status", summary="Whether PDFs can be read now")
async def status(service: ServiceDep) -> ServiceStatus:
    return service.status()


@router.get("/info", summary="How to use the PDF routes")
async def info(service: ServiceDep) -> dict[str, Any]:
    return {
        "routes": ["/pdf/ocr", "/pdf/ocr/simple"],
        "max_upload_mb": service.settings.max_upload_mb,
        "max_pages": service.settings.pdf_max_pages,
        "dpi": {"default": 144, "minimum": 36, "maximum": 600},
        "examples": USAGE,
    }
