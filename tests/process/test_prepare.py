"""`prepare` gives what DeepSeek's own preprocessing gives, on every recorded case."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deepseek_ocr import MODES, ModeSpec
from process.image_process import Prepared, prepare

RECORDS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "reference" / "preprocess.json").read_text()
)


def formula(width: int, height: int) -> Image.Image:
    """The picture of the records."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([7 * x + 13 * y, 3 * x + 5 * y, x * y], -1).astype(np.uint8))


def normalised(views: np.ndarray) -> np.ndarray:
    return (views.astype(np.float32) / 255 - 0.5) / 0.5


def name(record: dict[str, Any]) -> str:
    return f"{record['mode']}-{record['width']}x{record['height']}"


def prepared(record: dict[str, Any]) -> Prepared:
    spec = ModeSpec(record["base_size"], record["image_size"], record["crop"])
    return prepare(formula(record["width"], record["height"]), spec, max_crops=record["max_crops"])


@pytest.mark.parametrize("record", RECORDS, ids=name)
def test_agrees_with_the_authors(record: dict[str, Any]) -> None:
    page = prepared(record)
    assert page.grid == tuple(record["tiles"])
    assert page.num_image_tokens == record["num_image_tokens"]
    view = normalised(page.global_view)
    assert list(view.shape) == [*record["global_shape"][2:], 3]
    assert view.mean() == pytest.approx(record["global_mean"], abs=1e-3)
    assert view.std(ddof=1) == pytest.approx(record["global_std"], abs=1e-3)
    for channel, row, column, value in record["global_probe"]:
        assert view[row, column, channel] == pytest.approx(value, abs=0.02)
    tiles = normalised(page.tiles)
    assert len(tiles) == len(record.get("tile_mean", ()))
    assert [tile.mean() for tile in tiles] == pytest.approx(record.get("tile_mean", []), abs=1e-3)
    for tile, channel, row, column, value in record.get("tile_probe", ()):
        assert tiles[tile][row, column, channel] == pytest.approx(value, abs=0.02)


def test_the_records_cover_every_mode_and_tiling() -> None:
    assert {record["mode"] for record in RECORDS} >= set(MODES)
    assert any(record.get("tile_mean") for record in RECORDS)


def test_pixels_are_contiguous_bytes() -> None:
    page = prepare(formula(1240, 1754), "gundam")
    assert page.global_view.dtype == page.tiles.dtype == np.uint8
    assert page.global_view.flags.c_contiguous
    assert page.tiles.flags.c_contiguous
    assert page.global_view.flags.writeable
    assert prepare(formula(640, 3840), "gundam").tiles.flags.writeable
    assert page.nbytes == 1024 * 1024 * 3 + 6 * 640 * 640 * 3


@pytest.mark.parametrize("size", [(4, 32000), (32000, 4), (1, 30000), (5000, 2)])
@pytest.mark.parametrize("mode", MODES)
def test_slivers_are_prepared_too(size: tuple[int, int], mode: Any) -> None:
    page = prepare(Image.new("RGB", size, "white"), mode)
    assert page.global_view.shape == (MODES[mode].base_size,) * 2 + (3,)
    assert page.global_view.max() == 255


def test_threads_do_not_disturb_each_other() -> None:
    pages = [formula(900 + 10 * i, 700) for i in range(8)]
    alone = [prepare(page, "gundam") for page in pages]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda page: prepare(page, "gundam"), pages))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.global_view, other.global_view)
        assert np.array_equal(one.tiles, other.tiles)
