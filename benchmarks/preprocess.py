"""Pages made ready for the model: ours against vLLM's own processor, in one run on the same cores.

.venv-vllm/bin/python -m benchmarks.preprocess [--data samples/eval] [--rounds 5]

Both are vLLM processors of the same registry and end with the inputs that cross to the engine's process:
upstream's does all its work in there, ours gets pages from `prepare`. What counts are the ratios of
processor time and of bytes; the two take turns, so that other load falls on both. torch has one thread,
as vLLM gives it for this work.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table

from airgap.engines.model_folder import verify
from airgap.engines.offline_environment import set_offline_environment
from airgap.engines.vllm.engine import VllmEngine
from airgap.engines.vllm.plugin import PLUGIN_NAME, SEARCH_PATH
from airgap.settings.engines import EngineSettings
from deepseek_ocr import IMAGE
from process.image_process import prepare
from tests import tiny_checkpoint

A4_AT_144_DPI = (1190, 1684)


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time in milliseconds and megabytes to the engine, per page."""

    milliseconds: float
    megabytes: float


def processors(folder: Path, dtype: str) -> tuple[Any, Any]:
    """`(ours, upstream's)` as vLLM makes them for an engine with this dtype."""
    from vllm.engine.arg_utils import EngineArgs
    from vllm.multimodal import MULTIMODAL_REGISTRY

    engine = VllmEngine(EngineSettings(model_path=folder, data_dir=folder.parent, torch_dtype=dtype))
    engine.folder = verify(folder)
    arguments = engine._engine_args()
    made = []
    alternatives: list[dict[str, Any]] = [arguments["hf_overrides"], {}]
    for overrides in alternatives:
        config = EngineArgs(**{**arguments, "hf_overrides": overrides}).create_model_config()
        made.append(MULTIMODAL_REGISTRY.create_processor(config))
    return made[0], made[1]


def inputs(processor: Any, page: Any) -> Any:
    """One page through vLLM's processing, with a name instead of a hash, as the engine does it."""
    from vllm.multimodal.parse import parse_mm_uuids

    items = processor.info.parse_mm_data({"image": [page]})
    return processor(f"{IMAGE}\nFree OCR.", items, parse_mm_uuids({"image": ["page"]}))


def tensor_bytes(rendered: Any) -> int:
    (item,) = rendered["mm_kwargs"]["image"]
    return sum(tensor.nbytes for tensor in item.get_data().values())


def timed(run: Callable[[], Any]) -> Cost:
    started = time.process_time()
    rendered = run()
    return Cost(1000 * (time.process_time() - started), tensor_bytes(rendered) / 1e6)


def compare(ours: Any, upstream: Any, page: Image.Image, rounds: int) -> tuple[Cost, Cost]:
    """Medians over the rounds, after one that does not count."""
    turns = [
        (timed(lambda: inputs(ours, prepare(page, "gundam"))), timed(lambda: inputs(upstream, page)))
        for _ in range(rounds + 1)
    ][1:]
    first, second = (
        Cost(median(cost.milliseconds for cost in costs), costs[0].megabytes)
        for costs in zip(*turns, strict=True)
    )
    return first, second


def pages(data: Path) -> Iterator[tuple[str, Image.Image]]:
    for path in sorted(data.glob("*.png")):
        with Image.open(path) as picture:
            page = picture.convert("RGB")
        yield f"{path.stem} {page.width}×{page.height}", page
    page = page.resize(A4_AT_144_DPI)
    yield "A4 at 144 dpi, grey", page.convert("L").convert("RGB")
    page.paste("red", (0, 0, 64, 64))
    yield "A4 at 144 dpi, with colour", page


def mean(costs: list[tuple[Cost, Cost]]) -> tuple[Cost, Cost]:
    """The mean page of a kind, ours and upstream's."""
    first, second = (
        Cost(fmean(cost.milliseconds for cost in side), fmean(cost.megabytes for cost in side))
        for side in zip(*costs, strict=True)
    )
    return first, second


def report(dtype: str, rows: list[tuple[str, bool, Cost, Cost]]) -> Table:
    """A line per page (name, whether without colour, costs), and one per kind: the mean page."""
    table = Table(title=f"gundam, engine in {dtype}")
    for heading in ("page", "ours ms", "vLLM ms", "ratio", "ours MB", "vLLM MB", "ratio"):
        table.add_column(heading, justify="left" if heading == "page" else "right")

    def add(name: str, ours: Cost, theirs: Cost) -> None:
        table.add_row(
            name,
            f"{ours.milliseconds:.1f}",
            f"{theirs.milliseconds:.1f}",
            f"{ours.milliseconds / theirs.milliseconds:.2f}",
            f"{ours.megabytes:.1f}",
            f"{theirs.megabytes:.1f}",
            f"{ours.megabytes / theirs.megabytes:.2f}",
        )

    for name, _, ours, theirs in rows:
        add(name, ours, theirs)
    for kind, chosen in (
        ("without colour", (True,)),
        ("with colour", (False,)),
        ("all pages", (True, False)),
    ):
        table.add_section()
        add(kind, *mean([(ours, theirs) for _, grey, ours, theirs in rows if grey in chosen]))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("samples/eval"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        set_offline_environment(Path(scratch), search_path=SEARCH_PATH, plugins=[PLUGIN_NAME])
        importlib.import_module("torch").set_num_threads(1)
        folder = tiny_checkpoint.make(Path(scratch) / "model", weights=True)
        for dtype in ("fp32", "bf16"):
            ours, upstream = processors(folder, dtype)
            rows = [
                (name, prepare(page, "tiny").grey, *compare(ours, upstream, page, options.rounds))
                for name, page in pages(options.data)
            ]
            Console().print(report(dtype, rows))


if __name__ == "__main__":
    main()
