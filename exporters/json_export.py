"""Document to JSON and back, field for field as in `document.py`.

The names are a contract: fields are added, never renamed, and `schema_version` rises when the
meaning of one changes. Boxes are `[x0, y0, x1, y1]` in page pixels. Knows nothing of responses;
what a route adds around this (annotated pictures, request ids) is the route's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from document import Block, Box, Disagreement, Document, Line, Page, PageError, Usage

SCHEMA_VERSION = 1


def to_json(document: Document, source: object = None) -> bytes:
    """The document as UTF-8 JSON. `source` is not used."""
    text = json.dumps(document_to_dict(document), ensure_ascii=False, allow_nan=False, indent=2)
    return f"{text}\n".encode("utf-8", "replace")


def document_to_dict(document: Document) -> dict[str, Any]:
    """All of a document, JSON-ready."""
    ledger = document.ledger
    return {
        "schema_version": SCHEMA_VERSION,
        "engine": document.engine,
        "model": document.model,
        "mode": document.mode,
        "ledger": {
            "expected": ledger.expected,
            "ok": ledger.ok,
            "degraded": ledger.degraded,
            "failed": ledger.failed,
        },
        "usage": usage_to_dict(document.usage),
        "warnings": list(document.warnings),
        "pages": [page_to_dict(page) for page in document.pages],
    }


def page_to_dict(page: Page) -> dict[str, Any]:
    """All of a page, JSON-ready; `page_from_dict` reads it back."""
    error = page.error
    return {
        "number": page.number,
        "width": page.width,
        "height": page.height,
        "width_pt": page.width_pt,
        "height_pt": page.height_pt,
        "status": page.status,
        "confidence": _rounded(page.confidence, 4),
        "finish_reason": page.finish_reason,
        "blocks": [block_to_dict(block) for block in page.blocks],
        "raw": page.raw,
        "usage": usage_to_dict(page.usage),
        "warnings": list(page.warnings),
        "error": {"code": error.code, "message": error.message, "remedy": error.remedy} if error else None,
        "engine": page.engine,
        "model": page.model,
        "disagreements": disagreements_to_list(page.disagreements),
    }


def disagreements_to_list(found: tuple[Disagreement, ...] | None) -> list[dict[str, Any]] | None:
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


def block_to_dict(block: Block) -> dict[str, Any]:
    """All of a block, JSON-ready."""
    return {
        "label": block.label,
        "text": block.text,
        "boxes": [box_to_list(box) for box in block.boxes],
        "confidence": _rounded(block.confidence, 4),
        "lines": [
            {"text": line.text, "box": box_to_list(line.box), "confidence": _rounded(line.confidence, 4)}
            for line in block.lines
        ],
    }


def box_to_list(box: Box) -> list[float]:
    """`[x0, y0, x1, y1]`, page pixels, to a hundredth."""
    return [round(value, 2) for value in (box.x0, box.y0, box.x1, box.y1)]


def usage_to_dict(usage: Usage) -> dict[str, Any]:
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
        tuple(page_from_dict(page) for page in data["pages"]), data["engine"], data["model"], data["mode"]
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
        disagreements=_disagreements_from_list(data.get("disagreements")),
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
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
