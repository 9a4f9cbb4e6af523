"""Document to JSON and back, field for field as in `airgap.core.document`.

The names are a contract: fields are added, never renamed, and `schema_version` rises when the
meaning of one changes. Boxes are `[x0, y0, x1, y1]` in page pixels. Knows nothing of responses;
what a route adds around this (annotated pictures, request ids) is the route's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic reads typing's own from Python 3.12 on only

from airgap.core.document import (
    Block,
    Box,
    Disagreement,
    Document,
    Furniture,
    Ledger,
    Line,
    Page,
    PageError,
    PageStatus,
    Usage,
)
from airgap.exporters.boxes import BoxJson, box_to_list
from airgap.exporters.captions import captioned
from airgap.exporters.continued_tables import ContinuedTableJson, continued_tables_to_list
from airgap.exporters.formulas import formula_of
from airgap.exporters.outline import HeadingJson, outline_to_list
from airgap.exporters.reviews import (
    ReviewedJson,
    ReviewJson,
    reviewed,
    reviews_from_list,
    reviews_to_list,
)

SCHEMA_VERSION: Final = 1


class UsageJson(TypedDict):
    """Tokens and seconds that reading took."""

    prompt_tokens: int
    completion_tokens: int
    image_tokens: int
    seconds: float


class LineJson(TypedDict):
    """A line of a block, where the engine knows lines."""

    text: str
    box: BoxJson
    confidence: float | None


class BlockJson(TypedDict):
    """A piece of the page: what it is, its text as Markdown, where it stands, how sure the engine is.

    `engine` is there where another than the page's own filled in what that one left out; `latex` is the
    formula of an equation that was read as one, without what surrounds it. `caption_of` is there of a caption
    beside its figure or table: that one's index in the page's `blocks`.
    """

    label: str
    text: str
    boxes: list[BoxJson]
    confidence: float | None
    lines: list[LineJson]
    engine: str | None
    latex: NotRequired[str]
    caption_of: NotRequired[int]


class ErrorJson(TypedDict):
    """Why a page or a file was not read, and what helps."""

    code: str
    message: str
    remedy: str


class DisagreementJson(TypedDict):
    """What a second engine read differently, and where."""

    kind: str
    reading: str
    other_reading: str
    engine: str
    box: BoxJson | None
    other_box: BoxJson | None


class PageJson(TypedDict):
    """All of a page. Width and height are pixels, `width_pt` and `height_pt` points of a PDF's page.

    `unread` are places with text that nothing read accounts for; `coverage` is the share of text-like ink
    that is accounted for.
    """

    number: int
    width: int
    height: int
    width_pt: float | None
    height_pt: float | None
    status: PageStatus
    confidence: float | None
    finish_reason: str
    blocks: list[BlockJson]
    raw: str
    usage: UsageJson
    warnings: list[str]
    error: ErrorJson | None
    engine: str | None
    model: str | None
    mode: str | None
    disagreements: list[DisagreementJson] | None
    unread: list[BoxJson]
    coverage: float | None
    furniture: Furniture
    reviews: list[ReviewJson]


class LedgerJson(TypedDict):
    """What became of every page that was asked for.

    `left_out` is there where PDF_MAX_PAGES kept further pages from being read.
    """

    expected: int
    ok: int
    degraded: int
    failed: int
    left_out: NotRequired[int]


class ReadingJson(TypedDict):
    """What reading a document took, what there is to say of it, and who read."""

    usage: UsageJson
    warnings: list[str]
    engine: str
    model: str
    mode: str | None
    language: str | None


class DocumentJson(ReadingJson, ReviewedJson):
    """All of a document. `outline` are its headings, whose levels agree over all pages.

    `continued_tables` are those that go on one of the page before; pages have them as they were printed.
    """

    schema_version: Literal[1]
    filename: str | None
    notes: list[str]
    ledger: LedgerJson
    outline: list[HeadingJson]
    continued_tables: list[ContinuedTableJson]
    pages: list[PageJson]


def to_json(document: Document, source: object = None) -> bytes:
    """The document as UTF-8 JSON. `source` is not used."""
    text = json.dumps(document_to_dict(document), ensure_ascii=False, allow_nan=False, indent=2)
    return f"{text}\n".encode("utf-8", "replace")


def document_to_dict(document: Document) -> DocumentJson:
    """All of a document, JSON-ready."""
    return {
        "schema_version": SCHEMA_VERSION,
        "filename": document.filename,
        "engine": document.engine,
        "model": document.model,
        "mode": document.mode,
        "language": document.language,
        "notes": list(document.notes),
        "ledger": ledger_to_dict(document.ledger),
        "usage": usage_to_dict(document.usage),
        "warnings": list(document.warnings),
        **reviewed(document),
        "outline": outline_to_list(document),
        "continued_tables": continued_tables_to_list(document),
        "pages": [page_to_dict(page) for page in document.pages],
    }


def reading_to_dict(document: Document) -> ReadingJson:
    """What answers about a document end with, JSON-ready."""
    return {
        "usage": usage_to_dict(document.usage),
        "warnings": list(document.warnings),
        "engine": document.engine,
        "model": document.model,
        "mode": document.mode,
        "language": document.language,
    }


def ledger_to_dict(ledger: Ledger) -> LedgerJson:
    """Counts of pages, JSON-ready."""
    counts: LedgerJson = {
        "expected": ledger.expected,
        "ok": ledger.ok,
        "degraded": ledger.degraded,
        "failed": ledger.failed,
    }
    return {**counts, "left_out": ledger.left_out} if ledger.left_out else counts


def error_to_dict(error: PageError | None) -> ErrorJson | None:
    """Why a page or a file was not read, JSON-ready."""
    return {"code": error.code, "message": error.message, "remedy": error.remedy} if error else None


def page_to_dict(page: Page) -> PageJson:
    """All of a page, JSON-ready; `page_from_dict` reads it back."""
    return {
        "number": page.number,
        "width": page.width,
        "height": page.height,
        "width_pt": page.width_pt,
        "height_pt": page.height_pt,
        "status": page.status,
        "confidence": _rounded(page.confidence, 4),
        "finish_reason": page.finish_reason,
        "blocks": blocks_to_list(page.blocks),
        "raw": page.raw,
        "usage": usage_to_dict(page.usage),
        "warnings": list(page.warnings),
        "error": error_to_dict(page.error),
        "engine": page.engine,
        "model": page.model,
        "mode": page.mode,
        "disagreements": disagreements_to_list(page.disagreements),
        "unread": [box_to_list(box) for box in page.unread],
        "coverage": _rounded(page.coverage, 4),
        "furniture": page.furniture,
        "reviews": reviews_to_list(page.reviews),
    }


def disagreements_to_list(found: tuple[Disagreement, ...] | None) -> list[DisagreementJson] | None:
    """What two engines read differently, JSON-ready; None where no second engine was asked."""
    if found is None:
        return None
    return [
        {
            "kind": one.kind,
            "reading": one.reading,
            "other_reading": one.other_reading,
            "engine": one.engine,
            "box": box_to_list(one.box) if one.box else None,
            "other_box": box_to_list(one.other_box) if one.other_box else None,
        }
        for one in found
    ]


def blocks_to_list(blocks: Sequence[Block]) -> list[BlockJson]:
    """All blocks of a page, JSON-ready, captions with what they are of."""
    found = [block_to_dict(block) for block in blocks]
    for caption, of in captioned(blocks).items():
        found[caption]["caption_of"] = of
    return found


def block_to_dict(block: Block) -> BlockJson:
    """All of a block, JSON-ready."""
    said: BlockJson = {
        "label": block.label,
        "text": block.text,
        "boxes": [box_to_list(box) for box in block.boxes],
        "confidence": _rounded(block.confidence, 4),
        "lines": [
            {"text": line.text, "box": box_to_list(line.box), "confidence": _rounded(line.confidence, 4)}
            for line in block.lines
        ],
        "engine": block.engine,
    }
    formula = formula_of(block)
    return said if formula is None else {**said, "latex": formula}


def usage_to_dict(usage: Usage) -> UsageJson:
    """Tokens and seconds, JSON-ready."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "image_tokens": usage.image_tokens,
        "seconds": round(usage.seconds, 3),
    }


