"""Form fields → options, checked; what several routes take alike."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Annotated, Any

from fastapi import Depends, Form
from pydantic import BaseModel, Field

from airgap.core.document import MODES, Fill, Furniture, Mode, ReadOptions
from airgap.core.errors import InvalidOption
from airgap.core.languages import language_code
from airgap.core.opening import OPTIONS, Opening, Option, TextLayer
from airgap.exporters import EXPORTERS, exporter_name
from airgap.http.service import ServiceDep
from config import Settings
from deepseek_ocr import mode_of_crop_mode


def checked_mode(mode: str | None, crop_mode: str | None = None) -> Mode | None:
    """`mode`, or the mode that the older field `crop_mode` stands for. Raises `InvalidOption`."""
    if mode:
        if mode not in MODES:
            raise InvalidOption(f"`mode` is {mode[:40]!r}.", f"Use one of: {', '.join(MODES)}.")
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
        raise InvalidOption(f"`fill` is {fill[:40]!r}.", "Use `auto` (the default) or `off`.")
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


def _bounds(option: Option) -> dict[str, Any]:
    bounds = {"ge": option.least, "le": option.most, "max_length": option.longest}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _body_field(name: str) -> Any:
    option = OPTIONS[name]
    return Field(default=option.default, description=option.description, **_bounds(option))


class OpeningBody(BaseModel):
    """The fields of `Opening`, as a JSON body has them."""

    dpi: int = _body_field("dpi")
    page_from: int | None = _body_field("page_from")
    page_to: int | None = _body_field("page_to")
    password: str | None = _body_field("password")
    text_layer: TextLayer = _body_field("text_layer")
    keep_active_content: bool = _body_field("keep_active_content")

    def given(self) -> dict[str, Any]:
        """What the body says of it."""
        return {name: getattr(self, name) for name in OPTIONS if name in self.model_fields_set}

    def opening(self) -> Opening:
        return Opening(**self.given())


def opening_fields(**given: Any) -> Opening:
    """The fields of `Opening`, as a form has them."""
    return Opening(**given | {"password": given["password"] or None})


def _form_field(name: str, option: Option) -> Parameter:
    form = Form(description=option.description, **_bounds(option))
    return Parameter(
        name, Parameter.KEYWORD_ONLY, default=option.default, annotation=Annotated[option.type, form]
    )


# FastAPI reads a form's fields off a signature
opening_fields.__signature__ = Signature(  # type: ignore[attr-defined]
    [_form_field(name, option) for name, option in OPTIONS.items()]
)

FormOpening = Annotated[Opening, Depends(opening_fields)]
