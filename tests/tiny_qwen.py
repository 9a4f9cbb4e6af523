"""Make a small Qwen-VL checkpoint: the real architecture, random weights, a byte tokenizer.

python -m tests.tiny_qwen FOLDER [--version 2|2.5|3]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from airgap.models import qwen_vl

SPECIALS = (
    qwen_vl.END_OF_TEXT,
    qwen_vl.IM_START,
    qwen_vl.IM_END,
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
VOCAB_SIZE = 512
IDS = {token: 256 + i for i, token in enumerate(SPECIALS)}
SAYABLE = tuple(map(chr, range(33, 127)))
"""What the random weights can say."""


def make(folder: Path, version: qwen_vl.Version = "2", seed: int = 0) -> Path:
    """Write the checkpoint into `folder` and return it."""
    import torch
    from transformers import AutoModelForImageTextToText

    folder.mkdir(parents=True, exist_ok=True)
    vocab = _tokenizer(folder)
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(_config(version))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=parameter.shape[-1] ** -0.5 if "embed" not in name else 0.5)
        silent = torch.ones(VOCAB_SIZE, dtype=torch.bool)
        silent[[vocab[character] for character in SAYABLE]] = False
        model.lm_head.weight[silent] = 0
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_preprocessor(version), indent=1))
    return folder


def _config(version: qwen_vl.Version) -> Any:
    from transformers import AutoConfig

    text = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 8192,
        "bos_token_id": IDS[qwen_vl.END_OF_TEXT],
        "eos_token_id": IDS[qwen_vl.IM_END],
        "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]},
    }
    patch = 16 if version == "3" else 14
    vision: dict[str, Any] = {"depth": 2, "num_heads": 2, "patch_size": patch, "spatial_merge_size": 2}
    if version == "2":
        vision |= {"embed_dim": 64, "hidden_size": 128, "mlp_ratio": 2}
    else:
        vision |= {"hidden_size": 64, "out_hidden_size": 128, "intermediate_size": 128}
    if version == "2.5":
        vision |= {"fullatt_block_indexes": [1], "window_size": 112}
    if version == "3":
        vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 256}
        text |= {"head_dim": 64}
        text["rope_parameters"] = text["rope_parameters"] | {"mrope_interleaved": True}  # type: ignore[operator]
    return AutoConfig.for_model(
        qwen_vl.MODEL_TYPES[version],
        text_config=text,
        vision_config=vision,
        image_token_id=IDS["<|image_pad|>"],
        video_token_id=IDS["<|video_pad|>"],
        vision_start_token_id=IDS["<|vision_start|>"],
        vision_end_token_id=IDS["<|vision_end|>"],
        tie_word_embeddings=False,
    )


def _preprocessor(version: qwen_vl.Version) -> dict[str, Any]:
    side = 32 if version == "3" else 28
    return {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen3VLProcessor" if version == "3" else "Qwen2VLProcessor",
        "patch_size": side // 2,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "min_pixels": 4 * side * side,
        "max_pixels": 64 * side * side,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }


def _tokenizer(folder: Path) -> dict[str, int]:
    from tokenizers import AddedToken, Tokenizer, decoders
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel

    vocab = {symbol: i for i, symbol in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = Tokenizer(BPE(vocab={**vocab, **IDS}, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIALS])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "Qwen2Tokenizer",
                "eos_token": qwen_vl.IM_END,
                "pad_token": qwen_vl.END_OF_TEXT,
                "model_max_length": 8192,
                "additional_special_tokens": list(SPECIALS[1:]),
            },
            indent=1,
        )
    )
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return vocab


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", choices=("2", "2.5", "3"), default="2")
    arguments = parser.parse_args()
    print(make(arguments.folder, arguments.version))
