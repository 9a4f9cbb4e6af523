"""`POST /layout-parsing`, as PaddleX serves its document pipelines, PaddleOCR-VL among them.

One entry for each page: Markdown with its figures, and blocks with their boxes. What kind of file it is, is
seen from the file. Options of PaddleX's own models are taken and not heeded.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from airgap.core.document import Document, Page
from airgap.dialects.documents import answers_with, drawn, long_json_answer, read
from airgap.dialects.inputs import fetcher_of, file_of
from airgap.exporters.figures import IMAGE_FOLDER, figures
from airgap.exporters.images import jpeg_bytes, page_figures
from airgap.exporters.markdown import page_markdown
from airgap.http.json_bodies import JsonRoute
from airgap.http.live import Admitted
from airgap.http.opening import opened
from airgap.http.responses import encode_base64
from airgap.http.service import ReadyService
from process.pages import Source

router = APIRouter(tags=["paddlex"], route_class=JsonRoute)


class LayoutRequest(BaseModel):
    """`file` is base64, or a URL where the site fetches them; `fileType` is 0 for a PDF, 1 for a picture."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    file: str
    fileType: int | None = None


@router.post(
    "/layout-parsing",
    summary="A document's pages as Markdown and blocks",
    response_class=Response,
    responses=answers_with("application/json"),
)
async def layout_parsing(
    request: Request, service: ReadyService, _: Admitted, body: LayoutRequest
) -> Response:
    data = await file_of(body.file, fetcher_of(request))
    async with opened(service, data, "document") as source:
        document = await read(request, service, source)
        members = {
            "logId": uuid.uuid4().hex,
            "errorCode": 0,
            "errorMsg": "Success",
            "result": {
                "layoutParsingResults": _results(document, source),
                "dataInfo": _data_info(document, source),
            },
        }
        return await long_json_answer(request, service, members, document)


def _results(document: Document, source: Source) -> Iterator[dict[str, Any]]:
    for page in document.pages:
        yield {
            "prunedResult": _pruned(page),
            "markdown": {
                "text": page_markdown(page),
                "images": dict(_images(page, source)),
                "isStart": True,
                "isEnd": True,
            },
            "outputImages": None,
            "inputImage": None,
            "exports": None,
        }


def _pruned(page: Page) -> dict[str, Any]:
    """The blocks; coordinates are pixels of the page."""
    blocks = [(number, block) for number, block in enumerate(page.blocks) if block.boxes]
    return {
        "width": page.width,
        "height": page.height,
        "parsing_res_list": [
            {
                "block_label": block.label,
                "block_content": block.text,
                "block_bbox": list(block.boxes[0].rounded()),
                "block_id": number,
                "block_order": number + 1,
            }
            for number, block in blocks
        ],
        "layout_det_res": {
            "boxes": [
                {"label": block.label, "score": block.confidence, "coordinate": [b.x0, b.y0, b.x1, b.y1]}
                for _, block in blocks
                for b in block.boxes
            ]
        },
    }


def _images(page: Page, source: Source) -> Iterator[tuple[str, str]]:
    if next(figures(page), None) is None:
        return
    for name, piece in page_figures(page, drawn(page, source)):
        yield f"{IMAGE_FOLDER}/{name}", encode_base64(jpeg_bytes(piece))


def _data_info(document: Document, source: Source) -> dict[str, Any]:
    sizes = [{"width": page.width, "height": page.height} for page in document.pages]
    if source.kind == "pdf":
        return {"type": "pdf", "numPages": source.page_count, "pages": sizes}
    return {"type": "image", **sizes[0]}
