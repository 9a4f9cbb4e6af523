"""Networks that remember: what they were asked before is answered from memory, to measure layout alone.

The answers are kept in a file that this machine wrote, read with pickle: use none that came from elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from airgap.engines.ppocr.area_network import AreaNetwork
from airgap.engines.ppocr.networks import TextDetector, TextRecognizer
from airgap.engines.ppocr.scripts import Tesseract
from airgap.engines.ppocr.table_network import TableNetwork

REMEMBERED = (
    (TextDetector, "detect"),
    (TextRecognizer, "read"),
    (AreaNetwork, "find"),
    (TableNetwork, "plan"),
    (Tesseract, "detect_orientation"),
    (Tesseract, "detect_script"),
    (Tesseract, "read"),
)


@contextlib.contextmanager
def remembered(path: Path | None = None) -> Iterator[None]:
    """Within it, each network answers a picture that it has seen from memory; from `path`, too, if given."""
    answers: dict[str, Any] = pickle.loads(path.read_bytes()) if path and path.is_file() else {}  # noqa: S301
    before = [(owner, name, getattr(owner, name)) for owner, name in REMEMBERED]
    for owner, name, method in before:
        setattr(owner, name, _remembering(f"{owner.__name__}.{name}", method, answers))
    known = len(answers)
    try:
        yield
    finally:
        for owner, name, method in before:
            setattr(owner, name, method)
        if path and len(answers) > known:
            path.write_bytes(pickle.dumps(answers))


def _remembering(name: str, method: Callable[..., Any], answers: dict[str, Any]) -> Callable[..., Any]:
    def asked(self: Any, *given: Any, **more: Any) -> Any:
        key = _key(name, (*given, *sorted(more.items())))
        if key not in answers:
            answers[key] = method(self, *given, **more)
        return answers[key]

    return asked


def _key(name: str, given: Any) -> str:
    digest = hashlib.sha256(name.encode())
    _feed(digest, given)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        digest.update(repr((value.shape, value.dtype)).encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, list | tuple):
        digest.update(b"[")
        for member in value:
            _feed(digest, member)
        digest.update(b"]")
    else:
        digest.update(repr(value).encode())
