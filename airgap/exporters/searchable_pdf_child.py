"""The process in which OCRmyPDF works: `python -m airgap.exporters.searchable_pdf_child JOB.json PARENT`.

OCRmyPDF keeps global state and reads PDFs that may be hostile; a process of its own can be bounded
and killed. The job names the files and the pages; the answer is written beside it as `result.json`.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ocrmypdf
import pikepdf
import pikepdf.pdfa
import pymupdf
from ocrmypdf.font import system_font_provider

from airgap.exporters import ocrmypdf_plugin
from airgap.exporters.active_content import active_content, in_words, take_off
from airgap.exporters.bookmarks import add_bookmarks, media_and_crop, rotation
from airgap.exporters.ocrmypdf_plugin import PlacedLine, PlacedPage, Rectangle
from airgap.exporters.pdf_forms import give_back_form, lay_form_aside
from airgap.exporters.shown_text import unseen

MEMORY_BYTES = 6 << 30
_PR_SET_PDEATHSIG = 1  # prctl(2)
FAR = 32_000  # beyond any page: PDF 32000-1, annex C


def main(job_path: Path, parent: int) -> None:
    die_with(parent)
    bound, _ = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_BYTES if bound < 0 else bound  # a server's processes come with theirs
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    job = json.loads(job_path.read_text("utf-8"))
    # The text layer must not depend on what fonts a machine happens to have: its letters are not seen.
    system_font_provider.SystemFontProvider.SYSTEM_FONT_DIRS = {}
    try:
        result = _run(job, job_path.parent)
    except (pikepdf.PasswordError, ocrmypdf.exceptions.EncryptedPdfError):
        result = {"error": "encrypted"}
    except Exception as error:  # libraries raise nearly everything on hostile files; the answer says which
        result = {"error": f"{type(error).__name__}: {error}"[:500]}
    job_path.with_name("result.json").write_text(json.dumps(result), "utf-8")


def die_with(parent: int) -> None:
    """End when the process `parent` does, whatever ends it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was quicker
        sys.exit(1)


