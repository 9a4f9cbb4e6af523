"""One image in, one result out.

A route parses, calls the reader, shapes the answer. How an image is decoded, read or drawn is known
elsewhere.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any, NotRequired

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from PIL.Image import Image
from pydantic import Field
from typing_extensions import TypedDict

from airgap.core.document import Document, Page, PageStatus, ReadOptions, Usage
from airgap.core.engine import check_capabilities
from airgap.core.errors import UnsupportedMedia
from airgap.core.opening import FIRST_FRAME
from airgap.dialects.markup import answer_of, filter_for
from airgap.exporters.annotated import annotate, crop_blocks
from airgap.exporters.boxes import BoxJson, box_to_list
from airgap.exporters.json_export import (
    BlockJson,
    DisagreementJson,
    UsageJson,
    blocks_to_list,
    disagreements_to_list,
    usage_to_dict,
)
from airgap.exporters.markdown import page_markdown
from airgap.exporters.text import page_text
from airgap.http.forms import NO_PICTURE, RAW, OpeningBody
from airgap.http.json_bodies import JsonRoute
from airgap.http.opening import check_together, opened, opened_together, with_picture
from airgap.monitoring import trace
from deepseek_ocr import PROMPTS
from ocr_utils import (
    Crosscheck,
    FormOptions,
    ReadyService,
    Service,
    ServiceDep,
    ServiceStatus,
    checked_max_tokens,
    checked_temperature,
    decode_base64,
    display_name,
    encode_base64,
    json_from_disk,
    on_thread,
    raise_if_failed,
    requested_outputs,
    respond_with_files,
    saved_upload,
    unless_gone,
)
from process.pages import Source
from process.sniff import sniff_file

router = APIRouter(tags=["image"], route_class=JsonRoute)

USAGE = {
    "advanced": "curl -F file=@page.png http://localhost:8000/ocr/image/advanced",
    "simple": "curl -F file=@page.png http://localhost:8000/ocr/image/simple",
    "searchable PDF": "curl -F file=@page.png -F output=searchable_pdf -o page.pdf "
    "http://localhost:8000/ocr/image/advanced",
    "generate": 'echo "{\\"image\\": \\"$(base64 -w0 page.png)\\"}" | '
    "curl -H 'Content-Type: application/json' -d @- http://localhost:8000/generate",
}


class GenerateRequest(OpeningBody):
    """The JSON of `POST /generate`; images are base64 or data URLs. Of a PDF its first page is read, unless
    pages are named."""

    prompt: str | None = Field(None, max_length=8000)
    image: str | None = None
    images: list[str] | None = Field(None, max_length=32)
    max_tokens: int | None = None
    temperature: float | None = None
    raw: bool | None = Field(None, description=RAW)


class Generated(TypedDict):
    """`result` is the model's output, with its markup where the prompt or `raw` asks for it.

    `unread` and `coverage` are those of a single picture; null where the answer was not compared with it.
    """

    result: str
    finish_reason: str
    usage: UsageJson
    warnings: list[str]
    status: PageStatus
    unread: list[BoxJson]
    coverage: float | None


class ImageText(TypedDict):
    """`disagreements` is there where a second reading was asked for."""

    text: str
    warnings: list[str]
    disagreements: NotRequired[list[DisagreementJson] | None]


class PictureSize(TypedDict):
    """Pixels, after EXIF orientation."""

    width: int
    height: int


class Crop(TypedDict):
    """One box of a block, cut out; `image` is a PNG as base64."""

    label: str
    box: BoxJson
    image: str


class ImageAnswer(TypedDict):
    """All that was read on a picture; `annotated_image` is a PNG as base64."""

    success: bool
    markdown: str
    text: str
    raw: str
    blocks: list[BlockJson]
    image_size: PictureSize
    annotated_image: str | None
    crops: list[Crop]
    usage: UsageJson
    warnings: list[str]
    status: PageStatus
    confidence: float | None
    finish_reason: str
    disagreements: list[DisagreementJson] | None
    unread: list[BoxJson]
    coverage: float | None
    engine: str
    model: str
    mode: str | None


@router.post("/generate", summary="Prompt and images as JSON, the model's raw answer")
async def generate(request: Request, body: GenerateRequest, service: ReadyService) -> Generated:
    encoded = [*([body.image] if body.image else []), *(body.images or [])]
    options = ReadOptions(
        prompt=body.prompt or None,
        max_tokens=checked_max_tokens(body.max_tokens, service.settings),
        temperature=checked_temperature(body.temperature),
    )
    if not encoded and not service.engine.capabilities.text_only:
        return _nothing_to_read()
    check_capabilities(service.engine.capabilities, len(encoded), options)
    return await unless_gone(request, _generate_from(service, encoded, options, body))


@router.post("/generate_with_file", summary="The same with an uploaded file")
async def generate_with_file(
    request: Request,
    service: ReadyService,
    options: FormOptions,
    file: Annotated[UploadFile, File()],
    raw: Annotated[bool | None, Form(description=RAW)] = None,
) -> Generated:
    check_capabilities(service.engine.capabilities, 1, options)
    async with _opened_picture(service, file) as source:
        return await unless_gone(request, _generate(service, [source], options, raw))


def _nothing_to_read() -> Generated:
    """The answer to a request without a picture: clients try a server with one."""
    usage = usage_to_dict(Usage())
    return {
        "result": NO_PICTURE,
        "finish_reason": "stop",
        "usage": usage,
        "warnings": [NO_PICTURE],
        "status": "ok",
        "unread": [],
        "coverage": None,
    }


async def _generate_from(
    service: Service, encoded: list[str], options: ReadOptions, body: GenerateRequest
) -> Generated:
    async with service.reader.admit():
        files = [await on_thread(_file_of, text) for text in encoded]
        async with opened_together(service, files, body.opening().one_page) as sources:
            return await _generate(service, sources, options, body.raw)


def _file_of(text: str) -> bytes:
    data = decode_base64(text)
    trace.note_input(data)
    return data


async def _generate(
    service: Service, sources: Sequence[Source], options: ReadOptions, raw: bool | None
) -> Generated:
    check_capabilities(service.engine.capabilities, len(sources), options)
    check_together(service, sources)
    page = await service.reader.together(sources, options)
    raise_if_failed(page)
    prompt = options.prompt or service.reader.defaults.prompt or PROMPTS["document"]
    return {
        "result": answer_of(page, filter_for(prompt, raw=raw)),
        "finish_reason": page.finish_reason,
        "usage": usage_to_dict(page.usage),
        "warnings": list(page.warnings),
        "status": page.status,
        "unread": [box_to_list(box) for box in page.unread],
        "coverage": page.coverage,
    }


@router.post(
    "/ocr/image/advanced",
    summary="Markdown, text, blocks with boxes, annotated picture, crops",
    responses={200: {"model": ImageAnswer, "content": {"application/zip": {}, "application/pdf": {}}}},
)
async def image_advanced(
    request: Request,
    service: ReadyService,
    options: FormOptions,
    file: Annotated[UploadFile, File(description="PNG, JPEG, WebP, TIFF, BMP, GIF, HEIC, AVIF, JPEG 2000.")],
    outputs: Annotated[tuple[str, ...], Depends(requested_outputs)],
    draw_boxes: Annotated[bool, Form(description="Answer with `annotated_image`.")] = True,
    crop_regions: Annotated[bool, Form(description="Answer with `crops`, one picture per box.")] = False,
    crosscheck: Crosscheck = False,
) -> Response:
    options = replace(options, crosscheck=crosscheck)
    async with _opened_picture(service, file) as source:
        document = await unless_gone(request, _read(service, source, options))
        if outputs:
            return await unless_gone(request, respond_with_files(service, document, source, outputs))
        answer = with_picture(
            service, source, 1, lambda image: _advanced(document, image, draw_boxes, crop_regions)
        )
        return await json_from_disk(await unless_gone(request, answer), service.uploads)


@router.post("/ocr/image/simple", summary="Just the text")
async def image_simple(
    request: Request,
    service: ReadyService,
    options: FormOptions,
    file: Annotated[UploadFile, File()],
    crosscheck: Crosscheck = False,
) -> ImageText:
    options = replace(options, crosscheck=crosscheck)
    async with _opened_picture(service, file) as source:
        document = await unless_gone(request, _read(service, source, options))
    page = document.pages[0]
    answer: ImageText = {"text": page_text(page), "warnings": list(document.warnings)}
    if crosscheck:
        answer["disagreements"] = disagreements_to_list(page.disagreements)
    return answer


@asynccontextmanager
async def _opened_picture(service: Service, file: UploadFile) -> AsyncIterator[Source]:
    """The first frame of a picture, once admitted. Raises `UnsupportedMedia` for a PDF."""
    name = display_name(file)
    async with service.reader.admit(), saved_upload(file, service.uploads) as path:
        if sniff_file(path) == "pdf":
            raise UnsupportedMedia(f"{name} is a PDF.", "Send it to /pdf/ocr.")
        async with opened(service, path, name, FIRST_FRAME) as source:
            yield source


async def _read(service: Service, source: Source, options: ReadOptions) -> Document:
    """Read the one page, whose failure is the request's."""
    document = await service.reader.recognize(source, options)
    raise_if_failed(document.pages[0])
    return document


