"""PDFs, opened and drawn within a child process: the only place PDF libraries run.

PyMuPDF is not thread-safe, and a hostile PDF can make it run without end or eat all memory; see
`process.child`, which bounds it. MuPDF draws; PDFium is asked where MuPDF sees no page or a password
that PDFium does not need.
"""

from __future__ import annotations

import math
import resource
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pymupdf

from process.child import Failure, Pages, Pieces
from process.pdf_text import text_of

pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)

RESIDENT_BYTES = 192 * 2**20
"""Memory of this process above which MuPDF's store of decoded fonts and images is emptied."""

PROBED_PAGES = 20
"""Pages of which one must load, or the document as a whole is refused."""

SMALL_PAGE, SCAN_SHARE, SCAN_SIDE = 400, 0.6, 1600
"""Points of the longer side below which a page may be a scan that was made too small, the share of it from
which a picture is its scan, and pixels of the longer side up to which that is drawn as finely as it is."""

_DAMAGE = (
    "padding truncated image",
    "treating as end of file",
    "premature end of data",
    "broken file",
    "cannot draw text",
    "error when loading embedded font",
)
_DOUBT = "page may not be correct"  # what MuPDF says of unknown or broken drawing commands


class MuPdfPages:
    """Opened by PyMuPDF."""

    renderer = "mupdf"

    def __init__(self, path: str, password: str | None) -> None:
        self._pixmap: Any = None
        self._document = pymupdf.open(path, filetype="pdf")
        try:
            if not self._document.is_pdf:
                raise Failure("invalid", "MuPDF takes it for something else")
            if self._document.needs_pass and not self._document.authenticate(password or ""):
                raise Failure("password")
            self.count = int(self._document.page_count)
            page = first_page(self._document.load_page, self.count)
            self.opened = _size(page.rect.width, page.rect.height) if page else _size(0, 0)
        except BaseException:
            self._document.close()
            raise

    def render(self, request: dict[str, Any]) -> tuple[dict[str, Any], Pieces]:
        pymupdf.TOOLS.reset_mupdf_warnings()
        self._pixmap = None
        page = self._document.load_page(request["page"])
        zoom = fit(page.rect.width, page.rect.height, request, scan_zoom(page))
        pixmap = page.get_pixmap(matrix=pymupdf.Matrix(zoom, zoom), colorspace=pymupdf.csRGB, alpha=False)
        if pixmap.stride != pixmap.width * 3:
            raise Failure("page", "rows are not packed")
        answer = {
            "width": pixmap.width,
            "height": pixmap.height,
            "width_pt": page.rect.width,
            "height_pt": page.rect.height,
            "dpi": zoom * 72,
            "text": text_of(page, zoom) if request["text"] else None,
        }
        messages = pymupdf.TOOLS.mupdf_warnings()
        answer["damaged"] = any(sign in messages for sign in _DAMAGE)
        answer["doubtful"] = _DOUBT in messages
        if _resident_bytes() > RESIDENT_BYTES:
            pymupdf.TOOLS.store_shrink(100)
        self._pixmap = pixmap
        return answer, [pixmap.samples_mv]

    def close(self) -> None:
        self._pixmap = None
        self._document.close()
        pymupdf.TOOLS.store_shrink(100)


