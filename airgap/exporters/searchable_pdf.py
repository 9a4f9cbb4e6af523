"""A PDF that looks like the original and can be searched: PDF/A-2, the text laid invisibly beneath.

OCRmyPDF does the work, in a child process (see `searchable_pdf_child`), fed with our pages through
its plug-in interface. The original's pictures are not touched: a PDF stays as it is, a JPEG, PNG or
TIFF is wrapped without loss, and only other kinds are stored as their pixels, again without loss.
No external program is needed. A PDF that is too damaged for that has its pages stored as their pixels, and a
warning says so. Where a PDF cannot be made PDF/A without altering it, the result is a
plain PDF and a warning says so. Its bookmarks are the original's, or the headings where it has none. What in
a PDF acts or carries files is taken off, and a warning lists it, unless the source says
`keep_active_content`.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import img2pdf
import pikepdf
from PIL import Image

from airgap.core.document import Box, Document, Page
from airgap.core.errors import AirgapError, ExportFailed, InvalidOption, UnsupportedOption
from airgap.exporters import Source
from airgap.exporters.annotated import png_bytes
from airgap.exporters.layout_pdf import join_pdfs
from airgap.exporters.lines import page_lines, xml_text
from airgap.exporters.outline import Heading, outline
from airgap.exporters.page_size import page_dpi
from airgap.exporters.placeholder import placeholder
from process.child_pool import clean_environment
from process.proportions import dots_per_inch

SECONDS, SECONDS_PER_PAGE = 120, 5
UNSIGNED = "the digital signature of the original does not hold for the searchable PDF and was taken off"
NOT_PDFA = "the searchable PDF is a plain PDF: this original cannot be made PDF/A without altering it"
AS_PICTURES = (
    "the original takes no text layer: the searchable PDF holds pictures of the pages that were read, "
    "and nothing else of it"
)
REMOVED = "active content of the original was taken off the searchable PDF: {}"
KEPT = "active content of the original was kept in the searchable PDF, as asked for: {}"

_LOSSLESS_FORMATS = frozenset({"JPEG", "PNG", "TIFF"})
_ROOT = Path(__file__).resolve().parents[2]
_log = logging.getLogger(__name__)


def to_searchable_pdf(document: Document, source: Source | None) -> bytes:
    """The original with a text layer. Raises as `write_searchable_pdf` does; warnings are logged."""
    with tempfile.TemporaryDirectory(prefix="searchable-") as folder:
        path = Path(folder, "searchable.pdf")
        for warning in write_searchable_pdf(document, source, path):
            _log.warning("%s", warning)
        return path.read_bytes()


def write_searchable_pdf(document: Document, source: Source | None, path: Path) -> tuple[str, ...]:
    """As `to_searchable_pdf`, into a file; returns warnings.

    Raises `UnsupportedOption` for a PDF under a password that the source does not know, and
    `ExportFailed` where OCRmyPDF cannot work with the file or takes too long.
    """
    if source is None:
        raise InvalidOption("The output format 'searchable_pdf' needs the original.")
    with tempfile.TemporaryDirectory(prefix="searchable-") as name:
        original = Path(name) / "original.pdf"
        if source.kind == "pdf":
            _copy(source.path, original)
            indexes = {page.number: page.number - 1 for page in document.pages}
        else:
            indexes = wrap_images(document, source, original)
        try:
            return _written(document, source, original, indexes, path)
        except NoTextLayer:
            if source.kind != "pdf" or not _can_be_drawn(document, source):
                raise
            _log.warning("the original takes no text layer, so its pages' pictures do")
        drawn = Path(name) / "drawn.pdf"
        indexes = _wrap_pixels(document, source, drawn)
        return (AS_PICTURES, *_written(document, source, drawn, indexes, path))


class NoTextLayer(ExportFailed):
    """OCRmyPDF cannot work with the file; the log says why."""


def _written(
    document: Document, source: Source, original: Path, indexes: dict[int, int], path: Path
) -> tuple[str, ...]:
    """Lay the text into `original`, whose page for each of the document's is in `indexes`; warnings."""
    keeps = bool(getattr(source, "keep_active_content", False))
    job = original.with_name("job.json")
    output = original.with_name("output.pdf")
    job.write_text(
        json.dumps(
            {
                "input": str(original),
                "output": str(output),
                "password": getattr(source, "password", None),
                "keep_active_content": keeps,
                "pages": [_page_job(page, indexes[page.number]) for page in document.pages if page.blocks],
                "outline": [_bookmark(heading, indexes[heading.page]) for heading in outline(document)],
            }
        ),
        "utf-8",
    )
    result = _run_child(job, len(document.pages))
    shutil.move(output, path)
    return _warnings(result, KEPT if keeps else REMOVED)


def _can_be_drawn(document: Document, source: Source) -> bool:
    """Whether there is a page to be seen, where the original as such is none to work with."""
    try:
        source.image(next(page.number for page in document.pages if page.error is None))
    except (AirgapError, StopIteration):
        return False
    return True


