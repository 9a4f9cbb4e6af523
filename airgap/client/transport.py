"""Files out, answers and errors in, over httpx: what is the same for every route.

It knows no route's name or fields beyond how files are called in a form.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import httpx

LOCAL_URL = "http://localhost:8000"

Progress = Callable[[int, int], None]
Fields = Mapping[str, object]
JsonObject = dict[str, Any]


class ClientError(Exception):
    """A call that gave no result, in the server's own words where it had any.

    `code`, `message` and `remedy` are those of the server's error, or of this client:
    `connection_failed`, `connection_lost`, `timeout`, `bad_answer`, `bad_address`, `no_service`,
    `unreadable_file`. `request_id` finds the request in the server's log; `status` is the HTTP
    status, 0 without an answer.
    """

    def __init__(self, code: str, message: str, remedy: str, request_id: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.request_id = request_id
        self.status = status


class _Upload(io.RawIOBase):
    """A file that is opened when its turn comes, so that a thousand uploads need one handle."""

    def __init__(self, path: Path, advance: Callable[[int], None]) -> None:
        super().__init__()
        self._path = path
        self._advance = advance
        self._file: io.BufferedReader | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell() if self._file else 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Only what a multipart encoder asks for: the start, or how far the end is."""
        if whence == os.SEEK_END:
            return self._path.stat().st_size
        if self._file:
            self._file.seek(offset)
        return offset

    def read(self, size: int = -1) -> bytes:
        if self._file is None:
            self._file = self._path.open("rb")
        data = self._file.read(size)
        if data:
            self._advance(len(data))
        else:
            self.close()
        return data

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


@contextmanager
def uploads(
    route: str, files: Sequence[Path], progress: Progress | None, names: Sequence[str] = ()
) -> Iterator[list[tuple[str, tuple[str, IO[bytes]]]]]:
    """Multipart parts for httpx; `progress` hears of each piece that was read for sending.

    `names` are what the files are called there; without them, their own names.
    """
    field = "files" if route.startswith(("/batch", "/jobs")) else "file"
    total = sum(path.stat().st_size for path in files)
    sent = 0

    def advance(count: int) -> None:
        nonlocal sent
        sent += count
        if progress:
            progress(sent, total)

    uploads = [_Upload(path, advance) for path in files]
    called = names or [path.name for path in files]
    try:
        yield [(field, (name, cast(IO[bytes], u))) for name, u in zip(called, uploads, strict=True)]
    finally:
        for upload in uploads:
            upload.close()


def as_form(fields: Fields) -> dict[str, str]:
    """Form fields as text; what is None or empty is left to the server."""
    sent = {name: value for name, value in fields.items() if value not in (None, "")}
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in sent.items()
    }


def bytes_of(path: Path, limit: int = -1) -> bytes:
    with as_client_errors(path), path.open("rb") as file:
        return file.read(limit)


_START = "Start one with `make serve`, or set OCR_URL to where it runs."
LOST = "Look in the server's log; an upload over its MAX_UPLOAD_MB can end like this, too."
_WRONG = "Check that the address is this server's and not another's, such as a proxy's."

# The first kind that fits: exceptions → code, message, remedy.
_FAILURES: tuple[tuple[tuple[type[Exception], ...], str, str, str], ...] = (
    (
        (httpx.UnsupportedProtocol, httpx.InvalidURL),
        "bad_address",
        "{where!r} is not the address of a server.",
        f"Use a URL such as {LOCAL_URL}.",
    ),
    (
        (httpx.ConnectError, httpx.ConnectTimeout),
        "connection_failed",
        "No server answers at {where}.",
        _START,
    ),
    ((httpx.TimeoutException,), "timeout", "{where} did not answer in time.", "Send less at once, or wait."),
    ((httpx.TransportError,), "connection_lost", "{where} closed the connection: {error}.", LOST),
    ((OSError,), "unreadable_file", "{error}.", "Check the name of the file and its permissions."),
)


@contextmanager
def as_client_errors(where: str | Path) -> Iterator[None]:
    """Turn what httpx and the file system raise into `ClientError`."""
    try:
        yield
    except (httpx.TransportError, httpx.InvalidURL, OSError) as error:
        _, code, message, remedy = next(entry for entry in _FAILURES if isinstance(error, entry[0]))
        cause = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise ClientError(code, message.format(where=str(where), error=cause), remedy) from error


def save(response: httpx.Response, destination: Path) -> Path:
    """Stream an answer to `destination`, which is there only when all of it is."""
    raise_for_error(response)
    partial = destination.with_name(destination.name + ".part")
    try:
        with partial.open("wb") as out:
            for piece in response.iter_bytes(1 << 20):
                out.write(piece)
        return partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)


def object_of(line: str, response: httpx.Response) -> JsonObject:
    """The JSON object of one line of a streamed answer; a line that was cut short means a lost connection."""
    try:
        return cast(JsonObject, json.loads(line))
    except ValueError as error:
        raise ClientError("connection_lost", f"{response.url} broke off within a line.", LOST) from error


def raise_for_error(response: httpx.Response) -> None:
    """Read the error of a streamed answer, if it is one, and raise it."""
    if response.is_error:
        response.read()
        checked(response)


def checked(response: httpx.Response, also: int = 200) -> JsonObject:
    """The JSON object of an answer. Raises the server's error as `ClientError`."""
    try:
        answer = response.json()
        if isinstance(answer, dict) and (response.is_success or response.status_code == also):
            return answer
        error = answer["error"]
        code, message, remedy = str(error["code"]), str(error["message"]), str(error["remedy"])
    except (ValueError, KeyError, TypeError):
        code, remedy = "bad_answer", _WRONG
        message = f"{response.url} answered {response.status_code}, not in the way of this server."
    raise ClientError(code, message, remedy, response.headers.get("X-Request-ID", ""), response.status_code)
