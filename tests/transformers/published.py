"""The names and shapes of the published DeepSeek-OCR weights, derived from its config.json.

    python -m tests.transformers.published > tests/data/deepseek_ocr/tensors.csv

The structure (12 layers of 64 experts, SAM-B, CLIP-L) is stated in the published config.json; the sums,
2,710 tensors and 3,336,106,240 numbers, are those of the published file and check the derivation.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

LISTED = Path(__file__).parents[1] / "data" / "deepseek_ocr" / "tensors.csv"

CONFIG = {
    "architectures": ["DeepseekOCRForCausalLM"],
    "model_type": "deepseek_vl_v2",
    "language_config": {
        "first_k_dense_replace": 1,
        "hidden_size": 1280,
        "intermediate_size": 6848,
        "max_position_embeddings": 8192,
        "moe_intermediate_size": 896,
        "n_group": 1,
        "n_routed_experts": 64,
        "n_shared_experts": 2,
        "num_attention_heads": 10,
        "num_experts_per_tok": 6,
        "num_hidden_layers": 12,
        "num_key_value_heads": 10,
        "topk_group": 1,
        "topk_method": "greedy",
        "use_mla": False,
        "vocab_size": 129280,
    },
    "projector_config": {"input_dim": 2048, "n_embed": 1280, "projector_type": "linear"},
    "vision_config": {
        "width": {
            "clip-l-14-224": {"heads": 16, "image_size": 224, "layers": 24, "patch_size": 14, "width": 1024},
            "sam_vit_b": {"downsample_channels": [512, 1024], "heads": 12, "layers": 12, "width": 768},
        }
    },
}

Shape = tuple[int, ...]


def listed() -> dict[str, Shape]:
    """The list in tests/data."""
    with LISTED.open(encoding="utf-8", newline="") as file:
        return {
            row["name"]: tuple(int(side) for side in row["shape"].split("x")) for row in csv.DictReader(file)
        }


def derive() -> dict[str, Shape]:
    return dict([*_text(), *_sam(), *_clip(), *_rest()])


def _mlp(prefix: str, hidden: int, inner: int) -> Iterator[tuple[str, Shape]]:
    yield f"{prefix}.gate_proj.weight", (inner, hidden)
    yield f"{prefix}.up_proj.weight", (inner, hidden)
    yield f"{prefix}.down_proj.weight", (hidden, inner)


def _text() -> Iterator[tuple[str, Shape]]:
    yield "lm_head.weight", (129280, 1280)
    yield "model.embed_tokens.weight", (129280, 1280)
    yield "model.norm.weight", (1280,)
    for i in range(12):
        layer = f"model.layers.{i}"
        yield f"{layer}.input_layernorm.weight", (1280,)
        yield f"{layer}.post_attention_layernorm.weight", (1280,)
        for name in "qkvo":
            yield f"{layer}.self_attn.{name}_proj.weight", (1280, 1280)
        if i == 0:
            yield from _mlp(f"{layer}.mlp", 1280, 6848)
            continue
        yield f"{layer}.mlp.gate.weight", (64, 1280)
        yield from _mlp(f"{layer}.mlp.shared_experts", 1280, 2 * 896)
        for expert in range(64):
            yield from _mlp(f"{layer}.mlp.experts.{expert}", 1280, 896)


def _pair(name: str, *shape: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _sam() -> Iterator[tuple[str, Shape]]:
    sam = "model.sam_model"
    yield from _pair(f"{sam}.patch_embed.proj", 768, 3, 16, 16)
    yield f"{sam}.pos_embed", (1, 64, 64, 768)
    for i in range(12):
        block = f"{sam}.blocks.{i}"
        side = 64 if i in (2, 5, 8, 11) else 14
        yield from _pair(f"{block}.norm1", 768)
        yield f"{block}.attn.rel_pos_h", (2 * side - 1, 64)
        yield f"{block}.attn.rel_pos_w", (2 * side - 1, 64)
        yield from _pair(f"{block}.attn.qkv", 2304, 768)
        yield from _pair(f"{block}.attn.proj", 768, 768)
        yield from _pair(f"{block}.norm2", 768)
        yield from _pair(f"{block}.mlp.lin1", 3072, 768)
        yield from _pair(f"{block}.mlp.lin2", 768, 3072)
    yield f"{sam}.neck.0.weight", (256, 768, 1, 1)
    yield from _pair(f"{sam}.neck.1", 256)
    yield f"{sam}.neck.2.weight", (256, 256, 3, 3)
    yield from _pair(f"{sam}.neck.3", 256)
    yield f"{sam}.net_2.weight", (512, 256, 3, 3)
    yield f"{sam}.net_3.weight", (1024, 512, 3, 3)


def _clip() -> Iterator[tuple[str, Shape]]:
    clip = "model.vision_model"
    yield f"{clip}.embeddings.class_embedding", (1024,)
    yield f"{clip}.embeddings.patch_embedding.weight", (1024, 3, 14, 14)
    yield f"{clip}.embeddings.position_embedding.weight", (257, 1024)
    yield from _pair(f"{clip}.pre_layrnorm", 1024)
    for i in range(24):
        layer = f"{clip}.transformer.layers.{i}"
        yield from _pair(f"{layer}.layer_norm1", 1024)
        yield from _pair(f"{layer}.self_attn.qkv_proj", 3072, 1024)
        yield from _pair(f"{layer}.self_attn.out_proj", 1024, 1024)
        yield from _pair(f"{layer}.layer_norm2", 1024)
        yield from _pair(f"{layer}.mlp.fc1", 4096, 1024)
        yield from _pair(f"{layer}.mlp.fc2", 1024, 4096)


def _rest() -> Iterator[tuple[str, Shape]]:
    yield from _pair("model.projector.layers", 1280, 2048)
    yield "model.image_newline", (1280,)
    yield "model.view_seperator", (1280,)


if __name__ == "__main__":
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["name", "shape"])
    writer.writerows((name, "x".join(map(str, shape))) for name, shape in sorted(derive().items()))
