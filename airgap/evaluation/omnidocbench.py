"""Pages annotated as in OmniDocBench (Ouyang et al., 2024): text, tables, reading order and headings.

Scored as its end-to-end evaluation does: captions, headers, footers and page numbers are taken out on both
sides; text and order are edit distances, means over pages; tables are TEDS, the mean over tables. A displayed
formula that was read as text counts as text, one that was not read does not count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from rapidfuzz.distance import Levenshtein

from airgap.evaluation.markdown import Piece, headings, pieces
from airgap.evaluation.matching import Pair, match
from airgap.evaluation.teds import teds
from airgap.evaluation.text import distance, formula_signs, formula_text, letters
from airgap.exporters.html_tables import Table, split_tables

FORMULA = "equation_isolated"
TEXT = ("text_block", "title", "code_txt", "code_txt_caption", "reference")
PASSED_OVER = (
    "figure_caption",
    "figure_footnote",
    "table_caption",
    "table_footnote",
    "code_algorithm",
    "code_algorithm_caption",
    "header",
    "footer",
    "page_footnote",
    "page_number",
    "equation_caption",
)
SAME = 0.25
SAME_HEADING = 0.3


@dataclass(frozen=True, slots=True)
class TrueBlock:
    """An annotated block: its category, its place in reading order, its text (LaTeX for a formula)."""

    category: str
    order: float
    text: str
    compared: str


@dataclass(frozen=True, slots=True)
class TruePage:
    """An annotated page: its picture's name without suffix, its blocks in order, its tables as HTML."""

    name: str
    blocks: tuple[TrueBlock, ...]
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageScore:
    """None where a page has nothing to compare. Headings: found right, annotated, predicted."""

    name: str
    text: float | None
    order: float | None
    teds: tuple[float, ...]
    teds_structure: tuple[float, ...]
    headings: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over pages (text, order) and over tables; headings over all pages. None where there are none."""

    text: float | None
    order: float | None
    teds: float | None
    teds_structure: float | None
    heading_recall: float | None
    heading_precision: float | None


def read_pages(path: Path) -> list[TruePage]:
    """The annotated pages of a JSON file. Raises `ValueError` where it is something else."""
    try:
        return [_page(page) for page in json.loads(path.read_text(encoding="utf-8"))]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not an annotation in the form of OmniDocBench's") from error


def _page(page: Mapping[str, Any]) -> TruePage:
    blocks, tables = [], []
    for item in _without_breaks(page):
        category = item["category_type"]
        if category == "table":
            tables.append((item.get("order") or 0, item.get("html") or ""))
        elif category == FORMULA:
            latex = item.get("latex") or ""
            blocks.append(TrueBlock(category, item.get("order") or 0, latex, formula_signs(latex)))
        elif category in TEXT or category in PASSED_OVER:
            text = item.get("text") or ""
            blocks.append(TrueBlock(category, item.get("order") or 0, text, letters(text)))
    name = Path(page["page_info"]["image_path"]).stem
    ordered = tuple(sorted((b for b in blocks if b.text), key=lambda block: block.order))
    return TruePage(name, ordered, tuple(html for _, html in sorted(tables)))


def _without_breaks(page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The items of a page, text that a column or page break cuts in two made whole."""
    relations = page.get("extra", {}).get("relation", [])
    groups: list[set[int]] = []
    for relation in relations:
        if relation["relation_type"] == "truncated":
            ends = {relation["source_anno_id"], relation["target_anno_id"]}
            touched = [group for group in groups if group & ends]
            groups = [group for group in groups if not group & ends] + [ends.union(*touched)]
    items = {item["anno_id"]: item for item in page["layout_dets"]}
    cut = {number for group in groups for number in group}
    whole = [item for number, item in items.items() if number not in cut]
    for group in groups:
        parts = sorted((items[number] for number in group), key=lambda part: part.get("order") or 0)
        whole.append({**parts[0], "text": "".join(part.get("text") or "" for part in parts)})
    return whole


