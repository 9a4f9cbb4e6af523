"""Form fields → options, checked; what several routes take alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Form

from airgap.core.document import MODES, Fill, Furniture, Mode, ReadOptions
from airgap.core.errors import InvalidOption
from airgap.core.languages import language_code
from airgap.exporters import EXPORTERS, exporter_name
from airgap.http.service import ServiceDep
from config import Settings
from deepseek_ocr import mode_of_crop_mode


def checked_mode(mode: str | None, crop_mode: str | None = None) -> Mode | None:
    """`mode`, or the mode that the older field `crop_mode` stands for. Raises `InvalidOption`."""
    if mode:
        if mode not in MODES:
            raise InvalidOption(f"`mode` is {mode!r}.", f"Use one of: {', '.join(MODES)}.")
        return mode
    return mode_of_crop_mode(crop_mode) if crop_mode else None


def checked_language(language: str | None) -> str | None:
    """The code for a language by its code or name. Raises `InvalidOption`."""
    return language_code(language) if language else None


def checked_max_tokens(max_tokens: int | None, settings: Settings) -> int | None:
    if max_tokens is not None and not 1 <= max_tokens <= settings.max_new_tokens:
        raise InvalidOption(
            f"`max_tokens` is {max_tokens}.", f"Choose 1 to {settings.max_new_tokens} (MAX_NEW_TOKENS)."
        )
    return max_tokens


def checked_temperature(temperature: float | None) -> float:
    if temperature is not None and not 0 <= temperature <= 2:
        raise InvalidOption(f"`temperature` is {temperature}.", "Choose 0 (the default) to 2.")
    return temperature or 0.0


CONFIDENCE = (
    "Answer with the confidence of blocks and pages where it costs the engine time, too (vLLM); not asked "
    "for, it is null there. The CPU engine and PyTorch give it in any case."
)

FURNITURE = (
    "`drop` leaves running headers and footers, page numbers and marks in the margin out of Markdown and "
    "plain text. They are labelled in the JSON in any case."
)


def checked_fill(fill: str | None) -> Fill:
    """`auto` where nothing is asked for. Raises `InvalidOption`."""
    if fill not in (None, "", "auto", "off"):
        raise InvalidOption(f"`fill` is {fill!r}.", "Use `auto` (the default) or `off`.")
    return "off" if fill == "off" else "auto"


NO_PICTURE = "Nothing was read: this server reads pictures and PDFs, and the request holds none."
"""The whole answer to a request without a page, on an engine that needs one."""

RAW = (
    "Text with the model's own markup of boxes, or without. Not said: with it where the prompt asks for "
    "boxes with `<|grounding|>`, as the default prompt does."
)


def read_options(
    service: ServiceDep,
    prompt: Annotated[str | None, Form(max_length=8000, description="What to do with the page.")] = None,
    mode: Annotated[str | None, Form(description="tiny, small, base, large or gundam.")] = None,
    crop_mode: Annotated[str | None, Form(description="singlepage (= base) or tiling (= gundam).")] = None,
    language: Annotated[str | None, Form(description="A hint: en, rus, zh-Hant, Russian, …")] = None,
    max_tokens: Annotated[int | None, Form()] = None,
    temperature: Annotated[float | None, Form()] = None,
    confidence: Annotated[bool, Form(description=CONFIDENCE)] = False,
    fill: Annotated[
        str | None,
        Form(description="auto (the default): places that were left out are read again; or off."),
    ] = None,
    furniture: Annotated[Furniture, Form(description=FURNITURE)] = "keep",
) -> ReadOptions:
    """The form fields that all reading routes share."""
    return ReadOptions(
        prompt=prompt or None,
        mode=checked_mode(mode, crop_mode),
        language=checked_language(language),
        max_tokens=checked_max_tokens(max_tokens, service.settings),
        temperature=checked_temperature(temperature),
        confidence=confidence,
        fill=checked_fill(fill),
        furniture=furniture,
    )


FormOptions = Annotated[ReadOptions, Depends(read_options)]
Crosscheck = Annotated[
    bool,
    Form(description="Have the CPU engine read the page too, and answer with `disagreements` of the two."),
]


def requested_outputs(
    output: Annotated[
        list[str] | None,
        Form(
            description="`json` (the default) answers with JSON; one other name answers with that file; "
            "several, or `zip`, with a ZIP. Comma-separated or repeated. Names: "
            + ", ".join(sorted(EXPORTERS))
        ),
    ] = None,
) -> tuple[str, ...]:
    """The exporters asked for; empty for the route's own JSON. Raises `InvalidOption`."""
    names = [name.strip() for field in output or [] for name in field.split(",") if name.strip()]
    if names in ([], ["json"]):
        return ()
    return tuple(dict.fromkeys(name if name == "zip" else exporter_name(name) for name in names))


@dataclass(frozen=True, slots=True)
class Opening:
    """How files are opened; the fields that `/pdf/ocr` has, too."""

    dpi: int = 144
    page_from: int | None = None
    page_to: int | None = None
    password: str | None = None
    text_layer: Literal["ignore", "auto"] = "ignore"


def opening_fields(
    dpi: Annotated[int, Form(ge=36, le=600, description="Resolution to draw PDF pages at.")] = 144,
    page_from: Annotated[int | None, Form(ge=1, description="First page of each file, from 1.")] = None,
    page_to: Annotated[int | None, Form(ge=1, description="Last page of each file, included.")] = None,
    password: Annotated[str | None, Form(max_length=200)] = None,
    text_layer: Annotated[
        Literal["ignore", "auto"], Form(description="`auto` takes a page's own text where it is sound.")
    ] = "ignore",
) -> Opening:
    return Opening(dpi, page_from, page_to, password or None, text_layer)


FormOpening = Annotated[Opening, Depends(opening_fields)]
