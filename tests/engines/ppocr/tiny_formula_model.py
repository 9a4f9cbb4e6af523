"""A model of formulas in the folder that exporters write: two networks of a few numbers, their answer known.

The encoder gives the mean of the picture, 1 for white and -1 for black. The decoder looks up which word
follows the last one, on a light picture and on a dark one, and is as sure of it as `certainty` says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 16
WORDS = ["<s>", "</s>", "E", "=", "<", "m", "c", "^{2}"]
ANSWER = ["E", "=", "m", "c", "^{2}", "</s>"]
"""On a light picture; on a dark one `<` stands in place of `=`."""


def write(
    folder: Path, answer: Sequence[str] = ANSWER, words: Sequence[str] = WORDS, certainty: float = 20
) -> Path:
    """Write the model into a folder. `answer`: words, each at most once; an endless one has no `</s>`."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(_encoder(), folder / "encoder_model.onnx")
    _save(_decoder(answer, words, certainty), folder / "decoder_model.onnx")
    vocabulary = {"type": "WordLevel", "vocab": {word: number for number, word in enumerate(words)}}
    special = [{"id": number, "content": words[number], "special": True} for number in (0, 1)]
    files = {
        "tokenizer.json": {"model": vocabulary, "added_tokens": special, "decoder": None},
        "preprocessor_config.json": {
            "size": {"height": SIDE, "width": SIDE},
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
        "config.json": {"decoder": {"decoder_start_token_id": 0, "eos_token_id": 1}},
    }
    for name, said in files.items():
        (folder / name).write_text(json.dumps(said))
    return folder


def change(folder: Path, name: str, **said: object) -> None:
    """Say something else in one of the folder's JSON files."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | said))


def _encoder() -> onnx.GraphProto:
    axes = numpy_helper.from_array(np.array([1, 2, 3]), "axes")
    shape = numpy_helper.from_array(np.array([1, 1, 1]), "shape")
    return helper.make_graph(
        [
            helper.make_node("ReduceMean", ["pixel_values", "axes"], ["mean"]),
            helper.make_node("Reshape", ["mean", "shape"], ["last_hidden_state"]),
        ],
        "encoder",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [1, 1, 1])],
        [axes, shape],
    )


def _decoder(answer: Sequence[str], words: Sequence[str], certainty: float) -> onnx.GraphProto:
    always = np.zeros((len(words), len(words)), np.float32)
    by_light = np.zeros_like(always)
    pairs = list(zip([words[0], *answer], answer, strict=False))
    if answer[-1] != words[1]:
        pairs.append((answer[-1], answer[0]))
    for last, following in pairs:
        always[words.index(last), words.index(following)] = certainty
    if "=" in answer:
        before = words.index("E")
        always[before, :] = 0
        by_light[before, words.index("=")], by_light[before, words.index("<")] = certainty, -certainty
        always[words.index("<")] = always[words.index("=")]
    return helper.make_graph(
        [
            helper.make_node("Gather", ["always", "input_ids"], ["first"]),
            helper.make_node("Gather", ["by_light", "input_ids"], ["second"]),
            helper.make_node("Mul", ["second", "encoder_hidden_states"], ["lit"]),
            helper.make_node("Add", ["first", "lit"], ["logits"]),
        ],
        "decoder",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "words"]),
            helper.make_tensor_value_info("encoder_hidden_states", TensorProto.FLOAT, ["batch", "places", 1]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "words", len(words)])],
        [numpy_helper.from_array(always, "always"), numpy_helper.from_array(by_light, "by_light")],
    )


def _save(graph: onnx.GraphProto, path: Path) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
