"""How a page becomes the inputs of our DeepSeek-OCR in vLLM.

Upstream (`vllm/model_executor/models/deepseek_ocr.py`, 0.32) prepares pictures at one fixed resolution,
as float32 on one thread, and counts placeholders by a second calculation. Here the pixels are those of
`process.image_process.prepare`, uint8, in any mode, and the placeholders are counted from the tensors.

Knows vLLM's processing classes; knows nothing about the engine, requests or HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from PIL.Image import Image
from transformers import BatchFeature
from vllm.model_executor.models.deepseek_ocr import (
    DeepseekOCRDummyInputsBuilder,
    DeepseekOCRMultiModalProcessor,
    DeepseekOCRProcessingInfo,
)
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItem, MultiModalKwargsItems
from vllm.multimodal.parse import ImageSize, MultiModalDataItems, MultiModalDataParser, ProcessorBatchItems
from vllm.multimodal.processing import PromptReplacement, PromptUpdate

from airgap.core.document import Mode
from deepseek_ocr import DEFAULT_MODE, IMAGE, MAX_CROPS, MODES, SPECIAL_TOKEN_IDS, num_image_tokens
from process.image_process import Prepared, prepare

MODE_KWARG = "mode"
"""In `mm_processor_kwargs`: the mode of pictures that come unprepared."""

MAX_CROPS_KWARG = "max_crops"
"""In the engine's `mm_processor_kwargs`: most tiles of a page."""


class PreparedItems(ProcessorBatchItems[Prepared]):
    """Pages that were prepared before they reached vLLM."""

    def __init__(self, data: Sequence[Prepared]) -> None:
        super().__init__(data, "image")


class PreparedParser(MultiModalDataParser):
    """Lets `Prepared` through beside what upstream takes."""

    def _parse_image_data(self, data: Any) -> Any:
        items = [data] if isinstance(data, Prepared) else data
        if isinstance(items, list) and items and all(isinstance(item, Prepared) for item in items):
            return PreparedItems(items)
        return super()._parse_image_data(data)


class AirgapOCRProcessingInfo(DeepseekOCRProcessingInfo):
    def get_data_parser(self) -> MultiModalDataParser:
        return PreparedParser(expected_hidden_size=self._get_expected_hidden_size())

    @property
    def max_crops(self) -> int:
        return int(self.ctx.get_merged_mm_kwargs({}).get(MAX_CROPS_KWARG, MAX_CROPS))

    def get_num_image_tokens(
        self, *, image_width: int, image_height: int, cropping: bool = True, mode: Mode = DEFAULT_MODE
    ) -> int:
        """Placeholders of a picture of this size; `cropping=False` stands for the mode `base`."""
        return num_image_tokens(mode if cropping else "base", image_width, image_height, self.max_crops)

    def get_image_size_with_most_features(self) -> ImageSize:
        """The picture that takes the most tokens and pixels: as many tiles as there can be, in a column.

        Each row of tiles adds newlines, so a column beats a row. vLLM profiles its memory with it.
        """
        side = MODES["gundam"].image_size
        return ImageSize(width=side, height=side * self.max_crops)


class AirgapOCRDummyInputsBuilder(DeepseekOCRDummyInputsBuilder):
    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        return IMAGE * mm_counts.get("image", 0)


class AirgapOCRMultiModalProcessor(DeepseekOCRMultiModalProcessor):
    def _call_hf_processor(
        self, hf_data: Mapping[str, object], hf_kwargs: Mapping[str, object]
    ) -> BatchFeature:
        """Stand in for the Hugging Face processor.

        Output, a list each with one entry per picture: `pixel_values`, uint8 [B, B, C]; `images_crop`, uint8
        [n, S, S, C]; and `images_spatial_crop`, int64 [pictures, 2], columns and rows. C is 1 on a page
        without colour, else 3.
        """
        pages = [self._prepared(page, hf_kwargs) for page in _images(hf_data)]
        packed = [page.packed() for page in pages]
        return BatchFeature(
            {
                "pixel_values": [torch.from_numpy(view) for view, _ in packed],
                "images_crop": [torch.from_numpy(tiles) for _, tiles in packed],
                "images_spatial_crop": torch.tensor([page.grid for page in pages], dtype=torch.long),
            }
        )

    def _get_mm_fields_config(
        self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        return {
            "pixel_values": MultiModalFieldConfig.batched("image"),
            "images_crop": MultiModalFieldConfig.batched("image"),
            "images_spatial_crop": MultiModalFieldConfig.batched("image", keep_on_cpu=True),
        }

    def _prepared(self, page: Prepared | Image, hf_kwargs: Mapping[str, object]) -> Prepared:
        if isinstance(page, Prepared):
            return page
        spec = MODES.get(cast(Mode, hf_kwargs.get(MODE_KWARG, DEFAULT_MODE)))
        if spec is None:
            raise ValueError(f"`mode` must be one of {', '.join(MODES)}")
        return prepare(page, spec, max_crops=self.info.max_crops)

    def _get_prompt_updates(
        self,
        mm_items: MultiModalDataItems,
        hf_processor_mm_kwargs: Mapping[str, object],
        out_mm_kwargs: MultiModalKwargsItems,
    ) -> Sequence[PromptUpdate]:
        token = SPECIAL_TOKEN_IDS[IMAGE]

        def placeholders(item_index: int) -> list[int]:
            return [token] * count_tokens(out_mm_kwargs["image"][item_index])

        return [PromptReplacement(modality="image", target=[token], replacement=placeholders)]


def _images(hf_data: Mapping[str, object]) -> Sequence[Any]:
    images = hf_data.get("images", ())
    assert isinstance(images, Sequence)
    return images


def count_tokens(item: MultiModalKwargsItem | None) -> int:
    """The features that the model will make of one picture's tensors.

    A view of `s` × `s` pixels gives `s / 64` rows and columns; each row ends in a newline, and one
    separator follows the global view.
    """
    assert item is not None, "the processor cache holds no tensors to count"
    data = item.get_data()
    side = data["pixel_values"].shape[0] // 64
    tokens = int(side * (side + 1) + 1)
    if len(data["images_crop"]):
        columns, rows = data["images_spatial_crop"].tolist()
        tile_side = data["images_crop"].shape[1] // 64
        tokens += int(tile_side * rows * (tile_side * columns + 1))
    return tokens
