"""The native model against the authors' formulae written down plainly: logits of every position."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airgap.core.document import Mode, ReadOptions
from airgap.engines.model_folder import verify
from tests import tiny_checkpoint
from tests.vllm.conftest import page

SMALL, LARGE = (500, 400), (1300, 700)
CASES: list[tuple[Mode, tuple[int, int], int]] = [
    ("tiny", LARGE, 0),
    ("small", LARGE, 0),
    ("base", LARGE, 0),
    ("large", LARGE, 0),
    ("gundam", SMALL, 0),
    ("gundam", LARGE, 2),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The native model, and the formulae over the same file."""
    import torch
    from safetensors.torch import load_file

    from airgap.engines.transformers.models import DeepseekDecoder, Placement
    from tests.transformers.plain_deepseek_ocr import PlainDeepseekOcr

    folder = tiny_checkpoint.make(tmp_path_factory.mktemp("model") / "tiny", seed=1)
    placement = Placement(torch.device("cpu"), torch.float32, torch.float32)
    tensors = load_file(folder / "model-00001-of-000001.safetensors")
    config = json.loads((folder / "config.json").read_text())
    decoder = DeepseekDecoder(verify(folder), placement, max_crops=6)
    return decoder, PlainDeepseekOcr(tensors, config)


@pytest.mark.parametrize(("mode", "size", "tiles"), CASES)
def test_features_and_logits_agree(
    both: tuple[Any, Any], mode: Mode, size: tuple[int, int], tiles: int
) -> None:
    import torch

    decoder, formulae = both
    inputs = decoder.inputs(page(*size), ReadOptions(prompt="Free OCR.", mode=mode))
    assert len(inputs.page.tiles) == tiles
    with torch.inference_mode():
        (features,) = decoder.encode([inputs])
        ours = decoder.prefill(inputs, features).logits
        plain_features = formulae.features(inputs.page)
        theirs = formulae.logits(inputs.ids, plain_features)[-1]
    assert features.shape == plain_features.shape
    assert (features - plain_features).abs().max() < 1e-3
    assert (ours - theirs).abs().max() < 1e-3
    assert ours.argmax() == theirs.argmax()
