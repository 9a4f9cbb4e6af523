"""The networks that see a page's layout, from the files in `models`. Importing this module loads none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from airgap.core.errors import EngineUnavailable
from airgap.engines.ppocr.area_network import AreaNetwork
from airgap.engines.ppocr.table_network import TableNetwork

MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True, slots=True)
class LayoutNetworks:
    """Both networks, loaded."""

    areas: AreaNetwork
    tables: TableNetwork


def load_layout_networks(threads: int, folder: Path = MODELS) -> LayoutNetworks:
    """Load and warm up both networks. Raises `EngineUnavailable` where a file is not as it should be."""
    try:
        networks = LayoutNetworks(AreaNetwork(folder / "layout.xml", threads), TableNetwork(folder, threads))
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise EngineUnavailable(
            "The layout networks, which come with the server, are missing or damaged.",
            f"Restore the files in {folder}, or install the server again.",
        ) from error
    blank = np.full((320, 320, 3), 255, np.uint8)
    networks.areas.find(blank)
    networks.tables.plan(blank)
    return networks
