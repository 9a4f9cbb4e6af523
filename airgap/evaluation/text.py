"""What two texts are compared by, and how far they are apart."""

from __future__ import annotations

import re
import unicodedata

from rapidfuzz.distance import Levenshtein

_NOT_COUNTED = re.compile(r"[^\w\u4e00-\u9fff]")
_INLINE_FORMULA = re.compile(r"\$(.*?)\$|\\\((.*?)\\\)")
_LEFT_OUT = ("\\t", "\\n", "/t", "/n")


def letters(text: str) -> str:
    """A block's letters and figures, inline formulas in plain signs, as OmniDocBench compares them."""
    text = _INLINE_FORMULA.sub(_plain_formula, text)
    for mark in _LEFT_OUT:
        text = text.replace(mark, "")
    return _NOT_COUNTED.sub("", text)


_NO_SIGN = re.compile(
    r"\\(?:tag|hspace|begin|end)\{.*?\}"
    r"|\\(?:math(?:bf|rm|it|bb|cal|scr|frak|sf|tt|normal)|text(?:bf)?|bold(?:math|symbol)|operatorname|bm"
    r"|left|right|displaystyle|q?quad|enspace|space|(?:thin|med|thick|negmed)space|notag)(?![a-z])|\$\$|\s"
)


def formula_signs(latex: str) -> str:
    """A formula without white space, fonts and delimiters: what one is compared by to find its like."""
    return _NO_SIGN.sub("", latex.strip().removeprefix("\\[").removesuffix("\\]")).strip("$.").lower()


def formula_text(latex: str) -> str:
    """A formula's letters and figures: Greek ones by their names, all other commands left out."""
    return re.sub(r"[{}^_$\s]", "", re.sub(r"\\([A-Za-z]+|.)", _sign, latex))


def _sign(command: re.Match[str]) -> str:
    name = command[1]
    size = "SMALL" if name[:1].islower() else "CAPITAL"
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {name.removeprefix('var')}")
    except KeyError:
        return name if len(name) == 1 and not name.isalpha() else ""


def _plain_formula(found: re.Match[str]) -> str:
    formula = re.sub(r"\\([\\_&%^])", "", found[1] or found[2] or "")
    if not any(sign in formula for sign in "\\^_"):
        return found[0]
    return formula_text(formula)


def distance(a: str, b: str) -> float:
    """Edit distance over the longer of both, 0..1; 0 where both are empty."""
    return Levenshtein.normalized_distance(a, b)


def contained_distance(short: str, long: str) -> float:
    """How far a text is from the likest part of its length in a longer one; 1 where it is longer itself."""
    if not short or len(short) > len(long):
        return 1.0
    width = len(short)
    starts = range(len(long) - width + 1)
    return min(Levenshtein.distance(short, long[start : start + width]) for start in starts) / width


_FANCY = str.maketrans("‘’‚“”„＿–—‑‒−\u00b5", "'''\"\"\"_-----\u03bc")


def plain(text: str) -> str:
    """Text without emphasis, white space and typographic variants made one, as olmOCR-bench compares it."""
    text = re.sub(r"<br/?>", " ", text)
    text = re.sub(r"\*\*(.*?)\*\*|__(.*?)__", lambda found: found[1] or found[2] or "", text)
    text = re.sub(r"</?[bi]>", "", text)
    text = re.sub(r"\*(.*?)\*|_(.*?)_", lambda found: found[1] or found[2] or "", text)
    return unicodedata.normalize("NFC", re.sub(r"\s+", " ", text)).translate(_FANCY)
