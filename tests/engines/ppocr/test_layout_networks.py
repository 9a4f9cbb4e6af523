"""The layout networks on a page that is drawn here, and their files."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from airgap.core.errors import EngineUnavailable
from airgap.engines.ppocr.area_network import suppressed
from airgap.engines.ppocr.layout_networks import MODELS, LayoutNetworks, load_layout_networks
from airgap.layout.areas import Area
from airgap.layout.quads import Picture

SAMPLES = Path(__file__).resolve().parents[3] / "samples"


@pytest.fixture(scope="module")
def networks() -> LayoutNetworks:
    return load_layout_networks(2)


@pytest.fixture(scope="module")
def page() -> Picture:
    """A page with a heading, a table of six columns, a figure and text."""
    picture = cv2.imread(str(SAMPLES / "table.png"))
    assert picture is not None
    return picture


def test_the_areas_of_a_page(networks: LayoutNetworks, page: Picture) -> None:
    areas = networks.areas.find(page)
    labels = [area.label for area in areas]
    assert labels.count("table") == 1
    assert {"title", "text", "figure"} <= set(labels)
    height, width = page.shape[:2]
    for area in areas:
        x0, y0, x1, y1 = area.place
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert 0.5 <= area.score <= 1


def test_a_blank_page_has_no_areas(networks: LayoutNetworks) -> None:
    assert networks.areas.find(np.full((900, 700, 3), 255, np.uint8)) == []


def test_the_plan_of_a_table(networks: LayoutNetworks) -> None:
    """Rules at every cell, words in each, and a heading over two columns."""
    picture = np.full((260, 640, 3), 255, np.uint8)
    for y in range(10, 251, 40):
        cv2.line(picture, (10, y), (630, y), (0, 0, 0), 1)
    for x in range(10, 631, 155):
        cv2.line(picture, (x, 10), (x, 250), (0, 0, 0), 1)
    for row in range(6):
        for column in range(4):
            place = (25 + 155 * column, 37 + 40 * row)
            cv2.putText(picture, f"cell {row}{column}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1)
    plan = networks.tables.plan(picture)
    assert (plan.rows, plan.columns) == (6, 4)
    assert plan.confidence > 0.9
    assert len(plan.cells) == 24
    first, last = plan.cells[0], plan.cells[-1]
    assert (last.row, last.column) == (5, 3)
    assert first.place[0] < 160 < last.place[0]
    assert first.place[1] < 50 < last.place[1]


def test_of_two_areas_in_one_place_the_surer_stays() -> None:
    sure, other = Area("table", 0.9, (0, 0, 100, 100)), Area("figure", 0.6, (5, 0, 100, 100))
    apart = Area("text", 0.5, (0, 200, 100, 300))
    assert suppressed([other, apart, sure]) == [sure, apart]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    shutil.copytree(MODELS, tmp_path, dirs_exist_ok=True)
    (tmp_path / "layout.bin").unlink()
    with pytest.raises(EngineUnavailable, match="layout networks"):
        load_layout_networks(1, tmp_path)


def test_the_files_are_those_that_the_note_names() -> None:
    note = (MODELS / "README.md").read_text()
    for path in sorted(MODELS.iterdir()):
        if path.suffix != ".md":
            assert hashlib.sha256(path.read_bytes()).hexdigest() in note, path.name
