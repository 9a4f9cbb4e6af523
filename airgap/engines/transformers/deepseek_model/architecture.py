"""The networks of DeepSeek-OCR and DeepSeek-OCR-2, built from config.json and parts of transformers.

    pixels → SAM (windows) → 16× fewer tokens → CLIP or Qwen2 → projector → decoder (mixture of experts)

DeepSeek-OCR has no class in transformers 5.19, DeepSeek-OCR-2 has. Both share the SAM encoder and the
decoder; the CLIP tower is transformers' encoder behind embeddings of its own, since it starts from SAM's
features in place of pixels.

Sources: arXiv:2510.18234 (the architecture), the published config.json and key names (sizes), and
`deepencoder.py` of DeepSeek-OCR's repository (interpolation of positions, order of the features).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionConfig, DeepseekOcr2Config, DeepseekOcr2ForConditionalGeneration
from transformers.models.clip.modeling_clip import CLIPEncoder
from transformers.models.deepseek_ocr2.configuration_deepseek_ocr2 import (
    DeepseekOcr2SamVisionConfig,
    DeepseekOcr2TextConfig,
)
from transformers.models.deepseek_ocr2.modeling_deepseek_ocr2 import (
    DeepseekOcr2SamVisionEncoder,
    DeepseekOcr2TextModel,
    DeepseekOcr2TextRotaryEmbedding,
    DeepseekOcr2VisionRotaryEmbedding,
)

from airgap.core.errors import ConfigurationError
from process.image_process import Prepared

_CLIP_GRID = 16  # positions along a side that CLIP was trained with: 224 pixels of 14
_QWEN_HEADS = (14, 2)  # of Qwen2-0.5B: query and key-value heads
_QWEN_ROPE_THETA = 1_000_000.0

# What the decoder here computes, where config.json could ask for something else.
_ONLY = {
    "use_mla": (False,),
    "topk_method": ("greedy",),
    "scoring_func": ("softmax",),
    "norm_topk_prob": (False,),
    "rope_scaling": (None,),
    "attention_bias": (False,),
    "hidden_act": ("silu",),
}


class ClipTower(nn.Module):
    """CLIP-L over SAM's features: a class token, positions resized to the grid, no last norm.

    `patch_embedding` is in the published weights and takes part in nothing: the patches are SAM's.
    """

    def __init__(self, config: CLIPVisionConfig) -> None:
        super().__init__()
        width, patch = int(config.hidden_size), int(cast(int, config.patch_size))
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.patch_embedding = nn.Conv2d(3, width, patch, patch, bias=False)
        self.position_embedding = nn.Embedding(_CLIP_GRID * _CLIP_GRID + 1, width)
        self.pre_layrnorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.encoder = CLIPEncoder(config)

    def forward(self, patches: Tensor) -> Tensor:
        """[n, width, g, g] of SAM → [n, 1 + g², width]."""
        count, width, side, _ = patches.shape
        start = self.class_embedding.expand(count, 1, width)
        tokens = torch.cat((start, patches.flatten(2).transpose(1, 2)), dim=1)
        hidden = self.pre_layrnorm(tokens + self._positions(side))
        return cast(Tensor, self.encoder(hidden).last_hidden_state)

    def _positions(self, side: int) -> Tensor:
        weight = self.position_embedding.weight
        if side == _CLIP_GRID:
            return weight
        grid = weight[1:].float().reshape(1, _CLIP_GRID, _CLIP_GRID, -1).permute(0, 3, 1, 2)
        # As the model was trained: bicubic with antialiasing, in float32.
        grid = functional.interpolate(grid, (side, side), mode="bicubic", antialias=True, align_corners=False)
        return torch.cat((weight[:1], grid.flatten(2).transpose(1, 2)[0].to(weight.dtype)))


class DeepseekOcr(nn.Module):
    """DeepSeek-OCR: `image_features` for the pages, `language_model` and `lm_head` for the text."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        text = text_config(config)
        clip = clip_config(config)
        self.sam = DeepseekOcr2SamVisionEncoder(sam_config(config, clip.hidden_size))
        self.clip = ClipTower(clip)
        self.projector = nn.Linear(2 * clip.hidden_size, text.hidden_size)
        self.image_newline = nn.Parameter(torch.empty(text.hidden_size))
        self.view_separator = nn.Parameter(torch.empty(text.hidden_size))
        self.language_model = DeepseekOcr2TextModel(text)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)

    def image_features(self, pages: Sequence[Prepared], pixels_per_pass: int) -> list[Tensor]:
        """[tokens, hidden] of each page: its tiles row by row, the global view row by row, a separator."""
        views = [page.global_view for page in pages]
        tiles = [tile for page in pages for tile in page.tiles]
        encoded = encode_views([*views, *tiles], self._encode, self.image_newline.device, pixels_per_pass)
        global_features, tile_features = encoded[: len(views)], iter(encoded[len(views) :])
        results = []
        for page, features in zip(pages, global_features, strict=True):
            parts = [self._rows(features[None], (1, 1)), self.view_separator[None]]
            if len(page.tiles):
                local = torch.stack([next(tile_features) for _ in page.tiles])
                parts.insert(0, self._rows(local, page.grid))
            results.append(torch.cat(parts))
        return results

    def _encode(self, views: Tensor) -> Tensor:
        sam = self.sam(views.to(self.sam.pos_embed.dtype)).last_hidden_state
        clip = self.clip(sam)
        features = torch.cat((clip[:, 1:], sam.flatten(2).transpose(1, 2)), dim=-1)
        return cast(Tensor, self.projector(features.to(self.projector.weight.dtype)))

    def _rows(self, views: Tensor, grid: tuple[int, int]) -> Tensor:
        """[columns · rows, s², hidden] in reading order → rows of features, each ended by a newline."""
        columns, rows = grid
        side = round(views.shape[1] ** 0.5)
        whole = views.reshape(rows, columns, side, side, -1).permute(0, 2, 1, 3, 4)
        whole = whole.reshape(rows * side, columns * side, -1)
        newlines = self.image_newline.expand(rows * side, 1, -1)
        return torch.cat((whole, newlines), dim=1).flatten(0, 1)


