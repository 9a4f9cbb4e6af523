"""`POST /marker/upload`, as Marker's own server speaks it, and Datalab's clients where that answers at once.

One file in, its text in `output`, figures beside it. Options of Marker's own models are taken and not heeded;
its JSON and its chunks, which are trees of its own, are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile

from airgap.core.document import Document, ReadOptions
from airgap.core.errors import UnsupportedOption
from airgap.core.opening import Opening
from airgap.dialects.documents import answers_with, long_json_answer, read
from airgap.dialects.page_lists import opened_at, page_numbers
from airgap.exporters.html import to_html
from airgap.exporters.images import iter_images
from airgap.exporters.markdown import page_markdown
from airgap.http.forms import checked_language
from airgap.http.live import Admitted
from airgap.http.responses import encode_base64
from airgap.http.service import ReadyService
from airgap.http.uploads import display_name, saved_upload
from process.pages import Source
from process.work import at_length

router = APIRouter(tags=["marker"])

_RULE = "-" * 48


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of the file; no `pages` for all. `paginated`: whether each begins with its number."""

    options: ReadOptions
    opening: Opening
    pages: tuple[int, ...]
    format: str
    paginated: bool
    figures: bool


def asked(
    output_format: Annotated[str, Form(max_length=40, description="markdown or html.")] = "markdown",
    page_range: Annotated[
        str | None, Form(max_length=1000, description="`0,5-10`: pages and ranges, from 0.")
    ] = None,
    force_ocr: Annotated[bool, Form(description="Else a page's own text is taken if it is sound.")] = False,
    paginate: Annotated[bool, Form(description="Datalab's name of `paginate_output`.")] = False,
    paginate_output: Annotated[
        bool, Form(description="Each page begins with a rule and its number.")
    ] = False,
    disable_image_extraction: Annotated[bool, Form()] = False,
    languages: Annotated[str | None, Form(max_length=200)] = None,
) -> Asked:
    """Raises `UnsupportedOption`, `InvalidOption`."""
    if output_format not in ("markdown", "html"):
        raise UnsupportedOption(
            f"`output_format` {output_format!r} cannot be had here.",
            "Send `markdown` or `html`; POST /pdf/ocr answers with blocks as JSON.",
        )
    if output_format == "html" and (paginate or paginate_output):
        raise UnsupportedOption(
            "Pages are not numbered in HTML.", "Leave `paginate` out, or ask for Markdown."
        )
    return Asked(
        ReadOptions(language=checked_language(languages)),
        Opening(text_layer="ignore" if force_ocr else "auto"),
        page_numbers(page_range, "page_range") if page_range else (),
        output_format,
        paginate or paginate_output,
        not disable_image_extraction,
    )


@router.post(
    "/marker/upload",
    summary="A file to Markdown or HTML with its figures",
    response_class=Response,
    responses=answers_with("application/json"),
)
async def upload(
    request: Request,
    service: ReadyService,
    _: Admitted,
    asked: Annotated[Asked, Depends(asked)],
    file: Annotated[UploadFile, File(description="A picture or a PDF.")],
) -> Response:
    async with (
        saved_upload(file, service.uploads) as path,
        opened_at(service, path, display_name(file), asked.opening, asked.pages) as source,
    ):
        document = await read(request, service, source, asked.options)
        members = {
            "success": True,
            "error": None,
            "format": asked.format,
            "output": await at_length(_WRITERS[asked.format], document, asked),
            "images": _Figures(document, source) if asked.figures else {},
            "metadata": {"page_stats": [{"page_id": page.number - 1} for page in document.pages]},
            "page_count": len(document.pages),
        }
        return await long_json_answer(request, service, members, document)


def _markdown(document: Document, asked: Asked) -> str:
    return "\n\n".join(
        (f"{{{page.number - 1}}}{_RULE}\n\n" if asked.paginated else "") + page_markdown(page)
        for page in document.pages
    )


def _html(document: Document, asked: Asked) -> str:
    return to_html(document).decode()


_WRITERS: Mapping[str, Callable[[Document, Asked], str]] = {"markdown": _markdown, "html": _html}


class _Figures(Mapping[str, str]):
    """Each figure's name and its JPEG as base64, cut when it is written: one at a time is in memory."""

    def __init__(self, document: Document, source: Source) -> None:
        self._document, self._source = document, source

    def items(self) -> Any:
        for name, data in iter_images(self._document, self._source):
            yield name, encode_base64(data)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.items())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> str:
        return str(dict(self.items())[name])
