"""Many documents → one ZIP with a manifest, written to disk as it goes.

    results.zip
      manifest.json                    every input, its ledger, what read it, every checksum
      <name>/<name>.md  <name>.json …  what was asked for
      <name>/images/<page>_<n>.jpg     the figures that the Markdown and the HTML refer to

Where an input was named with its folders, `<name>` stands below them.

Names are made safe and unique here: no name that a client sent is ever used as a path. It writes
the format that it is given names for and knows nothing of HTTP, jobs or engines.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from airgap.core.document import Document, PageError
from airgap.core.errors import AirgapError
from airgap.core.file_names import UniqueNames
from airgap.core.version import VERSION
from airgap.exporters import EXPORTERS, Source, export_file
from airgap.exporters.json_export import error_to_dict, ledger_to_dict
from airgap.exporters.reviews import reviewed

DEFAULT_OUTPUTS = ("markdown", "json")
MANIFEST_VERSION = 1

_RAW = ".raw.mmd"
FIGURES = "images/"
_LINK = re.compile(rb"(?<=\]\()images/(?=\d+_\d+\.jpg\))")


class Archive:
    """A ZIP in the making. A context manager; the manifest is written when it closes."""

    def __init__(self, path: Path, outputs: Sequence[str], *, flat: bool = False) -> None:
        """`flat` puts `<name>.<suffix>` at the top, as evaluation scripts want their folders."""
        self._folder = path.parent
        self._outputs = tuple(outputs)
        self._flat = flat
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=3)
        self._names = UniqueNames()
        self._inputs: list[dict[str, Any]] = []
        self._sums: dict[str, str] = {}
        self._members = {"manifest.json"}
        self.notes: dict[str, Any] = {}
        """What else the manifest is to say."""

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            manifest = json.dumps(self.manifest(), ensure_ascii=False, indent=2)
            self._zip.writestr(_entry("manifest.json"), manifest)
        self._zip.close()

    def add(self, filename: str, document: Document, source: Source) -> None:
        """Write what was asked for of one document. `filename` is the client's, for the manifest.

        A format that fails is named in the manifest and costs no other.
        """
        name = self._claimed(filename)
        folder, stem = ("", name) if self._flat else (f"{name}/", name.rpartition("/")[2])
        errors, warnings = {}, list(document.warnings)
        for output in self._outputs:
            if output != "images":
                target = f"{folder}{stem}{EXPORTERS[output].suffix}"
                try:
                    warnings += self._write_file(target, output, document, source)
                except AirgapError as error:
                    errors[output] = error_to_dict(error.as_page_error())
        for figure, data in self._figures(document, source):
            self._write(f"{folder}{self._figures_folder()}{figure.removeprefix(FIGURES)}", data)
        self._write(f"{folder}{stem}{_RAW}", "\n\n".join(page.raw for page in document.pages).encode())
        self._inputs.append(
            {
                "filename": filename,
                "name": name,
                "success": document.ledger.failed == 0 and not errors,
                "sha256": sha256_of(source.path),
                "ledger": ledger_to_dict(document.ledger),
                "engine": document.engine,
                "model": document.model,
                "mode": document.mode,
                "unread": sum(len(page.unread) for page in document.pages),
                **reviewed(document),
                "warnings": warnings,
                "output_errors": errors,
            }
        )

    def _claimed(self, filename: str) -> str:
        """A name for an input under which nothing that is written has the name of another entry."""
        if not self._flat:
            return self._names.claim_below(filename)
        suffixes = [EXPORTERS[output].suffix for output in self._outputs if output != "images"]
        while True:
            name = self._names.claim(filename)
            members = {f"{name}{suffix}".casefold() for suffix in (*suffixes, _RAW)}
            if not members & self._members:
                self._members |= members
                return name

    def _figures_folder(self) -> str:
        """Where the figures of the input in work go: in one folder they would take each other's place."""
        return f"{FIGURES}{len(self._inputs) + 1}-" if self._flat else FIGURES

    def add_failure(self, filename: str, error: PageError) -> None:
        """Account for a file that could not be opened at all."""
        self._inputs.append({"filename": filename, "success": False, "error": error_to_dict(error)})

    def manifest(self) -> dict[str, Any]:
        """What will be in manifest.json."""
        return {
            "manifest_version": MANIFEST_VERSION,
            "software": f"Airgap OCR {VERSION}",
            **self.notes,
            "inputs": self._inputs,
            "sha256": self._sums,
        }

    def _figures(self, document: Document, source: Source) -> Iterable[tuple[str, bytes]]:
        if not {"images", "markdown", "html"} & set(self._outputs):
            return ()
        from airgap.exporters.images import iter_images

        return iter_images(document, source)

    def _write(self, name: str, data: bytes) -> None:
        self._zip.writestr(_entry(name), data)
        self._sums[name] = hashlib.sha256(data).hexdigest()

    def _write_file(self, name: str, output: str, document: Document, source: Source) -> tuple[str, ...]:
        """Write a format through a file beside the ZIP, so that it is never in memory as a whole.

        Returns what is to be said of it.
        """
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            path = Path(folder) / "output"
            warnings = export_file(output, document, source, path)
            if self._flat and output == "markdown":
                linked = _LINK.sub(self._figures_folder().encode(), path.read_bytes())
                path.write_bytes(linked)
            with path.open("rb") as file, self._zip.open(_entry(name), "w", force_zip64=True) as target:
                shutil.copyfileobj(file, target, 1 << 20)
            self._sums[name] = sha256_of(path)
        return warnings


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry without the time of day, so that equal results make equal archives."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def sha256_of(data: Path | bytes) -> str:
    """Hex digest of a file or of bytes, read in pieces."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    with data.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
