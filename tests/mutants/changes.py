"""The small changes that can be made to a file: one operator, constant, keyword or statement at a time.

What nobody promises is left alone: sentences for people, annotations, docstrings, decorators of data
classes, assertions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

_COMPARISONS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
_SUMS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
_WORDS = (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp)
_FOR_PEOPLE = {"description", "title", "summary", "help", "documentation", "match_args", "slots"}
_TYPES = {"cast", "TypeVar", "NewType", "ParamSpec", "getLogger"}


@dataclass(frozen=True, slots=True)
class Change:
    """Bytes `start` to `end` of `path` replaced by `new`. `line` and `last_line` count from 1."""

    path: str
    line: int
    last_line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{' '.join(self.old.split())} → {' '.join(self.new.split()) or '(nothing)'}"

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.new.encode() + source[self.end :]


def changes(path: str, source: bytes, on: Collection[int] = ()) -> list[Change]:
    """All changes of a file that still compile, in the order of their places; with `on`, of these lines."""
    found = dict.fromkeys(c for c in _Finder(path, source).all() if not on or c.line in on)
    return sorted((c for c in found if _compiles(c.applied(source))), key=lambda c: (c.start, c.end, c.new))


def _compiles(source: bytes) -> bool:
    try:
        compile(source, "changed", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


class _Finder(ast.NodeVisitor):
    """Walks a file; each visit adds the changes of one node."""

    def __init__(self, path: str, source: bytes) -> None:
        self._path, self._source = path, source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._found: list[Change] = []
        self._quiet = False

    def all(self) -> Iterator[Change]:
        self.visit(ast.parse(self._source))
        return iter(self._found)

    def _begin(self, node: ast.AST) -> int:
        return self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]

    def _finish(self, node: ast.AST) -> int:
        return self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def _add(self, start: int, end: int, new: str, shown: tuple[int, int] | None = None) -> None:
        old = self._source[start:end].decode()
        first, last = (self._source.count(b"\n", 0, place) + 1 for place in (shown or (start, end)))
        self._found.append(Change(self._path, first, last, start, end, old, new))

    def _replace(self, node: ast.AST, new: str) -> None:
        self._add(self._begin(node), self._finish(node), new)

    def _between(self, left: ast.AST, right: ast.AST, old: str, new: str) -> None:
        start, end = self._finish(left), self._begin(right)
        pattern = r"\s+".join(map(re.escape, old.split()))
        found = re.search(pattern, self._source[start:end].decode())
        if found:
            self._add(start + found.start(), start + found.end(), new)

    def _silently(self, nodes: list[ast.AST]) -> None:
        before, self._quiet = self._quiet, True
        for node in nodes:
            self.visit(node)
        self._quiet = before

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        defaults = [default for default in node.args.kw_defaults if default is not None]
        for child in (*node.decorator_list, *node.args.defaults, *defaults, *node.body):
            self.visit(child)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for child in node.body:
            self.visit(child)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        if not names & {"__all__", "__slots__"}:
            self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass  # Python 3.11 gives no places inside

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not (isinstance(node.value, ast.Name) and node.value.id in ("Literal", "Annotated")):
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._silently([child for child in (node.exc, node.cause) if child is not None])

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Constant) or (isinstance(value, ast.Call) and _logs(value)):
            return
        if isinstance(value, ast.Call):
            self._replace(node, "pass")
        self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._replace(node, "pass")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            return
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self._replace(node.value, "None")
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._replace(node, "pass")
        if type(node.op) in (ast.Add, ast.Sub) and not isinstance(node.value, _WORDS):
            old, new = _SUMS[type(node.op)]
            self._between(node.target, node.value, f"{old}=", f"{new}=")
        self.visit(node.value)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in _SUMS and not any(map(_is_text, (node.left, node.right))):
            self._between(node.left, node.right, *_SUMS[type(node.op)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        pair = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._between(left, right, *pair)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._add(self._begin(node), self._begin(node.operand), "")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
            self._between(left, right, *_COMPARISONS[type(op)])
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if _logs(node) or (isinstance(node.func, ast.Name) and node.func.id in _TYPES):
            return
        pieces: list[ast.AST] = sorted([*node.args, *node.keywords], key=self._begin)
        for place, piece in enumerate(pieces):
            if isinstance(piece, ast.keyword) and piece.arg and piece.arg not in _FOR_PEOPLE:
                self._without(pieces, place)
        self.visit(node.func)
        for piece in pieces:
            if isinstance(piece, ast.keyword) and piece.arg in _FOR_PEOPLE:
                continue
            self.visit(piece)

    def _without(self, pieces: list[ast.AST], place: int) -> None:
        own = (self._begin(pieces[place]), self._finish(pieces[place]))
        if place:
            self._add(self._finish(pieces[place - 1]), own[1], "", own)
        else:
            self._add(own[0], self._begin(pieces[1]) if len(pieces) > 1 else own[1], "", own)

    def visit_Constant(self, node: ast.Constant) -> None:
        for new in _other_values(node.value, self._quiet):
            self._replace(node, new)


def _other_values(value: object, quiet: bool) -> list[str]:
    """Whole numbers ± 1, others doubled and halved, flags turned round, text changed that is no sentence."""
    if isinstance(value, bool):
        return [str(not value)]
    if isinstance(value, int):
        return [str(value + 1), f"({value - 1})" if value < 1 else str(value - 1)]
    if isinstance(value, float):
        return [repr(value * 2), repr(value / 2)] if value else ["1.0"]
    if isinstance(value, str) and not quiet and not (" " in value and value[0].isupper()):
        return [repr(value + "X")]
    return []


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, _WORDS) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _logs(node: ast.Call) -> bool:
    function = node.func
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id in ("log", "_log")
    )


def changes_of(root: Path, path: str, on: Collection[int] = ()) -> list[Change]:
    return changes(path, (root / path).read_bytes(), on)
