"""Document to one HTML file that stands alone.

Nothing in a document is trusted: its text is escaped, its tables are built anew from their cells,
and of inline marks only emphasis survives. The file refers to nothing outside itself, and says so
to the browser in a content security policy. Figures are embedded where the original is there. Every heading
has an id; a document of several pages begins with its contents. Running headers, footers and page numbers are
`<header>` and `<footer>` of their page.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape

from PIL import Image

from airgap.core.document import Block, Document, Page
from airgap.core.errors import AirgapError
from airgap.exporters import Source
from airgap.exporters.annotated import crop
from airgap.exporters.captions import with_captions
from airgap.exporters.continued_tables import with_joined_tables
from airgap.exporters.figures import figures, is_figure
from airgap.exporters.furniture import part_of
from airgap.exporters.html_tables import Table
from airgap.exporters.images import jpeg_bytes
from airgap.exporters.lines import xml_text
from airgap.exporters.markdown import failure_reason
from airgap.exporters.outline import MAX_ENTRIES, title_of
from airgap.exporters.rich_text import Depths, Paragraph, Run, inline, rich_text
from airgap.exporters.unread import blocks_with_marks
from airgap.layout.tables import span_attributes

MAX_FIGURE_SIDE = 1600

_TAGS = {"bold": "strong", "italic": "em", "underline": "u", "sub": "sub", "sup": "sup"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 1rem; color: #1a1a1a;
  background: #fff; overflow-wrap: anywhere; }
section + section { border-top: 2px solid #bbb; margin-top: 2rem; padding-top: 1rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
td, th { border: 1px solid #999; padding: .2rem .5rem; vertical-align: top; }
figure { margin: 1rem 0; text-align: center; } img { max-width: 100%; height: auto; }
.caption { text-align: center; color: #444; } .equation { text-align: center; font-family: monospace; }
.failed { border-left: .4rem solid #b22; background: #fdeeee; padding: .5rem 1rem; }
.missing { border: 1px dashed #999; color: #666; padding: 1rem; }
header, footer, aside { color: #666; font-size: .875em; } nav ol { list-style: none; padding: 0; }
.level-2 { margin-left: 1.5rem; } .level-3 { margin-left: 3rem; } .level-4 { margin-left: 4.5rem; }
.level-5 { margin-left: 6rem; } .level-6 { margin-left: 7.5rem; }
"""


class _Contents:
    """Links to the headings that were written, in order."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._page, self._count = 0, 0

    def begin(self, page: int) -> None:
        """What is added from here on stands on this page."""
        self._page, self._count = page, 0

    def add(self, heading: Paragraph) -> str:
        """Returns the id that the heading's element is to have."""
        self._count += 1
        name = f"page-{self._page}-heading-{self._count}"
        link = f'<a href="#{name}" dir="auto">{escape(title_of(heading))}</a>'
        if len(self._lines) < MAX_ENTRIES:
            self._lines.append(f'<li class="level-{heading.level}">{link} {self._page}</li>\n')
        return name

    def __str__(self) -> str:
        return f"<nav>\n<ol>\n{''.join(self._lines)}</ol>\n</nav>\n" if self._lines else ""


