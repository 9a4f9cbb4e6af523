"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL as `transformers_batch.Decoder`: transformers' own classes, local files.

Knows torch, transformers and the tokenizer's file; knows nothing about batching, requests or HTTP.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from PIL.Image import Image
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForImageTextToText
from transformers.cache_utils import Cache, DynamicCache
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from airgap.core.document import ReadOptions
from airgap.core.errors import ConfigurationError
from airgap.engines.model_folder import ModelFolder
from airgap.engines.qwen_pages import QwenFacts
from airgap.engines.transformers.batch import Prefilled
from airgap.engines.transformers.models import Placement
from airgap.models import qwen_vl
from airgap.models.deepseek_grammar import Parsed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QwenInputs:
    """A prompt as token ids; `patches` [n, width of a patch] and `grid` (1, rows, columns) of its picture."""

    ids: list[int]
    image_tokens: int
    patches: Any = None
    grid: tuple[int, int, int] | None = None
    seen: tuple[int, int] | None = None  # width and height, as the processor scaled the picture


class QwenDecoder:
    """Qwen-VL, loaded from its folder."""

    supports_modes = False
    whitelist = frozenset[int]()

    def __init__(self, folder: ModelFolder, placement: Placement) -> None:
        self.facts = QwenFacts.of(folder.path, folder.architecture)
        self.tokenizer = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
        self.eos_ids = frozenset(self._id(token) for token in (qwen_vl.IM_END, qwen_vl.END_OF_TEXT))
        self._image_pad = self._id(qwen_vl.IMAGE_PAD)
        self._device = placement.device
        self._processor = Qwen2VLImageProcessorPil.from_pretrained(folder.path, local_files_only=True)
        log.info("Qwen%s-VL, profile %s", self.facts.version, self.facts.profile.name)
        model = AutoModelForImageTextToText.from_pretrained(
            folder.path,
            dtype=placement.dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="sdpa",
        )
        if self._image_pad != model.config.image_token_id:
            raise ConfigurationError(
                f"The tokenizer gives the image token the id {self._image_pad}, which is not config.json's.",
                "Use the tokenizer files and the config.json that came with the model.",
            )
        model.model.visual.to(placement.vision_dtype)
        self.model = model.to(placement.device).eval()
        self._flash = False

    def _id(self, token: str) -> int:
        return cast(int, self.tokenizer.token_to_id(token))

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes of keys and values that a token takes in all layers."""
        config = cast(Any, self.model.model.language_model.config)
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        size = self.model.lm_head.weight.element_size()
        return int(2 * config.num_hidden_layers * config.num_key_value_heads * width * size)

    def use_flash_attention(self, wanted: bool) -> None:
        """Choose the attention of the decoder."""
        name = "flash_attention_2" if wanted else "sdpa"
        self.model.model.language_model.set_attn_implementation(name)
        self._flash = wanted

    # --- one page ----------------------------------------------------------------------------------

    def inputs(self, image: Image | None, options: ReadOptions) -> QwenInputs:
        """Prepare a page; blocks for the time of the resizing. Raises `InvalidOption` for its prompt."""
        words = qwen_vl.prompt(options.prompt, options.language)
        text = qwen_vl.chat(words, self.facts.version, image=image is not None)
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        if image is None:
            return QwenInputs(ids, 0)
        found = self._processor(images=[self.facts.bounded(image)], return_tensors="np")
        grid = tuple(int(n) for n in found["image_grid_thw"][0])
        merge, patch = int(self._processor.merge_size), int(self._processor.patch_size)
        count = grid[0] * grid[1] * grid[2] // merge**2
        place = ids.index(self._image_pad)
        ids[place : place + 1] = [self._image_pad] * count
        seen = grid[2] * patch, grid[1] * patch
        return QwenInputs(ids, count, found["pixel_values"], cast("tuple[int, int, int]", grid), seen)

    def parse(self, page: QwenInputs, raw: str, width: int, height: int) -> Parsed:
        return qwen_vl.parse(raw, qwen_vl.geometry(self.facts.version, width, height, page.seen))

    # --- Decoder -----------------------------------------------------------------------------------

    def encode(self, pages: Sequence[QwenInputs]) -> Sequence[None]:
        """Nothing beforehand: the model takes a picture with its prompt."""
        return [None] * len(pages)

    def prefill(self, page: QwenInputs, encoded: Any) -> Prefilled:
        model = self.model.model
        ids = torch.tensor([page.ids], device=self._device)
        cache = DynamicCache(config=model.language_model.config)
        model.rope_deltas = None
        picture: dict[str, Any] = {}
        if page.patches is not None:
            patches = torch.from_numpy(page.patches).to(self._device)
            picture = {
                "pixel_values": patches.to(next(model.visual.parameters()).dtype),
                "image_grid_thw": torch.tensor([page.grid], device=self._device),
                "mm_token_type_ids": (ids == self._image_pad).int(),
            }
        hidden = model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            past_key_values=cache,
            use_cache=True,
            **picture,
        ).last_hidden_state
        # The positions of a picture's tokens run in three dimensions and end before their number does.
        delta = 0 if model.rope_deltas is None else int(model.rope_deltas[0, 0])
        return Prefilled(self.model.lm_head(hidden[0, -1]), cache, len(page.ids) + delta)

    def decode(self, tokens: Tensor, positions: Tensor, cache: Cache, mask: Tensor) -> Tensor:
        text = self.model.model.language_model
        hidden = text(
            inputs_embeds=text.embed_tokens(tokens),
            position_ids=positions[None].expand(3, -1, -1),
            past_key_values=cache,
            use_cache=True,
            attention_mask=mask.long() if self._flash else mask[:, None, None],
        ).last_hidden_state
        return cast(Tensor, self.model.lm_head(hidden[:, -1]))
