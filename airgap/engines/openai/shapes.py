"""The shape of an answer in the words of OpenAI-compatible servers. It knows no connection."""

from __future__ import annotations

import json
from typing import Any

from airgap.core.document import SHAPE_KINDS, AnswerShape, ShapeKind

SHAPES: dict[str, tuple[ShapeKind, ...]] = {"vllm": SHAPE_KINDS, "llama.cpp": ("json", "json_object")}
"""What a kind of server is known to hold its answers to; one of ours says so itself."""


def shape_fields(shape: AnswerShape) -> dict[str, Any]:
    """What asks for an answer of this shape: OpenAI's field, or vLLM's where that has none."""
    if shape.kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    if shape.kind == "json":
        schema = {"name": "answer", "schema": json.loads(shape.text)}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    value = json.loads(shape.text) if shape.kind == "choice" else shape.text
    return {"structured_outputs": {shape.kind: value}}
