"""What both local engines do with a page for Qwen-VL: its size, and the facts of its folder.

Knows pictures and the folder's files; must not know torch, vLLM or transformers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL.Image import Image, Resampling

from airgap.models import qwen_vl


@dataclass(frozen=True, slots=True)
class QwenFacts:
    """From a folder's config.json and preprocessor_config.json."""

    version: qwen_vl.Version
    profile: qwen_vl.Profile
    factor: int  # pixels to whose multiples a side is scaled
    min_pixels: int
    max_pixels: int

    @classmethod
    def of(cls, folder: Path, architecture: str) -> QwenFacts:
        config = _json(folder / "config.json")
        sizes = _json(folder / "preprocessor_config.json")
        text = config.get("text_config", config)
        bounds = sizes.get("size") or {}
        return cls(
            qwen_vl.ARCHITECTURES[architecture],
            qwen_vl.profile(int(text["hidden_size"])),
            int(sizes.get("patch_size", 14)) * int(sizes.get("merge_size", 2)),
            int(sizes.get("min_pixels") or bounds.get("shortest_edge") or 3136),
            int(sizes.get("max_pixels") or bounds.get("longest_edge") or 12_845_056),
        )

    def bounded(self, image: Image) -> Image:
        """Scaled down to the profile's bound; small pictures are left to the processor."""
        pixels = image.width * image.height
        if pixels <= self.profile.max_pixels:
            return image
        shrink = (self.profile.max_pixels / pixels) ** 0.5
        size = max(1, round(image.width * shrink)), max(1, round(image.height * shrink))
        return image.resize(size, Resampling.BICUBIC)

    def seen(self, image: Image) -> tuple[int, int]:
        """The width and height to which the processor scales a bounded picture."""
        return qwen_vl.resized(
            image.width,
            image.height,
            factor=self.factor,
            min_pixels=self.min_pixels,
            max_pixels=self.max_pixels,
        )


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
