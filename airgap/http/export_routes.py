"""A document that was read, and perhaps corrected by hand, in; the same in another format out.

Nothing is read here: the pages come as the JSON of `/pdf/ocr` or of `output=json`, and the original,
where the format is made from it, beside them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from pydantic import BaseModel, Field, ValidationError, model_validator

from airgap.core.document import Document
from airgap.core.errors import InvalidOption
from airgap.exporters import EXPORTERS, export
from airgap.exporters.json_export import document_from_dict
from airgap.http.forms import requested_outputs
from airgap.http.opening import opened
from airgap.http.responses import content_disposition, on_thread, respond_with_files, unless_gone
from airgap.http.service import Service, ServiceDep
from airgap.http.uploads import display_name, saved_upload
from process.pages import Source, safe_name

router = APIRouter(tags=["export"])

MAX_PIXELS_PER_SIDE = 1_000_000

Coordinate = Annotated[float, Field(ge=0, le=MAX_PIXELS_PER_SIDE)]
Confidence = Annotated[float | None, Field(ge=0, le=1)]
BoxIn = tuple[Coordinate, Coordinate, Coordinate, Coordinate]


class LineIn(BaseModel):
    text: str
    box: BoxIn
    confidence: Confidence = None


class BlockIn(BaseModel):
    label: str = Field(max_length=100)
    text: str
    boxes: list[BoxIn] = []
    confidence: Confidence = None
    lines: list[LineIn] = []


class UsageIn(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    image_tokens: int = 0
    seconds: float = 0.0


class PageErrorIn(BaseModel):
    code: str
    message: str
    remedy: str


class DisagreementIn(BaseModel):
    kind: Literal["number", "name"]
    reading: str
    other_reading: str
    engine: str = Field(max_length=200)
    box: BoxIn | None = None
    other_box: BoxIn | None = None


class PageIn(BaseModel):
    """A page as `airgap.exporters.json_export` writes it; boxes are checked to lie on it."""

    number: int = Field(ge=1, le=1_000_000)
    width: int = Field(ge=0, le=MAX_PIXELS_PER_SIDE)
    height: int = Field(ge=0, le=MAX_PIXELS_PER_SIDE)
    width_pt: float | None = Field(None, gt=0, le=MAX_PIXELS_PER_SIDE)
    height_pt: float | None = Field(None, gt=0, le=MAX_PIXELS_PER_SIDE)
    status: Literal["ok", "degraded", "failed"] = "ok"
    finish_reason: str = "stop"
    blocks: list[BlockIn] = Field([], max_length=20_000)
    raw: str = ""
    usage: UsageIn = UsageIn()
    warnings: list[str] = []
    error: PageErrorIn | None = None
    engine: str | None = Field(None, max_length=200)
    model: str | None = Field(None, max_length=200)
    disagreements: list[DisagreementIn] | None = Field(None, max_length=20_000)

    @model_validator(mode="after")
    def _boxes_lie_on_the_page(self) -> PageIn:
        boxes = [box for block in self.blocks for box in (*block.boxes, *(line.box for line in block.lines))]
        for x0, y0, x1, y1 in boxes:
            if not (x0 <= x1 <= self.width and y0 <= y1 <= self.height):
                raise ValueError(f"the box {[x0, y0, x1, y1]} does not lie on page {self.number}")
        return self


class DocumentIn(BaseModel):
    """The JSON of a document, as `output=json` gives it."""

    pages: list[PageIn] = Field(min_length=1)
    engine: str = Field("", max_length=200)
    model: str = Field("", max_length=200)
    mode: str | None = Field(None, max_length=50)

    @model_validator(mode="after")
    def _pages_are_in_order(self) -> DocumentIn:
        numbers = [page.number for page in self.pages]
        if numbers != sorted(set(numbers)):
            raise ValueError("the pages are not in order, each once")
        return self


@router.post(
    "/export",
    summary="Pages that were read, and perhaps corrected, in another format",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}, "application/zip": {}}}},
)
async def export_document(
    request: Request,
    service: ServiceDep,
    document: Annotated[UploadFile, File(description="The JSON of the document, as `output=json` gives it.")],
    outputs: Annotated[tuple[str, ...], Depends(requested_outputs)],
    file: Annotated[UploadFile | None, File(description="The original, where the format needs it.")] = None,
    name: Annotated[str, Form(max_length=255, description="What to call the result.")] = "document",
    password: Annotated[str | None, Form(max_length=200)] = None,
) -> Response:
    read = await on_thread(parse_document, await document.read())
    outputs = outputs or ("json",)
    if file is None:
        return await unless_gone(request, _without_original(read, outputs, name))
    async with _original(service, file, read, password) as source:
        return await unless_gone(request, respond_with_files(read, source, outputs, service.uploads))


def parse_document(data: bytes) -> Document:
    """The document that this JSON is. Raises `InvalidOption` naming what is wrong with it."""
    try:
        checked = DocumentIn.model_validate_json(data)
    except ValidationError as error:
        problems = "; ".join(
            f"`{'.'.join(map(str, e['loc'])) or 'document'}`: {e['msg']}" for e in error.errors()[:5]
        )
        raise InvalidOption(f"The document is not one: {problems}.") from error
    return document_from_dict(checked.model_dump())


async def _without_original(document: Document, outputs: tuple[str, ...], name: str) -> Response:
    if len(outputs) > 1 or outputs == ("zip",):
        raise InvalidOption("A ZIP is made beside the original, which was not sent.", "Send `file` too.")
    exporter = EXPORTERS[outputs[0]]
    data = await on_thread(export, outputs[0], document, None)
    headers = {"Content-Disposition": content_disposition(safe_name(name) + exporter.suffix)}
    return Response(data, media_type=exporter.media_type, headers=headers)


def resolution_of(document: Document) -> int:
    """The dots per inch at which pages of a PDF were read: what their boxes are counted in."""
    for page in document.pages:
        if page.width and page.width_pt:
            return min(600, max(36, round(page.width / page.width_pt * 72)))
    return 144


@asynccontextmanager
async def _original(
    service: Service, file: UploadFile, document: Document, password: str | None
) -> AsyncIterator[Source]:
    """The original, opened at the pages that the document has and as large as they were read."""
    async with (
        saved_upload(file, service.uploads) as path,
        opened(
            service,
            path,
            display_name(file),
            dpi=resolution_of(document),
            page_from=document.pages[0].number,
            page_to=document.pages[-1].number,
            password=password or None,
        ) as source,
    ):
        yield source
