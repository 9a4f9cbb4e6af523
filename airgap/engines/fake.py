"""A computable stand-in for an OCR model, for tests of everything around one.

It reads no letters. It finds the separate dark rectangles of a picture, from top to bottom, and
"reads" each as its own coordinates, so that a test which drew the picture knows the answer. What it
is stands in its name, its model and a warning on every page; no setting ever chooses it by itself.

Its confidence is 1, and as of an engine that computes one it is given only where it is asked for.

Prompts that ask for trouble get it: `fail` raises, `hang` never ends, `loop` repeats itself without
end in every mode, `loop gundam` only in that mode, `truncate` stops inside a tag.

Held to a JSON schema, it answers with the rectangles' texts for strings and their left edges for numbers,
one after the other; to a choice, with the first; to any object, with an empty one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

import deepseek_ocr
from airgap.core.document import AnswerShape, Box, ReadOptions, Usage
from airgap.core.engine import Capabilities, Delta, Events, PageRead
from airgap.core.errors import EngineFailed

WARNING = "The fake engine was used: this is not OCR."
_LOOP_DELTAS = 400


class FakeEngine:
    """See the module docstring. `seconds_per_page` makes it take time without using the CPU."""

    name = "fake"
    model = "fake"
    device = "none"
    max_concurrency = 4
    capabilities = Capabilities(
        supports_prompt=True,
        supports_modes=True,
        max_images=4,
        text_only=True,
        shapes=("json", "json_object", "choice"),
    )

    def __init__(self, seconds_per_page: float = 0.0) -> None:
        self.seconds_per_page = seconds_per_page
        self.running = 0
        self.calls: list[ReadOptions] = []

    model_digest: str | None = None

    def health(self) -> tuple[bool, str]:
        """Always ready."""
        return True, "ready"

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    async def read(self, images: Sequence[Image], options: ReadOptions) -> Events:
        """Yield one delta per rectangle; without an image, the prompt comes back."""
        self.calls.append(options)
        self.running += 1
        try:
            async for event in self._read(images, options):
                yield event
        finally:
            self.running -= 1

    async def _read(self, images: Sequence[Image], options: ReadOptions) -> Events:
        pieces, finish_reason = await asyncio.to_thread(self._pieces, images, options)
        if options.prompt == "hang":
            await asyncio.Event().wait()
        if options.prompt == "fail":
            raise EngineFailed("The fake engine was asked to fail.")
        raw = ""
        for piece in pieces:
            await asyncio.sleep(self.seconds_per_page / max(1, len(pieces)))
            raw += piece
            yield Delta(piece)
        width, height = images[0].size if images else (1, 1)
        parsed = deepseek_ocr.parse(raw, width, height)
        confidence = 1.0 if options.confidence else None
        yield PageRead(
            raw=raw,
            blocks=tuple(replace(block, confidence=confidence) for block in parsed.blocks),
            finish_reason=finish_reason,
            usage=Usage(prompt_tokens=len(options.prompt or ""), completion_tokens=len(raw)),
            confidence=confidence,
            warnings=(WARNING, *parsed.warnings),
        )

    def _pieces(self, images: Sequence[Image], options: ReadOptions) -> tuple[list[str], str]:
        prompt = options.prompt or ""
        if prompt == "loop" or prompt == f"loop {options.mode}":
            return ["the same words again. "] * _LOOP_DELTAS, "repetition"
        if prompt == "truncate":
            return ["<|ref|>text<|/ref|><|det|>[[1,2,3"], "length"
        if options.shape is not None:
            return [
                shaped(options.shape, [box for image in images for box in dark_rectangles(image)])
            ], "stop"
        if not images:
            return [prompt], "stop"
        pieces = []
        for image in images:
            for box in dark_rectangles(image):
                text = words_of(box)
                pieces.append(deepseek_ocr.to_markup("text", (box,), text, *image.size))
        return pieces, "stop"


def words_of(box: Box) -> str:
    """What a rectangle is read as."""
    return f"{box.x0:.0f} {box.y0:.0f} {box.x1:.0f} {box.y1:.0f}"


def shaped(shape: AnswerShape, boxes: Sequence[Box]) -> str:
    """An answer of this shape."""
    if shape.kind == "choice":
        return str(json.loads(shape.text)[0])
    schema = json.loads(shape.text) if shape.text else {"type": "object"}
    return json.dumps(_filled(schema, iter(boxes)))


def _filled(schema: Mapping[str, Any], boxes: Iterator[Box]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _filled(schema["anyOf"][0], boxes)
    match schema.get("type"):
        case "object":
            return {name: _filled(part, boxes) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [_filled(schema.get("items", {}), boxes)]
        case "number" | "integer":
            return next((int(box.x0) for box in boxes), 0)
        case "boolean":
            return next((True for _ in boxes), False)
        case _:
            return next((words_of(box) for box in boxes), None)


def dark_rectangles(image: Image) -> list[Box]:
    """Bounding boxes, in pixels, of the runs of rows, then columns, that hold pixels darker than 128."""
    dark = np.asarray(image.convert("L")) < 128
    boxes = []
    for top, bottom in _runs(np.any(dark, axis=1)):
        for left, right in _runs(np.any(dark[top:bottom], axis=0)):
            rows = np.flatnonzero(dark[top:bottom, left:right].any(axis=1))
            boxes.append(Box(left, top + int(rows[0]), right, top + int(rows[-1]) + 1))
    return boxes


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
