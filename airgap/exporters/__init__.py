"""The room of output formats: `Document` to bytes, one pure function per file.

`EXPORTERS` says what there is; `export` finds the function and calls it. Importing this package
imports none of them, so that a format whose library is missing costs nothing until it is asked for.
An exporter knows nothing of engines, HTTP or jobs, nor of how pages are opened: it sees the
original through the `Source` protocol, which whoever opened the file fulfils.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast, runtime_checkable

from airgap.core.document import Document
from airgap.core.errors import FeatureDisabled, InvalidOption

if TYPE_CHECKING:
    from PIL.Image import Image


@runtime_checkable
class Source(Protocol):
    """The original of a document, as far as an output format needs it.

    `name` is a stem that is safe as a file name. `path` is the file as it was sent (or its bytes).
    `numbers` are the page numbers that were read, in order. `image(number)` gives the pixels of one
    page, RGB, in the size and orientation that `Box` refers to, and raises an `AirgapError` for a
    page that cannot be shown. A source may have a `password` (str or None), the one that opened a PDF, and
    `keep_active_content` (bool), whether scripts and attachments stay in what is made of a PDF.
    """

    @property
    def name(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def kind(self) -> Literal["image", "pdf"]: ...
    @property
    def path(self) -> Path | bytes: ...
    @property
    def numbers(self) -> Sequence[int]: ...
    def image(self, number: int) -> Image: ...


ExportFunction = Callable[[Document, Source | None], bytes]


@dataclass(frozen=True, slots=True)
class Exporter:
    """One output format.

    `target` is `"module:function"`, imported when it is first used. `suffix` is what a file of this
    format is called after the stem. `needs_source` is False where the `Document` alone is enough.
    `file_target` names a second function, `(document, source, path) -> warnings`, of formats that are
    written to a file piece by piece, so that a long document is never in memory as a whole.
    `shows_figures` is True where figures are cut out of the original, if it is there. `requires` are the
    modules of libraries without which the format cannot be had.
    """

    target: str
    media_type: str
    suffix: str
    needs_source: bool = True
    file_target: str | None = None
    shows_figures: bool = False
    requires: tuple[str, ...] = ()

    @property
    def function(self) -> ExportFunction:
        return cast(ExportFunction, _imported(self.target))


EXPORTERS: dict[str, Exporter] = {
    "markdown": Exporter(
        "airgap.exporters.markdown:to_markdown", "text/markdown; charset=utf-8", ".md", False
    ),
    "json": Exporter("airgap.exporters.json_export:to_json", "application/json", ".json", False),
    "text": Exporter("airgap.exporters.text:to_text", "text/plain; charset=utf-8", ".txt", False),
    "html": Exporter(
        "airgap.exporters.html:to_html", "text/html; charset=utf-8", ".html", False, shows_figures=True
    ),
    "hocr": Exporter("airgap.exporters.hocr:to_hocr", "application/xhtml+xml", ".hocr", False),
    "alto": Exporter("airgap.exporters.alto:to_alto", "application/xml", ".alto.xml", False),
    "docx": Exporter(
        "airgap.exporters.docx:to_docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ".docx",
        False,
        shows_figures=True,
        requires=("docx",),
    ),
    "annotated": Exporter("airgap.exporters.annotated:to_png", "image/png", "_annotated.png"),
    "images": Exporter("airgap.exporters.images:to_zip", "application/zip", "_images.zip"),
    "layout_pdf": Exporter(
        "airgap.exporters.layout_pdf:to_layout_pdf",
        "application/pdf",
        "_layout.pdf",
        file_target="airgap.exporters.layout_pdf:write_layout_pdf",
        requires=("img2pdf",),
    ),
    "searchable_pdf": Exporter(
        "airgap.exporters.searchable_pdf:to_searchable_pdf",
        "application/pdf",
        "_searchable.pdf",
        file_target="airgap.exporters.searchable_pdf:write_searchable_pdf",
        requires=("ocrmypdf", "pikepdf"),
    ),
}

ALIASES: dict[str, str] = {"md": "markdown", "txt": "text", "pdf": "searchable_pdf"}


def missing_library(name: str) -> str | None:
    """The library that the format `name` needs and that is not installed; None where it can be had."""
    return next((module for module in EXPORTERS[name].requires if find_spec(module) is None), None)


def exporter_name(name: str) -> str:
    """The canonical name of an output format. Raises `InvalidOption`, naming the valid ones."""
    key = name.strip().lower()
    key = ALIASES.get(key, key)
    if key not in EXPORTERS:
        raise InvalidOption(
            f"There is no output format {name[:40]!r}.", f"Choose among: {', '.join(sorted(EXPORTERS))}."
        )
    return key


def export(name: str, document: Document, source: Source | None = None) -> bytes:
    """The document in the format `name`.

    Raises `InvalidOption` for an unknown format, or for one that needs the original where `source`
    is None, and `FeatureDisabled` where a format's library is missing.
    """
    return _checked(name, source).function(document, source)


def export_file(name: str, document: Document, source: Source | None, path: Path) -> tuple[str, ...]:
    """As `export`, into the file `path`; formats that can be written piece by piece are.

    Returns warnings: what in this format could not be had as it was asked for.
    """
    exporter = _checked(name, source)
    if exporter.file_target is None:
        path.write_bytes(exporter.function(document, source))
        return ()
    write = cast(Callable[[Document, Source | None, Path], tuple[str, ...]], _imported(exporter.file_target))
    return write(document, source, path)


def _checked(name: str, source: Source | None) -> Exporter:
    key = exporter_name(name)
    if EXPORTERS[key].needs_source and source is None:
        raise InvalidOption(
            f"The output format {key!r} is made from the original pages, which are not there.",
            "Send the file itself with the request.",
        )
    return EXPORTERS[key]


def _imported(target: str) -> Callable[..., object]:
    module, _, name = target.partition(":")
    try:
        return cast(Callable[..., object], getattr(import_module(module), name))
    except ImportError as error:
        raise FeatureDisabled(
            f"This output format needs a library that is not installed: {error.name}.",
            "Have the site install requirements.txt, or ask for another format.",
        ) from error
