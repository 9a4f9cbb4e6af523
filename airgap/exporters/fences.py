"""Fenced code in Markdown, which is text to the letter, and what stands around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = "```"


@dataclass(frozen=True, slots=True)
class Code:
    """The lines between two fences."""

    text: str


def split_code(markdown: str) -> Iterator[str | Code]:
    """The parts of a text, in order. A fence that nothing closes is text as any other."""
    lines = markdown.split("\n")
    begun, opened = 0, -1
    for number, line in enumerate(lines):
        if opened < 0:
            opened = number if line.startswith(_FENCE) and "`" not in line[3:] else -1
        elif line.rstrip() == _FENCE:
            if before := "\n".join(lines[begun:opened]):
                yield before
            yield Code("\n".join(lines[opened + 1 : number]))
            begun, opened = number + 1, -1
    if rest := "\n".join(lines[begun:]):
        yield rest
