"""`POST /v1/ocr`, as Mistral's clients and LiteLLM speak it.

The document is a data URL, a link to a file of `/v1/files`, its id, or a URL where the site fetches them.
Figures stand in a page's Markdown under the ids by which `images` lists them. What a page lost is in
`X-Ledger` and `X-Warnings`, and in its Markdown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response
from PIL.Image import Image

from airgap.accounts.caller import CallerDep
from airgap.core.document import Block, Box, Document, Page
from airgap.core.opening import WHOLE
from airgap.dialects.documents import answers_with, drawn, long_json_answer, read
from airgap.dialects.file_store import FileStore, KeptFile
from airgap.dialects.files_api import FilesDep
from airgap.dialects.inputs import fetcher_of, file_of
from airgap.dialects.mistral_request import OcrRequest, kept_file
from airgap.dialects.page_lists import opened_at
from airgap.exporters.annotated import crop
from airgap.exporters.figures import Figure, figures, is_figure
from airgap.exporters.furniture import FOOTERS, HEADERS
from airgap.exporters.html_tables import Table, split_tables
from airgap.exporters.images import jpeg_bytes
from airgap.exporters.markdown import page_markdown
from airgap.exporters.text import block_text
from airgap.http.json_bodies import JsonRoute
from airgap.http.live import Admitted
from airgap.http.responses import encode_base64
from airgap.http.service import ReadyService, Service
from airgap.http.uploads import temporary_path
from airgap.monitoring import trace
from process.pages import Source
from process.work import briefly

router = APIRouter(prefix="/v1", tags=["mistral"], route_class=JsonRoute)

_TYPES = {
    "title": "title",
    "sub_title": "title",
    "table": "table",
    "equation": "equation",
    "code": "code",
    "list": "list",
    "reference": "references",
}


@router.post(
    "/ocr",
    summary="A document's pages as Markdown, with its figures",
    response_class=Response,
    responses=answers_with("application/json"),
)
async def ocr(
    request: Request,
    service: ReadyService,
    caller: CallerDep,
    files: FilesDep,
    _: Admitted,
    body: OcrRequest,
) -> Response:
    body.check()
    async with _opened(request, service, files, caller.id, body) as source:
        document = await read(request, service, source, body.options())
        members = {
            "pages": _pages(document, source, body),
            "model": document.model,
            "usage_info": {"pages_processed": len(document.pages), "doc_size_bytes": _size(source)},
            "document_annotation": None,
        }
        return await long_json_answer(request, service, members, document)


@asynccontextmanager
async def _opened(
    request: Request, service: Service, files: FileStore, caller: str, body: OcrRequest
) -> AsyncIterator[Source]:
    """The pages asked for of the document, open for the length of a block."""
    numbers = body.numbers()
    async with (
        _located(request, service, files, caller, body) as (data, name),
        opened_at(service, data, name, WHOLE, numbers) as source,
    ):
        yield source


@asynccontextmanager
async def _located(
    request: Request, service: Service, files: FileStore, caller: str, body: OcrRequest
) -> AsyncIterator[tuple[Any, str]]:
    """Where the document is, a path or bytes, and its name."""
    name = body.document.document_name or "document"
    file = await _kept(files, caller, body)
    if file is None:
        yield await file_of(body.document.source(), fetcher_of(request)), name
        return
    place = await briefly(temporary_path, service.uploads, ".bin")
    try:
        await briefly(files.lend, caller, file, place)
        await briefly(trace.note_input, place)
        yield place, file.name
    finally:
        await briefly(place.unlink, missing_ok=True)


async def _kept(files: FileStore, caller: str, body: OcrRequest) -> KeptFile | None:
    if body.document.file_id:
        return await briefly(files.get, caller, body.document.file_id)
    return await briefly(kept_file, files, caller, body.document.source())


def _size(source: Source) -> int:
    return len(source.path) if isinstance(source.path, bytes) else source.path.stat().st_size


def _pages(document: Document, source: Source, body: OcrRequest) -> Iterator[dict[str, Any]]:
    """Page by page; figures are cut out as their page's turn comes."""
    left = body.image_limit
    for page in document.pages:
        chosen = [f for f in figures(page) if min(f.box.width, f.box.height) >= (body.image_min_size or 0)]
        chosen = chosen if left is None else chosen[:left]
        left = None if left is None else left - len(chosen)
        yield _page(page, body) | {"images": _images(page, source, chosen, body)}


