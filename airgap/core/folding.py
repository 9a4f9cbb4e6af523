"""Text as two readings of it are compared."""

from __future__ import annotations

import unicodedata


def folded(text: str) -> str:
    """Without white space, case and forms that only look different (NFKC)."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if not c.isspace())
