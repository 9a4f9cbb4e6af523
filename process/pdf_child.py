"""The child process that opens PDFs and draws their pages: the only place PDF libraries run.

PyMuPDF is not thread-safe, and a hostile PDF can make it run without end or eat all memory. Here it
may: this process is bounded in memory by `RLIMIT_AS` and in time by `pdf_pool`, which kills it. It
is run by its path, knows nothing of the project, and imports the standard library and the PDF
libraries alone, so that a fresh one is ready in a tenth of a second.

Requests come as JSON, one a line, on standard input; the end of the input ends the process. Each is
answered on standard output with one line of JSON and, after it, `bytes` bytes of payload.

    {"op": "open", "document": id, "path", "password"}          → {"ok", "pages", "renderer"}
    {"op": "render", …the same…, "page", "dpi", "max_pixels", "max_side", "min_side", "text"}
        → {"ok", "width", "height", "width_pt", "height_pt", "dpi", "damaged", "doubtful", "text", "bytes"}
          + RGB rows
    {"op": "close", "document": id}                              → {"ok"}
    a failure                                                    → {"ok": false, "reason", "detail"}

Every request but `close` also holds `memory_mb` and `seconds`. `page` counts from 0. A `reason` is
`password`, `invalid`, `memory` or `page`.

MuPDF draws; PDFium is asked where MuPDF sees no page or a password that PDFium does not need.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import math
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pymupdf

RESIDENT_BYTES = 192 * 2**20
"""Memory of this process above which MuPDF's store of decoded fonts and images is emptied."""

PROBED_PAGES = 20
"""Pages of which one must load, or the document as a whole is refused."""

_VISIBLE = 16 | 32  # MuPDF's flags of a character that is filled or stroked
_DAMAGE = (
    "padding truncated image",
    "treating as end of file",
    "premature end of data",
    "broken file",
    "cannot draw text",
    "error when loading embedded font",
)
_DOUBT = "page may not be correct"  # what MuPDF says of unknown or broken drawing commands