def _warnings(result: dict[str, object], active: str) -> tuple[str, ...]:
    said = (
        (not result["pdfa"], NOT_PDFA),
        (result["unsigned"], UNSIGNED),
        (result["active_content"], active.format(result["active_content"])),
    )
    return tuple(warning for holds, warning in said if holds)


def _page_job(page: Page, index: int) -> dict[str, object]:
    """What the child needs of a page, in plain values; `index` counts in the PDF, from 0."""
    return {
        "index": index,
        "width": page.width,
        "height": page.height,
        "lines": [
            {
                "box": _corners(line.box),
                "turn": line.turn,
                "within": None if line.exact else _corners(Box.around(block.boxes)),
                "words": [(word.text, _corners(word.box)) for word in line.words()],
            }
            for block, lines in page_lines(page)
            for line in lines
        ],
    }


def _bookmark(heading: Heading, index: int) -> dict[str, object]:
    """What the child needs of a heading; `box` in pixels of its page, None where it has no place."""
    box = None if heading.box is None else _corners(heading.box)
    return {"level": heading.level, "title": xml_text(heading.title), "index": index, "box": box}


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.x0, box.y0, box.x1, box.y1


def _run_child(job: Path, pages: int) -> dict[str, object]:
    seconds = SECONDS + SECONDS_PER_PAGE * pages
    environment = clean_environment() | {"TMPDIR": str(job.parent), "PYTHONPATH": str(_ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "airgap.exporters.searchable_pdf_child", str(job), str(os.getpid())],
        cwd="/",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, stderr = process.communicate(timeout=seconds)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise ExportFailed(f"The searchable PDF was not finished within {seconds} seconds.") from None
        raise
    answer = job.with_name("result.json")
    if not answer.exists():
        _log.error("the searchable PDF's process ended with %s: %s", process.returncode, stderr[-2000:])
        raise NoTextLayer("The process that makes the searchable PDF broke down on this file.")
    result: dict[str, object] = json.loads(answer.read_text("utf-8"))
    if result.get("error") == "encrypted":
        raise UnsupportedOption(
            "A PDF under a password cannot be made searchable.",
            "Take the password off the PDF and send it again.",
        )
    if "error" in result:
        _log.error("OCRmyPDF: %s", result["error"])
        raise NoTextLayer("This file cannot be made into a searchable PDF.")
    return result


def _copy(source: Path | bytes, target: Path) -> None:
    if isinstance(source, bytes):
        target.write_bytes(source)
    else:
        shutil.copyfile(source, target)


def wrap_images(document: Document, source: Source, path: Path) -> dict[int, int]:
    """Make a PDF of the source's pictures, their data unchanged where PDF can hold it.

    Returns where in it each page of the document stands, by page number, from 0.
    """
    data = source.path if isinstance(source.path, bytes) else source.path.read_bytes()
    if _can_be_wrapped(data):
        try:
            _wrap(data, _dots(data, page_dpi(document.pages[0], source)), path)
        except (
            img2pdf.ImageOpenError,
            img2pdf.PdfTooLargeError,
            ValueError,
            OSError,
            NotImplementedError,
        ) as error:
            _log.info("the original cannot be wrapped as it is (%s); its pixels are", type(error).__name__)
        else:
            with pikepdf.open(path) as pdf:
                if len(pdf.pages) >= max(page.number for page in document.pages):
                    return {page.number: page.number - 1 for page in document.pages}
    return _wrap_pixels(document, source, path)


def _can_be_wrapped(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.format in _LOSSLESS_FORMATS and "transparency" not in image.info and image.mode in {
                "1", "L", "P", "RGB", "CMYK", "I;16"
            }  # fmt: skip
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _dots(picture: bytes, dpi: float) -> tuple[float, float]:
    """Pixels to the inch, across and down; `dpi` where they are square."""
    with Image.open(io.BytesIO(picture)) as image:
        across, down = dots_per_inch(image)
    return (across, down) if across != down else (dpi, dpi)


def _wrap(picture: bytes, dpi: tuple[float, float], path: Path) -> None:
    layout = img2pdf.get_fixed_dpi_layout_fun(dpi)
    with path.open("wb") as file:
        img2pdf.convert(picture, layout_fun=layout, outputstream=file, rotation=img2pdf.Rotation.ifvalid)


def _wrap_pixels(document: Document, source: Source, path: Path) -> dict[int, int]:
    parts = [path.with_name(f"{page.number}.pdf") for page in document.pages]
    for page, part in zip(document.pages, parts, strict=True):
        dpi = page_dpi(page, source)
        _wrap(png_bytes(_shown(page, source)), (dpi, dpi), part)
    join_pdfs(parts, path)
    return {page.number: index for index, page in enumerate(document.pages)}


def _shown(page: Page, source: Source) -> Image.Image:
    try:
        return source.image(page.number)
    except AirgapError as error:
        return placeholder((page.width, page.height), [f"Page {page.number}: {error.message}"])
