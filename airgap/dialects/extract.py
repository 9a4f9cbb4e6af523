"""`POST /extract`: what a schema or a list of fields asks for, read from a page as JSON.

Each page is read twice: once for its words and their places, once with the model held to the schema. Each
value comes with the box of the words that show it, and without one where the page does not show it so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from typing_extensions import TypedDict

from airgap.core.document import AnswerShape, Document, Page, PageStatus
from airgap.core.engine import check_capabilities
from airgap.core.errors import BadRequest, InvalidOption
from airgap.core.json_text import read_json
from airgap.dialects.found_values import FoundValue, Scalar, found_values
from airgap.exporters.boxes import BoxJson, box_to_list
from airgap.exporters.json_export import (
    ErrorJson,
    LedgerJson,
    ReadingJson,
    error_to_dict,
    ledger_to_dict,
    reading_to_dict,
)
from airgap.http.forms import FormOpening, FormOptions
from airgap.http.live import Admitted
from airgap.http.opening import opened
from airgap.http.responses import json_in_memory, on_thread, unless_gone
from airgap.http.service import ReadyService
from airgap.http.shapes import names_shape, schema_shape
from airgap.http.uploads import display_name, saved_upload
from deepseek_ocr import strip_special

router = APIRouter(tags=["extract"])

PROMPT = (
    "Find the values that this JSON schema asks for, as the page writes them; null where it has none. "
    "Answer with the JSON alone."
)
SCHEMA_CHARS = 6000
NO_ANSWER = "The answer is no whole JSON; a larger `max_tokens` may help."
NOTHING = "The page is blank: nothing was asked of it."


class ValueJson(TypedDict):
    """A value by its JSON Pointer (RFC 6901), and the words and box that show it; null where none do.

    `occurrences` says how many places show it alike: of several the first is meant.
    """

    path: str
    value: Scalar
    box: BoxJson | None
    text: str | None
    occurrences: int


class PageValues(TypedDict):
    """What was found on one page. `data` is null where the answer was no whole JSON."""

    page: int
    status: PageStatus
    data: Any
    values: list[ValueJson]
    warnings: list[str]
    error: ErrorJson | None


class Extracted(ReadingJson):
    """What was found, page by page; `data` is the first page's."""

    success: bool
    data: Any
    results: list[PageValues]
    ledger: LedgerJson


@router.post(
    "/extract",
    summary="A schema or field names → JSON, each value with its box",
    responses={200: {"model": Extracted}},
)
async def extract(
    request: Request,
    service: ReadyService,
    _: Admitted,
    options: FormOptions,
    opening: FormOpening,
    file: Annotated[UploadFile, File(description="An image or a PDF.")],
    json_schema: Annotated[str | None, Form(alias="schema", description="A JSON schema.")] = None,
    fields: Annotated[
        list[str] | None, Form(description="Names in place of a schema: comma-separated, repeated, or JSON.")
    ] = None,
) -> Response:
    shape = wanted(json_schema, fields)
    asked = replace(options, prompt=_prompt(options.prompt, shape), shape=shape, fill="off")
    check_capabilities(service.engine.capabilities, 1, asked)
    words = replace(options, prompt=None, max_tokens=None)
    name = display_name(file)
    async with saved_upload(file, service.uploads) as path:
        async with opened(service, path, name, opening) as source:
            read = await unless_gone(request, service.reader.recognize(source, words))
        async with opened(service, path, name, replace(opening, text_layer="ignore")) as source:
            answered = await unless_gone(request, service.reader.recognize(source, asked))
    return await json_in_memory(await on_thread(_answer, read, answered))


def wanted(schema: str | None, fields: list[str] | None) -> AnswerShape:
    """The shape of the answer. Raises `BadRequest` unless there is one of the two, and `InvalidOption`."""
    if bool(schema) == bool(fields):
        raise BadRequest("Neither a schema nor fields were sent, or both.", "Send `schema` or `fields`.")
    return schema_shape(schema) if schema else names_shape(_names(fields or []))


def _names(fields: list[str]) -> Any:
    if len(fields) == 1 and fields[0].lstrip().startswith("["):
        try:
            return read_json(fields[0])
        except ValueError as error:
            raise InvalidOption("`fields` is not JSON.", "Send names with commas between.") from error
    return [name.strip() for field in fields for name in field.split(",") if name.strip()]


def _prompt(prompt: str | None, shape: AnswerShape) -> str:
    """The client's words or ours, and the schema as far as a prompt has room for it."""
    return f"{prompt or PROMPT}\n{shape.text[:SCHEMA_CHARS]}"


def _answer(read: Document, answered: Document) -> Extracted:
    results = list(map(_page, read.pages, answered.pages))
    return {
        "success": all(result["error"] is None and result["data"] is not None for result in results),
        "data": results[0]["data"],
        "results": results,
        "ledger": ledger_to_dict(answered.ledger),
        **reading_to_dict(replace(answered, pages=tuple(map(_together, read.pages, answered.pages)))),
    }


def _together(read: Page, answered: Page) -> Page:
    return replace(answered, usage=read.usage + answered.usage)


def _page(read: Page, answered: Page) -> PageValues:
    data, warnings = _data(answered), list(answered.warnings)
    if data is None and answered.error is None:
        warnings.append(NO_ANSWER if answered.raw else NOTHING)
    return {
        "page": answered.number,
        "status": "degraded" if data is None and answered.status == "ok" else answered.status,
        "data": data,
        "values": [_value(found) for found in found_values(data, read)],
        "warnings": warnings,
        "error": error_to_dict(answered.error),
    }


def _data(page: Page) -> Any:
    try:
        return read_json(strip_special(page.raw))
    except ValueError:
        return None


def _value(found: FoundValue) -> ValueJson:
    return {
        "path": found.path,
        "value": found.value,
        "box": box_to_list(found.box) if found.box else None,
        "text": found.text,
        "occurrences": found.occurrences,
    }
