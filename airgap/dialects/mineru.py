"""`POST /file_parse`, as MinerU's server and its clients speak it.

`results` has an entry for each file, by its name without suffix. Options of MinerU's own models and backends
are taken and not heeded; its inner formats, and a ZIP, are refused. A file that cannot be read among several
is an entry with `error`; a page that cannot be read says so in the Markdown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile

from airgap.core.document import Block, Box, Document, Page, ReadOptions
from airgap.core.errors import AirgapError, InvalidOption, UnsupportedOption
from airgap.core.file_names import UniqueNames
from airgap.core.opening import Opening
from airgap.core.version import VERSION
from airgap.dialects.documents import answers_with, json_answer, read
from airgap.exporters.figures import IMAGE_FOLDER, figures, is_figure
from airgap.exporters.json_export import error_to_dict
from airgap.exporters.markdown import page_markdown
from airgap.http.forms import checked_language
from airgap.http.live import Admitted
from airgap.http.opening import opened
from airgap.http.service import ReadyService, Service
from airgap.http.uploads import display_name, saved_upload
from process.work import at_length

router = APIRouter(tags=["mineru"])

MAX_FILES = 64

_LAST_PAGE = 99_999
_GRID = 1000
_LEVELS = {"title": 1, "sub_title": 2}
_LANGUAGES = {"ch": "zh", "chinese_cht": "zh-Hant", "latin": "", "cyrillic": "ru", "east_slavic": "ru"}
"""Names of MinerU's recognition models that are no languages, and what they come to."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of each file."""

    options: ReadOptions
    opening: Opening
    markdown: bool
    content_list: bool


def asked(
    return_md: Annotated[bool, Form()] = True,
    return_content_list: Annotated[bool, Form()] = False,
    return_middle_json: Annotated[bool, Form()] = False,
    return_model_output: Annotated[bool, Form()] = False,
    return_images: Annotated[bool, Form()] = False,
    response_format_zip: Annotated[bool, Form()] = False,
    start_page_id: Annotated[int, Form(ge=0, description="From 0.")] = 0,
    end_page_id: Annotated[int, Form(ge=0, description="From 0, included.")] = _LAST_PAGE,
    lang_list: Annotated[list[str] | None, Form(max_length=MAX_FILES)] = None,
) -> Asked:
    """Raises `UnsupportedOption`, `InvalidOption`."""
    refused = {
        "return_middle_json": return_middle_json,
        "return_model_output": return_model_output,
        "return_images": return_images,
        "response_format_zip": response_format_zip,
    }
    if wanted := [name for name, value in refused.items() if value]:
        raise UnsupportedOption(
            f"`{wanted[0]}` cannot be had here.",
            "Leave it out; POST /pdf/ocr answers with the figures, and with a ZIP for `output=zip`.",
        )
    if end_page_id < start_page_id:
        raise InvalidOption("`end_page_id` lies before `start_page_id`.")
    language = (lang_list or [""])[0]
    options = ReadOptions(language=checked_language(_LANGUAGES.get(language, language)))
    last = end_page_id + 1 if end_page_id < _LAST_PAGE else None
    return Asked(options, Opening(page_from=start_page_id + 1, page_to=last), return_md, return_content_list)


@router.post(
    "/file_parse",
    summary="Files to Markdown and a list of their content",
    response_class=Response,
    responses=answers_with("application/json"),
)
async def file_parse(
    request: Request,
    service: ReadyService,
    _: Admitted,
    asked: Annotated[Asked, Depends(asked)],
    files: Annotated[
        list[UploadFile], File(max_length=MAX_FILES, description=f"Pictures and PDFs, {MAX_FILES} at most.")
    ],
) -> Response:
    names = UniqueNames()
    results: dict[str, Any] = {}
    documents: list[Document] = []
    for file in files:
        name = names.claim(display_name(file))
        try:
            document = await _read(request, service, file, asked)
        except AirgapError as error:
            if len(files) == 1:
                raise
            results[name] = {"md_content": "", "error": error_to_dict(error.as_page_error())}
        else:
            documents.append(document)
            results[name] = await at_length(_result, document, asked)
    members = {"backend": service.engine.name, "version": VERSION, "results": results}
    return await json_answer(members, documents)


async def _read(request: Request, service: Service, file: UploadFile, asked: Asked) -> Document:
    async with (
        saved_upload(file, service.uploads) as path,
        opened(service, path, display_name(file), asked.opening) as source,
    ):
        return await read(request, service, source, asked.options)


def _result(document: Document, asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if asked.markdown:
        found["md_content"] = "\n\n".join(page_markdown(page) for page in document.pages)
    if asked.content_list:
        found["content_list"] = json.dumps(list(content_list(document)), ensure_ascii=False)
    return found


def content_list(document: Document) -> Iterator[dict[str, Any]]:
    """The pieces of a document in reading order; boxes on a grid of 1000 by 1000 over their page."""
    for page in document.pages:
        names = iter([f"{IMAGE_FOLDER}/{figure.name}" for figure in figures(page)])
        for block in page.blocks:
            for piece in _pieces(block, names):
                yield {**piece, **_place(block, page), "page_idx": page.number - 1}


def _pieces(block: Block, names: Iterator[str]) -> Iterator[dict[str, Any]]:
    if is_figure(block):
        for _ in block.boxes:
            yield {"type": "image", "img_path": next(names), "image_caption": [], "image_footnote": []}
    if not block.text.strip():
        return
    if block.label == "table":
        body = {"table_body": block.text, "table_caption": [], "table_footnote": [], "img_path": ""}
        yield {"type": "table", **body}
    elif block.label == "equation":
        yield {"type": "equation", "text": block.text, "text_format": "latex"}
    else:
        level = _LEVELS.get(block.label)
        text = block.text.lstrip("# ") if level else block.text
        yield {"type": "text", "text": text, **({"text_level": level} if level else {})}


def _place(block: Block, page: Page) -> dict[str, Any]:
    if not (block.boxes and page.width and page.height):
        return {}
    box: Box = block.boxes[0]
    x, y = _GRID / page.width, _GRID / page.height
    return {"bbox": [round(box.x0 * x), round(box.y0 * y), round(box.x1 * x), round(box.y1 * y)]}
