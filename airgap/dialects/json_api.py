"""`POST /ocr` and `POST /ocr/pdf`: everything as JSON, files as base64 or, where the site allows it, URLs.

The fields are those of the JSON OCR servers and of the DeepSeek OCR Truss, so that their clients only
change the address. A route parses, calls the reader, shapes the answer.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from airgap.core.document import Document, Furniture, Page, PageStatus, ReadOptions
from airgap.core.errors import AirgapError, BadRequest, InvalidOption
from airgap.core.opening import Opening
from airgap.dialects.inputs import fetcher_of, file_of, opened_picture, plain_prompt
from airgap.dialects.references import TrussFields, truss_fields
from airgap.dialects.url_fetch import Fetcher
from airgap.exporters.boxes import BoxJson, box_to_list
from airgap.exporters.continued_tables import ContinuedTableJson, continued_tables_to_list
from airgap.exporters.json_export import (
    BlockJson,
    ErrorJson,
    LedgerJson,
    ReadingJson,
    UsageJson,
    blocks_to_list,
    error_to_dict,
    ledger_to_dict,
    reading_to_dict,
    usage_to_dict,
)
from airgap.exporters.markdown import document_markdown, page_markdown
from airgap.exporters.outline import HeadingJson, outline_to_list
from airgap.exporters.text import page_text
from airgap.http.forms import (
    CONFIDENCE,
    FURNITURE,
    OpeningBody,
    checked_fill,
    checked_language,
    checked_max_tokens,
    checked_mode,
    checked_temperature,
)
from airgap.http.json_bodies import JsonRoute, Word
from airgap.http.opening import opened
from airgap.http.responses import json_in_memory, on_thread, raise_if_failed, unless_gone
from airgap.http.service import ReadyService, Service
from deepseek_ocr import PROMPTS
from process.in_order import in_order

router = APIRouter(tags=["json"], route_class=JsonRoute)

MAX_IMAGES = 64
_EXAMPLES = {
    "base64": {"value": {"image": "iVBORw0KGgo…", "mode": {"preset": "gundam"}}},
    "several": {"value": {"images": ["iVBORw0KGgo…", "data:image/png;base64,iVBORw0KGgo…"]}},
}


class ModeChoice(BaseModel):
    """`{"preset": "gundam"}`."""

    preset: Word | None = None


class Sampling(BaseModel):
    """How the model picks tokens; `ngram_size` and `window_size` are the no-repeat rule."""

    temperature: float | None = None
    max_tokens: int | None = None
    ngram_size: int | None = Field(default=None, ge=1, le=1000)
    window_size: int | None = Field(default=None, ge=1, le=10_000)


class ReadRequest(BaseModel):
    """What both routes share."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    prompt: str | None = Field(default=None, max_length=8000)
    mode: Word | ModeChoice | None = Field(default=None, description="`gundam`, or `{preset: gundam}`.")
    sampling: Sampling | None = None
    language: Word | None = Field(default=None, description="A hint: en, rus, zh-Hant, Russian, …")
    max_tokens: int | None = None
    temperature: float | None = None
    confidence: bool = Field(default=False, description=CONFIDENCE)
    fill: Word | None = Field(default=None, description="`auto` (the default) or `off`.")
    furniture: Furniture = Field(default="keep", description=FURNITURE)

    def options(self, service: Service) -> ReadOptions:
        """Raises `InvalidOption` for values out of range."""
        preset = self.mode.preset if isinstance(self.mode, ModeChoice) else self.mode
        given = self.sampling or Sampling()
        return ReadOptions(
            prompt=plain_prompt(self.prompt),
            mode=checked_mode(preset.lower() if preset else None),
            language=checked_language(self.language),
            max_tokens=checked_max_tokens(given.max_tokens or self.max_tokens, service.settings),
            temperature=checked_temperature(
                given.temperature if given.temperature is not None else self.temperature
            ),
            ngram_size=given.ngram_size,
            window_size=given.window_size,
            confidence=self.confidence,
            fill=checked_fill(self.fill),
            furniture=self.furniture,
        )


class ImageRequest(ReadRequest):
    """One image or several. `image`, `image_base64` and `images` are base64 or data URLs."""

    image: str | None = None
    image_base64: str | None = None
    images: list[str] | None = Field(default=None, max_length=MAX_IMAGES)
    image_url: str | None = None
    urls: list[str] | None = Field(default=None, max_length=MAX_IMAGES)

    def files(self) -> list[str]:
        """Raises `BadRequest` where there is none and `InvalidOption` where there are too many."""
        single = [text for text in (self.image, self.image_base64, self.image_url) if text]
        files = [*single, *(self.images or []), *(self.urls or [])]
        if not files:
            raise BadRequest("No image was sent.", "Send `image`, `images`, `image_url` or `urls`.")
        if len(files) > MAX_IMAGES:
            raise InvalidOption(f"{len(files)} images were sent.", f"Send at most {MAX_IMAGES} at once.")
        return files


