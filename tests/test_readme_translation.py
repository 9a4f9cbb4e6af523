"""README.zh-TW.md says what README.md says: the same headings, commands, routes, links and pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENGLISH = (ROOT / "README.md").read_text()
CHINESE = (ROOT / "README.zh-TW.md").read_text()

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def headings(text: str) -> list[int]:
    """The levels of the headings, in order."""
    return [len(found) for found in re.findall(r"^(#+) ", BLOCK.sub("", text), re.MULTILINE)]


def commands(text: str) -> list[str]:
    """Every line of every code block, without the words that are for people."""
    lines = []
    for language, body in BLOCK.findall(text):
        for line in body.splitlines():
            kept = line.split(" ")[0] if language == "" else re.sub(r"(^|\s+)#\s.*$", "", line).rstrip()
            if kept:
                lines.append(kept)
    return lines


def rows(text: str) -> list[list[str]]:
    """What stands in backquotes in the first column of each table's rows."""
    table = [line for line in BLOCK.sub("", text).splitlines() if line.startswith("| ")]
    return [re.findall(r"`[^`]+`", line.split("|")[1]) for line in table]


def targets(text: str) -> list[str]:
    """Where links and pictures lead, but for the link from one language to the other."""
    found = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r"<(https?://[^>]+)>", text)
    return [target for target in found if not target.startswith("README")]


def codes(text: str) -> set[str]:
    """All that stands in backquotes."""
    return set(re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)))


@pytest.mark.parametrize("part", [headings, commands, rows, targets, codes])
def test_both_languages_hold_the_same(part) -> None:
    assert part(CHINESE) == part(ENGLISH)


def test_the_translation_is_chinese() -> None:
    prose = re.sub(r"`[^`]*`|\S*[/.]\S*", "", BLOCK.sub("", CHINESE))
    sections = re.split(r"^## ", prose, flags=re.MULTILINE)
    for section in sections:
        assert len(re.findall(r"[\u4e00-\u9fff]", section)) >= 10, section[:60]


def test_each_leads_to_the_other() -> None:
    assert "(README.zh-TW.md)" in ENGLISH
    assert "(README.md)" in CHINESE
