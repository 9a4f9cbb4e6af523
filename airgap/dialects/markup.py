"""Taking DeepSeek-OCR's references, or their tokens alone, out of text that arrives in pieces.

`<|ref|>label<|/ref|><|det|>[[…]]<|/det|>` vanishes, what stands around it stays, runs of blank lines
become one. The pieces, joined, are the same however the text was cut. Linear in the length of the text.
"""

from __future__ import annotations

import re

from airgap.core.document import Page
from airgap.exporters.markdown import page_markdown
from deepseek_ocr import DET, DET_END, GROUNDING, REF, REF_END

MAX_REFERENCE_CHARS = 8192
"""What is longer is taken for text."""

_TOKENS = re.compile("|".join(re.escape(token) for token in (REF, REF_END, DET, DET_END)))
_BREAKS = re.compile(r"\n+")


class MarkupFilter:
    """Feed it raw text, take clean text; `flush` at the end."""

    def __init__(self) -> None:
        self._held = ""
        self._breaks = 2  # line feeds that the clean text ends with; at its start none may stand

    @staticmethod
    def clean(raw: str) -> str:
        """The whole of `raw` at once."""
        markup = MarkupFilter()
        return markup.feed(raw) + markup.flush()

    def feed(self, text: str) -> str:
        """The clean text that is certain by now."""
        self._held += text
        certain: list[str] = []
        position = 0
        while True:
            start = self._held.find(REF, position)
            if start < 0:
                kept = _partial(self._held, position, REF)
                certain.append(self._held[position:kept])
                position = kept
                break
            certain.append(self._held[position:start])
            position = start
            taken = self._reference(start)
            if taken is None:
                break
            words, position = taken
            certain.append(words)
        self._held = self._held[position:]
        return self._squeezed("".join(certain))

    def flush(self) -> str:
        """What was held back; a reference that never ended is dropped."""
        rest = "" if self._held.startswith(REF) else self._held
        self._held = ""
        return self._squeezed(rest)

    def _reference(self, start: int) -> tuple[str, int] | None:
        """What stays of the reference at `start`, and where it ends; None where more must come."""
        window = self._held[start : start + MAX_REFERENCE_CHARS]
        found = _reference_end(window)
        if found is not None:
            words, length = found
            return words, start + length
        if len(window) == MAX_REFERENCE_CHARS:
            return REF, start + len(REF)
        return None

    def _squeezed(self, text: str) -> str:
        """At most two line feeds in a row, and none before the first word."""
        pieces = []
        end = 0
        for match in _BREAKS.finditer(text):
            if match.start() > end:
                pieces.append(text[end : match.start()])
                self._breaks = 0
            room = max(0, 2 - self._breaks)
            kept = min(room, len(match[0]))
            pieces.append("\n" * kept)
            self._breaks += kept
            end = match.end()
        if end < len(text):
            pieces.append(text[end:])
            self._breaks = 0
        return "".join(pieces)


class TokenFilter:
    """As `MarkupFilter`, but takes the tokens alone: `text[[…]]` stays of a reference, as it does where a
    model's server skips special tokens."""

    def __init__(self) -> None:
        self._held = ""

    @staticmethod
    def clean(raw: str) -> str:
        """The whole of `raw` at once."""
        return _TOKENS.sub("", raw)

    def feed(self, text: str) -> str:
        """The text that is certain by now."""
        text = _TOKENS.sub("", self._held + text)
        kept = min(_partial(text, 0, token) for token in (REF, REF_END, DET, DET_END))
        self._held = text[kept:]
        return text[:kept]

    def flush(self) -> str:
        """What was held back."""
        rest, self._held = self._held, ""
        return rest


class Untouched:
    """As `MarkupFilter`, and takes nothing out."""

    @staticmethod
    def clean(raw: str) -> str:
        return raw

    def feed(self, text: str) -> str:
        return text

    def flush(self) -> str:
        return ""


Filter = MarkupFilter | TokenFilter | Untouched


def filter_for(prompt: str, *, raw: bool | None = None) -> type[Filter]:
    """What a client is told of the model's output: as it came where `raw` or the prompt asks for boxes."""
    wanted = GROUNDING in prompt if raw is None else raw
    return Untouched if wanted else MarkupFilter


def answer_of(page: Page, form: type[Filter]) -> str:
    """What a client is told of a page: the model's output in this form, or the page's own text."""
    return form.clean(page.raw) if page.raw else page_markdown(page)


def _reference_end(window: str) -> tuple[str, int] | None:
    """The words that stay and the length of the reference that `window` begins with."""
    label_end = window.find(REF_END)
    if label_end < 0:
        return None
    after = label_end + len(REF_END)
    if window.startswith(DET, after):
        end = window.find(DET_END, after)
        return ("", end + len(DET_END)) if end >= 0 else None
    if DET.startswith(window[after : after + len(DET)]):
        return None
    return window[len(REF) : label_end], after


def _partial(text: str, start: int, token: str) -> int:
    """Where a beginning of `token` stands at the end of `text`, else the end."""
    for length in range(min(len(token) - 1, len(text) - start), 0, -1):
        if text.endswith(token[:length]):
            return len(text) - length
    return len(text)
