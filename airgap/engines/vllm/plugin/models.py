"""DeepSeek-OCR and DeepSeek-OCR-2 on upstream's vLLM classes, with the vision towers fed in batches.

Against upstream (`vllm/model_executor/models/deepseek_ocr.py` and `deepseek_ocr2.py`, 0.32):

- views of equal size go through SAM and CLIP together, over all pictures of a scheduler step, where
  upstream encodes picture by picture;
- pixels arrive as uint8 and are normalised on the device;
- tiles are taken as they are, where upstream drops a picture's tiles when their pixels sum to zero, as
  half black and half white does, and then stops its engine over the placeholders left empty;
- the towers are as deep as config.json says;
- SAM's attention compiles on a GPU (`triton_mend.mend`).

Knows vLLM and torch; knows nothing about requests, modes by name, or the engine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from vllm.config import VllmConfig
from vllm.model_executor.models.deepseek_ocr import DeepseekOCRForCausalLM
from vllm.model_executor.models.deepseek_ocr2 import (
    DeepseekOCR2DummyInputsBuilder,
    DeepseekOCR2ForCausalLM,
    DeepseekOCR2MultiModalProcessor,
    DeepseekOCR2ProcessingInfo,
)
from vllm.multimodal import MULTIMODAL_REGISTRY

from airgap.engines.vllm.plugin.processing import (
    AirgapOCRDummyInputsBuilder,
    AirgapOCRMultiModalProcessor,
    AirgapOCRProcessingInfo,
)
from airgap.engines.vllm.plugin.triton_mend import mend

MAX_PIXELS_PER_PASS = 8 * 1024 * 1024
"""Bound of one pass through the towers: 8 global views, or 20 tiles. Global attention in SAM holds up to
0.4 GB a view of 1024 pixels where it is not fused."""

mend()


@MULTIMODAL_REGISTRY.register_processor(
    AirgapOCRMultiModalProcessor,
    info=AirgapOCRProcessingInfo,
    dummy_inputs=AirgapOCRDummyInputsBuilder,
)
class AirgapDeepseekOCRForCausalLM(DeepseekOCRForCausalLM):
    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        _keep_layers(self.sam_model.blocks, self.vision_config, "sam_vit_b")
        _keep_layers(self.vision_model.transformer.layers, self.vision_config, "clip-l-14-224")

    def embed_multimodal(self, **kwargs: object) -> list[torch.Tensor] | None:
        """One [tokens, hidden] tensor per picture. Inputs as `AirgapOCRMultiModalProcessor` makes them;
        vLLM stacks those of a step where their shapes are the same and gives a list where they differ."""
        global_views: Any = kwargs.get("pixel_values")
        if global_views is None:
            return None
        tiles: Any = kwargs["images_crop"]
        spatial_crop: Any = kwargs["images_spatial_crop"]
        grids = [(int(columns), int(rows)) for columns, rows in spatial_crop]
        features = iter(self.encode_views([*global_views, *(tile for picture in tiles for tile in picture)]))
        pictures = [[self._rows([next(features)], (1, 1)), self.view_seperator[None]] for _ in grids]
        for parts, grid in zip(pictures, grids, strict=True):
            if grid != (1, 1):
                parts.insert(0, self._rows([next(features) for _ in range(grid[0] * grid[1])], grid))
        return [torch.cat(parts) for parts in pictures]

    def _rows(self, features: list[torch.Tensor], grid: tuple[int, int]) -> torch.Tensor:
        """Views laid out in a grid, row by row, with a newline after each row of features."""
        return self._assemble_patch_grid(torch.stack(features), torch.tensor(grid))

    def encode_views(self, views: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Features [(s / 64)², hidden] of each view, uint8 [s, s, 1 or 3]; equal sizes share a pass."""
        by_side: dict[int, list[int]] = defaultdict(list)
        for index, view in enumerate(views):
            by_side[view.shape[0]].append(index)
        features: dict[int, torch.Tensor] = {}
        for side, indices in by_side.items():
            step = max(1, MAX_PIXELS_PER_PASS // (side * side))
            for start in range(0, len(indices), step):
                some = indices[start : start + step]
                batch = torch.stack([views[i].expand(-1, -1, 3) for i in some])
                features.update(zip(some, self._encode(batch), strict=True))
        return [features[index] for index in range(len(views))]

    def _encode(self, views: torch.Tensor) -> torch.Tensor:
        pixels = views.permute(0, 3, 1, 2).to(torch.float32).div_(255).sub_(0.5).div_(0.5)
        pixels = pixels.to(self.image_newline.dtype).contiguous()
        sam = self.sam_model(pixels)
        clip = self.vision_model(pixels, sam)
        return self.projector(torch.cat((clip[:, 1:], sam.flatten(2).permute(0, 2, 1)), dim=-1))


@MULTIMODAL_REGISTRY.register_processor(
    DeepseekOCR2MultiModalProcessor,
    info=DeepseekOCR2ProcessingInfo,
    dummy_inputs=DeepseekOCR2DummyInputsBuilder,
)
class AirgapDeepseekOCR2ForCausalLM(DeepseekOCR2ForCausalLM):
    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        _keep_layers(self.sam_model.blocks, self.vision_config, "sam_vit_b")
        _keep_layers(self.qwen2_model.model.model.layers, self.vision_config, "qwen2-0-5b")

    def _encode_local_features(self, patches: torch.Tensor) -> torch.Tensor | None:
        return self._encode_global_features(patches) if len(patches) else None


def _keep_layers(layers: nn.ModuleList, vision_config: Any, tower: str) -> None:
    """Cut a tower to the depth in `vision_config.width`; upstream builds the published depth always."""
    towers = vision_config.width
    if not isinstance(towers, Mapping):
        return
    depth = towers.get(tower, {}).get("layers", len(layers))
    if not 0 < depth <= len(layers):
        raise ValueError(f"config.json: {tower} has {depth} layers, where 1 to {len(layers)} can be")
    del layers[depth:]