class DeepseekOcr2(nn.Module):
    """DeepSeek-OCR-2: transformers' own class, with the same three parts to the outside."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.whole = DeepseekOcr2ForConditionalGeneration(ocr2_config(config))
        self.language_model = self.whole.model.language_model
        self.lm_head = self.whole.lm_head

    def image_features(self, pages: Sequence[Prepared], pixels_per_pass: int) -> list[Tensor]:
        """[tokens, hidden] of each page: its tiles, the global view, a separator; no newlines."""
        views = [page.global_view for page in pages]
        tiles = [tile for page in pages for tile in page.tiles]
        separator = self.whole.model.view_separator
        encoded = encode_views([*views, *tiles], self._encode, separator.device, pixels_per_pass)
        global_features, tile_features = encoded[: len(views)], iter(encoded[len(views) :])
        return [
            torch.cat([*(next(tile_features) for _ in page.tiles), features, separator[None]])
            for page, features in zip(pages, global_features, strict=True)
        ]

    def _encode(self, views: Tensor) -> Tensor:
        model = self.whole.model
        tower = model.vision_tower
        features = tower(views.to(tower.sam_encoder.pos_embed.dtype)).last_hidden_state
        return cast(
            Tensor, model.multi_modal_projector(features.to(model.multi_modal_projector.weight.dtype))
        )


def encode_views(
    views: Sequence[Any], encode: Any, device: torch.device, pixels_per_pass: int
) -> list[Tensor]:
    """Features of each view, uint8 [s, s, 3]; equal sizes share passes of at most `pixels_per_pass`."""
    by_side: dict[int, list[int]] = defaultdict(list)
    for index, view in enumerate(views):
        by_side[view.shape[0]].append(index)
    features: dict[int, Tensor] = {}
    for side, indices in by_side.items():
        step = max(1, pixels_per_pass // (side * side))
        for start in range(0, len(indices), step):
            some = indices[start : start + step]
            pixels = torch.stack([torch.from_numpy(views[i]) for i in some]).to(device)
            pixels = pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255).sub_(0.5).div_(0.5)
            features.update(zip(some, encode(pixels.contiguous()), strict=True))
    return [features[index] for index in range(len(views))]


# --- configuration -----------------------------------------------------------------------------------


def _language(config: Mapping[str, Any]) -> Mapping[str, Any]:
    language = config.get("language_config", config)
    for key, allowed in _ONLY.items():
        if language.get(key, allowed[0]) not in allowed:
            raise ConfigurationError(
                f"config.json has {key} {language[key]!r:.80}, which this engine does not compute.",
                "Use the model as it was published, or BACKEND=vllm.",
            )
    return cast("Mapping[str, Any]", language)


def text_config(config: Mapping[str, Any]) -> DeepseekOcr2TextConfig:
    """The decoder. Raises `ConfigurationError` for a decoder of another kind."""
    language = _language(config)
    layers, dense = language["num_hidden_layers"], language.get("first_k_dense_replace", 1)
    copied = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "max_position_embeddings",
        "moe_intermediate_size",
        "n_routed_experts",
        "n_shared_experts",
        "num_experts_per_tok",
    )
    return DeepseekOcr2TextConfig(
        **{key: language[key] for key in copied},
        rms_norm_eps=language.get("rms_norm_eps", 1e-6),
        routed_scaling_factor=language.get("routed_scaling_factor", 1.0),
        topk_method="greedy",
        n_group=1,
        topk_group=1,
        # the default, None, is not filled in by transformers
        mlp_layer_types=["dense"] * dense + ["sparse"] * (layers - dense),
        rope_parameters={"rope_type": "default", "rope_theta": float(language.get("rope_theta", 10_000))},
        bos_token_id=0,
        eos_token_id=1,
    )


def _tower(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    towers = config.get("vision_config", {}).get("width", {})
    return cast("Mapping[str, Any]", towers.get(name, {}) if isinstance(towers, Mapping) else {})


def sam_config(config: Mapping[str, Any], channels: int) -> DeepseekOcr2SamVisionConfig:
    """SAM-B as deep as config.json says, downsampled to `channels`."""
    return DeepseekOcr2SamVisionConfig(
        num_hidden_layers=_tower(config, "sam_vit_b").get("layers", 12), downsample_channels=[512, channels]
    )


def clip_config(config: Mapping[str, Any]) -> CLIPVisionConfig:
    """CLIP-L as deep as config.json says."""
    tower = _tower(config, "clip-l-14-224")
    width = tower.get("width", 1024)
    clip = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=tower.get("layers", 24),
        num_attention_heads=tower.get("heads", 16),
        image_size=14 * _CLIP_GRID,
        patch_size=14,
    )
    clip._attn_implementation = "sdpa"
    return clip


def ocr2_config(config: Mapping[str, Any]) -> DeepseekOcr2Config:
    """The whole of DeepSeek-OCR-2."""
    tower = _tower(config, "qwen2-0-5b")
    width = tower.get("dim", 896)
    heads, key_value_heads = _QWEN_HEADS
    encoder = {
        "hidden_size": width,
        "intermediate_size": 4864,
        "num_hidden_layers": tower.get("layers", 24),
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "rope_parameters": {"rope_type": "default", "rope_theta": _QWEN_ROPE_THETA},
    }
    return DeepseekOcr2Config(
        vision_config={"sam_config": sam_config(config, width).to_dict(), "encoder_config": encoder},
        text_config=text_config(config).to_dict(),
    )


def restore_buffers(model: nn.Module, device: torch.device) -> None:
    """Compute the rotary frequencies anew: they are in no file, and a model made without memory lost them."""
    kinds = (DeepseekOcr2TextRotaryEmbedding, DeepseekOcr2VisionRotaryEmbedding)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, kinds):
                setattr(module, name, type(child)(cast(Any, child.config)).to(device))
