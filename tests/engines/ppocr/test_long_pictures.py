"""Long pictures are parted between their lines, and are themselves again when put together."""

from __future__ import annotations

import numpy as np
import pytest

from airgap.engines.ppocr.long_pictures import SHORTEST_PART, parts


def receipt(height: int, pitch: int = 70, width: int = 700) -> np.ndarray:
    """Rows of strokes, 30 pixels high each."""
    picture = np.full((height, width, 3), 255, np.uint8)
    for top in range(20, height - 40, pitch):
        picture[top : top + 30, 30:600:9] = 0
    return picture


@pytest.mark.parametrize("lying", [False, True])
def test_a_receipt_is_parted_between_its_lines(lying: bool) -> None:
    whole = receipt(9000)
    picture = np.ascontiguousarray(whole.transpose(1, 0, 2)) if lying else whole
    found = list(parts(picture))
    assert len(found) > 5
    assert max(max(part.shape) for _, part in found) <= 2 * SHORTEST_PART
    assert np.array_equal(np.concatenate([part for _, part in found], axis=1 if lying else 0), picture)
    for (left, top), _ in found[1:]:
        assert (whole[left + top] == 255).all()


@pytest.mark.parametrize("size", [(1684, 1190), (2240, 300), (60, 20000), (6000, 4000)])
def test_other_pictures_stay_whole(size: tuple[int, int]) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    ((start, part),) = parts(picture)
    assert start == (0, 0)
    assert part is picture
