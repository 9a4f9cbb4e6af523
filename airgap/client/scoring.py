"""What `ocr eval` shows: how well Markdown fits annotations and facts. It compares nothing itself."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from airgap.core.errors import InvalidOption

if TYPE_CHECKING:
    from airgap.evaluation.folder import Report


def evaluate_folder(truth: Path, predictions: Path) -> Report:
    """Compare two folders. Raises `InvalidOption` where there is nothing to compare with."""
    from airgap.evaluation.folder import score_folder  # here: its libraries are for this command alone

    try:
        return score_folder(truth, predictions)
    except ValueError as error:
        raise InvalidOption(
            str(error), "Give OmniDocBench's JSON, olmOCR-bench's JSON lines, or a folder of them."
        ) from error


def show(report: Report, details: bool) -> None:
    """Print the figures, and with `details` each page and each fact that does not hold."""
    console = Console()
    if report.pages:
        console.print(_page_table(report, details))
    if report.facts:
        console.print(_fact_table(report))
    if details:
        for fact, holds in report.facts:
            if not holds:
                console.print(f"{fact.identity} ({fact.type}) does not hold", highlight=False, markup=False)
    if report.unchecked:
        console.print(f"{report.unchecked} facts about formulas were not checked.")
    for name in report.missing:
        console.print(f"No Markdown for {name}: counted as empty.", highlight=False, markup=False)


def _page_table(report: Report, details: bool) -> Table:
    from airgap.evaluation.omnidocbench import summary

    table = Table("page", "text", "order", "TEDS", "TEDS structure", "headings")
    for page in report.pages if details else ():
        cells = (_mean(page.teds), _mean(page.teds_structure))
        found, annotated, read = page.headings
        table.add_row(
            page.name, _number(page.text), _number(page.order), *cells, f"{found} of {annotated}, {read} read"
        )
    mean = summary(report.pages)
    table.add_section()
    table.add_row(
        f"{len(report.pages)} pages",
        *(_number(value) for value in (mean.text, mean.order, mean.teds, mean.teds_structure)),
        f"recall {_number(mean.heading_recall)}, precision {_number(mean.heading_precision)}",
    )
    return table


def _fact_table(report: Report) -> Table:
    table = Table("facts", "hold", "of")
    for kind, (hold, count) in report.by_type.items():
        table.add_row(kind, str(hold), str(count))
    table.add_section()
    table.add_row("all", str(sum(holds for _, holds in report.facts)), str(len(report.facts)))
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _mean(values: tuple[float, ...]) -> str:
    return _number(sum(values) / len(values)) if values else ""


def as_json(report: Report) -> str:
    """All figures, for a machine."""
    from airgap.evaluation.omnidocbench import summary

    content: dict[str, Any] = {
        "summary": asdict(summary(report.pages)) if report.pages else None,
        "pages": [asdict(page) for page in report.pages],
        "facts": [{"id": fact.identity, "type": fact.type, "holds": holds} for fact, holds in report.facts],
        "unchecked": report.unchecked,
        "missing": report.missing,
    }
    return json.dumps(content, indent=1, ensure_ascii=False)