def _advanced(document: Document, image: Image, draw_boxes: bool, crop_regions: bool) -> ImageAnswer:
    page = document.pages[0]
    return {
        "success": True,
        "markdown": page_markdown(page),
        "text": page_text(page),
        "raw": page.raw,
        "blocks": blocks_to_list(page.blocks),
        "image_size": {"width": page.width, "height": page.height},
        "annotated_image": _png(annotate(image, page.blocks, page.unread)) if draw_boxes else None,
        "crops": _crops(page, image) if crop_regions else [],
        "usage": usage_to_dict(page.usage),
        "warnings": list(page.warnings),
        "status": page.status,
        "confidence": page.confidence,
        "finish_reason": page.finish_reason,
        "disagreements": disagreements_to_list(page.disagreements),
        "unread": [box_to_list(box) for box in page.unread],
        "coverage": page.coverage,
        "engine": document.engine,
        "model": document.model,
        "mode": document.mode,
    }


def _crops(page: Page, image: Image) -> list[Crop]:
    return [
        {"label": label, "box": box_to_list(box), "image": _png(crop)}
        for label, box, crop in crop_blocks(image, page.blocks)
    ]


def _png(image: Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return encode_base64(buffer.getbuffer())


@router.get("/ocr/status", summary="Whether images can be read now")
async def status(service: ServiceDep) -> ServiceStatus:
    return service.status()


@router.get("/ocr/info", summary="How to use the image routes")
async def info(service: ServiceDep) -> dict[str, Any]:
    return {
        "routes": ["/generate", "/generate_with_file", "/ocr/image/advanced", "/ocr/image/simple"],
        "max_upload_mb": service.settings.max_upload_mb,
        "max_image_pixels": service.settings.max_image_pixels,
        "examples": USAGE,
    }
