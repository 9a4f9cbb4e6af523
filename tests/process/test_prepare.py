"""`prepare` gives what DeepSeek's own preprocessing gives, on every recorded case."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import cache
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


@cache
def formula(width: int, height: int) -> Image.Image:
    """The picture of the records."""
    y, x = np.ogrid[:height, :width]
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = (
        value & 255 for value in (7 * x + 13 * y, 3 * x + 5 * y, x * y)
    )
    return Image.fromarray(pixels)


def normalised(value: float) -> float:
    """`(v / 255 - 0.5) / 0.5` of a pixel, or of the mean of pixels."""
    return float(value) / 127.5 - 1


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
    view = page.global_view
    assert list(view.shape) == [*record["global_shape"][2:], 3]
    assert normalised(view.mean()) == pytest.approx(record["global_mean"], abs=1e-3)
    assert view.std(ddof=1, dtype=np.float32) / 127.5 == pytest.approx(record["global_std"], abs=1e-3)
    for channel, row, column, value in record["global_probe"]:
        assert normalised(view[row, column, channel]) == pytest.approx(value, abs=0.02)
    tiles = page.tiles
    assert len(tiles) == len(record.get("tile_mean", ()))
    assert [normalised(tile.mean()) for tile in tiles] == pytest.approx(record.get("tile_mean", []), abs=1e-3)
    for tile, channel, row, column, value in record.get("tile_probe", ()):
        assert normalised(tiles[tile, row, column, channel]) == pytest.approx(value, abs=0.02)


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


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(500, 620), (1240, 1754)])
def test_a_page_without_colour_is_prepared_as_any_other(mode: Any, size: tuple[int, int]) -> None:
    page = formula(*size).convert("L").convert("RGB")
    coloured = page.copy()
    coloured.putpixel((size[0] - 1, size[1] - 1), (0, 0, 255))
    fast, slow = prepare(page, mode), prepare(coloured, mode)
    assert fast.grey
    assert not slow.grey
    assert fast.nbytes * 3 == slow.nbytes == sum(part.nbytes for part in slow.packed())
    for one, other in zip(fast.packed(), slow.packed(), strict=True):
        assert one.shape == (*other.shape[:-1], 1)
        assert one.flags.c_contiguous
    assert fast.global_view.shape == slow.global_view.shape
    assert fast.tiles.shape == slow.tiles.shape
    assert np.array_equal(fast.global_view[:-40, :-40], slow.global_view[:-40, :-40])
    assert np.array_equal(fast.tiles[:-1], slow.tiles[:-1])


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