class Failure(Exception):
    """A request that cannot be met, with the reason as a word of the protocol."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Pages(Protocol):
    """A document opened by one of the two libraries."""

    renderer: str
    count: int

    def render(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[memoryview]]:
        """Draw one page: the answer's fields, and its RGB rows in pieces.

        The pieces lie in memory that is the library's, and are good until the next call.
        """
        ...

    def close(self) -> None: ...


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
            if not some_page_loads(self._document.load_page, self.count):
                raise Failure("invalid", "MuPDF sees no page")
        except BaseException:
            self._document.close()
            raise

    def render(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[memoryview]]:
        pymupdf.TOOLS.reset_mupdf_warnings()
        self._pixmap = None
        page = self._document.load_page(request["page"])
        zoom = fit(page.rect.width, page.rect.height, request)
        pixmap = page.get_pixmap(matrix=pymupdf.Matrix(zoom, zoom), colorspace=pymupdf.csRGB, alpha=False)
        if pixmap.stride != pixmap.width * 3:
            raise Failure("page", "rows are not packed")
        answer = {
            "width": pixmap.width,
            "height": pixmap.height,
            "width_pt": page.rect.width,
            "height_pt": page.rect.height,
            "dpi": zoom * 72,
            "text": _text(page, zoom) if request["text"] else None,
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
        if not some_page_loads(self._document.get_page, self.count):
            raise Failure("invalid", "PDFium sees no page")

    def render(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[memoryview]]:
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


def some_page_loads(load: Callable[[int], object], count: int) -> bool:
    """Whether a document has a page at all; where all of many fail at first, it is given the doubt."""
    for index in range(min(count, PROBED_PAGES)):
        with suppress(Exception):
            load(index)
            return True
    return count > PROBED_PAGES


def fit(width_pt: float, height_pt: float, request: dict[str, Any]) -> float:
    """Pixels per point for a page of this size in points, within the request's bounds.

    A page too large for `max_pixels` or `max_side` is drawn smaller, one with a side of less than
    `min_side` pixels larger, as far as the others let it. Raises `Failure` for one without area.
    """
    if not (math.isfinite(width_pt) and math.isfinite(height_pt) and width_pt > 0 and height_pt > 0):
        raise Failure("page", "the page has no area")
    # One pixel of room each way: the libraries round outwards.
    most = min(
        (request["max_side"] - 1) / max(width_pt, height_pt),
        math.sqrt(request["max_pixels"] / (width_pt * height_pt)) * (1 - 1e-3),
    )
    least = request["min_side"] / min(width_pt, height_pt)
    zoom = min(max(request["dpi"] / 72, least), most)
    while (width_pt * zoom + 1) * (height_pt * zoom + 1) > request["max_pixels"]:
        zoom *= 0.99
    if min(width_pt, height_pt) * zoom < 1:
        raise Failure("page", "the page is less than a pixel wide")
    return float(zoom)


def _text(page: Any, zoom: float) -> dict[str, Any]:
    """The embedded text: lines as `[text, x0, y0, x1, y1]` in pixels, and signs of their worth.

    `hidden` is the share of characters that are drawn invisibly, as under scans; `image` the share
    of the page that its largest picture covers. MuPDF gives text positions on the unrotated page.
    """
    matrix = page.rotation_matrix * pymupdf.Matrix(zoom, zoom)
    lines, characters, hidden = [], 0, 0
    flags = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_MEDIABOX_CLIP
    for block in page.get_text("dict", flags=flags)["blocks"]:
        for line in block.get("lines", ()):
            text = "".join(span["text"] for span in line["spans"])
            if not text.strip():
                continue
            box = pymupdf.Rect(line["bbox"]) * matrix
            lines.append([text.strip(), box.x0, box.y0, box.x1, box.y1])
            characters += len(text)
            hidden += sum(len(s["text"]) for s in line["spans"] if not s["char_flags"] & _VISIBLE)
    area = page.rect.width * page.rect.height
    whole = pymupdf.Rect(0, 0, *page.cropbox.br - page.cropbox.tl)
    images = [
        abs(pymupdf.Rect(box) & whole) / area
        for kind, box in page.get_bboxlog()
        if kind in ("fill-image", "fill-imgmask")
    ]
    return {"lines": lines, "hidden": hidden / max(1, characters), "image": max(images, default=0.0)}


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


class Worker:
    """Answers requests; holds one document open from one to the next."""

    def __init__(self) -> None:
        self._held: str | None = None
        self._pages: Pages | None = None

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[memoryview]]:
        """One request. Raises `Failure`."""
        if request["op"] == "close":
            if request["document"] == self._held:
                self._drop()
            return {}, []
        pages = self._document(request)
        if request["op"] == "open":
            return {"pages": pages.count, "renderer": pages.renderer}, []
        try:
            return pages.render(request)
        except (Failure, MemoryError):
            raise
        except Exception as error:
            raise Failure("page", f"{type(error).__name__}: {error}") from error

    def _document(self, request: dict[str, Any]) -> Pages:
        if self._pages is None or self._held != request["document"]:
            self._drop()
            self._pages = open_document(request["path"], request["password"])
            self._held = request["document"]
        return self._pages

    def _drop(self) -> None:
        pages, self._pages, self._held = self._pages, None, None
        if pages is not None:
            pages.close()
            _give_memory_back()


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123  (pathlib only costs time here)
        return int(statm.read().split()[1]) * resource.getpagesize()


def _give_memory_back() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _bound(memory_mb: int, seconds: float) -> None:
    """Set the bounds of one request. The alarm kills a process that nobody is left to kill."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    signal.setitimer(signal.ITIMER_REAL, seconds + 5)


def _die_with_parent(wanted: bool) -> None:
    """Have the kernel send SIGIO, whose default is death, when the input's other end goes away.

    While a page is drawn no Python runs here, so the end of the input would go unseen. Nothing is
    written to the input meanwhile, so the signal can mean nothing else.
    """
    flags = fcntl.fcntl(0, fcntl.F_GETFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC if wanted else flags & ~os.O_ASYNC)


def _end_before_the_server() -> None:
    """Where the machine's or the container's memory runs out, the kernel is to end this process first."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _failure(error: BaseException) -> dict[str, Any]:
    failure = error if isinstance(error, Failure) else Failure("memory", str(error))
    if any(sign in failure.detail for sign in ("malloc", "calloc", "realloc", "out of memory")):
        failure.reason = "memory"
    return {"ok": False, "reason": failure.reason, "detail": failure.detail[:500]}


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the requests end."""
    worker = Worker()
    for line in requests:
        request = json.loads(line)
        if request["op"] != "close":
            _bound(request["memory_mb"], request["seconds"])
        _die_with_parent(True)
        try:
            answer, payload = worker.answer(request)
            answer |= {"ok": True, "bytes": sum(len(piece) for piece in payload)}
        except (Failure, MemoryError) as error:
            answer, payload = _failure(error), []
        _die_with_parent(False)
        answers.write(json.dumps(answer).encode() + b"\n")
        for piece in payload:
            answers.write(piece)
        answers.flush()
        del answer, payload
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)  # the libraries print; only answers may go out
    os.dup2(null, 2)
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))
    _end_before_the_server()
    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
