"""Form fields → options, checked; what several routes take alike."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Form

from airgap.core.document import LANGUAGES, MODES, Fill, Mode, ReadOptions
from airgap.core.errors import InvalidOption
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
    if language and language not in LANGUAGES:
        raise InvalidOption(
            f"`language` is {language!r}.",
            "Use an ISO 639-1 code such as en, ru, de, fr, zh-Hant or zh-Hans.",
        )
    return language or None


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


def checked_fill(fill: str | None) -> Fill:
    """`auto` where nothing is asked for. Raises `InvalidOption`."""
    if fill not in (None, "", "auto", "off"):
        raise InvalidOption(f"`fill` is {fill!r}.", "Use `auto` (the default) or `off`.")
    return "off" if fill == "off" else "auto"


def read_options(
    service: ServiceDep,
    prompt: Annotated[str | None, Form(max_length=8000, description="What to do with the page.")] = None,
    mode: Annotated[str | None, Form(description="tiny, small, base, large or gundam.")] = None,
    crop_mode: Annotated[str | None, Form(description="singlepage (= base) or tiling (= gundam).")] = None,
    language: Annotated[str | None, Form(description="A hint: en, ru, de, fr, zh-Hant, zh-Hans, …")] = None,
    max_tokens: Annotated[int | None, Form()] = None,
    temperature: Annotated[float | None, Form()] = None,
    confidence: Annotated[bool, Form(description=CONFIDENCE)] = False,
    fill: Annotated[
        str | None,
        Form(description="auto (the default): places that were left out are read again; or off."),
    ] = None,
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
