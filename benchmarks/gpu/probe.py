"""What is timed inside the engine's process: the vision towers, and whether a batch is what its parts are."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

ROUNDS = 8


def probe(worker: Any) -> dict[str, Any]:
    """Milliseconds of one pass: a page in base mode, one in gundam mode (a view of 1024, six of 640), 8."""
    import torch

    model = worker.model_runner.model
    device = next(model.parameters()).device
    cuda = device.type == "cuda"
    cases = (
        {"base_1": (1, 0), "gundam_1": (1, 6), "base_8": (8, 0), "gundam_8": (8, 48)}
        if cuda
        else {"tiny_1": (0, 1)}
    )
    found: dict[str, Any] = {"model": type(model).__name__, "runner": type(worker.model_runner).__module__}
    with torch.inference_mode():
        for name, (whole, tiles) in cases.items():
            batch = [*_views(1024, whole, device), *_views(640 if cuda else 512, tiles, device)]
            found[f"towers_ms_{name}"] = _timed(partial(model.encode_views, batch), cuda)
        found |= _batch_against_single(model, _views(640 if cuda else 512, 4, device))
    if cuda:
        found["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return found


def _views(side: int, count: int, device: Any) -> list[Any]:
    import torch

    generator = torch.Generator().manual_seed(side)
    shape = (side, side, 3)
    made = (torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8) for _ in range(count))
    return [view.to(device) for view in made]


def _timed(run: Callable[[], Any], cuda: bool) -> float:
    import torch

    times = []
    for _ in range(ROUNDS + 2 if cuda else 1):
        at = time.perf_counter()
        run()
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - at)
    return round(1000 * sorted(times[-ROUNDS:])[len(times[-ROUNDS:]) // 2], 2)


def _batch_against_single(model: Any, views: list[Any]) -> dict[str, Any]:
    import torch

    together = model.encode_views(views)
    alone = [model.encode_views([view])[0] for view in views]
    errors = [
        float((a.float() - b.float()).norm() / b.float().norm()) for a, b in zip(together, alone, strict=True)
    ]
    return {
        "batch_against_single": max(errors),
        "finite": all(bool(torch.isfinite(t).all()) for t in together),
    }
