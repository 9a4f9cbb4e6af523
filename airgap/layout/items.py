"""Items of lists: how deep each stands, by where it begins, and entries of a table of contents."""

from __future__ import annotations

import re

MARKDOWN_ITEM = re.compile(r"(?:-|\d{1,3}[.)]) +(?=\S)")
"""What Markdown takes for an item; others are paragraphs that begin with their mark."""
DEEPER = 0.7
"""By how much an item begins further to the right than the one that it belongs to, in line heights."""
MAX_DEPTH = 3

_DOT = r"[.\u00b7\u2026_\u2024\u2025]"
_LEADER = re.compile(rf"(?<=.){_DOT} ?{_DOT}\s*(?:\d{{1,4}}|[ivxlcIVXLC]{{1,7}})\s*\Z")


def is_entry(text: str) -> bool:
    """Whether it is of a table of contents: what it says, dots, of which readers see a few, and a page.

    Looked for from the dots on: with what it says in the pattern, time would grow with the line's square.
    """
    return bool(text) and not text[0].isspace() and _LEADER.search(text) is not None


class Indents:
    """The items that the next one may belong to: of each where it begins, and how wide its mark is."""

    def __init__(self) -> None:
        self._open: list[tuple[float, int]] = []

    def of(self, x0: float, text: str, line_height: float) -> str:
        """The spaces that Markdown needs before an item that begins at `x0`, pixels, and says `text`."""
        while self._open and x0 < self._open[-1][0] + DEEPER * line_height:
            self._open.pop()
        mark = MARKDOWN_ITEM.match(text)
        widths = [width for _, width in self._open if width]
        self._open.append((x0, mark.end() if mark else 0))
        return " " * sum(widths[:MAX_DEPTH]) if mark else ""

    def end(self) -> None:
        """What follows belongs to none of them."""
        self._open.clear()
