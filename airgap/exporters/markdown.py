"""Document to Markdown.

Text stands as the engine wrote it, tables as HTML. A figure becomes
`![](images/<page>_<n>.jpg)`, the name under which `airgap.exporters.images` cuts it out; where characters
were read on it that are no text, as on an equation, they are its alternative text. In a document of
several pages each begins with `<!-- page N -->`, and a horizontal rule stands between two of them,
which shows in rendered Markdown and is easy to split at. No page is left out: one that could not be
read is a quotation that says so, a blank one a comment. Where text was not read stands `[unread: …]`. A table
that runs over several pages is whole on the first of them where a document is written, and printed as it
was where a page is. Footnotes whose mark is sure are Markdown's.

The text comes from the page and is not to be trusted: who renders it must sanitise the HTML in it.
"""

from __future__ import annotations

import re

from airgap.core.document import Document, Page
from airgap.exporters.continued_tables import with_joined_tables
from airgap.exporters.figures import IMAGE_FOLDER, figure_reading, figures, is_figure
from airgap.exporters.footnotes import with_notes
from airgap.exporters.furniture import as_asked
from airgap.exporters.rich_text import indent_of
from airgap.exporters.unread import blocks_with_marks
from deepseek_ocr import clean_formula

PAGE_SEPARATOR = "\n\n---\n\n"

_ALTERNATIVE = re.compile(r"([\\\[\]*_`<>!|])")
_BLANK_LINES = re.compile(r"\n{3,}")


def to_markdown(document: Document, source: object = None) -> bytes:
    """The document as UTF-8 Markdown. `source` is not used."""
    return document_markdown(document).encode("utf-8", "replace")


def document_markdown(
    document: Document, image_prefix: str = f"{IMAGE_FOLDER}/", *, clean_formulas: bool = False
) -> str:
    """The document as Markdown; see the module docstring. Ends with a line feed unless empty.

    `clean_formulas` drops equation numbers from displayed formulas, as OmniDocBench expects it.
    """
    document = with_joined_tables(document)
    parts = [page_markdown(page, image_prefix, clean_formulas=clean_formulas) for page in document.pages]
    if len(parts) > 1:
        parts = [
            f"<!-- page {page.number} -->\n\n{part}" for page, part in zip(document.pages, parts, strict=True)
        ]
    text = PAGE_SEPARATOR.join(parts)
    return f"{text}\n" if text else ""


def page_markdown(page: Page, image_prefix: str = f"{IMAGE_FOLDER}/", *, clean_formulas: bool = False) -> str:
    """One page as Markdown, without a page marker, or the placeholder that stands for it."""
    if page.status == "failed":
        return failed_placeholder(page)
    page = with_notes(as_asked(page))
    names = iter([figure.name for figure in figures(page)])
    parts: list[str] = []
    for block in blocks_with_marks(page):
        if is_figure(block):
            alternative = _ALTERNATIVE.sub(r"\\\1", figure_reading(block))
            parts.extend(f"![{alternative}]({image_prefix}{next(names)})" for _ in block.boxes)
        text = block.text.strip()
        parts.append(f"{indent_of(block.text)}{text}" if text else "")
    text = _BLANK_LINES.sub("\n\n", "\n\n".join(part for part in parts if part))
    if clean_formulas:
        text = clean_formula(text)
    return text or _empty_placeholder(page)


def failed_placeholder(page: Page) -> str:
    """The quotation that stands for a page that could not be read."""
    return f"> **Page {page.number} could not be read**: {failure_reason(page)}"


def failure_reason(page: Page) -> str:
    """Why a page failed, on one line: `message (code)`."""
    if page.error is None:
        return "no reason is known (unknown)"
    return f"{' '.join(page.error.message.split())} ({page.error.code})"


def _empty_placeholder(page: Page) -> str:
    if page.status == "degraded":
        reason = " ".join("; ".join(page.warnings).split()) or "nothing could be read"
        return f"> **Page {page.number} has no text**: {reason}"
    return f"<!-- page {page.number} is blank -->"