def _run(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    source, output = _prepared(job, folder), Path(job["output"])
    with pikepdf.open(source) as pdf, pymupdf.open(source) as shown:
        count = min(len(pdf.pages), len(shown))
        if not count or any(page["index"] >= count for page in job["pages"]):
            return {"error": f"of the pages that were read only {count} are there"}
        for page in job["pages"]:
            page["lines"] = unseen(page, shown[page["index"]])
            ocrmypdf_plugin.PAGES[page["index"]] = _placed(page, pdf.pages[page["index"]])
    numbers = sorted(number for number, page in ocrmypdf_plugin.PAGES.items() if page.lines)
    if not numbers:
        ocrmypdf_plugin.PAGES.update({n: PlacedPage(8, 8, 72, ()) for n in range(count)})
    layered = folder / "layered.pdf"
    try:
        _lay_text(source, layered, numbers)
    except pikepdf.PikepdfError:
        # OCRmyPDF looks at every picture once more when all is written, and cannot unpack some kinds.
        if not _is_whole(layered, count):
            raise
    pdfa, active = _finish(layered, output, job)
    return {"pdfa": pdfa, "unsigned": job["unsigned"], "active_content": active}


def _prepared(job: dict[str, Any], folder: Path) -> Path:
    """The original without its password, and with its form laid aside, which OCRmyPDF would refuse."""
    source = Path(job["input"])
    with pikepdf.open(source, password=job["password"] or "") as pdf:
        has_form, job["unsigned"] = lay_form_aside(pdf)
        if not (has_form or job["password"]):
            return source
        plain = folder / "plain.pdf"
        pdf.save(plain)
    return plain


def _is_whole(path: Path, count: int) -> bool:
    if not path.exists():
        return False
    with pikepdf.open(path) as pdf:
        return len(pdf.pages) == count


def _lay_text(source: Path, layered: Path, numbers: list[int]) -> None:
    ocrmypdf.ocr(
        source,
        layered,
        plugins=["airgap.exporters.ocrmypdf_plugin"],
        # "redo" takes off an older invisible layer and keeps all that is seen; it draws nothing anew.
        mode="redo" if numbers else "skip",
        pages=",".join(str(number + 1) for number in numbers) or None,
        language=["eng"],
        output_type="pdf",
        optimize=0,
        jobs=1,
        use_threads=True,
        progress_bar=False,
        invalidate_digital_signatures=True,
    )


def _finish(layered: Path, output: Path, job: dict[str, Any]) -> tuple[bool, str]:
    """Write the layered PDF as PDF/A-2b, or as it is where it cannot be that.

    Returns whether it is PDF/A, and what in it was active, in words: kept, if `keep_active_content`, in a
    plain PDF, since PDF/A has no place for it.
    """
    keep_active = job["keep_active_content"]
    with pikepdf.open(layered) as pdf:
        _mend(pdf)
        add_bookmarks(pdf, job)
        found = active_content(pdf)
        if not keep_active:
            take_off(found)
        pdf.save(output)
    pdfa = not (keep_active and found) and _made_archival(output, layered.with_name("archival.pdf"))
    return pdfa, in_words(found)


def _mend(pdf: pikepdf.Pdf) -> None:
    """Before it can be PDF/A, and for viewers.

    The text layer's bounding box is the page's media box, and clips the text where the page is turned or
    begins off the origin; so this and what follows is not left to OCRmyPDF.
    """
    for page in pdf.pages:
        for name, layer in page.obj.get(pikepdf.NamePath.Resources.XObject, pikepdf.Dictionary()).items():
            if name.startswith("/OCR-"):
                layer.BBox = pikepdf.Array([-FAR, -FAR, FAR, FAR])
    give_back_form(pdf)
    # Some writers put the document's information into its catalog, too, where PDF/A has no place for it.
    if "/Info" in pdf.Root:
        del pdf.Root["/Info"]


def _made_archival(output: Path, archival: Path) -> bool:
    with pikepdf.open(output) as pdf:
        try:
            pikepdf.pdfa.save(pdf, archival, "2b")
        except (pikepdf.pdfa.PdfaError, pikepdf.PdfError, ValueError, RecursionError) as error:
            print(error, file=sys.stderr)
            return False
    archival.replace(output)
    return True


def _placed(page: dict[str, Any], pdf_page: pikepdf.Page) -> PlacedPage:
    """The page's lines, from pixels of what a viewer shows to pixels of the whole media box.

    OCRmyPDF lays text over the media box; pages were read as viewers show them, cut to the crop box.
    """
    media, crop = media_and_crop(pdf_page)
    left, bottom, right, top = (
        crop[0] - media[0],
        crop[1] - media[1],
        media[2] - crop[2],
        media[3] - crop[3],
    )
    turn = rotation(pdf_page)
    # What is cut off at the left and at the top of the page as it is displayed.
    cut_left, cut_top = {0: (left, top), 90: (bottom, left), 180: (right, bottom), 270: (top, right)}[turn]
    shown = (crop[2] - crop[0], crop[3] - crop[1])
    whole = (media[2] - media[0], media[3] - media[1])
    if turn % 180:
        shown, whole = shown[::-1], whole[::-1]
    x, y = page["width"] / shown[0], page["height"] / shown[1]
    dx, dy = cut_left * x, cut_top * y
    lines = tuple(
        PlacedLine(
            _moved(line["box"], dx, dy),
            line["turn"],
            tuple((word, _moved(box, dx, dy)) for word, box in line["words"]),
        )
        for line in page["lines"]
    )
    return PlacedPage(whole[0] * x, whole[1] * y, 72 * x, lines)


def _moved(box: Iterable[float], dx: float, dy: float) -> Rectangle:
    x0, y0, x1, y1 = box
    return x0 + dx, y0 + dy, x1 + dx, y1 + dy


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
