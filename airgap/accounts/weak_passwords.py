"""Passwords that anybody tries first: runs, rows of the keyboard, common words, the account's own name.

It keeps out what a few thousand guesses find. More is the business of the limit on guesses.
"""

from __future__ import annotations

from itertools import pairwise

MIN_CHARS = 8
MIN_DISTINCT = 5

_AROUND = "0123456789!?.,;:*#$%&+-_ "
_SIGNS = str.maketrans("@0134$", "aoleas")
_ROWS = (
    "1234567890",
    "qwertyuiop",
    "qwertzuiopü",
    "azertyuiop",
    "asdfghjkl",
    "йцукенгшщзхъ",
    "1q2w3e4r5t6z7u8i",
)
_COMMON = frozenset(
    {
        *("password", "passwort", "motdepasse", "contraseña", "пароль", "secret", "geheim", "changeme"),
        *("admin", "administrator", "root", "user", "guest", "test", "login", "default", "master"),
        *("welcome", "willkommen", "letmein", "iloveyou", "monkey", "dragon", "football", "baseball"),
        *("superman", "sunshine", "princess", "qwerty", "qwertz", "airgap", "airgapocr", "ocr"),
    }
)


def weakness(password: str, name: str = "") -> str:
    """Why a password is among the first that anybody tries; empty where it is not."""
    folded = password.casefold().strip()
    core = folded.strip(_AROUND).translate(_SIGNS)
    if len(folded) < MIN_CHARS or len(set(folded)) < MIN_DISTINCT:
        return "it is made of too few characters"
    if _is_run(folded):
        return "its characters follow each other"
    if any(core in (word, word + word) for word in _COMMON):
        return "it is a common one"
    if name and len(folded.replace(name.casefold(), "")) < MIN_DISTINCT - 1:
        return "it is the account's name"
    return ""


def _is_run(text: str) -> bool:
    """Whether the text is one run, or a short one again and again: `12345678`, `qwertzui`, `abcabcabc`."""
    if any(text == (text[:size] * len(text))[: len(text)] for size in range(1, 5)):
        return True
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    rows = (*_ROWS, *(row[::-1] for row in _ROWS))
    return steps <= {1} or steps <= {-1} or any(text in row + row for row in rows)