def document_from_dict(data: Mapping[str, Any]) -> Document:
    """The inverse of `document_to_dict`. Raises KeyError or TypeError for anything else."""
    return Document(
        tuple(page_from_dict(page) for page in data["pages"]),
        data["engine"],
        data["model"],
        data["mode"],
        data.get("language"),
        tuple(data.get("notes", ())),
        data.get("ledger", {}).get("left_out", 0),
        data.get("filename"),
    )


def page_from_dict(data: Mapping[str, Any]) -> Page:
    """The inverse of `page_to_dict`. Raises KeyError or TypeError for anything else."""
    error = data["error"]
    return Page(
        number=data["number"],
        width=data["width"],
        height=data["height"],
        status=data["status"],
        blocks=tuple(_block_from_dict(block) for block in data["blocks"]),
        raw=data["raw"],
        finish_reason=data["finish_reason"],
        usage=Usage(**data["usage"]),
        warnings=tuple(data["warnings"]),
        error=PageError(**error) if error else None,
        width_pt=data["width_pt"],
        height_pt=data["height_pt"],
        engine=data.get("engine"),
        model=data.get("model"),
        mode=data.get("mode"),
        disagreements=_disagreements_from_list(data.get("disagreements")),
        unread=tuple(Box(*box) for box in data.get("unread") or ()),
        coverage=data.get("coverage"),
        furniture=data.get("furniture", "keep"),
        reviews=reviews_from_list(data.get("reviews")),
    )


def _disagreements_from_list(data: list[Mapping[str, Any]] | None) -> tuple[Disagreement, ...] | None:
    if data is None:
        return None
    boxes = ("box", "other_box")
    return tuple(
        Disagreement(**{**one, **{key: Box(*one[key]) if one[key] else None for key in boxes}})
        for one in data
    )


def _block_from_dict(data: Mapping[str, Any]) -> Block:
    return Block(
        label=data["label"],
        text=data["text"],
        boxes=tuple(Box(*box) for box in data["boxes"]),
        confidence=data["confidence"],
        lines=tuple(Line(line["text"], Box(*line["box"]), line["confidence"]) for line in data["lines"]),
        engine=data.get("engine"),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
