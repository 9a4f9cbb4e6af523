"""DeepSeek-OCR as `transformers_batch.Decoder`: from prompt and page to tensors, from tensors to logits.

Knows torch, the networks and the tokenizer's file; knows nothing about batching, requests or HTTP.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from PIL.Image import Image
from tokenizers import Tokenizer
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache
from transformers.utils import is_flash_attn_2_available

from airgap.core.document import Mode, ReadOptions
from airgap.core.errors import ConfigurationError, EngineUnavailable
from airgap.engines.model_folder import ModelFolder
from airgap.engines.transformers.batch import Prefilled
from airgap.engines.transformers.deepseek_model.architecture import (
    DeepseekOcr,
    DeepseekOcr2,
    restore_buffers,
)
from airgap.engines.transformers.deepseek_model.weights import load
from airgap.models.deepseek_grammar import Parsed, parse
from deepseek_ocr import (
    DEFAULT_MODE,
    EOS,
    IMAGE,
    MODES,
    SPECIAL_TOKEN_IDS,
    WHITELIST_TOKEN_IDS,
    ModeSpec,
    proper_prompt,
)
from process.image_process import Prepared, prepare

log = logging.getLogger(__name__)

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
Flash = Literal["auto", "true", "false"]

PIXELS_PER_PASS = {"cuda": 8 * 1024 * 1024, "cpu": 1024 * 1024}
"""Bound of one pass through the vision towers. Global attention in SAM holds up to 0.8 GB a view of 1024
pixels in float32."""

_OCR2_SIDE = 768  # of a tile of DeepSeek-OCR-2, and of the largest page that is not tiled
_OCR2_BASE = 1024


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and in which number formats the model runs."""

    device: torch.device
    dtype: torch.dtype
    vision_dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class DeepseekInputs:
    """A prompt as token ids, with as many image tokens as the page makes features."""

    ids: list[int]
    page: Prepared | None

    @property
    def image_tokens(self) -> int:
        return self.ids.count(SPECIAL_TOKEN_IDS[IMAGE])


