"""Declare torchvision's operators where its compiled library does not load.

The torchvision on the package index is built for CUDA. Next to a CPU build of torch its library is
skipped, and importing torchvision then stops at `operator torchvision::nms does not exist`. vLLM's
DeepSeek-OCR needs `torchvision.transforms` alone, no operator, so naming the operators is enough.

`setup_env.sh` copies this file into the test environment and imports it from a `.pth` file, so that
vLLM's engine process has it too. Nothing of the product knows of it.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
"""The operators that torchvision 0.28 registers fakes for without asking whether they exist
(`torchvision/_meta_registrations.py`)."""


class _DeclareBeforeTorchvision(importlib.abc.MetaPathFinder):
    """Runs once, when torchvision is first looked for; torch is not imported before that."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            declare()
        return None


def declare() -> None:
    import torch
    from torch import library

    if torch.version.cuda is not None:
        return
    operators = library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        operators.define(schema)
    globals()["_operators"] = operators  # the operators live as long as this object


sys.meta_path.insert(0, _DeclareBeforeTorchvision())
