"""DeepSeek-OCR, the model: its modes, prompts, special tokens, sampling, and its output as blocks.

Facts and pure functions over strings and numbers. This module must not know engines, pixels, tensors,
HTTP or output formats. The grammar itself is in `deepseek_grammar.py`; its names are given on here, so
that everything about the model can be asked of this module.

Source: DeepSeek-OCR's repository and model card (modes, prompts, the n-gram rule), the tokenizer's
configuration (special tokens), and arXiv:2510.18234 (tokens per mode).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from airgap.core.document import Mode, ReadOptions
from airgap.core.errors import InvalidOption
from airgap.models.deepseek_grammar import (
    BOS,
    DET,
    DET_END,
    EOS,
    GROUNDING,
    IMAGE,
    PAD,
    REF,
    REF_END,
    SPECIAL_TOKEN_IDS,
    Parsed,
    clean_formula,
    clean_text,
    parse,
    strip_special,
    to_markup,
)

__all__ = [
    "BOS",
    "DEFAULT_MODE",
    "DET",
    "DET_END",
    "EOS",
    "GROUNDING",
    "IMAGE",
    "MAX_CROPS",
    "MODES",
    "NGRAM_RULES",
    "PAD",
    "PROMPTS",
    "REF",
    "REF_END",
    "SKIP_SPECIAL_TOKENS",
    "SPECIAL_TOKEN_IDS",
    "WHITELIST_TOKEN_IDS",
    "ModeSpec",
    "NgramRule",
    "Parsed",
    "clean_formula",
    "clean_text",
    "locate_prompt",
    "mode_of_crop_mode",
    "ngram_rule",
    "num_image_tokens",
    "parse",
    "proper_prompt",
    "strip_special",
    "tile_grid",
    "to_markup",
]

# --- modes -------------------------------------------------------------------------------------------

MAX_CROPS = 6
_UNTILED_SIDE = 640  # upstream fixes this at 640 whatever the size of a tile
_PIXELS_PER_TOKEN = 64  # a patch of 16 pixels, downsampled 4 times


@dataclass(frozen=True, slots=True)
class ModeSpec:
    """Sizes in pixels: the square global view, and the square tile where `crop` cuts the page in tiles."""

    base_size: int
    image_size: int
    crop: bool


MODES: Mapping[Mode, ModeSpec] = MappingProxyType(
    {
        "tiny": ModeSpec(512, 512, False),
        "small": ModeSpec(640, 640, False),
        "base": ModeSpec(1024, 1024, False),
        "large": ModeSpec(1280, 1280, False),
        "gundam": ModeSpec(1024, 640, True),
    }
)
DEFAULT_MODE: Mode = "gundam"


def mode_of_crop_mode(crop_mode: str) -> Mode:
    """The mode behind the `crop_mode` of the API: `singlepage` or `tiling`. Raises `InvalidOption`."""
    modes: dict[str, Mode] = {"singlepage": "base", "tiling": "gundam"}
    if crop_mode not in modes:
        raise InvalidOption(f"`crop_mode` is {crop_mode[:40]!r}.", "Use `singlepage` or `tiling`.")
    return modes[crop_mode]


def tile_grid(width: int, height: int, image_size: int = 640, max_crops: int = MAX_CROPS) -> tuple[int, int]:
    """How many `(columns, rows)` of tiles a page of `width` × `height` pixels is stretched to.

    `(1, 1)` means no tiles. Of the grids with 2 to `max_crops` tiles the one whose shape is nearest to
    the page's wins; on an exact tie the larger, if the page fills more than half of it.
    """
    if width <= _UNTILED_SIDE and height <= _UNTILED_SIDE:
        return 1, 1
    grids = sorted(
        {(c, r) for c in range(1, max_crops + 1) for r in range(1, max_crops + 1) if 2 <= c * r <= max_crops},
        key=lambda grid: (grid[0] * grid[1], grid),
    )
    best, best_difference = (1, 1), float("inf")
    for columns, rows in grids:
        difference = abs(width / height - columns / rows)
        half_filled = width * height > 0.5 * image_size * image_size * columns * rows
        if difference < best_difference or (difference == best_difference and half_filled):
            best, best_difference = (columns, rows), difference
    return best


def num_image_tokens(mode: Mode | ModeSpec, width: int, height: int, max_crops: int = MAX_CROPS) -> int:
    """Tokens that a page of `width` × `height` pixels takes in the prompt, newlines and separator too."""
    spec = mode if isinstance(mode, ModeSpec) else MODES[mode]
    side = -(-spec.base_size // _PIXELS_PER_TOKEN)
    tokens = side * (side + 1) + 1
    if spec.crop:
        columns, rows = tile_grid(width, height, spec.image_size, max_crops)
        if (columns, rows) != (1, 1):
            tile_side = -(-spec.image_size // _PIXELS_PER_TOKEN)
            tokens += tile_side * rows * (tile_side * columns + 1)
    return tokens


# --- sampling ----------------------------------------------------------------------------------------

WHITELIST_TOKEN_IDS = frozenset({128821, 128822})  # `<td>` and `</td>` repeat in every honest table

# `<td>` and its kin are special tokens: without them a table decodes to one run of words.
SKIP_SPECIAL_TOKENS = False


@dataclass(frozen=True, slots=True)
class NgramRule:
    """No `ngram_size` tokens twice among those that began within the last `window_size`."""

    ngram_size: int
    window_size: int
    whitelist: frozenset[int] = WHITELIST_TOKEN_IDS


NGRAM_RULES: Mapping[Literal["image", "pdf", "eval"], NgramRule] = MappingProxyType(
    {"image": NgramRule(30, 90), "pdf": NgramRule(20, 50), "eval": NgramRule(40, 90)}
)


def ngram_rule(options: ReadOptions, kind: Literal["image", "pdf", "eval"] = "image") -> NgramRule:
    """The rule that a request sets, and where it is silent that of the kind of document."""
    usual = NGRAM_RULES[kind]
    return NgramRule(options.ngram_size or usual.ngram_size, options.window_size or usual.window_size)


def with_ngram_rule(options: ReadOptions, kind: Literal["image", "pdf", "eval"]) -> ReadOptions:
    """The options with `ngram_rule` spelled out."""
    rule = ngram_rule(options, kind)
    return replace(options, ngram_size=rule.ngram_size, window_size=rule.window_size)


# --- prompts -----------------------------------------------------------------------------------------

PROMPTS: Mapping[str, str] = MappingProxyType(
    {
        "document": f"{IMAGE}\n{GROUNDING}Convert the document to markdown.",
        "image": f"{IMAGE}\n{GROUNDING}OCR this image.",
        "free": f"{IMAGE}\nFree OCR.",
        "figure": f"{IMAGE}\nParse the figure.",
        "describe": f"{IMAGE}\nDescribe this image in detail.",
    }
)
MAX_PROMPT_CHARS = 8000
_CONTROL_TOKEN = re.compile(r"<[|｜][^<>|｜]{1,64}[|｜]>")
_PROMPT_TOKENS = frozenset({REF, REF_END, GROUNDING})


def locate_prompt(text: str) -> str:
    """The prompt that asks where `text` stands on the page. Raises `InvalidOption`."""
    if not text.strip() or "<|" in text or "<｜" in text:
        raise InvalidOption("The text to locate is empty or holds special tokens.", "Send plain words.")
    return proper_prompt(f"Locate {REF}{text.strip()}{REF_END} in the image.")


def proper_prompt(prompt: str | None) -> str:
    """A user's prompt as the model was trained to see it; none or a blank one asks for the document.

    `<image>` and a newline are put in front where missing, spaces at the end taken off. Raises
    `InvalidOption`, naming the token, for a prompt that holds control tokens other than `<|ref|>`,
    `<|/ref|>`, `<|grounding|>` and `<image>` at its start or end: dropping them quietly would answer a
    question that was not asked. Table tags such as `<td>` are plain HTML here and pass.
    """
    text = (prompt or "").strip()
    if len(text) > MAX_PROMPT_CHARS:
        raise InvalidOption(f"The prompt is longer than {MAX_PROMPT_CHARS} characters.", "Shorten it.")
    text = (text.removeprefix(IMAGE) if text.startswith(IMAGE) else text.removesuffix(IMAGE)).strip()
    if not text:
        return PROMPTS["document"]
    if IMAGE in text:
        raise InvalidOption(
            "The prompt may hold `<image>` once, at its start or end.", "Leave it out; the server adds it."
        )
    for token in _CONTROL_TOKEN.findall(text):
        if token not in _PROMPT_TOKENS:
            raise InvalidOption(f"The prompt holds the control token {token!r}.", "Leave it out.")
    return f"{IMAGE}\n{text}"
