"""The networks that see a page's layout, from the files in `models`. Importing this module loads none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from airgap.core.errors import EngineUnavailable
from airgap.engines.ppocr.area_network import AreaNetwork
from airgap.engines.ppocr.formula_network import FormulaNetwork
from airgap.engines.ppocr.table_network import TableNetwork

MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True, slots=True)
class LayoutNetworks:
    """The networks, loaded. `formulas` is None where the site brought no such network."""

    areas: AreaNetwork
    tables: TableNetwork
    formulas: FormulaNetwork | None = None


def load_layout_networks(
    threads: int, folder: Path = MODELS, formula_model: Path | None = None
) -> LayoutNetworks:
    """Load and warm up the networks. Raises `EngineUnavailable` where a file is not as it should be.

    `formula_model`: the folder of one that reads formulas; raises `ConfigurationError` where it holds none.
    """
    formulas = FormulaNetwork(formula_model, threads) if formula_model is not None else None
    try:
        networks = LayoutNetworks(
            AreaNetwork(folder / "layout.xml", threads), TableNetwork(folder, threads), formulas
        )
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise EngineUnavailable(
            "The layout networks, which come with the server, are missing or damaged.",
            f"Restore the files in {folder}, or install the server again.",
        ) from error
    blank = np.full((320, 320, 3), 255, np.uint8)
    networks.areas.find(blank)
    networks.tables.plan(blank)
    return networks