def to_html(document: Document, source: Source | None = None) -> bytes:
    """The document as UTF-8 HTML; without a source, figures are named instead of shown."""
    title = escape(xml_text(source.name)) if source is not None else "Document"
    head = (
        '<!DOCTYPE html>\n<html lang="und">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    )
    document = with_joined_tables(document)
    contents = _Contents()
    body = "".join(_section(page, source, contents) for page in document.pages)
    nav = str(contents) if len(document.pages) > 1 else ""
    return f"{head}{nav}{body}</body>\n</html>\n".encode("utf-8", "replace")


def _section(page: Page, source: Source | None, contents: _Contents) -> str:
    contents.begin(page.number)
    if page.status == "failed":
        reason = escape(xml_text(failure_reason(page)))
        content = f'<p class="failed"><strong>Page {page.number} could not be read</strong>: {reason}</p>\n'
    else:
        content = "".join(_blocks(page, source, contents))
    content = content or f'<p class="missing">Page {page.number} is blank.</p>\n'
    return f'<section id="page-{page.number}" data-status="{page.status}">\n{content}</section>\n'


class _Lists:
    """Lists that are open: an item that goes deeper opens one within the item before it."""

    def __init__(self) -> None:
        self._depths = Depths()
        self._open = -1

    def to(self, piece: Paragraph | None) -> str:
        """What is to be written before this piece; before None, what ends them all."""
        depth = -1 if piece is None else self._depths.of(piece)
        deeper, self._open = depth - self._open, depth
        if deeper > 0:
            return "\n<ul>\n" if depth else "<ul>\n"
        return "</li>\n</ul>\n" * -deeper + ("</li>\n" if depth >= 0 else "")


def _blocks(page: Page, source: Source | None, contents: _Contents) -> Iterator[str]:
    pictures = _pictures(page, source)
    lists = _Lists()
    for group in with_captions(blocks_with_marks(page)):
        if len(group) == 1:
            yield from _block(group[0], page, pictures, contents, lists)
            continue
        yield f"{lists.to(None)}<figure>\n"
        for block in group:
            tag = "figcaption" if block.label.strip().lower().endswith("caption") else "div"
            yield f"<{tag}>\n"
            yield from _block(block, page, pictures, contents, lists)
            yield f"{lists.to(None)}</{tag}>\n"
        yield "</figure>\n"
    yield lists.to(None)


def _block(
    block: Block, page: Page, pictures: Iterator[str], contents: _Contents, lists: _Lists
) -> Iterator[str]:
    if is_figure(block):
        yield lists.to(None)
        yield from (next(pictures) for _ in block.boxes)
    if part := part_of(block, page):
        yield f"{lists.to(None)}<{part}>\n"
        yield from _pieces(block, None, lists)
        yield f"{lists.to(None)}</{part}>\n"
    else:
        yield from _pieces(block, contents, lists)


def _pieces(block: Block, contents: _Contents | None, lists: _Lists) -> Iterator[str]:
    label = block.label.strip().lower()
    kind = "caption" if label.endswith("caption") else "equation" if label in {"equation", "formula"} else ""
    attributes = f' class="{kind}" dir="auto"' if kind else ' dir="auto"'
    for piece in rich_text(xml_text(block.text)):
        yield lists.to(piece if isinstance(piece, Paragraph) else None)
        if isinstance(piece, Table):
            yield _table(piece)
        elif piece.code:
            yield f"<pre>{escape(piece.runs[0].text)}</pre>\n"
        elif piece.level and contents is not None:
            tag = f"h{piece.level}"
            yield f'<{tag} id="{contents.add(piece)}"{attributes}>{_runs(piece.runs)}</{tag}>\n'
        elif piece.item:
            yield f"<li{attributes}>{_runs(piece.runs)}"
        else:
            tag = f"h{piece.level}" if piece.level else "p"
            yield f"<{tag}{attributes}>{_runs(piece.runs)}</{tag}>\n"


def _runs(runs: tuple[Run, ...]) -> str:
    parts = []
    for run in runs:
        text = escape(run.text).replace("\n", "<br>")
        for style in sorted(run.styles):
            text = f"<{_TAGS[style]}>{text}</{_TAGS[style]}>"
        parts.append(text)
    return "".join(parts)


def _table(table: Table) -> str:
    height, _, placed = table.placed()
    rows: list[list[str]] = [[] for _ in range(height)]
    for row, _, cell in placed:
        tag = "th" if cell.header else "td"
        spans = span_attributes(cell.rowspan, cell.colspan)
        rows[row].append(f'<{tag}{spans} dir="auto">{_runs(inline(cell.text))}</{tag}>')
    return "<table>\n" + "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows) + "</table>\n"


def _pictures(page: Page, source: Source | None) -> Iterator[str]:
    """A `<figure>` for every figure of the page; the page is drawn when the first is asked for."""
    shown: Image.Image | None = None
    reason = "" if source is not None else "the original is not there"
    for number, figure in enumerate(figures(page), 1):
        if shown is None and source is not None and not reason:
            try:
                shown = source.image(page.number)
            except AirgapError as error:
                reason = error.message
        if shown is None:
            note = f"Figure {number} of page {page.number}: {escape(xml_text(reason))}"
            yield f'<figure class="missing">{note}</figure>\n'
            continue
        piece = crop(shown, figure.box)
        piece.thumbnail((MAX_FIGURE_SIDE, MAX_FIGURE_SIDE))
        data = base64.b64encode(jpeg_bytes(piece)).decode("ascii")
        yield (
            f'<figure><img alt="Figure {number} of page {page.number}" width="{piece.width}" '
            f'height="{piece.height}" src="data:image/jpeg;base64,{data}"></figure>\n'
        )
