"""Make a small DeepSeek-OCR checkpoint: the real architecture, random weights, real token ids.

The folder has what a published one has (config, tokenizer, one safetensors file with the published key
names), so every engine loads it as it would the real model. Widths of the vision towers are the real
ones; their depth, and everything about the decoder, is reduced. The same arguments give the same bytes.

A `script` replaces the random decoder by one whose next token depends on the last token alone, so that a
test can have the model say a given thing, or loop. It gives the successors of a token, the likeliest
first; whatever it does not name (special tokens and ASCII characters are named) ends the answer:

    make(folder, sizes=SCRIPTED, script={".": "a", "a": "bc", "b": "a", "c": "a"})

    python -m tests.tiny_checkpoint FOLDER [--family deepseek-ocr-2]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deepseek_ocr import BOS, DET, DET_END, EOS, PAD, REF, REF_END, SPECIAL_TOKEN_IDS

Family = Literal["deepseek-ocr", "deepseek-ocr-2"]

VOCAB_SIZE = 129_280
FIRST_BYTE_ID = 3  # ids 0 to 2 are BOS, EOS and PAD; the 256 bytes follow


@dataclass(frozen=True)
class Sizes:
    """How much is kept. The published model has 12, 24, 24, 12 layers, 1280 hidden and 64 experts."""

    sam_layers: int = 3
    clip_layers: int = 2
    qwen_layers: int = 24
    text_layers: int = 2
    hidden: int = 128
    heads: int = 2
    intermediate: int = 256
    moe_intermediate: int = 64
    experts: int = 4
    experts_per_token: int = 2


SCRIPTED = Sizes(hidden=192, heads=3)
"""Sizes for a script: every known token needs an axis of its own."""

EOS_ONLY = (EOS,)

SAYABLE = (*map(chr, range(32, 127)), "\n", EOS, REF, REF_END, DET, DET_END)
"""What random weights can say: printable characters and the markup of references."""


def make(
    folder: Path,
    *,
    family: Family = "deepseek-ocr",
    sizes: Sizes | None = None,
    seed: int = 0,
    script: Mapping[str, Sequence[str]] | None = None,
    weights: bool = True,
) -> Path:
    """Write the checkpoint into `folder` and return it. `weights=False` leaves the safetensors out."""
    sizes = sizes or Sizes()
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", _config(family, sizes))
    _write_tokenizer(folder)
    if weights:
        _write_weights(folder, family, sizes, seed, script)
    return folder


def token_id(token: str) -> int:
    """The id of a special token or of a one-byte token."""
    return SPECIAL_TOKEN_IDS[token] if token in SPECIAL_TOKEN_IDS else _byte_vocab()[_byte_symbol(token)]


# --- configuration and tokenizer ---------------------------------------------------------------------


def _text_config(sizes: Sizes) -> dict[str, Any]:
    return {
        "architectures": ["DeepseekV2ForCausalLM"],
        "model_type": "deepseek_v2",
        "bos_token_id": 0,
        "eos_token_id": 1,
        "first_k_dense_replace": 1,
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.intermediate,
        "kv_lora_rank": None,
        "lm_head": True,
        "max_position_embeddings": 8192,
        "moe_intermediate_size": sizes.moe_intermediate,
        "n_group": 1,
        "n_routed_experts": sizes.experts,
        "n_shared_experts": 2,
        "num_attention_heads": sizes.heads,
        "num_experts_per_tok": sizes.experts_per_token,
        "num_hidden_layers": sizes.text_layers,
        "num_key_value_heads": sizes.heads,
        "q_lora_rank": None,
        "qk_nope_head_dim": 0,
        "qk_rope_head_dim": 0,
        "rm_head": False,
        "topk_group": 1,
        "topk_method": "greedy",
        "torch_dtype": "bfloat16",
        "use_mla": False,
        "v_head_dim": 0,
        "vocab_size": VOCAB_SIZE,
    }


def _config(family: Family, sizes: Sizes) -> dict[str, Any]:
    text = _text_config(sizes)
    first = family == "deepseek-ocr"
    architecture = "DeepseekOCRForCausalLM" if first else "DeepseekOCR2ForCausalLM"
    second_tower = (
        {
            "clip-l-14-224": {
                "heads": 16,
                "image_size": 224,
                "layers": sizes.clip_layers,
                "patch_size": 14,
                "width": 1024,
            }
        }
        if first
        else {"qwen2-0-5b": {"dim": 896, "layers": sizes.qwen_layers}}
    )
    sam = {
        "downsample_channels": [512, 1024 if first else 896],
        "global_attn_indexes": [2, 5, 8, 11],
        "heads": 12,
        "layers": sizes.sam_layers,
        "width": 768,
    }
    return {
        **{key: value for key, value in text.items() if key not in ("architectures", "model_type")},
        "_name_or_path": "tiny random weights",
        "architectures": [architecture],
        "model_type": "deepseek_vl_v2",
        "candidate_resolutions": [[1024, 1024]],
        "global_view_pos": "head",
        "language_config": text,
        "projector_config": {
            "input_dim": 2048 if first else 896,
            "model_type": "mlp_projector",
            "n_embed": sizes.hidden,
            "projector_type": "linear",
        },
        "tile_tag": "2D",
        "vision_config": {
            "image_size": 1024,
            "mlp_ratio": 3.7362,
            "model_name": "deeplip_b_l",
            "model_type": "vision",
            "width": {"sam_vit_b": sam, **second_tower},
        },
    }


def _byte_vocab() -> dict[str, int]:
    from tokenizers.pre_tokenizers import ByteLevel

    return {symbol: FIRST_BYTE_ID + i for i, symbol in enumerate(sorted(ByteLevel.alphabet()))}


def _byte_symbol(character: str) -> str:
    from tokenizers.pre_tokenizers import ByteLevel

    [(symbol, _)] = ByteLevel(add_prefix_space=False).pre_tokenize_str(character)
    return symbol


def _write_tokenizer(folder: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer(BPE(vocab={**SPECIAL_TOKEN_IDS, **_byte_vocab()}, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = sorted(SPECIAL_TOKEN_IDS, key=SPECIAL_TOKEN_IDS.__getitem__)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in specials])
    tokenizer.post_processor = TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 0)])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD}
    _write_json(
        folder / "tokenizer_config.json",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": 8192,
            "tokenizer_class": "LlamaTokenizer",
            **names,
        },
    )
    _write_json(folder / "special_tokens_map.json", names)
    _write_json(
        folder / "processor_config.json", {"processor_class": "DeepseekVLV2Processor", "patch_size": 16}
    )


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# --- weights -----------------------------------------------------------------------------------------


class _Weights:
    """Named bfloat16 tensors from one seeded generator."""

    def __init__(self, seed: int) -> None:
        import torch

        self.torch = torch
        self.generator = torch.Generator().manual_seed(seed)
        self.tensors: dict[str, Any] = {}

    def normal(self, name: str, *shape: int, std: float | None = None) -> None:
        fan_in = shape[-1] if len(shape) < 3 else shape[1] * shape[2] * shape[3]
        std = fan_in**-0.5 if std is None else std
        values = self.torch.randn(shape, generator=self.generator) * std
        self.tensors[name] = values.to(self.torch.bfloat16)

    def linear(self, name: str, outputs: int, inputs: int, *, bias: bool = True) -> None:
        self.normal(f"{name}.weight", outputs, inputs)
        if bias:
            self.normal(f"{name}.bias", outputs, std=0.02)

    def norm(self, name: str, width: int, *, bias: bool = True) -> None:
        self.tensors[f"{name}.weight"] = self.torch.ones(width, dtype=self.torch.bfloat16)
        if bias:
            self.normal(f"{name}.bias", width, std=0.02)


def _write_weights(
    folder: Path, family: Family, sizes: Sizes, seed: int, script: Mapping[str, Sequence[str]] | None
) -> None:
    from safetensors.torch import save_file

    weights = _Weights(seed)
    first = family == "deepseek-ocr"
    _sam(weights, sizes, 1024 if first else 896)
    if first:
        _clip(weights, sizes)
        weights.normal("model.image_newline", sizes.hidden, std=0.5)
    else:
        _qwen(weights, sizes)
    weights.linear("model.projector.layers", sizes.hidden, 2048 if first else 896)
    weights.normal("model.view_seperator", sizes.hidden, std=0.5)
    _decoder(weights, sizes)
    if script is not None:
        _follow(weights, sizes, script)
    save_file(weights.tensors, folder / "model-00001-of-000001.safetensors", metadata={"format": "pt"})


def _sam(weights: _Weights, sizes: Sizes, last_channels: int) -> None:
    prefix, width, head_dim = "model.sam_model", 768, 64
    weights.normal(f"{prefix}.patch_embed.proj.weight", width, 3, 16, 16)
    weights.normal(f"{prefix}.patch_embed.proj.bias", width, std=0.02)
    weights.normal(f"{prefix}.pos_embed", 1, 64, 64, width, std=0.2)
    for i in range(sizes.sam_layers):
        block = f"{prefix}.blocks.{i}"
        side = 64 if i in (2, 5, 8, 11) else 14
        weights.norm(f"{block}.norm1", width)
        weights.normal(f"{block}.attn.rel_pos_h", 2 * side - 1, head_dim, std=0.1)
        weights.normal(f"{block}.attn.rel_pos_w", 2 * side - 1, head_dim, std=0.1)
        weights.linear(f"{block}.attn.qkv", 3 * width, width)
        weights.linear(f"{block}.attn.proj", width, width)
        weights.norm(f"{block}.norm2", width)
        weights.linear(f"{block}.mlp.lin1", 4 * width, width)
        weights.linear(f"{block}.mlp.lin2", width, 4 * width)
    weights.normal(f"{prefix}.neck.0.weight", 256, width, 1, 1)
    weights.norm(f"{prefix}.neck.1", 256)
    weights.normal(f"{prefix}.neck.2.weight", 256, 256, 3, 3)
    weights.norm(f"{prefix}.neck.3", 256)
    weights.normal(f"{prefix}.net_2.weight", 512, 256, 3, 3)
    weights.normal(f"{prefix}.net_3.weight", last_channels, 512, 3, 3)


def _clip(weights: _Weights, sizes: Sizes) -> None:
    prefix, width = "model.vision_model", 1024
    weights.normal(f"{prefix}.embeddings.class_embedding", width, std=0.2)
    weights.normal(f"{prefix}.embeddings.patch_embedding.weight", width, 3, 14, 14)
    weights.normal(f"{prefix}.embeddings.position_embedding.weight", 257, width, std=0.2)
    weights.norm(f"{prefix}.pre_layrnorm", width)
    for i in range(sizes.clip_layers):
        layer = f"{prefix}.transformer.layers.{i}"
        weights.norm(f"{layer}.layer_norm1", width)
        weights.linear(f"{layer}.self_attn.qkv_proj", 3 * width, width)
        weights.linear(f"{layer}.self_attn.out_proj", width, width)
        weights.norm(f"{layer}.layer_norm2", width)
        weights.linear(f"{layer}.mlp.fc1", 4 * width, width)
        weights.linear(f"{layer}.mlp.fc2", width, 4 * width)


def _qwen(weights: _Weights, sizes: Sizes) -> None:
    """DeepSeek-OCR-2's second tower: a Qwen2 decoder, 896 wide, with learned queries per view size."""
    prefix, width, intermediate, kv_width = "model.qwen2_model", 896, 4864, 128
    for i in range(sizes.qwen_layers):
        layer = f"{prefix}.model.model.layers.{i}"
        weights.norm(f"{layer}.input_layernorm", width, bias=False)
        weights.linear(f"{layer}.self_attn.q_proj", width, width)
        weights.linear(f"{layer}.self_attn.k_proj", kv_width, width)
        weights.linear(f"{layer}.self_attn.v_proj", kv_width, width)
        weights.linear(f"{layer}.self_attn.o_proj", width, width, bias=False)
        weights.norm(f"{layer}.post_attention_layernorm", width, bias=False)
        weights.linear(f"{layer}.mlp.gate_proj", intermediate, width, bias=False)
        weights.linear(f"{layer}.mlp.up_proj", intermediate, width, bias=False)
        weights.linear(f"{layer}.mlp.down_proj", width, intermediate, bias=False)
    weights.norm(f"{prefix}.model.model.norm", width, bias=False)
    weights.normal(f"{prefix}.query_1024.weight", 256, width, std=0.2)
    weights.normal(f"{prefix}.query_768.weight", 144, width, std=0.2)