class PdfiumPages:
    """Opened by PDFium, the second opinion. It gives no text layer."""

    renderer = "pdfium"

    def __init__(self, path: str, password: str | None) -> None:
        import pypdfium2  # takes time, and few documents need it

        self._bitmap: Any = None
        try:
            self._document = pypdfium2.PdfDocument(path, password=password)
        except pypdfium2.PdfiumError as error:
            reason = "password" if "password" in str(error).lower() else "invalid"
            raise Failure(reason, str(error)) from error
        self._document.init_forms()
        self.count = len(self._document)
        page = first_page(self._document.get_page, self.count)
        self.opened = _size(*page.get_size()) if page else _size(0, 0)

    def render(self, request: dict[str, Any]) -> tuple[dict[str, Any], Pieces]:
        self._bitmap = None
        page = self._document[request["page"]]
        width_pt, height_pt = page.get_size()
        zoom = fit(width_pt, height_pt, request)
        bitmap = page.render(scale=zoom, rev_byteorder=True, maybe_alpha=False)
        if bitmap.n_channels != 3:
            raise Failure("page", f"PDFium gave {bitmap.n_channels} channels")
        view = memoryview(bitmap.buffer).cast("B")
        rows = [view[y * bitmap.stride :][: bitmap.width * 3] for y in range(bitmap.height)]
        answer = {
            "width": bitmap.width,
            "height": bitmap.height,
            "width_pt": width_pt,
            "height_pt": height_pt,
            "dpi": zoom * 72,
            "text": None,
            "damaged": False,
            "doubtful": False,
        }
        page.close()
        self._bitmap = bitmap
        return answer, rows

    def close(self) -> None:
        self._bitmap = None
        self._document.close()


def _size(width_pt: float, height_pt: float) -> dict[str, Any]:
    return {"width_pt": width_pt, "height_pt": height_pt}


def first_page(load: Callable[[int], Any], count: int) -> Any:
    """The first page that loads. None where all of many fail at first: these are given the doubt.

    Raises `Failure` where the document has no page.
    """
    for index in range(min(count, PROBED_PAGES)):
        with suppress(Exception):
            return load(index)
    if count <= PROBED_PAGES:
        raise Failure("invalid", "no page loads")
    return None


def scan_zoom(page: Any) -> float:
    """Pixels per point that show a scan on a small page as finely as it is, up to `SCAN_SIDE`; 0 without one.

    Some programs take a pixel of a scan for much less than it is, and make a page of an inch or two of it.
    """
    width, height = page.rect.width, page.rect.height
    for picture in page.get_image_info() if max(width, height) < SMALL_PAGE else ():
        box = pymupdf.Rect(picture["bbox"]) * page.rotation_matrix & page.rect
        if abs(box) >= SCAN_SHARE * width * height and box.width > 0:
            finest = max(picture["width"], picture["height"]) / max(box.width, box.height)
            return float(min(finest, SCAN_SIDE / max(width, height)))
    return 0.0


def fit(width_pt: float, height_pt: float, request: dict[str, Any], finer: float = 0.0) -> float:
    """Pixels per point for a page of this size in points, within the request's bounds.

    A page too large for `max_pixels` or `max_side` is drawn smaller, one with a side of less than
    `min_side` pixels larger, as far as the others let it, and so is one that `finer` pixels per point show
    better. Raises `Failure` for one without area.
    """
    if not (math.isfinite(width_pt) and math.isfinite(height_pt) and width_pt > 0 and height_pt > 0):
        raise Failure("page", "the page has no area")
    # One pixel of room each way: the libraries round outwards.
    most = min(
        (request["max_side"] - 1) / max(width_pt, height_pt),
        math.sqrt(request["max_pixels"] / (width_pt * height_pt)) * (1 - 1e-3),
    )
    least = request["min_side"] / min(width_pt, height_pt)
    zoom = min(max(request["dpi"] / 72, least, finer), most)
    while (width_pt * zoom + 1) * (height_pt * zoom + 1) > request["max_pixels"]:
        zoom *= 0.99
    if min(width_pt, height_pt) * zoom < 1:
        raise Failure("page", "the page is less than a pixel wide")
    return float(zoom)


def open_document(path: str, password: str | None) -> Pages:
    """Open with MuPDF, else with PDFium. Raises MuPDF's `Failure` where both refuse."""
    try:
        return MuPdfPages(path, password)
    except MemoryError:
        raise
    except Exception as error:
        first = error if isinstance(error, Failure) else Failure("invalid", str(error))
        try:
            return PdfiumPages(path, password)
        except MemoryError:
            raise
        except Exception:
            raise first from error


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123  (pathlib only costs time here)
        return int(statm.read().split()[1]) * resource.getpagesize()
