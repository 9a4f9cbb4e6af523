"""The engine contract: how one page is read.

An engine gets pictures and options and knows nothing of files, PDFs, HTTP, jobs or output formats.

`read` yields any number of `Delta` and then exactly one `PageRead`. The texts of the deltas, joined,
are the `raw` of the `PageRead`. Closing the iterator stops the compute. Boxes are pixels of the
picture that was passed in. What an engine cannot do is said in its `Capabilities`, which
`check_capabilities` compares with a request before `read` is called.

Every engine in `airgap.engines.table.ENGINES` passes `tests/engines/test_contract.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from PIL.Image import Image

from airgap.core.document import MODES, Block, PageStatus, ReadOptions, ShapeKind, Usage
from airgap.core.errors import UnsupportedOption

Formulas = Literal["latex", "picture"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do; data, so that it can be shown and checked without calling it."""

    supports_prompt: bool = True
    supports_modes: bool = True
    max_images: int = 1
    text_only: bool = False
    languages: tuple[str, ...] | None = None  # None: any
    shapes: tuple[ShapeKind, ...] = ()  # what an answer can be held to
    formulas: Formulas = "latex"  # as what it gives an equation


@dataclass(frozen=True, slots=True)
class Delta:
    """Text that was read since the last delta, in the engine's raw markup."""

    text: str


@dataclass(frozen=True, slots=True)
class PageRead:
    """The end of a page: all that the engine knows about it.

    `finish_reason` is `stop`, `length` (cut by `max_tokens`) or `repetition` (cut by the loop guard).
    `status` is `degraded` when the engine itself knows that the page is not read properly.
    """

    raw: str
    blocks: tuple[Block, ...]
    finish_reason: str = "stop"
    usage: Usage = field(default_factory=Usage)
    confidence: float | None = None
    warnings: tuple[str, ...] = ()
    status: PageStatus = "ok"
    engine: str | None = None  # where it is not the engine that was asked
    model: str | None = None
    capabilities: Capabilities | None = None  # likewise

    @property
    def outcome(self) -> PageStatus:
        """The page's status where nothing is tried again: what was cut off is not read whole."""
        return "degraded" if self.finish_reason in ("length", "repetition") else self.status


Events = AsyncGenerator[Delta | PageRead, None]
"""What `read` returns: deltas, then one `PageRead`. `aclose` stops the compute."""


@runtime_checkable
class Engine(Protocol):
    """See the module docstring: `read` does the work, `start` and `close` surround it."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def max_concurrency(self) -> int: ...
    @property
    def capabilities(self) -> Capabilities: ...
    @property
    def model_digest(self) -> str | None:
        """SHA-256 over the model's files, in hexadecimal; None where they are no local files of ours."""
        ...

    def health(self) -> tuple[bool, str]:
        """Whether a page could be read now, and why or why not. Answers from memory."""
        ...

    async def start(self) -> None:
        """Load what is needed. Raises `EngineUnavailable` with a remedy when it cannot."""
        ...

    def read(self, images: Sequence[Image], options: ReadOptions) -> Events:
        """Read one page. `images` are RGB and upright by EXIF; options fit the capabilities."""
        ...

    async def close(self) -> None:
        """Finish or stop what runs and free everything. May be called twice."""
        ...


def who_reads(engine: Engine) -> dict[str, str | None]:
    """What an audit log says of an engine."""
    return {
        "engine": engine.name,
        "model": engine.model,
        "model_digest": engine.model_digest,
    }


def check_capabilities(capabilities: Capabilities, image_count: int, options: ReadOptions) -> None:
    """Raise `UnsupportedOption` when a request asks for what an engine cannot do."""
    if image_count == 0 and not capabilities.text_only:
        raise UnsupportedOption(
            "This engine cannot answer a prompt without an image.", "Send an image in `image`."
        )
    if image_count > capabilities.max_images:
        raise UnsupportedOption(
            f"This engine reads {capabilities.max_images} image(s) at a time; {image_count} were sent.",
            "Send the images one by one, or as a batch to /batch/ocr.",
        )
    if options.shape is not None and options.shape.kind not in capabilities.shapes:
        known = ", ".join(capabilities.shapes)
        raise UnsupportedOption(
            f"This engine cannot hold its answer to a shape of kind {options.shape.kind!r}.",
            f"Use one of: {known}."
            if known
            else "Engines on vLLM can. On this one have the page read whole: leave out schema, fields or "
            "`response_format`, or use /ocr/image/advanced.",
        )
    if (
        options.language is not None
        and capabilities.languages is not None
        and options.language not in capabilities.languages
    ):
        raise UnsupportedOption(
            f"This engine does not read the language {options.language!r}.",
            f"Leave `language` out, or use one of: {', '.join(capabilities.languages)}.",
        )


def ignored(engine: str, capabilities: Capabilities, options: ReadOptions) -> tuple[str, ...]:
    """Say which wishes of a request an engine has no use for."""
    wishes = [
        *(["prompt"] if options.prompt and not capabilities.supports_prompt else []),
        *(["mode"] if options.mode in MODES and not capabilities.supports_modes else []),
    ]
    return tuple(f"The engine {engine} has no use for `{wish}`; it was ignored." for wish in wishes)
