"""Imports point down; no module loads what is heavy; names come from nowhere else."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the bottom up; a module may import from its own layer only where the layer says so.
LAYERS: list[tuple[str, ...]] = [
    ("errors", "document", "version", "monitoring"),
    ("config", "deepseek_ocr", "deepseek_grammar", "deepseek_geometry", "qwen_vl", "process.sniff"),
    (
        "process.image_process",
        "process.ngram_norepeat",
        "process.ngram_vllm",
        "process.ngram_transformers",
        "process.loop_guard",
    ),
    ("engines",),
    ("process", "exporters"),
    ("ocr_utils", "http_edge", "ocr_client", "accounts", "jobs"),
    (
        "ocr_routes",
        "pdf_routes",
        "batch_routes",
        "jobs_routes",
        "system_routes",
        "export_routes",
        "web_routes",
        "dialects",
    ),
    ("serve_ocr",),
    ("cli", "ocr_cli", "test_ocr"),
]
SIBLINGS = {"process", "exporters"}  # of one layer, and strangers to each other
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


NOT_THE_PRODUCT = {"tests", "benchmarks", "build", "deploy"}


def modules() -> dict[str, Path]:
    """Every module of the product, by its dotted name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        relative = path.relative_to(ROOT)
        if relative.parts[0].startswith(".") or relative.parts[0] in {
            "tests",
            "benchmarks",
            "build",
            "deploy",
            "web",
        }:
            continue
        name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        found[name] = path
    return found


MODULES = modules()


def layer_of(module: str) -> int:
    """The layer of the longest name that fits."""
    fits = [
        (len(name), level)
        for level, names in enumerate(LAYERS)
        for name in names
        if module == name or module.startswith(f"{name}.")
    ]
    assert fits, f"{module} belongs to no layer: which room is it in?"
    return max(fits)[1]


def imported(path: Path) -> set[str]:
    """The project's own modules that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names & MODULES.keys()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down(module: str) -> None:
    for other in imported(MODULES[module]):
        assert layer_of(other) <= layer_of(module), f"{module} imports {other}, which stands above it"
        room, other_room = module.split(".")[0], other.split(".")[0]
        if room != other_room and {room, other_room} <= SIBLINGS:
            assert layer_of(other) < layer_of(module), f"{module} imports its sibling {other}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_relative_imports(module: str) -> None:
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{module} imports relatively"


def test_importing_the_server_loads_nothing_heavy() -> None:
    code = f"import sys, serve_ocr, ocr_routes, pdf_routes, batch_routes; print({HEAVY!r} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_says_what_it_is(module: str) -> None:
    assert (
        ast.get_docstring(ast.parse(MODULES[module].read_text())) or not MODULES[module].read_text().strip()
    )


@pytest.mark.parametrize("name", ["eval", "exec"])
def test_nothing_is_evaluated(name: str) -> None:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id
            assert called != name, f"{module} calls {name}"
