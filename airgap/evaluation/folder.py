"""A folder of Markdown against the annotations and facts in another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from airgap.evaluation import facts, omnidocbench

_PAGE = re.compile(r"^<!-- page (\d+) -->$", re.MULTILINE)


@dataclass
class Report:
    """What was compared. `missing` names the pages without Markdown: they count as empty."""

    pages: list[omnidocbench.PageScore] = field(default_factory=list)
    facts: list[tuple[facts.Fact, bool]] = field(default_factory=list)
    unchecked: int = 0
    missing: list[str] = field(default_factory=list)

    @property
    def by_type(self) -> dict[str, tuple[int, int]]:
        """For each type of fact, how many hold, of how many."""
        kinds = sorted({fact.type for fact, _ in self.facts})
        return {kind: _counted([holds for fact, holds in self.facts if fact.type == kind]) for kind in kinds}


def _counted(outcomes: list[bool]) -> tuple[int, int]:
    return sum(outcomes), len(outcomes)


def score_folder(truth: Path, predictions: Path) -> Report:
    """Compare. `truth`: an annotation (`.json`), facts (`.jsonl`), or a folder of such, at any depth.

    Raises `ValueError` where there is nothing of the kind.
    """
    report = Report()
    files = sorted(truth.rglob("*.json*")) if truth.is_dir() else [truth]
    files = [file for file in files if file.suffix in {".json", ".jsonl"}]
    if not files:
        raise ValueError(f"{truth}: no annotation (.json) and no facts (.jsonl)")
    for file in files:
        if file.suffix == ".json":
            for page in omnidocbench.read_pages(file):
                report.pages.append(
                    omnidocbench.score_page(page, _markdown(predictions, page.name, 1, report))
                )
        else:
            _check_facts(facts.read_facts(file), predictions, report)
    return report


def _check_facts(said: list[facts.Fact], predictions: Path, report: Report) -> None:
    read: dict[tuple[str, int], str] = {}
    for fact in said:
        if not fact.is_checkable:
            report.unchecked += 1
            continue
        key = (fact.pdf, fact.page)
        if key not in read:
            read[key] = _markdown(predictions, fact.pdf.removesuffix(".pdf"), fact.page, report)
        report.facts.append((fact, fact.holds(read[key])))


def _markdown(predictions: Path, name: str, page: int, report: Report) -> str:
    """The Markdown of a page; empty and noted as missing where there is none."""
    for path, part in _candidates(predictions, name, page):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            return _page_of(text, part) if part else text
    report.missing.append(f"{name}, page {page}")
    return ""


def _candidates(predictions: Path, name: str, page: int) -> Iterator[tuple[Path, int | None]]:
    """Where the Markdown may be, and which page of the file it is, None for all of it."""
    stem = name.rsplit("/", 1)[-1]
    for base in dict.fromkeys((name, name.replace("/", "__"), stem)):
        yield predictions / f"{base}_pg{page}.md", None
        yield predictions / f"{base}_pg{page}_repeat1.md", None
        yield predictions / f"{base}.md", page
        yield predictions / base / f"{stem}.md", page  # as `ocr read` leaves it


def _page_of(markdown: str, page: int) -> str:
    """One page of a document's Markdown; all of it where it names no pages."""
    parts = _PAGE.split(markdown)
    pages = dict(zip(map(int, parts[1::2]), parts[2::2], strict=True))
    return pages.get(page, "") if pages else markdown
