"""What the processes of `process.tasks` run to write results: values of JSON in and out.

A document lies on the disk as JSON, and its original is opened anew, where it can be bounded.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from airgap.core.document import Document, PageError
from airgap.core.errors import InvalidOption
from airgap.core.file_names import safe_stem
from airgap.core.opening import OPTIONS, WHOLE, Opening
from airgap.exporters import EXPORTERS, export_file
from airgap.exporters.archive import DEFAULT_OUTPUTS, Archive
from airgap.exporters.document_in import parse_document
from airgap.exporters.json_export import document_from_dict, document_to_dict, ledger_to_dict
from process.pages import Limits, Source, open_source, reopened


def save(document: Document, path: Path) -> None:
    """Put a document where `loaded` finds it. Blocks."""
    text = json.dumps(document_to_dict(document), ensure_ascii=False, allow_nan=False)
    path.write_bytes(text.encode("utf-8", "replace"))


def loaded(path: str) -> Document:
    return document_from_dict(json.loads(Path(path).read_bytes()))


def write(document: str, source: dict[str, Any], outputs: list[str], target: str) -> list[str]:
    """One format, or a ZIP of several, into the file `target`. Returns warnings."""
    with reopened(source) as original:
        return _write(loaded(document), original, tuple(outputs), Path(target))


def _write(document: Document, source: Source, outputs: tuple[str, ...], target: Path) -> list[str]:
    if len(outputs) == 1 and outputs != ("zip",):
        return list(export_file(outputs[0], document, source, target))
    with Archive(target, _formats(outputs)) as archive:
        archive.add(document.filename or source.name, document, source)
    return []


def _formats(outputs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in outputs if name != "zip") or DEFAULT_OUTPUTS


def write_batch(files: list[dict[str, Any]], outputs: list[str], flat: bool, target: str) -> None:
    """A ZIP of many documents: of each the `filename`, and its `document` and `source`, or the `error`."""
    with Archive(Path(target), _formats(tuple(outputs)), flat=flat) as archive:
        for file in files:
            if file["error"]:
                archive.add_failure(file["filename"], PageError(**file["error"]))
                continue
            with reopened(file["source"]) as source:
                archive.add(file["filename"], loaded(file["document"]), source)


def write_sent(
    document: str,
    original: dict[str, Any] | None,
    limits: dict[str, Any],
    outputs: list[str],
    name: str,
    target: str,
    login: str | None = None,
) -> dict[str, Any]:
    """As `write`, for a document as somebody sent it, with its `original`:
    `path`, `name`, `password`, `keep_active_content`.

    `login` is who sent it, where accounts are on, and signs its reviews.

    Returns `warnings`, `ledger` and the `name` of the result. Raises `InvalidOption` for no document.
    """
    read = parse_document(Path(document).read_bytes(), login)
    with ExitStack() as stack:
        source = None if original is None else stack.enter_context(_opened(read, original, limits))
        if source is not None:
            warnings = _write(read, source, tuple(outputs), Path(target))
        elif len(outputs) > 1 or outputs == ["zip"]:
            raise InvalidOption("A ZIP is made beside the original, which was not sent.", "Send `file` too.")
        else:
            warnings = list(export_file(outputs[0], read, None, Path(target)))
    return {
        "warnings": [*read.warnings, *warnings],
        "ledger": ledger_to_dict(read.ledger),
        "name": safe_stem(name) if source is None else source.name,
    }


def _opened(document: Document, original: dict[str, Any], limits: dict[str, Any]) -> Source:
    """The original at the pages that the document has, and as large as they were read."""
    return open_source(
        Path(original["path"]),
        name=original["name"],
        limits=replace(Limits(**limits), render_workers=1),
        opening=Opening(
            dpi=resolution_of(document),
            page_from=document.pages[0].number,
            page_to=document.pages[-1].number,
            password=original["password"],
            keep_active_content=original["keep_active_content"],
        ),
    )


def resolution_of(document: Document) -> int:
    """The dots per inch at which pages of a PDF were read: what their boxes are counted in."""
    for page in document.pages:
        if page.width and page.width_pt:
            found, dpi = round(page.width / page.width_pt * 72), OPTIONS["dpi"]
            return min(dpi.most or found, max(dpi.least or found, found))
    return WHOLE.dpi


def suffix_of(outputs: tuple[str, ...]) -> tuple[str, str]:
    """What a result of these formats ends in, and its media type."""
    if len(outputs) == 1 and outputs != ("zip",):
        exporter = EXPORTERS[outputs[0]]
        return exporter.suffix, exporter.media_type
    return ".zip", "application/zip"