class DeepseekDecoder:
    """DeepSeek-OCR or DeepSeek-OCR-2, loaded from its folder."""

    eos_ids = frozenset({SPECIAL_TOKEN_IDS[EOS]})
    whitelist = WHITELIST_TOKEN_IDS

    def __init__(self, folder: ModelFolder, placement: Placement, *, max_crops: int) -> None:
        config = json.loads((folder.path / "config.json").read_text(encoding="utf-8"))
        self.family = folder.family
        self.supports_modes = folder.family == "deepseek-ocr"
        self.tokenizer = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
        self._max_crops = max_crops
        self._pixels_per_pass = PIXELS_PER_PASS[placement.device.type]
        kind = DeepseekOcr if self.supports_modes else DeepseekOcr2
        with torch.device("meta"):
            model = kind(config)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        _set_dtypes(model, placement)
        model.to_empty(device=placement.device)
        restore_buffers(model, placement.device)
        load(model, folder.family, sorted(folder.path.glob("*.safetensors")))
        self.model = model.eval()
        self._flash = False

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes of keys and values that a token takes in all layers."""
        config = cast(Any, self.model.language_model.config)
        size = self.model.lm_head.weight.element_size()
        return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * size)

    def use_flash_attention(self, wanted: bool) -> None:
        """Choose the attention of the decoder; the vision towers have biases that FlashAttention has not."""
        name = "flash_attention_2" if wanted else "sdpa"
        self.model.language_model.set_attn_implementation(name)
        self._flash = wanted

    # --- one page ----------------------------------------------------------------------------------

    def inputs(self, image: Image | None, options: ReadOptions) -> DeepseekInputs:
        """Prepare a page; blocks for the time of the resizing. Raises `InvalidOption` for its prompt."""
        text = proper_prompt(options.prompt).removeprefix(IMAGE)
        page = None if image is None else self._prepared(image, options.mode or DEFAULT_MODE)
        tokens = 0 if page is None else self.count_tokens(page)
        if page is None:
            text = text.removeprefix("\n")
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        return DeepseekInputs([0, *[SPECIAL_TOKEN_IDS[IMAGE]] * tokens, *ids], page)

    def _prepared(self, image: Image, mode: Mode) -> Prepared:
        if self.supports_modes:
            return prepare(image, MODES[mode], max_crops=self._max_crops)
        tiled = max(image.size) > _OCR2_SIDE
        return prepare(image, ModeSpec(_OCR2_BASE, _OCR2_SIDE, tiled), max_crops=self._max_crops)

    def count_tokens(self, page: Prepared) -> int:
        """Features that a page becomes; DeepSeek-OCR-2 has none that end a row."""
        if self.supports_modes:
            return page.num_image_tokens
        sides = [page.global_view.shape[0], *(tile.shape[0] for tile in page.tiles)]
        return int(sum((side // 64) ** 2 for side in sides)) + 1

    def parse(self, page: DeepseekInputs, raw: str, width: int, height: int) -> Parsed:
        return parse(raw, width, height)

    # --- Decoder -----------------------------------------------------------------------------------

    def encode(self, pages: Sequence[DeepseekInputs]) -> Sequence[Tensor | None]:
        prepared = [page.page for page in pages if page.page is not None]
        features = iter(self.model.image_features(prepared, self._pixels_per_pass) if prepared else ())
        return [None if page.page is None else next(features) for page in pages]

    def prefill(self, page: DeepseekInputs, encoded: Any) -> Prefilled:
        text = self.model.language_model
        ids = torch.tensor([page.ids], device=self.model.lm_head.weight.device)
        embeds = text.embed_tokens(ids)
        if encoded is not None:
            embeds[ids == SPECIAL_TOKEN_IDS[IMAGE]] = encoded.to(embeds.dtype)
        cache = DynamicCache(config=text.config)
        hidden = text(inputs_embeds=embeds, past_key_values=cache, use_cache=True).last_hidden_state
        return Prefilled(self.model.lm_head(hidden[0, -1]), cache, len(page.ids))

    def decode(self, tokens: Tensor, positions: Tensor, cache: Cache, mask: Tensor) -> Tensor:
        hidden = self.model.language_model(
            input_ids=tokens,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            attention_mask=mask.long() if self._flash else mask[:, None, None],
        ).last_hidden_state
        return cast(Tensor, self.model.lm_head(hidden[:, -1]))


def _set_dtypes(model: DeepseekOcr | DeepseekOcr2, placement: Placement) -> None:
    model.to(placement.dtype)
    vision = [model.sam, model.clip] if isinstance(model, DeepseekOcr) else [model.whole.model.vision_tower]
    for tower in vision:
        tower.to(placement.vision_dtype)


def settle_flash_attention(decoder: Any, setting: Flash, placement: Placement, trial: Any) -> str:
    """Use FlashAttention where `setting` and the machine allow, and run `trial()` with it once.

    Returns what is used, for the log. Raises `EngineUnavailable` where `true` cannot be kept.
    """
    if setting == "false":
        decoder.use_flash_attention(False)
        trial()
        return "SDPA, as USE_FLASH_ATTENTION=false asks"
    problem = _flash_problem(placement)
    if problem is None:
        try:
            decoder.use_flash_attention(True)
            trial()
            return "FlashAttention 2"
        except Exception as error:
            if isinstance(error, ConfigurationError):
                raise
            log.warning("FlashAttention failed in a trial: %s", error)
            problem = f"a trial with it failed ({type(error).__name__})"
    if setting == "true":
        raise EngineUnavailable(
            f"USE_FLASH_ATTENTION=true, but {problem}.",
            "Set USE_FLASH_ATTENTION=auto, or install flash-attn for this GPU.",
        )
    decoder.use_flash_attention(False)
    trial()
    return f"SDPA: {problem}"


def _flash_problem(placement: Placement) -> str | None:
    if placement.device.type != "cuda":
        return "FlashAttention needs a CUDA GPU"
    if placement.dtype == torch.float32:
        return "FlashAttention does not compute in fp32"
    if not is_flash_attn_2_available():
        return "flash-attn is not installed"
    return None