def _decoder(weights: _Weights, sizes: Sizes) -> None:
    hidden = sizes.hidden
    weights.normal("model.embed_tokens.weight", VOCAB_SIZE, hidden, std=0.5)
    for i in range(sizes.text_layers):
        layer = f"model.layers.{i}"
        weights.norm(f"{layer}.input_layernorm", hidden, bias=False)
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            weights.linear(f"{layer}.self_attn.{name}", hidden, hidden, bias=False)
        weights.norm(f"{layer}.post_attention_layernorm", hidden, bias=False)
        if i == 0:
            _mlp(weights, f"{layer}.mlp", hidden, sizes.intermediate)
            continue
        weights.normal(f"{layer}.mlp.gate.weight", sizes.experts, hidden)
        for expert in range(sizes.experts):
            _mlp(weights, f"{layer}.mlp.experts.{expert}", hidden, sizes.moe_intermediate)
        _mlp(weights, f"{layer}.mlp.shared_experts", hidden, 2 * sizes.moe_intermediate)
    weights.norm("model.norm", hidden, bias=False)
    weights.normal("lm_head.weight", VOCAB_SIZE, hidden)
    sayable = weights.torch.tensor([token_id(token) for token in SAYABLE])
    silent = weights.torch.ones(VOCAB_SIZE, dtype=weights.torch.bool)
    silent[sayable] = False
    weights.tensors["lm_head.weight"][silent] = 0  # a logit of 0 never wins


