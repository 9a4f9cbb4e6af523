"""A picture of a formula → LaTeX, by an encoder-decoder that a site brings along.

The folder is what `optimum-cli export onnx --task image-to-text` writes of a VisionEncoderDecoder model: two
networks without a cache of past words, and the JSON files that say how pictures go in and words come out.
This module must not know which model it is, and runs no code of the folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airgap.core.errors import ConfigurationError
from airgap.engines.ppocr.formula_words import Vocabulary
from airgap.engines.ppocr.networks import Network
from airgap.layout.quads import Picture

ENCODER, DECODER = "encoder_model.onnx", "decoder_model.onnx"
FILES = (ENCODER, DECODER, "tokenizer.json", "preprocessor_config.json", "config.json")
OPTIONAL = "generation_config.json"
MAX_WORDS = 512
"""Words of an answer from which it is endless, where the model itself stops no earlier."""
MIN_CONFIDENCE = 0.5
"""Mean probability of the words below which an answer is not taken, as of a line's characters."""
REMEDY = (
    "Set FORMULA_MODEL_PATH to a folder with "
    + ", ".join(FILES)
    + ", as `optimum-cli export onnx --task image-to-text` writes them, or leave it unset: equations are "
    "then pictures."
)
_INPUTS = {"input_ids", "encoder_hidden_states", "encoder_attention_mask"}
_RESHAPING = ("do_pad", "do_thumbnail", "do_center_crop", "do_crop_margin", "do_align_long_axis")
_DELIMITERS = re.compile(r"^(?:\$\$?|\\\[|\\\()|(?:\$\$?|\\\]|\\\))$")


@dataclass(frozen=True, slots=True)
class Formula:
    """`latex`: without delimiters, on one line; `confidence`: mean probability of its words, 0..1."""

    latex: str
    confidence: float

    @property
    def is_sure(self) -> bool:
        """Whether it is well enough read, and well enough formed, to stand for the picture."""
        return bool(self.latex) and self.confidence >= MIN_CONFIDENCE and _is_balanced(self.latex)


@dataclass(frozen=True, slots=True)
class _Preparation:
    """How a picture becomes the encoder's input."""

    height: int
    width: int
    scale: float
    mean: NDArray[Any]
    deviation: NDArray[Any]

    def blob(self, picture: Picture) -> NDArray[Any]:
        """A BGR picture as (1, 3, height, width), float32."""
        import cv2

        small = cv2.resize(picture, (self.width, self.height), interpolation=cv2.INTER_AREA)
        values = (small[..., ::-1].astype(np.float32) * self.scale - self.mean) / self.deviation
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None], np.float32)


class FormulaNetwork:
    """Reads formulas; from any thread. Raises `ConfigurationError` for a folder that it cannot read with."""

    def __init__(self, folder: Path, threads: int) -> None:
        _check_files(folder)
        try:
            self._prepare = _preparation(_object(folder / "preprocessor_config.json"))
            self._words = Vocabulary(_object(folder / "tokenizer.json"))
            self._start, self._ends, self._limit = _generation(folder)
            self._encoder = Network(folder / ENCODER, threads, streams=1, exact=True)
            self._decoder = Network(folder / DECODER, threads, streams=1, exact=True)
            _check_names(self._encoder, self._decoder)
            next(self._write(self._see(np.full((32, 96, 3), 255, np.uint8))))
        except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
            raise ConfigurationError(
                f"FORMULA_MODEL_PATH ({folder}) holds no model that formulas can be read with: "
                f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[-1]}.",
                REMEDY,
            ) from error

    def read(self, picture: Picture, check: Callable[[], None]) -> Formula | None:
        """The formula that fills a BGR picture; None where the answer has no end. `check` may raise."""
        numbers: list[int] = []
        probabilities: list[float] = []
        for number, probability in self._write(self._see(picture)):
            check()
            probabilities.append(probability)
            if number in self._ends:
                latex = self._words.text(numbers)
                return Formula(_without_delimiters(latex), float(np.mean(probabilities)))
            numbers.append(number)
        return None

    def _see(self, picture: Picture) -> NDArray[Any]:
        blob = self._prepare.blob(picture)
        return self._encoder.answer({"pixel_values": blob}, "last_hidden_state", np.copy)

    def _write(self, seen: NDArray[Any]) -> Iterator[tuple[int, float]]:
        """Words, each the likeliest after those before it, with their probabilities."""
        given: dict[str, NDArray[Any]] = {"encoder_hidden_states": seen}
        if "encoder_attention_mask" in self._decoder.inputs:
            given["encoder_attention_mask"] = np.ones(seen.shape[:2], np.int64)
        numbers = [self._start]
        for _ in range(self._limit):
            given["input_ids"] = np.array([numbers], np.int64)
            number, probability = self._decoder.answer(given, "logits", _likeliest)
            yield number, probability
            numbers.append(number)


