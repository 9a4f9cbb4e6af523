"""Tree edit distance based similarity of two tables (Zhong et al., "Image-based table recognition", 2020)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Any

from apted import APTED, Config
from rapidfuzz.distance import Levenshtein

from airgap.exporters.html_tables import Table, split_tables

PLAIN_TAGS = ("sup", "sub", "span", "div", "p", "b", "i")


@dataclass(slots=True)
class _Node:
    tag: str
    text: str = ""
    spans: tuple[int, int] = (1, 1)
    children: list[_Node] = field(default_factory=list)


class _Costs(Config):  # type: ignore[misc]
    """What it takes to make one node of another: all or nothing, but for the text of like cells."""

    def rename(self, node1: _Node, node2: _Node) -> float:
        """Cost of renaming, 0..1."""
        if node1.tag != node2.tag or node1.spans != node2.spans:
            return 1.0
        return float(Levenshtein.normalized_distance(node1.text, node2.text))

    def children(self, node: _Node) -> list[_Node]:
        """The rows of a table, the cells of a row."""
        return node.children


def teds(predicted: str, truth: str, *, structure_only: bool = False) -> float:
    """How alike two HTML tables are, 0..1; 0 where one of them is no table."""
    a, b = _tree(predicted, structure_only), _tree(truth, structure_only)
    if a is None or b is None:
        return 0.0
    distance: Any = APTED(a, b, _Costs()).compute_edit_distance()
    return 1.0 - float(distance) / max(_size(a), _size(b), 1)


def _size(tree: _Node) -> int:
    return sum(1 + len(row.children) for row in tree.children)


def _tree(html: str, structure_only: bool) -> _Node | None:
    tables = [part for part in split_tables(html) if isinstance(part, Table)]
    if not tables:
        return None
    rows = [[_cell_node(cell, structure_only) for cell in row] for row in tables[0].rows]
    return _Node("table", children=[_Node("tr", children=row) for row in rows])


def _cell_node(cell: Any, structure_only: bool) -> _Node:
    text = "" if structure_only else unicodedata.normalize("NFKC", cell.text)
    for tag in PLAIN_TAGS:
        text = text.replace(f"<{tag}>", "").replace(f"</{tag}>", "")
    return _Node("td", " ".join(text.split()), (cell.colspan, cell.rowspan))
