"""What a client sends → files of our own naming, or bytes. No name of a client's becomes a path."""

from __future__ import annotations

import binascii
import io
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from fastapi import UploadFile

from airgap.core.errors import EmptyFile, InvalidBase64
from airgap.core.file_names import shown_name
from airgap.monitoring import trace
from process.work import at_length, briefly

PIECE_CHARS = 1 << 20
"""Characters of base64 that are decoded in one call."""


def decode_base64(text: str) -> bytes:
    """Decode base64, with or without a data URL's prefix. Raises `InvalidBase64`, `EmptyFile`.

    In pieces: of 200 MiB at once Python's lock would be held for half a second.
    """
    start = 0
    if text.startswith("data:"):
        start = text.find(",") + 1
        if not start or not text.endswith(";base64", 0, start - 1):
            raise InvalidBase64("The data URL is not base64.")
    data = io.BytesIO()
    try:
        for piece in _quadruples(text, start):
            data.write(binascii.a2b_base64(piece, strict_mode=True))
    except ValueError as error:
        raise InvalidBase64(f"The image is not base64: {error}.") from error
    if not data.tell():
        raise EmptyFile("The image is empty.")
    return data.getvalue()


def _quadruples(text: str, start: int) -> Iterator[str]:
    """The base64 from there on without its blanks, cut where it may be cut."""
    rest, is_ended = "", False
    for at in range(start, len(text), PIECE_CHARS):
        piece = rest + "".join(text[at : at + PIECE_CHARS].split())
        if is_ended and piece:
            raise ValueError("Excess data after padding")
        whole = len(piece) // 4 * 4
        yield piece[:whole]
        rest = piece[whole:]
        is_ended = piece[:whole].endswith("=")
    yield rest


def display_name(upload: UploadFile) -> str:
    """The client's own name for its file, for answers only: never a path on this machine."""
    return shown_name(upload.filename)


@asynccontextmanager
async def saved_upload(upload: UploadFile, folder: Path) -> AsyncIterator[Path]:
    """The upload as a file of our own naming in `folder`, deleted at the end. Raises `EmptyFile`."""
    path = await briefly(save_upload, upload, folder)
    try:
        yield path
    finally:
        await briefly(path.unlink, missing_ok=True)


@asynccontextmanager
async def saved_body(body: AsyncGenerator[bytes, None], folder: Path) -> AsyncIterator[Path]:
    """A request's body as a file of our own naming in `folder`, deleted at the end. Raises `EmptyFile`."""
    path = await briefly(temporary_path, folder, "")
    try:
        await _write_body(body, path)
        await briefly(trace.note_input, path)
        yield path
    finally:
        await briefly(path.unlink, missing_ok=True)


@asynccontextmanager
async def saved_bytes(data: bytes, folder: Path) -> AsyncIterator[Path]:
    """Bytes as a file of our own naming in `folder`, deleted at the end."""
    path = await briefly(temporary_path, folder, "")
    try:
        await at_length(path.write_bytes, data)
        yield path
    finally:
        await briefly(path.unlink, missing_ok=True)


async def _write_body(body: AsyncGenerator[bytes, None], path: Path) -> None:
    file = await briefly(path.open, "wb")
    try:
        async with aclosing(body):
            async for piece in body:
                await briefly(file.write, piece)
        if file.tell() == 0:
            raise EmptyFile("The request's body is empty.", "Send the file itself as the body.")
    finally:
        await briefly(file.close)


def save_upload(upload: UploadFile, folder: Path) -> Path:
    """Copy an upload to a file of our own naming in `folder`. Blocks. Raises `EmptyFile`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="upload-", delete=False) as file:
        path = Path(file.name)
        try:
            upload.file.seek(0)
            shutil.copyfileobj(upload.file, file, 1 << 20)
            if file.tell() == 0:
                raise EmptyFile(f"The file {display_name(upload)!r} is empty.")
        except BaseException:
            path.unlink()
            raise
    trace.note_input(path)
    return path


def temporary_path(folder: Path, suffix: str) -> Path:
    """A new empty file of our own naming in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=suffix, delete=False) as file:
        return Path(file.name)
