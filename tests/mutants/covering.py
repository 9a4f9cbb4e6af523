"""Which tests run a line: measured once a test file with coverage, kept below build/ until a file changes."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.mutants.changes import Change

ROOT = Path(__file__).resolve().parents[2]
_WRITER = "airgap/exporters/searchable_pdf.py"
CHILDREN = {
    "airgap/exporters/searchable_pdf_child.py": _WRITER,
    "airgap/exporters/ocrmypdf_plugin.py": _WRITER,
    "airgap/exporters/shown_text.py": _WRITER,
    "airgap/exporters/pdf_forms.py": _WRITER,
}
"""What runs in bounded children, where nothing can measure, and who has it run there."""


def copy_tree(root: Path, copy: Path) -> None:
    """The files that git knows or would take: what changes meanwhile changes nothing here."""
    shutil.rmtree(copy, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name)


def test_files(tree: Path, places: Iterable[str]) -> list[str]:
    """The test files at or below these places."""
    found = {path for place in places for path in (tree / "tests").glob(place)}
    folders = [path for path in found if path.is_dir()]
    found |= {path for folder in folders for path in folder.rglob("test_*.py")}
    return sorted(str(path.relative_to(tree)) for path in found if path.is_file())


class Covering:
    """Lines → tests, over all measured test files."""

    def __init__(self, maps: Iterable[dict[str, Any]]) -> None:
        self.seconds: dict[str, float] = {}
        self._lines: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._served: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for found in maps:
            self.seconds |= found["tests"]
            for path, lines in found["lines"].items():
                for line, tests in lines.items():
                    self._lines[path][int(line)].update(tests)
            for path, served in found["servers"].items():
                for line in served:
                    self._served[path][line].update(found["tests"])

    def tests(self, change: Change, source: bytes) -> list[str]:
        """The tests of a change's lines, in the order to run them.

        A line that only an import runs is looked after by the functions which use its name, and by whatever
        uses the file: by all tests of the test files that do, those that use the name first.
        """
        path = change.path
        wanted = range(change.line, change.last_line + 1)
        own = set[str]().union(*(self._lines[path][line] for line in wanted))
        served = set[str]().union(*(self._served[path][line] for line in wanted))
        if path in CHILDREN:
            served |= self._callers(CHILDREN[path])
        if (own or served) and _inside_a_function(source, change.line):
            return self._ordered(path, own) + self._ordered(path, served - own)
        # the test that happens to import the file first need not be one that looks
        touching = {test.partition("::")[0] for tests in self._lines[path].values() for test in tests}
        found = [test for test in self.seconds if test.partition("::")[0] in touching]
        users = set[str]().union(*(self._lines[path][line] for line in _users(source, change.line)))
        return sorted(found, key=lambda test: (test not in users, self.seconds[test]))

    def _callers(self, path: str) -> set[str]:
        """The tests that call a function of a file."""
        source = (ROOT / path).read_bytes()
        called = (tests for line, tests in self._lines[path].items() if _inside_a_function(source, line))
        return set[str]().union(*called)

    def _ordered(self, path: str, tests: set[str]) -> list[str]:
        """By file: those of the file's own room first, then the quick ones."""
        files: dict[str, list[str]] = defaultdict(list)
        for test in sorted(tests, key=lambda test: (self.seconds[test], test)):
            files[test.partition("::")[0]].append(test)
        rooms = set(Path(path).parts[:-1]) | {Path(path).stem}

        def cost(file: str) -> tuple[bool, bool, float]:
            place = Path(file)
            mean = sum(self.seconds[test] for test in files[file]) / len(files[file])
            return (Path(path).stem not in place.stem, not rooms & set(place.parts), mean)

        return [test for file in sorted(files, key=cost) for test in files[file]]


def _users(source: bytes, line: int) -> set[int]:
    """The lines of functions that use what is named at this line of a module, or of the function there."""
    tree = ast.parse(source)
    for statement in tree.body:
        assert statement.end_lineno is not None
        if statement.lineno <= line <= statement.end_lineno and isinstance(
            statement, ast.Assign | ast.AnnAssign
        ):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            return _lines_with({target.id for target in targets if isinstance(target, ast.Name)}, tree)
    inside = [f for f in _functions(tree) if _first(f) <= line <= (f.end_lineno or 0)]
    return {
        n for function in inside[-1:] for n in range(function.body[0].lineno, (function.end_lineno or 0) + 1)
    }


def _inside_a_function(source: bytes, line: int) -> bool:
    functions = _functions(ast.parse(source))
    return any(f.body[0].lineno <= line <= (f.end_lineno or 0) for f in functions)


def _first(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _lines_with(names: set[str], tree: ast.AST) -> set[int]:
    return {
        node.lineno
        for function in _functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and node.id in names
    }


def covering(tree: Path, cache: Path, files: Iterable[str], at_once: int) -> Covering:
    """The map of these test files, measured where one of them or what it runs has changed."""
    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(at_once) as pool:
        return Covering(pool.map(lambda file: _measured(tree, file, cache), files))


def _measured(tree: Path, file: str, cache: Path) -> dict[str, Any]:
    kept = cache / (file.replace("/", "+") + ".json")
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        if found["digest"] == _digest(tree, file, found):
            return found
    print(f"measuring {file}", file=sys.stderr, flush=True)
    subprocess.run(
        [sys.executable, "-m", "tests.mutants.plugin", file, str(kept)],
        cwd=tree,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    found = json.loads(kept.read_text())
    kept.write_text(json.dumps(found | {"digest": _digest(tree, file, found)}))
    return found


def _digest(tree: Path, file: str, found: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    for name in (file, *sorted({*found["lines"], *found["servers"]})):
        path = tree / name
        digest.update(path.read_bytes() if path.exists() else b"gone")
    return digest.hexdigest()
