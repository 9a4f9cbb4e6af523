"""A page's raw output in the terms of the DeepSeek OCR Truss: references as strings, and the text around.

A reference is `<|ref|>label<|/ref|><|det|>coordinates<|/det|>`; those labelled `image` are figures.
Pure functions over strings, linear in their length. Source: the fields of Baseten's DeepSeek-OCR Truss.
"""

from __future__ import annotations

from typing import NamedTuple

from typing_extensions import TypedDict

from airgap.core.document import Page
from deepseek_ocr import DET, DET_END, REF, REF_END

_FIGURE = "image"


class Reference(NamedTuple):
    """`whole` as it stands in the output, with its `label` and `coordinates` (a JSON-like string)."""

    whole: str
    label: str
    coordinates: str


class TrussFields(TypedDict):
    """The output of the DeepSeek OCR Truss; a reference is `[whole, label, coordinates]`."""

    extracted_text: str
    raw_output: str
    references: list[list[str]]
    image_references: list[str]
    other_references: list[str]
    image_size: list[int]
    prompt_used: str
    model_name: str
    has_bounding_boxes: bool


def find_references(raw: str) -> list[Reference]:
    """All references of `raw`, in order. A truncated one is none."""
    return [reference for _, reference in _split(raw) if reference]


def extracted_text(raw: str) -> str:
    """`raw` without references; each figure's becomes `![](image_N.jpg)`, N counting figures from 0."""
    parts = []
    figures = 0
    for text, reference in _split(raw):
        parts.append(text)
        if reference and reference.label == _FIGURE:
            parts.append(f"![](image_{figures}.jpg)\n")
            figures += 1
    return "".join(parts)


def truss_fields(page: Page, prompt: str, model: str) -> TrussFields:
    """The output fields of the DeepSeek OCR Truss for one page."""
    references = find_references(page.raw)
    return {
        "extracted_text": extracted_text(page.raw),
        "raw_output": page.raw,
        "references": [list(reference) for reference in references],
        "image_references": [each.whole for each in references if each.label == _FIGURE],
        "other_references": [each.whole for each in references if each.label != _FIGURE],
        "image_size": [page.width, page.height],
        "prompt_used": prompt,
        "model_name": model,
        "has_bounding_boxes": bool(references),
    }


def _split(raw: str) -> list[tuple[str, Reference | None]]:
    """Pairs of a text and the reference after it; the last pair has none."""
    pieces: list[tuple[str, Reference | None]] = []
    taken = 0  # where the text since the last reference begins
    start = raw.find(REF)
    while start >= 0:
        label_end = raw.find(REF_END, start)
        if label_end < 0:
            break
        after = label_end + len(REF_END)
        if not raw.startswith(DET, after):
            start = raw.find(REF, after)
            continue
        end = raw.find(DET_END, after)
        if end < 0:
            break
        label, coordinates = raw[start + len(REF) : label_end], raw[after + len(DET) : end]
        end += len(DET_END)
        pieces.append((raw[taken:start], Reference(raw[start:end], label, coordinates)))
        taken = end
        start = raw.find(REF, end)
    return [*pieces, (raw[taken:], None)]
