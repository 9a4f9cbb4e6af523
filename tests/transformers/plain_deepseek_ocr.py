"""DeepSeek-OCR written down once more, as its authors' formulae say, for comparison with the engines.

Tensors are taken by their published names; every step is the plain formula, without a cache, without
batching and without any part of transformers or vLLM. Slow, float32, and independent.

Sources: arXiv:2304.02643 (SAM), arXiv:2103.00020 (CLIP), arXiv:2405.04434 (the experts), arXiv:2510.18234
(how the parts are put together) and `deepencoder.py` of DeepSeek-OCR's repository.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as f

from process.image_process import Prepared

IMAGE_ID = 128815
WINDOW = 14
GLOBAL_BLOCKS = (2, 5, 8, 11)


class PlainDeepseekOcr:
    def __init__(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
        self.t = {name: tensor.float() for name, tensor in tensors.items()}
        self.c = config["language_config"]
        self.towers = config["vision_config"]["width"]

    def logits(self, ids: Sequence[int], features: Tensor) -> Tensor:
        """[len(ids), vocabulary]."""
        hidden = self.t["model.embed_tokens.weight"][list(ids)].clone()
        hidden[torch.tensor(ids) == IMAGE_ID] = features
        return self._decoder(hidden) @ self.t["lm_head.weight"].T

    # --- vision ------------------------------------------------------------------------------------

    def features(self, page: Prepared) -> Tensor:
        parts = []
        if len(page.tiles):
            columns, rows = page.grid
            tiles = [self._square(tile) for tile in page.tiles]
            strips = [torch.cat(tiles[r * columns : (r + 1) * columns], dim=1) for r in range(rows)]
            parts.append(self._with_newlines(torch.cat(strips)))
        parts.append(self._with_newlines(self._square(page.global_view)))
        return torch.cat([*parts, self.t["model.view_seperator"][None]])

    def _with_newlines(self, grid: Tensor) -> Tensor:
        newline = self.t["model.image_newline"]
        return torch.cat([torch.cat([row, newline[None]]) for row in grid])

    def _square(self, view: Any) -> Tensor:
        """[s, s, hidden] of one view [64 s, 64 s, 3]."""
        pixels = (torch.from_numpy(view).float() / 255 - 0.5) / 0.5
        sam = self._sam(pixels.permute(2, 0, 1)[None])
        side = sam.shape[-1]
        flat = sam[0].flatten(1).T
        both = torch.cat([self._clip(flat, side)[1:], flat], dim=1)
        return self._linear("model.projector.layers", both).reshape(side, side, -1)

    def _sam(self, pixels: Tensor) -> Tensor:
        p = "model.sam_model"
        patches = self.t[f"{p}.patch_embed.proj.weight"], self.t[f"{p}.patch_embed.proj.bias"]
        x = f.conv2d(pixels, *patches, stride=16).permute(0, 2, 3, 1)
        x = x + _resized(self.t[f"{p}.pos_embed"], x.shape[1])
        for i in range(self.towers["sam_vit_b"]["layers"]):
            x = self._sam_block(f"{p}.blocks.{i}", x, whole=i in GLOBAL_BLOCKS)
        x = f.conv2d(x.permute(0, 3, 1, 2), self.t[f"{p}.neck.0.weight"])
        x = self._channel_norm(f"{p}.neck.1", x)
        x = self._channel_norm(f"{p}.neck.3", f.conv2d(x, self.t[f"{p}.neck.2.weight"], padding=1))
        x = f.conv2d(x, self.t[f"{p}.net_2.weight"], stride=2, padding=1)
        return f.conv2d(x, self.t[f"{p}.net_3.weight"], stride=2, padding=1)

    def _sam_block(self, p: str, x: Tensor, *, whole: bool) -> Tensor:
        side = x.shape[1]
        y = self._norm(f"{p}.norm1", x, 1e-6)
        if whole:
            y = self._sam_attention(p, y)
        else:
            padded = -(-side // WINDOW) * WINDOW
            y = f.pad(y, (0, 0, 0, padded - side, 0, padded - side))
            out = torch.empty_like(y)
            for top in range(0, padded, WINDOW):
                for left in range(0, padded, WINDOW):
                    window = slice(top, top + WINDOW), slice(left, left + WINDOW)
                    out[:, window[0], window[1]] = self._sam_attention(p, y[:, window[0], window[1]])
            y = out[:, :side, :side]
        x = x + y
        y = f.gelu(self._linear(f"{p}.mlp.lin1", self._norm(f"{p}.norm2", x, 1e-6)))
        return x + self._linear(f"{p}.mlp.lin2", y)

    def _sam_attention(self, p: str, x: Tensor) -> Tensor:
        side, heads = x.shape[1], 12
        q, k, v = self._linear(f"{p}.attn.qkv", x.reshape(side * side, -1)).chunk(3, dim=-1)
        q, k, v = (part.reshape(side * side, heads, -1).transpose(0, 1) for part in (q, k, v))
        scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
        offsets = torch.arange(side)[:, None] - torch.arange(side)[None] + side - 1
        grid = q.reshape(heads, side, side, -1)
        up = _stretched(self.t[f"{p}.attn.rel_pos_h"], 2 * side - 1)[offsets]
        across = _stretched(self.t[f"{p}.attn.rel_pos_w"], 2 * side - 1)[offsets]
        bias = torch.einsum("nhwc,hkc->nhwk", grid, up)[..., None]
        bias = bias + torch.einsum("nhwc,wkc->nhwk", grid, across)[..., None, :]
        y = (scores + bias.reshape(scores.shape)).softmax(-1) @ v
        return self._linear(f"{p}.attn.proj", y.transpose(0, 1).reshape(1, side, side, -1))

    def _clip(self, patches: Tensor, side: int) -> Tensor:
        p, heads = "model.vision_model", self.towers["clip-l-14-224"]["heads"]
        table = self.t[f"{p}.embeddings.position_embedding.weight"]
        positions = _resized(table[1:].reshape(1, 16, 16, -1), side).reshape(side * side, -1)
        x = torch.cat([self.t[f"{p}.embeddings.class_embedding"][None], patches])
        x = self._norm(f"{p}.pre_layrnorm", x + torch.cat([table[:1], positions]), 1e-5)
        for i in range(self.towers["clip-l-14-224"]["layers"]):
            q = f"{p}.transformer.layers.{i}"
            query, key, value = self._linear(
                f"{q}.self_attn.qkv_proj", self._norm(f"{q}.layer_norm1", x, 1e-5)
            ).chunk(3, dim=-1)
            x = x + self._linear(f"{q}.self_attn.out_proj", _attention(query, key, value, heads))
            y = self._linear(f"{q}.mlp.fc1", self._norm(f"{q}.layer_norm2", x, 1e-5))
            x = x + self._linear(f"{q}.mlp.fc2", y * torch.sigmoid(1.702 * y))
        return x

    # --- decoder -----------------------------------------------------------------------------------

    def _decoder(self, x: Tensor) -> Tensor:
        for i in range(self.c["num_hidden_layers"]):
            p = f"model.layers.{i}"
            y = self._rms(f"{p}.input_layernorm", x)
            heads = self.c["num_attention_heads"]
            q, k, v = (self._linear(f"{p}.self_attn.{name}_proj", y) for name in "qkv")
            y = _attention(_rotated(q, heads), _rotated(k, heads), v, heads, causal=True)
            x = x + self._linear(f"{p}.self_attn.o_proj", y)
            y = self._rms(f"{p}.post_attention_layernorm", x)
            dense = i < self.c["first_k_dense_replace"]
            x = x + (self._mlp(f"{p}.mlp", y) if dense else self._experts(f"{p}.mlp", y))
        return self._rms("model.norm", x)

    def _experts(self, p: str, x: Tensor) -> Tensor:
        scores = (x @ self.t[f"{p}.gate.weight"].T).softmax(-1)
        weights, chosen = scores.topk(self.c["num_experts_per_tok"], dim=-1)
        y = self._mlp(f"{p}.shared_experts", x)
        for expert in range(self.c["n_routed_experts"]):
            share = (weights * (chosen == expert)).sum(-1, keepdim=True)
            y = y + share * self._mlp(f"{p}.experts.{expert}", x)
        return y

    def _mlp(self, p: str, x: Tensor) -> Tensor:
        gate = f.silu(self._linear(f"{p}.gate_proj", x))
        return self._linear(f"{p}.down_proj", gate * self._linear(f"{p}.up_proj", x))

    # --- small parts -------------------------------------------------------------------------------

    def _linear(self, p: str, x: Tensor) -> Tensor:
        y = x @ self.t[f"{p}.weight"].T
        return y + self.t[f"{p}.bias"] if f"{p}.bias" in self.t else y

    def _norm(self, p: str, x: Tensor, eps: float) -> Tensor:
        x = x - x.mean(-1, keepdim=True)
        x = x / torch.sqrt(x.square().mean(-1, keepdim=True) + eps)
        return x * self.t[f"{p}.weight"] + self.t[f"{p}.bias"]

    def _channel_norm(self, p: str, x: Tensor) -> Tensor:
        return self._norm(p, x.permute(0, 2, 3, 1), 1e-6).permute(0, 3, 1, 2)

    def _rms(self, p: str, x: Tensor) -> Tensor:
        return x / torch.sqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.t[f"{p}.weight"]


def _resized(grid: Tensor, side: int) -> Tensor:
    """[1, g, g, width] → [1, side, side, width]."""
    if grid.shape[1] == side:
        return grid
    grid = grid.permute(0, 3, 1, 2)
    grid = f.interpolate(grid, (side, side), mode="bicubic", antialias=True, align_corners=False)
    return grid.permute(0, 2, 3, 1)


def _stretched(table: Tensor, length: int) -> Tensor:
    if len(table) == length:
        return table
    return f.interpolate(table.T[None], length, mode="linear")[0].T


def _attention(q: Tensor, k: Tensor, v: Tensor, heads: int, *, causal: bool = False) -> Tensor:
    length = len(q)
    q, k, v = (part.reshape(length, heads, -1).transpose(0, 1) for part in (q, k, v))
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf)
    return (scores.softmax(-1) @ v).transpose(0, 1).reshape(length, -1)


def _rotated(x: Tensor, heads: int) -> Tensor:
    """Rotary positions: the first half of each head with the second, base 10000."""
    length, width = x.shape
    half = width // heads // 2
    angles = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(half) / half)
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    first, second = x.reshape(length, heads, 2, half).unbind(2)
    return torch.stack([first * cos - second * sin, second * cos + first * sin], 2).reshape(length, width)
