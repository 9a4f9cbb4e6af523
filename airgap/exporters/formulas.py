"""The formula of an equation, without what Markdown puts around it."""

from __future__ import annotations

import re

from airgap.core.document import Block

LABELS = frozenset({"equation", "formula"})
DISPLAYED = re.compile(r"(?:\$\$|\\\[)((?:(?!\$\$|\\\]).)+)(?:\$\$|\\\])", re.DOTALL)


def formula_of(block: Block) -> str | None:
    """The LaTeX of an equation that is one displayed formula; None of any other block."""
    found = DISPLAYED.fullmatch(block.text.strip()) if block.label.strip().lower() in LABELS else None
    return (found[1].strip() or None) if found else None
