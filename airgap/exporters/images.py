"""The figures of a document, cut from its pages at full resolution.

Names come from `airgap.exporters.figures`, so that every link in the Markdown has its file. One page is in
memory at a time.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

from PIL import Image

from airgap.core.document import Document, Page
from airgap.core.errors import AirgapError, InvalidOption
from airgap.exporters import Source
from airgap.exporters.annotated import crop
from airgap.exporters.figures import IMAGE_FOLDER, figures
from airgap.exporters.placeholder import placeholder

JPEG_QUALITY = 95


def to_zip(document: Document, source: Source | None) -> bytes:
    """The figures in a ZIP, in the folder `images/`."""
    if source is None:
        raise InvalidOption("The output format 'images' needs the original pages.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in iter_images(document, source):
            archive.writestr(name, data)
    return buffer.getvalue()


def iter_images(document: Document, source: Source) -> Iterator[tuple[str, bytes]]:
    """`("images/<page>_<n>.jpg", JPEG)` of every figure, in reading order."""
    for page in document.pages:
        if next(figures(page), None) is None:
            continue
        try:
            picture = source.image(page.number)
        except AirgapError as error:
            picture = placeholder((page.width, page.height), [f"Page {page.number}: {error.message}"])
        for name, piece in page_figures(page, picture):
            yield f"{IMAGE_FOLDER}/{name}", jpeg_bytes(piece)


def page_figures(page: Page, picture: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """`("<page>_<n>.jpg", pixels)` of every figure of one page, cut from its picture."""
    for figure in figures(page):
        yield figure.name, crop(picture, figure.box)


def jpeg_bytes(image: Image.Image) -> bytes:
    """The picture as JPEG, colours unreduced."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