def files_of(folder: Path) -> list[Path]:
    """The files that formulas are read with. Raises `ConfigurationError` where one is missing."""
    _check_files(folder)
    return [path for name in (*FILES, OPTIONAL) if (path := folder / name).is_file()]


def _check_files(folder: Path) -> None:
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ConfigurationError(f"FORMULA_MODEL_PATH ({folder}) lacks {', '.join(missing)}.", REMEDY)


def _check_names(encoder: Network, decoder: Network) -> None:
    if encoder.inputs != {"pixel_values"}:
        raise ValueError(
            f"{ENCODER} asks for {', '.join(sorted(encoder.inputs))}, not for pixel_values alone"
        )
    if strangers := decoder.inputs - _INPUTS:
        raise ValueError(f"{DECODER} asks for {min(strangers)}: export it without a cache of past words")


def _object(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return found


def _preparation(said: dict[str, Any]) -> _Preparation:
    """What a preprocessor's configuration says, where it does no more than resize and normalise."""
    if other := [name for name in _RESHAPING if said.get(name)]:
        raise ValueError(f"preprocessor_config.json asks for {other[0]}, which is not done here")
    size = said["size"]
    height, width = (size["height"], size["width"]) if isinstance(size, dict) else (size, size)
    normalises = said.get("do_normalize", True)
    scale = float(said.get("rescale_factor", 1 / 255)) if said.get("do_rescale", True) else 1.0
    mean = np.array(said["image_mean"] if normalises else 0, np.float32)
    deviation = np.array(said["image_std"] if normalises else 1, np.float32)
    return _Preparation(int(height), int(width), scale, mean, deviation)


def _generation(folder: Path) -> tuple[int, frozenset[int], int]:
    """The word that an answer begins with, those that end it, and how many it may have."""
    config = _object(folder / "config.json")
    decoder = config.get("decoder") or {}
    generation = _object(folder / OPTIONAL) if (folder / OPTIONAL).is_file() else {}
    said = (generation, config, decoder)

    def first(*names: str) -> Any:
        return next((part[name] for name in names for part in said if part.get(name) is not None), None)

    start, ends = first("decoder_start_token_id", "bos_token_id"), first("eos_token_id")
    if start is None or ends is None:
        raise ValueError("neither file of the configuration says decoder_start_token_id and eos_token_id")
    limits = (MAX_WORDS, first("max_length"), first("max_position_embeddings"))
    limit = min(int(value) for value in limits if value is not None)
    return int(start), frozenset(map(int, ends if isinstance(ends, list) else [ends])), limit - 1


def _likeliest(logits: NDArray[Any]) -> tuple[int, float]:
    """The likeliest next word and its probability, from logits of shape (1, words, vocabulary)."""
    last = logits[0, -1].astype(np.float64)
    number = int(last.argmax())
    return number, float(1 / np.exp(last - last[number]).sum())


def _without_delimiters(latex: str) -> str:
    latex = " ".join(latex.split())
    while (shorter := _DELIMITERS.sub("", latex).strip()) != latex:
        latex = shorter
    return latex


def _is_balanced(latex: str) -> bool:
    """Whether its braces are paired and no dollar sign could end it."""
    depth = 0
    for mark in re.findall(r"\\.|[{}$]", latex):
        depth += {"{": 1, "}": -1}.get(mark, 0)
        if depth < 0 or mark == "$":
            return False
    return depth == 0