def score_page(page: TruePage, markdown: str) -> PageScore:
    """Compare one page's Markdown with its annotation."""
    predicted = pieces(markdown)
    found = _match_tables(page.tables, [piece.text for piece in predicted if piece.kind == "table"])
    matched = {html for html, _ in found}
    text, order = _text_and_order(page, [p for piece in predicted for p in _as_text(piece, page, matched)])
    return PageScore(
        page.name,
        text,
        order,
        tuple(teds(html, true) for html, true in found),
        tuple(teds(html, true, structure_only=True) for html, true in found),
        _headings(page, markdown),
    )


def _match_tables(truth: tuple[str, ...], predicted: list[str]) -> list[tuple[str, str]]:
    """Each true table with the predicted one that is likest, each at most once; empty where none is left."""
    left = list(predicted)
    result = []
    for true in truth:
        best = min(left, key=lambda html: distance(html, true), default="")
        if best:
            left.remove(best)
        result.append((best, true))
    return result


def _as_text(piece: Piece, page: TruePage, matched: set[str]) -> Iterator[Piece]:
    """A text itself; the cells of a table where there are true tables and this is none of them."""
    if piece.kind == "text":
        yield piece
    elif piece.kind == "table" and page.tables and piece.text not in matched:
        for row in next(part for part in split_tables(piece.text) if isinstance(part, Table)).rows:
            yield from (
                Piece("text", cell.text, compared) for cell in row if (compared := letters(cell.text))
            )


def _text_and_order(page: TruePage, predicted: list[Piece]) -> tuple[float | None, float | None]:
    aside = [block for block in page.blocks if block.category in PASSED_OVER and block.compared]
    predicted = [p for p in predicted if all(distance(p.compared, b.compared) >= SAME for b in aside)]
    blocks = [block for block in page.blocks if block.category not in PASSED_OVER and block.compared]
    texts = [piece.compared for piece in predicted]
    pairs = match([block.compared for block in blocks], texts)
    of_text = [pair for pair in pairs if any(blocks[i].category != FORMULA for i in pair.truth)]
    if not of_text:
        return None, None
    edits = length = 0
    for pair in pairs:
        read = "".join(texts[i] for i in pair.predicted)
        true = "".join(blocks[i].compared for i in pair.truth)
        if pair not in of_text:
            true = letters(formula_text("".join(blocks[i].text for i in pair.truth))) if read else ""
        edits += Levenshtein.distance(true, read)
        length += max(len(true), len(read))
    return edits / max(1, length), _order(of_text, [block.order for block in blocks])


def _order(pairs: list[Pair], orders: list[float]) -> float:
    placed = sorted((pair for pair in pairs if pair.predicted), key=lambda pair: pair.predicted[0])
    true = sorted(orders[i] for pair in pairs for i in pair.truth)
    return Levenshtein.normalized_distance(true, [orders[i] for pair in placed for i in pair.truth])


def _headings(page: TruePage, markdown: str) -> tuple[int, int, int]:
    truth = [block.compared for block in page.blocks if block.category == "title" and block.compared]
    read = [letters(text) for _, text in headings(markdown)]
    left = list(truth)
    found = 0
    for text in read:
        best = min(left, key=lambda true: distance(text, true), default=None)
        if best is not None and distance(text, best) < SAME_HEADING:
            left.remove(best)
            found += 1
    return found, len(truth), len(read)


def summary(scores: list[PageScore]) -> Summary:
    """The figures of all pages."""
    found, annotated, read = (sum(score.headings[i] for score in scores) for i in range(3))
    return Summary(
        _mean([score.text for score in scores if score.text is not None]),
        _mean([score.order for score in scores if score.order is not None]),
        _mean([value for score in scores for value in score.teds]),
        _mean([value for score in scores for value in score.teds_structure]),
        found / annotated if annotated else None,
        found / read if read else None,
    )


def _mean(values: list[float]) -> float | None:
    return mean(values) if values else None