def _mlp(weights: _Weights, prefix: str, hidden: int, intermediate: int) -> None:
    weights.linear(f"{prefix}.gate_proj", intermediate, hidden, bias=False)
    weights.linear(f"{prefix}.up_proj", intermediate, hidden, bias=False)
    weights.linear(f"{prefix}.down_proj", hidden, intermediate, bias=False)


def _follow(weights: _Weights, sizes: Sizes, script: Mapping[str, Sequence[str]]) -> None:
    """Rewrite the decoder so that the last token alone decides the next, as the script says.

    With attention and experts silenced the last hidden state is the last token's embedding. Known
    tokens get one axis each, and the output row of a token has, on the axis of each predecessor, a
    weight that falls with the token's place among the successors.
    """
    for name, tensor in weights.tensors.items():
        if name.startswith("model.layers.") and name.endswith(("o_proj.weight", "down_proj.weight")):
            tensor.zero_()
    known = {token: i for i, token in enumerate([*SPECIAL_TOKEN_IDS, *map(chr, range(128))])}
    if len(known) > sizes.hidden:
        raise ValueError(f"a script needs hidden >= {len(known)}")
    embeddings, head = (weights.torch.zeros(VOCAB_SIZE, sizes.hidden) for _ in range(2))
    for token, axis in known.items():
        embeddings[token_id(token), axis] = 1
        for place, following in enumerate(script.get(token, EOS_ONLY)):
            head[token_id(following), axis] = 4 - place
    weights.tensors["model.embed_tokens.weight"] = embeddings.to(weights.torch.bfloat16)
    weights.tensors["lm_head.weight"] = head.to(weights.torch.bfloat16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", choices=("deepseek-ocr", "deepseek-ocr-2"), default="deepseek-ocr")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(make(arguments.folder, family=arguments.family, seed=arguments.seed))


if __name__ == "__main__":
    main()
