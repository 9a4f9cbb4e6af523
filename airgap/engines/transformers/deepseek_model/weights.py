"""The published files of DeepSeek-OCR into the networks of `architecture`, by key.

Each published name says where its tensor goes: experts are stacked, fused attention weights are split.
Nothing may be left over on either side. A file is read tensor by tensor, straight into its place, so that
loading takes the memory of the model and one tensor more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from airgap.core.errors import ConfigurationError

_REMEDY = "Use the files of the model as it was published."


@dataclass(frozen=True, slots=True)
class Part:
    """Rows `start` to `stop` of a published tensor (all, where `stop` is None) and their place.

    The place is the parameter `target`, in it the expert `expert`, in that the half `half` of the rows.
    """

    target: str
    start: int = 0
    stop: int | None = None
    expert: int | None = None
    half: int | None = None


_SAM = [
    (r"blocks\.(\d+)\.norm([12])\.(\w+)", r"layers.\1.layer_norm\2.\3"),
    (r"blocks\.(\d+)\.((?:attn|mlp)\..+)", r"layers.\1.\2"),
    (r"patch_embed\.proj\.(\w+)", r"patch_embed.projection.\1"),
    (r"pos_embed", r"pos_embed"),
    (r"neck\.0\.(\w+)", r"neck.conv1.\1"),
    (r"neck\.1\.(\w+)", r"neck.layer_norm1.\1"),
    (r"neck\.2\.(\w+)", r"neck.conv2.\1"),
    (r"neck\.3\.(\w+)", r"neck.layer_norm2.\1"),
    (r"net_2\.(\w+)", r"proj.conv1.\1"),
    (r"net_3\.(\w+)", r"proj.conv2.\1"),
]

_DEEPSEEK_OCR = [
    (r"lm_head\.weight", r"lm_head.weight"),
    (r"model\.((?:embed_tokens|layers|norm)\..+)", r"language_model.\1"),
    *((rf"model\.sam_model\.{source}", f"sam.{target}") for source, target in _SAM),
    (r"model\.vision_model\.embeddings\.(.+)", r"clip.\1"),
    (r"model\.vision_model\.(pre_layrnorm\..+)", r"clip.\1"),
    (r"model\.vision_model\.transformer\.(layers\..+)", r"clip.encoder.\1"),
    (r"model\.projector\.layers\.(\w+)", r"projector.\1"),
    (r"model\.image_newline", r"image_newline"),
    (r"model\.view_seperator", r"view_separator"),
]

_DEEPSEEK_OCR_2 = [
    (r"lm_head\.weight", r"whole.lm_head.weight"),
    (r"model\.((?:embed_tokens|layers|norm)\..+)", r"whole.model.language_model.\1"),
    *(
        (rf"model\.sam_model\.{source}", f"whole.model.vision_tower.sam_encoder.{target}")
        for source, target in _SAM
    ),
    (r"model\.qwen2_model\.model\.model\.(.+)", r"whole.model.vision_tower.vision_encoder.\1"),
    (r"model\.qwen2_model\.query_(768|1024)\.(\w+)", r"whole.model.vision_tower.query_\1_resolution.\2"),
    (r"model\.projector\.layers\.(\w+)", r"whole.model.multi_modal_projector.\1"),
    (r"model\.view_seperator", r"whole.model.view_separator"),
]

_RULES = {
    "deepseek-ocr": [(re.compile(source), target) for source, target in _DEEPSEEK_OCR],
    "deepseek-ocr-2": [(re.compile(source), target) for source, target in _DEEPSEEK_OCR_2],
}

_EXPERT = re.compile(r"(.+\.mlp\.experts)\.(\d+)\.(gate|up|down)_proj\.weight")
_FUSED = re.compile(r"(.+\.self_attn)\.qkv_proj\.(weight|bias)")


def parts(family: str, name: str, rows: int) -> list[Part]:
    """Where the published tensor `name` of `rows` rows goes. Raises `ConfigurationError` for a stranger."""
    target = _renamed(family, name)
    if found := _EXPERT.fullmatch(target):
        experts, expert, kind = found[1], int(found[2]), found[3]
        if kind == "down":
            return [Part(f"{experts}.down_proj", expert=expert)]
        return [Part(f"{experts}.gate_up_proj", expert=expert, half=int(kind == "up"))]
    if found := _FUSED.fullmatch(target):
        third = rows // 3
        return [
            Part(f"{found[1]}.{one}_proj.{found[2]}", i * third, (i + 1) * third)
            for i, one in enumerate("qkv")
        ]
    return [Part(target)]


def _renamed(family: str, name: str) -> str:
    for source, target in _RULES[family]:
        if found := source.fullmatch(name):
            return found.expand(target)
    raise ConfigurationError(f"The tensor {name!r:.120} belongs to no part of the model.", _REMEDY)


class Filler:
    """Copies published tensors into a model, and knows which of its numbers are still missing."""

    def __init__(self, model: nn.Module, family: str) -> None:
        self._family = family
        self._parameters = dict(model.named_parameters())
        self._missing = {name: parameter.numel() for name, parameter in self._parameters.items()}

    def add(self, name: str, tensor: Tensor) -> None:
        """Copy one. Raises `ConfigurationError` where it has no place, or not this shape."""
        for part in parts(self._family, name, tensor.shape[0]):
            if part.target not in self._parameters:
                raise ConfigurationError(
                    f"The tensor {name!r:.120} belongs to no part of the model.", _REMEDY
                )
            place = self._place(name, part)
            source = tensor[part.start : part.stop] if part.stop is not None else tensor
            if place.shape != source.shape:
                raise ConfigurationError(
                    f"{name!r:.120} has the shape {tuple(source.shape)}, not {tuple(place.shape)}.",
                    "The weights and config.json must be of the same model.",
                )
            with torch.no_grad():
                place.copy_(source)
            self._missing[part.target] -= place.numel()

    def _place(self, name: str, part: Part) -> Tensor:
        place: Tensor = self._parameters[part.target]
        if part.expert is None:
            return place
        if part.expert >= len(place):
            raise ConfigurationError(f"The tensor {name!r:.120} is of an expert too many.", _REMEDY)
        place = place[part.expert]
        return place if part.half is None else place.chunk(2)[part.half]

    def check(self) -> None:
        """Raise `ConfigurationError` unless every number of the model was given, once."""
        wrong = sorted(name for name, missing in self._missing.items() if missing)
        if wrong:
            raise ConfigurationError(
                f"{len(wrong)} parts of the model are missing or given twice, as {wrong[0]!r}.", _REMEDY
            )


def load(model: nn.Module, family: str, shards: Sequence[Path]) -> None:
    """Fill `model` from safetensors files. Raises `ConfigurationError`."""
    filler = Filler(model, family)
    for name, tensor in tensors(shards):
        filler.add(name, tensor)
    filler.check()


def tensors(shards: Sequence[Path]) -> Iterator[tuple[str, Tensor]]:
    """Each tensor of the files by its published name, one at a time."""
    for shard in shards:
        with safe_open(shard, framework="pt", device="cpu") as file:
            for name in sorted(file.keys()):
                yield name, file.get_tensor(name)


def load_meta(model: nn.Module, family: str, shapes: Mapping[str, Sequence[int]]) -> None:
    """Go through `load` with names and shapes alone, for a model on the meta device."""
    filler = Filler(model, family)
    for name, shape in shapes.items():
        meta: Any = torch.empty(tuple(shape), device="meta")
        filler.add(name, meta)
    filler.check()
