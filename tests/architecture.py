"""The house as its imports draw it.

    python -m tests.architecture --print

prints each room with the rooms it imports, from the top down. `ROOMS` is the agreed order: a room may
import those before it, and nothing after it.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

ROOMS = (
    "airgap.core",
    "airgap.monitoring",
    "airgap.settings",
    "config",
    "airgap.models",
    "deepseek_ocr",
    "airgap.layout",
    "process",
    "airgap.engines",
    "airgap.exporters",
    "airgap.db",
    "airgap.evaluation",
    "airgap.http",
    "airgap.accounts",
    "airgap.jobs",
    "airgap.dialects",
    "ocr_utils",
    "ocr_routes",
    "pdf_routes",
    "batch_routes",
    "serve_ocr",
    "airgap.client",
    "airgap_ocr",
    "test_ocr",
)

NOT_THE_PRODUCT = {"tests", "benchmarks", "build", "deploy", "web"}


def modules() -> dict[str, Path]:
    """Every module of the product, by its dotted name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        relative = path.relative_to(ROOT)
        if not relative.parts[0].startswith(".") and relative.parts[0] not in NOT_THE_PRODUCT:
            found[".".join(relative.with_suffix("").parts).removesuffix(".__init__")] = path
    return found


def room_of(module: str) -> str | None:
    """The room that a module stands in; None for `airgap` itself, which holds nothing."""
    return next((room for room in ROOMS if module == room or module.startswith(f"{room}.")), None)


def imported(path: Path, known: dict[str, Path]) -> set[str]:
    """The project's own modules that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names & known.keys()


def arrows() -> dict[str, set[str]]:
    """Room → the other rooms that it imports."""
    known = modules()
    graph: dict[str, set[str]] = {room: set() for room in ROOMS}
    for module, path in known.items():
        room = room_of(module)
        if room is not None:
            graph[room] |= {other for name in imported(path, known) if (other := room_of(name))} - {room}
    return graph


def main() -> None:
    graph = arrows()
    for room in reversed(ROOMS):
        print(f"{room:18} → {', '.join(sorted(graph[room], key=ROOMS.index, reverse=True)) or '-'}")


if __name__ == "__main__":
    main()
