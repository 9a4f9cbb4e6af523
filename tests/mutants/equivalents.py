"""The changes that change nothing: the table of docs/testing.md."""

from __future__ import annotations

import re
from pathlib import Path

_ROW = re.compile(
    r"^\| `(?P<path>[\w/.]+\.py)` \| `(?P<text>.+?)` \| `(?P<change>.+?)` \| (?P<reason>.+?) \|$", re.M
)
_PIPE = "\\|"


def equivalents(root: Path) -> dict[tuple[str, str, str], str]:
    """File, line's text, change as printed → the reason why nothing can notice it."""
    written = (root / "docs/testing.md").read_text()
    return {
        (row["path"], row["text"].replace(_PIPE, "|"), row["change"].replace(_PIPE, "|")): row["reason"]
        for row in _ROW.finditer(written)
    }