class PdfRequest(ReadRequest, OpeningBody):
    """One document: `pdf_base64` or `pdf` is base64 or a data URL.

    How it is opened may stand in `pdf_pages` or beside it; what stands beside it counts.
    """

    pdf_base64: str | None = None
    pdf: str | None = None
    pdf_url: str | None = None
    urls: list[str] | None = Field(default=None, max_length=1)
    pdf_pages: OpeningBody | None = None

    def file(self) -> str:
        """Raises `BadRequest` unless there is exactly one document."""
        files = [text for text in (self.pdf_base64, self.pdf, self.pdf_url, *(self.urls or [])) if text]
        if len(files) != 1:
            raise BadRequest(f"{len(files)} documents were sent.", "Send one: `pdf_base64` or `pdf_url`.")
        return files[0]

    def opening(self) -> Opening:
        within = self.pdf_pages.given() if self.pdf_pages else {}
        return Opening(**{**within, **self.given()})


class ReadResult(TypedDict):
    """What was read on one picture or page; `image_size` is width and height in pixels."""

    text: str
    markdown: str
    raw: str
    blocks: list[BlockJson]
    image_size: list[int]
    status: PageStatus
    finish_reason: str
    usage: UsageJson
    warnings: list[str]
    error: ErrorJson | None
    unread: list[BoxJson]
    coverage: float | None


class ReadPage(ReadResult):
    """One page of a document, by its number from 1."""

    page: int


class ReadImages(ReadingJson):
    """What was read on several pictures, in the order they were sent."""

    success: bool
    results: list[ReadResult]


class ReadImage(ReadImages, TrussFields):
    """What was read on one picture, whose text stands at the top as well."""

    text: str


class ReadPdf(ReadingJson):
    """What was read in a document."""

    success: bool
    results: list[ReadPage]
    markdown: str
    outline: list[HeadingJson]
    continued_tables: list[ContinuedTableJson]
    ledger: LedgerJson


@router.post(
    "/ocr",
    summary="Images as JSON, text and boxes as JSON",
    responses={200: {"model": ReadImage | ReadImages}},
)
async def read_images(
    request: Request,
    service: ReadyService,
    body: Annotated[ImageRequest, Body(openapi_examples=_EXAMPLES)],
) -> Response:
    options = body.options(service)
    files = body.files()
    pages = await unless_gone(request, _read_all(service, fetcher_of(request), files, options))
    document = service.reader.document(pages, options)
    prompt = body.prompt or service.reader.defaults.prompt or PROMPTS["document"]
    return await json_in_memory(await on_thread(_image_answer, document, prompt))


@router.post(
    "/ocr/pdf", summary="A PDF as JSON, the text of its pages as JSON", responses={200: {"model": ReadPdf}}
)
async def read_pdf(request: Request, service: ReadyService, body: PdfRequest) -> Response:
    options = body.options(service)
    async with service.reader.admit():
        data = await file_of(body.file(), fetcher_of(request))
        async with opened(service, data, "document", body.opening()) as source:
            document = await unless_gone(request, service.reader.recognize(source, options))
    return await json_in_memory(await on_thread(_pdf_answer, document))


async def _read_all(service: Service, fetcher: Fetcher, files: list[str], options: ReadOptions) -> list[Page]:
    """One page per file, in order."""
    read = _read_one if len(files) == 1 else _read_one_of_several
    work = functools.partial(read, service, fetcher, options)
    pages: list[Page] = []
    async with service.reader.admit():
        stream: AsyncIterator[Page] = in_order(files, work, service.reader.max_concurrency + 1)
        async with aclosing(stream) as results:  # type: ignore[type-var]
            async for page in results:
                pages.append(replace(page, number=len(pages) + 1))
    return pages


async def _read_one(service: Service, fetcher: Fetcher, options: ReadOptions, text: str) -> Page:
    data = await file_of(text, fetcher)
    async with opened_picture(service, data) as source:
        document = await service.reader.recognize(source, options)
    return document.pages[0]


async def _read_one_of_several(service: Service, fetcher: Fetcher, options: ReadOptions, text: str) -> Page:
    """As `_read_one`; a file that cannot be read is one failed entry and costs no other."""
    try:
        return await _read_one(service, fetcher, options, text)
    except AirgapError as error:
        return Page(1, 0, 0, "failed", finish_reason="error", error=error.as_page_error())


def _image_answer(document: Document, prompt: str) -> ReadImages | ReadImage:
    answer: ReadImages = {
        "success": document.ledger.failed == 0,
        "results": [_result(page) for page in document.pages],
        **reading_to_dict(document),
    }
    if len(document.pages) > 1:
        return answer
    page = document.pages[0]
    raise_if_failed(page)
    return {**answer, "text": page_text(page), **truss_fields(page, prompt, document.model)}


def _result(page: Page) -> ReadResult:
    return {
        "text": page_text(page),
        "markdown": page_markdown(page),
        "raw": page.raw,
        "blocks": blocks_to_list(page.blocks),
        "image_size": [page.width, page.height],
        "status": page.status,
        "finish_reason": page.finish_reason,
        "usage": usage_to_dict(page.usage),
        "warnings": list(page.warnings),
        "error": error_to_dict(page.error),
        "unread": [box_to_list(box) for box in page.unread],
        "coverage": page.coverage,
    }


def _pdf_answer(document: Document) -> ReadPdf:
    return {
        "success": document.ledger.failed == 0,
        "results": [{"page": page.number, **_result(page)} for page in document.pages],
        "markdown": document_markdown(document),
        "outline": outline_to_list(document),
        "continued_tables": continued_tables_to_list(document),
        "ledger": ledger_to_dict(document.ledger),
        **reading_to_dict(document),
    }
