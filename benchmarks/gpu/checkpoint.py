"""DeepSeek-OCR's folder at its published size, without weights or with random ones, and pages to read."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from airgap.engines.model_folder import ModelFolder
from tests import tiny_checkpoint

FULL = tiny_checkpoint.Sizes(
    sam_layers=12,
    clip_layers=24,
    text_layers=12,
    hidden=1280,
    heads=10,
    intermediate=6848,
    moe_intermediate=896,
    experts=64,
    experts_per_token=6,
)
ARCHITECTURE = ("DeepseekOCRForCausalLM", "deepseek-ocr", 640)
PUBLISHED = (2710, 3_336_106_240)


def folder_of(size: str, where: Path, *, weights: bool = False) -> ModelFolder:
    """A folder of the size `full` or `tiny`, as `verify` would describe it."""
    if weights and size == "full":
        make_weights_on_the_gpu()
    sizes = FULL if size == "full" else tiny_checkpoint.Sizes()
    folder = tiny_checkpoint.make(where, sizes=sizes, weights=weights)
    if size == "full":
        fill_vocabulary(folder)
    return ModelFolder(folder, *ARCHITECTURE, *(PUBLISHED if size == "full" else (0, 0)), False)  # type: ignore[arg-type]


def make_weights_on_the_gpu() -> None:
    """3.3 billion random weights take half a minute on a CPU."""
    import torch

    if not torch.cuda.is_available():
        return

    def normal(self: Any, name: str, *shape: int, std: float | None = None) -> None:
        fan_in = shape[-1] if len(shape) < 3 else shape[1] * shape[2] * shape[3]
        std = fan_in**-0.5 if std is None else std
        self.tensors[name] = (torch.randn(shape, device="cuda") * std).to(torch.bfloat16).cpu()

    tiny_checkpoint._Weights.normal = normal  # type: ignore[method-assign]


def fill_vocabulary(folder: Path) -> None:
    """Give every one of the 129,280 ids a text, so that making text of tokens costs what it should."""
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text())
    vocab, rng = data["model"]["vocab"], random.Random(0)
    taken, used = set(vocab.values()), set(vocab)
    for number in range(tiny_checkpoint.VOCAB_SIZE):
        if number not in taken:
            word = _new_word(rng, used)
            vocab[word] = number
            used.add(word)
    path.write_text(json.dumps(data, ensure_ascii=False))


def _new_word(rng: random.Random, used: set[str]) -> str:
    while True:
        space = "Ġ" if rng.random() < 0.5 else ""
        word = space + "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 7)))
        if word not in used:
            return word


def pages(count: int = 8) -> list[Image.Image]:
    """A4 at 144 dpi, lines of words; every fourth has colour."""
    rng = random.Random(1)
    return [_page(rng, coloured=number % 4 == 3) for number in range(count)]


def _page(rng: random.Random, *, coloured: bool) -> Image.Image:
    page = Image.new("RGB", (1190, 1684), "white")
    draw = ImageDraw.Draw(page)
    for y in range(60, 1620, 22):
        words = ("".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9))) for _ in range(16))
        draw.text((70, y), " ".join(words), fill="black", font_size=16)
    if coloured:
        draw.rectangle((700, 300, 1100, 600), fill="steelblue")
    return page
