"""Facts about a page's Markdown, each true of one text and false of another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airgap.evaluation.facts import Fact, read_facts

TABLE = (
    '<table><tr><td rowspan="2">Item</td><td colspan="2">Year</td></tr><tr><td>2019</td><td>2020</td></tr>'
    "<tr><td>Rent</td><td>1,136</td><td>680</td></tr></table>"
)
PIPES = "| Item | 2019 | 2020 |\n|---|---|---|\n| Rent | 1,136 | 680 |\n"


def fact(kind: str, **details: object) -> Fact:
    return Fact("1", "a.pdf", 1, kind, details)


@pytest.mark.parametrize(
    ("markdown", "details", "holds"),
    [
        ("A **plain** text", {"text": "plain text"}, True),
        ("A plane text", {"text": "plain text"}, False),
        ("A plane text", {"text": "plain text", "max_diffs": 2}, True),
        ("MASTER BATH", {"text": "Master Bath", "case_sensitive": False}, True),
        ("MASTER BATH", {"text": "Master Bath"}, False),
        ("12 and the rest of a long page, 34", {"text": "12", "last_n": 5}, False),
        ("12 and the rest of a long page, 34", {"text": "34", "last_n": 5}, True),
        ("a “quoted” word", {"text": 'a "quoted" word'}, True),
    ],
)
def test_present_and_absent_are_opposites(markdown: str, details: dict[str, object], holds: bool) -> None:
    assert fact("present", **details).holds(markdown) is holds
    assert fact("absent", **details).holds(markdown) is not holds


def test_order_needs_both_texts_in_their_order() -> None:
    said = fact("order", before="first words", after="last words")
    assert said.holds("first words, then last words")
    assert not said.holds("last words, then first words")
    assert not said.holds("last words alone")
    assert fact("order", before="first words", after="last words", max_diffs=2).holds(
        "frst words, lost words"
    )


@pytest.mark.parametrize(
    ("details", "holds"),
    [
        ({"cell": "680", "left": "1,136"}, True),
        ({"cell": "680", "right": "1,136"}, False),
        ({"cell": "680", "up": "2020"}, True),
        ({"cell": "680", "top_heading": "Year"}, True),
        ({"cell": "1,136", "top_heading": "Item"}, False),
        ({"cell": "680", "left_heading": "Rent"}, True),
        ({"cell": "2019", "left": "Item"}, True),
        ({"cell": "Item", "right": "2019"}, True),
        ({"cell": "1137"}, False),
    ],
)
def test_cells_and_what_is_beside_them(details: dict[str, object], holds: bool) -> None:
    assert fact("table", **details).holds(f"Words\n\n{TABLE}\n\nmore words") is holds


def test_pipe_tables_are_tables_too() -> None:
    assert fact("table", cell="680", left="1,136", top_heading="2020").holds(PIPES)


def test_without_a_table_no_cell_stands() -> None:
    assert not fact("table", cell="680").holds("680")


def test_formulas_are_left_to_others(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_text(json.dumps({"id": "m", "pdf": "a.pdf", "page": 2, "type": "math", "math": "x"}) + "\n\n")
    [said] = read_facts(path)
    assert (said.pdf, said.page, said.is_checkable) == ("a.pdf", 2, False)


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_text('{"name": "no fact"}\n')
    with pytest.raises(ValueError, match=r"facts\.jsonl: not facts"):
        read_facts(path)
