"""Imports point down; no module loads what is heavy; names come from nowhere else."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache

from tests.architecture import ROOMS, ROOT, arrows, imported, modules, room_of

MODULES = modules()
TOP_LEVEL = {"airgap", "process"} | {room for room in ROOMS if "." not in room}
HEAVY = {
    "torch",
    "vllm",
    "transformers",
    "onnxruntime",
    "openvino",
    "cv2",
    "pymupdf",
    "tesserocr",
    "rapidocr",
    "ocrmypdf",
}


@cache
def trees() -> dict[str, ast.Module]:
    return {module: ast.parse(path.read_text()) for module, path in MODULES.items()}


def test_imports_point_down() -> None:
    for module, path in MODULES.items():
        room = room_of(module)
        assert room or module == "airgap", f"{module} belongs to no room: which is it in?"
        for other in imported(path, MODULES) if room else ():
            other_room = room_of(other)
            assert other_room is not None
            assert ROOMS.index(other_room) <= ROOMS.index(room), f"{module} imports {other}, above it"


def test_every_room_is_there_and_only_the_rooms_are_importable() -> None:
    assert set(arrows()) == {room for module in MODULES if (room := room_of(module))}
    assert {module.split(".")[0] for module in MODULES} == TOP_LEVEL


def test_no_relative_imports() -> None:
    for module, tree in trees().items():
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{module} imports relatively"


def test_importing_the_server_loads_nothing_heavy() -> None:
    code = f"import sys, serve_ocr, ocr_routes, pdf_routes, batch_routes; print({HEAVY!r} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


def test_every_module_says_what_it_is() -> None:
    for module, tree in trees().items():
        assert ast.get_docstring(tree) or not MODULES[module].read_text().strip(), f"{module} says nothing"


def test_nothing_is_evaluated() -> None:
    for module, tree in trees().items():
        for node in ast.walk(tree):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id
            assert called not in ("eval", "exec"), f"{module} calls {called}"
