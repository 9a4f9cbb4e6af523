"""The files in a ZIP that somebody sent, as files of our own naming. Blocks.

A name in the archive is only ever shown. What an archive says about its sizes is not believed: bytes are
counted as they come.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from airgap.core.errors import BadRequest, EmptyFile, TooLarge
from airgap.core.file_names import shown_name
from airgap.jobs.plan import Input
from process.sniff import sniff_file

MAX_FILES = 10_000
MAX_READ = 4 << 20
"""Bytes: a directory of `MAX_FILES` entries with names of 300 characters, and its files in pieces."""

_CHUNK = 1 << 20
_IGNORED = ("__MACOSX/", ".DS_Store", "Thumbs.db")


def file_name(number: int) -> str:
    """The name of a job's input on the disk."""
    return f"{number:06d}"


def is_zip(path: Path) -> bool:
    """Whether a file is an archive of files; a document of an office program is none. Raises `EmptyFile`."""
    return sniff_file(path) == "zip"


def unpack(path: Path, folder: Path, first: int, max_bytes: int) -> tuple[list[Input], int]:
    """Write the archive's files into `folder`, numbered from `first`. Returns them and their bytes.

    Raises `BadRequest` for a damaged or encrypted archive, `EmptyFile` for one with no files, `TooLarge`
    for more than `max_bytes` or `MAX_FILES`.
    """
    inputs: list[Input] = []
    written = 0
    try:
        with path.open("rb") as sent, zipfile.ZipFile(cast(IO[bytes], _Bounded(sent))) as archive:
            for entry in archive.infolist():
                name = PurePosixPath(entry.filename.replace("\\", "/"))
                if entry.is_dir() or entry.filename.startswith(_IGNORED) or name.name in _IGNORED:
                    continue
                if first + len(inputs) >= MAX_FILES:
                    raise TooLarge(f"There are more than {MAX_FILES} files.", "Send several jobs.")
                file = file_name(first + len(inputs))
                with archive.open(entry) as packed, (folder / file).open("wb") as target:
                    written += _copy(packed, target, max_bytes - written)
                inputs.append(Input(file, shown_name(entry.filename, "file")))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise BadRequest(
            "The ZIP is damaged, encrypted or packed in a way that cannot be read.",
            "Pack the files again, without a password.",
        ) from error
    if not inputs:
        raise EmptyFile("The ZIP holds no files.")
    return inputs, written


class _Bounded:
    """The archive's file, of which no more than `MAX_READ` bytes are read at once.

    The library reads the whole directory in one piece, and makes an object of each entry, before any can
    be counted.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > MAX_READ:
            raise TooLarge("The ZIP's directory is too large.", "Send several smaller archives.")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Raises `BadZipFile` for a place before the file's beginning, as a damaged directory names one."""
        if whence == os.SEEK_SET and offset < 0:
            raise zipfile.BadZipFile("a place that is not in the file")
        return self._file.seek(offset, whence)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _copy(packed: IO[bytes], target: IO[bytes], room: int) -> int:
    copied = 0
    while piece := packed.read(_CHUNK):
        copied += len(piece)
        if copied > room:
            raise TooLarge(
                "The files are too large once unpacked.",
                "Send several jobs, or have the site raise JOB_MAX_UNPACKED_MB.",
            )
        target.write(piece)
    return copied