def _page(page: Page, body: OcrRequest) -> dict[str, Any]:
    header, rest = _without(page, HEADERS) if body.extract_header else (None, page)
    footer, rest = _without(rest, FOOTERS) if body.extract_footer else (None, rest)
    tables: list[dict[str, Any]] | None = None
    if body.table_format:
        rest, tables = _without_tables(rest)
    found: dict[str, Any] = {
        "index": page.number - 1,
        "markdown": page_markdown(rest, ""),
        "dimensions": {"dpi": _dpi(page), "height": page.height, "width": page.width},
        "tables": tables or [],
        "hyperlinks": [],
        "header": header,
        "footer": footer,
    }
    if body.confidence_scores_granularity:
        found["confidence_scores"] = _confidence(page)
    if body.include_blocks:
        found["blocks"] = list(_blocks(page))
    return found


def _dpi(page: Page) -> int:
    return round(page.width / page.width_pt * 72) if page.width and page.width_pt else 72


def _without(page: Page, labels: frozenset[str]) -> tuple[str | None, Page]:
    """The text of the blocks with these labels, and the page without them."""
    taken = [block for block in page.blocks if block.label in labels]
    rest = tuple(block for block in page.blocks if block.label not in labels)
    return "\n".join(map(block_text, taken)) or None, replace(page, blocks=rest) if rest else page


def _without_tables(page: Page) -> tuple[Page, list[dict[str, Any]]]:
    """The page with a link in the place of each table, and the tables."""
    tables: list[dict[str, Any]] = []
    blocks = []
    for block in page.blocks:
        if not any(isinstance(part, Table) for part in split_tables(block.text)):
            blocks.append(block)
            continue
        name = f"tbl-{len(tables)}.html"
        tables.append({"id": name, "content": block.text, "format": "html"})
        blocks.append(replace(block, text=f"[{name}]({name})"))
    return replace(page, blocks=tuple(blocks)), tables


def _confidence(page: Page) -> dict[str, float] | None:
    known = [block.confidence for block in page.blocks if block.confidence is not None]
    if not known or page.confidence is None:
        return None
    return {
        "average_page_confidence_score": page.confidence,
        "minimum_page_confidence_score": min(known),
    }


def _blocks(page: Page) -> Iterator[dict[str, Any]]:
    names = iter([figure.name for figure in figures(page)])
    for block in page.blocks:
        for box in block.boxes[: None if is_figure(block) else 1]:
            whole = box if is_figure(block) else Box.around(block.boxes)
            described = {**_corners(whole), "type": _type(block), "content": block.text}
            yield described | ({"image_id": next(names)} if is_figure(block) else {})


def _type(block: Block) -> str:
    label = block.label
    if is_figure(block):
        return "image"
    if label.endswith("caption"):
        return "caption"
    return "header" if label in HEADERS else "footer" if label in FOOTERS else _TYPES.get(label, "text")


def _corners(box: Box) -> dict[str, int]:
    x0, y0, x1, y1 = box.rounded()
    return {"top_left_x": x0, "top_left_y": y0, "bottom_right_x": x1, "bottom_right_y": y1}


def _images(page: Page, source: Source, chosen: list[Figure], body: OcrRequest) -> list[dict[str, Any]]:
    picture = drawn(page, source) if chosen and body.include_image_base64 else None
    return [
        {
            "id": figure.name,
            **_corners(figure.box),
            "image_base64": None if picture is None else _data_url(crop(picture, figure.box)),
            "image_annotation": None,
        }
        for figure in chosen
    ]


def _data_url(image: Image) -> str:
    return f"data:image/jpeg;base64,{encode_base64(jpeg_bytes(image))}"
