"""What was printed, written so that Markdown shows it and does nothing else with it.

A printed `> 60 ml/min` is no quotation and `__init__` no bold word. Only signs that would be taken for
marks are escaped; a dash before a line is left, for a printed list is a list.
"""

from __future__ import annotations

import html
import re

_LINE_START = re.compile(
    r"^(\s{0,3})(?=#{1,6}(?:\s|$)|>|[+*](?:\s|$)|\|.*\|\s*$|(?:[-*_=~]\s*){3,}$|~{3})", re.MULTILINE
)
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_ENTITY = re.compile(r"&(?=#?\w{1,31};)")
_LINK = re.compile(r"\[(?=[^\[\]\n]*\](?:[(\[]|:))")
_EMPHASIS = [
    (
        sign,
        re.compile(rf"(?<![\w{sign}])[{sign}]+(?=[^\s{sign}])"),
        re.compile(rf"(?<=[^\s{sign}])[{sign}]+(?![\w{sign}])"),
    )
    for sign in "*_"
]
"""Signs that make a word stand out, and how they stand before and after it."""


def escaped(text: str) -> str:
    """Printed text as Markdown."""
    text = _ENTITY.sub("&amp;", text)
    text = _LINK.sub("&#91;", _TAG.sub("&lt;", text)).replace("`", "\\`")
    for sign in _emphasised(text):
        text = text.replace(sign, f"\\{sign}")
    return _LINE_START.sub(r"\1\\", text)


def escaped_cell(text: str) -> str:
    """Printed text within a table in HTML, where Markdown's marks may be looked for as well."""
    text = _LINK.sub("&#91;", html.escape(text, quote=False))
    for sign in (*_emphasised(text), "`"):
        text = text.replace(sign, f"&#{ord(sign)};")
    return text


def _emphasised(text: str) -> list[str]:
    """The signs that stand around something in a text."""
    return [
        sign
        for sign, before, after in _EMPHASIS
        if (first := before.search(text)) and after.search(text, first.end())
    ]
