"""The files that a person names → those to be sent or read, and what each is called in results and ledgers.

It knows names and folders, and nothing of what is in a file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from airgap.client.transport import as_client_errors
from airgap.core.errors import InvalidOption
from airgap.core.file_names import shown_name

_SUFFIXES = "png jpg jpeg webp tif tiff bmp gif heic heif avif jp2 j2k"
PICTURE_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())


@dataclass(frozen=True, slots=True)
class Named:
    """A file, and its name with the folders below the one that was named."""

    path: Path
    name: str


def named(paths: Sequence[Path], output: Path | None = None) -> list[Named]:
    """The files, and those in the folders among `paths`; where `output` lies in one, none of its own.

    Raises `InvalidOption` when nothing is left, `ClientError` for a folder that cannot be looked into.
    """
    files: list[Named] = []
    for path in paths:
        files += _below(path, output) if path.is_dir() else [Named(path, path.name)]
    if not files:
        raise InvalidOption("The folder holds no picture and no PDF.", "Name files, or another folder.")
    return files


def _below(folder: Path, output: Path | None) -> list[Named]:
    own = output.resolve() if output and folder.resolve() in output.resolve().parents else None
    found = (path for path in files_in(folder) if own is None or own not in path.resolve().parents)
    return [Named(path, shown_name(str(folder.name / path.relative_to(folder)))) for path in found]


def files_in(folder: Path, *, pictures_only: bool = False, deep: bool = True) -> list[Path]:
    """The pictures and PDFs in a folder, by their suffixes, sorted by path; in its subfolders too if `deep`.

    What is hidden (`.name`) is passed over; a link to a folder is not followed. Raises `ClientError` for a
    folder that cannot be looked into.
    """
    wanted = PICTURE_SUFFIXES if pictures_only else PICTURE_SUFFIXES | {".pdf"}
    found: list[Path] = []
    with as_client_errors(folder):
        for place, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = [name for name in folders if deep and not name.startswith(".")]
            paths = [Path(place, name) for name in names if not name.startswith(".")]
            found += [path for path in paths if path.suffix.lower() in wanted and path.is_file()]
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error
