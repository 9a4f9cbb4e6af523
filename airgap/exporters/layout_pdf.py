"""A PDF that shows what was found where: every page as a picture with its boxes drawn on it.

Pages are drawn, compressed and written a few at a time, so that a book needs no more memory than a
chapter. Sizes on paper are the source's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import img2pdf
import pikepdf
from PIL import Image

from airgap.core.document import Block, Box, Document, Page
from airgap.core.errors import AirgapError, InvalidOption
from airgap.exporters import Source
from airgap.exporters.annotated import annotate
from airgap.exporters.images import jpeg_bytes
from airgap.exporters.markdown import failure_reason
from airgap.exporters.page_size import page_points
from airgap.exporters.placeholder import placeholder

PAGES_AT_ONCE = 32


def to_layout_pdf(document: Document, source: Source | None) -> bytes:
    """The annotated pages as one PDF."""
    with tempfile.TemporaryDirectory(prefix="layout-") as folder:
        path = Path(folder, "layout.pdf")
        write_layout_pdf(document, source, path)
        return path.read_bytes()


def write_layout_pdf(document: Document, source: Source | None, path: Path) -> tuple[str, ...]:
    """As `to_layout_pdf`, into a file; there are never warnings."""
    if source is None:
        raise InvalidOption("The output format 'layout_pdf' needs the original pages.")
    with tempfile.TemporaryDirectory(prefix="layout-") as folder:
        parts = []
        for start in range(0, len(document.pages), PAGES_AT_ONCE):
            parts.append(Path(folder, f"{start}.pdf"))
            _write_part(document.pages[start : start + PAGES_AT_ONCE], source, parts[-1])
        join_pdfs(parts, path)
    return ()


def join_pdfs(parts: Sequence[Path], path: Path) -> None:
    """Put the pages of several PDFs into one, without holding their pictures in memory."""
    names = [str(part) for part in parts]
    pikepdf.Job(["qpdf", "--empty", "--deterministic-id", "--pages", *names, "--", str(path)]).run()


def _write_part(pages: Sequence[Page], source: Source, path: Path) -> None:
    pictures = [jpeg_bytes(drawn_page(page, source)) for page in pages]
    sizes = iter([_size(page, source) for page in pages])

    def layout(*_: object) -> tuple[float, float, float, float]:
        width, height = next(sizes)
        return width, height, width, height

    with path.open("wb") as file:
        img2pdf.convert(
            pictures, layout_fun=layout, outputstream=file, rotation=img2pdf.Rotation.none, nodate=True
        )


def drawn_page(page: Page, source: Source) -> Image.Image:
    """The annotated page, or a placeholder that says why it cannot be shown."""
    try:
        picture = source.image(page.number)
    except AirgapError as error:
        reason = failure_reason(page) if page.error else f"{error.message} ({error.code})"
        return placeholder((page.width, page.height), [f"Page {page.number} could not be shown", reason])
    if page.status == "failed":
        code = page.error.code if page.error else "unknown"
        return annotate(picture, [Block(f"not read: {code}", "", (Box(0, 0, *picture.size),))])
    return annotate(picture, page.blocks, page.unread)


def _size(page: Page, source: Source) -> tuple[float, float]:
    known = page.width > 0 and page.height > 0
    return page_points(page, source) if known else (595.28, 841.89)
