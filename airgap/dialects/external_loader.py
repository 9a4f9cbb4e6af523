"""`PUT /process`: the external document loader of Open WebUI.

The body is the file, its name is in `X-Filename`, percent-encoded; the answer is a list of pages. One that
could not be read is a page that says so.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Header, Request, Response
from typing_extensions import TypedDict

from airgap.core.document import Document, Page, PageStatus
from airgap.core.file_names import shown_name
from airgap.dialects.documents import RAW_BODY, json_answer, opened_body, read
from airgap.exporters.json_export import ErrorJson, error_to_dict
from airgap.exporters.markdown import page_markdown
from airgap.http.live import Admitted
from airgap.http.service import ReadyService

router = APIRouter(tags=["open-webui"])


class PageMetadata(TypedDict):
    """`page` counts from 0, `page_label` from 1."""

    source: str
    page: int
    page_label: str
    total_pages: int
    status: PageStatus
    error: ErrorJson | None


class LoadedPage(TypedDict):
    """A page as Markdown."""

    page_content: str
    metadata: PageMetadata


@router.put(
    "/process",
    summary="The file as the body, its pages as Markdown: Open WebUI's external document loader",
    responses={200: {"model": list[LoadedPage]}},
    openapi_extra=RAW_BODY,
)
async def process(
    request: Request,
    service: ReadyService,
    _: Admitted,
    x_filename: Annotated[str | None, Header(max_length=3000, description="Percent-encoded.")] = None,
) -> Response:
    name = shown_name(unquote(x_filename) if x_filename else None)
    async with opened_body(request, service, name) as source:
        document = await read(request, service, source)
    return await json_answer(_pages(document, name), [document])


def _pages(document: Document, name: str) -> list[dict[str, Any]]:
    return [
        {"page_content": page_markdown(page, ""), "metadata": _metadata(page, name, len(document.pages))}
        for page in document.pages
    ]


def _metadata(page: Page, name: str, total: int) -> PageMetadata:
    return {
        "source": name,
        "page": page.number - 1,
        "page_label": str(page.number),
        "total_pages": total,
        "status": page.status,
        "error": error_to_dict(page.error),
    }
