"""JSON in a request's body: its bounds, counted while it comes in, and its parsing, which holds nobody up.

Python's lock is held for as long as one call parses or copies. Of 200 MiB in one text that is most of a
second, in which nothing else of the server runs. So long texts are cut out by where they began and ended
when they came, each is decoded in pieces, and what is left is parsed without them. This module knows no
route and no field.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import Field
from pydantic_core import from_json

from airgap.core.errors import BadRequest, TooLarge
from process.work import briefly

STRUCTURE = "airgap.json_structure"
"""The key of a request's scope under which the `Structure` of its body is counted."""

JSON_DEPTH = 64
JSON_TOKENS = 200_000
"""Most brackets, commas and strings of a JSON body: what its objects take in memory is bounded by them."""

JSON_TEXT_BYTES = 16 << 20
"""Most bytes of one JSON string that is not plain ASCII, as base64 is: in memory each of its characters takes
as much as the widest, up to four bytes."""

JSON_REST_BYTES = 16 << 20
"""Most bytes of a JSON body beside its long strings: they are parsed in one call."""

LONG_BYTES = 4096
"""Of more bytes than these a string is long, and is cut out and decoded by itself."""

PIECE_BYTES = 4 << 20
"""Bytes of a long string that are decoded in one call."""

PLAIN_JSON_BYTES = 1 << 20
"""Most bytes of plain ASCII that Python's own parser reads: of large ones it holds the interpreter's lock
more than twice as long."""

WORD_CHARS = 1000
Word = Annotated[str, Field(max_length=WORD_CHARS)]
"""A text of a JSON body that is no content: a name, a choice, a language. It may come back in a message."""

_TOKEN = re.compile(rb'["\[\]{},]')
_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class LongText:
    """The string between the quotes at `start - 1` and `end` of a body; plain is ASCII without `\\u`."""

    start: int
    end: int
    is_plain: bool


class Structure:
    """The brackets and strings of JSON, counted piece by piece. What is not JSON is found out later."""

    def __init__(self) -> None:
        self.long_texts: list[LongText] = []
        self._depth = 0
        self._tokens = 0
        self._fed = 0
        self._long_bytes = 0
        self._in_string = False
        self._carried = b""
        self._length = 0
        self._is_plain = True

    def feed(self, piece: bytes) -> None:
        """Raises `TooLarge`."""
        data, at = self._carried + piece, 0
        self._fed += len(piece)
        self._carried = b""
        while at < len(data):
            at = self._string(data, at) if self._in_string else self._between(data, at)
        if self._tokens > JSON_TOKENS:
            raise TooLarge(f"The JSON has more than {JSON_TOKENS} brackets, commas and strings.")
        unfinished = self._length if self._in_string and self._length > LONG_BYTES else 0
        if self._fed - self._long_bytes - unfinished > JSON_REST_BYTES:
            raise TooLarge(f"The JSON has more than {JSON_REST_BYTES >> 20} MiB beside its long texts.")

    @property
    def unfinished(self) -> int | None:
        """Where the quote stands of a string that has not ended."""
        return self._fed - len(self._carried) - self._length - 1 if self._in_string else None

    def _string(self, data: bytes, at: int) -> int:
        end = _STRING.match(data, at)
        self._measure(data[at : end.end() if end else at])
        at = end.end() if end else at
        if at < len(data) and data[at : at + 1] == b"\\":  # its other half comes with the next piece
            self._carried = b"\\"
            return len(data)
        self._in_string = at >= len(data)
        if not self._in_string and self._length > LONG_BYTES:
            stop = self._fed - len(data) + at
            self.long_texts.append(LongText(stop - self._length, stop, self._is_plain))
            self._long_bytes += self._length
        return at + 1

    def _measure(self, part: bytes) -> None:
        """Count a part of the string that is being read."""
        self._length += len(part)
        self._is_plain = self._is_plain and part.isascii() and b"\\u" not in part
        if self._length > JSON_TEXT_BYTES and not self._is_plain:
            raise TooLarge(f"The JSON has a text of more than {JSON_TEXT_BYTES >> 20} MiB.")

    def _between(self, data: bytes, at: int) -> int:
        for token in _TOKEN.finditer(data, at):
            self._tokens += 1
            sign = token.group()
            if sign == b'"':
                self._in_string, self._length, self._is_plain = True, 0, True
                return token.end()
            if sign in b"[{":
                self._depth += 1
                if self._depth > JSON_DEPTH:
                    raise TooLarge(f"The JSON is nested deeper than {JSON_DEPTH} levels.")
            elif sign in b"]}":
                self._depth -= 1
        return len(data)


class JsonRequest(Request):
    """A request whose JSON is parsed on a thread, and holds no half characters."""

    async def body(self) -> bytes:
        """As the pieces come: joined at the end, 200 MiB would keep the loop for a while."""
        if not hasattr(self, "_body"):
            whole = bytearray()
            try:
                async for piece in self.stream():
                    whole += piece
            except BaseException:
                whole.clear()  # what is refused is held by the error's trace, for who knows how long
                raise
            self._body = cast(bytes, whole)  # all that is done with bytes is done with these
        return self._body

    async def json(self) -> Any:
        """Raises `TooLarge`, `BadRequest`, and what `json.loads` raises."""
        if not hasattr(self, "_json"):
            self._json = await briefly(_parsed_by, await self.body(), self.scope.get(STRUCTURE))
        return self._json


class JsonRoute(APIRoute):
    """A route with a JSON body: `APIRouter(route_class=JsonRoute)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json


def parsed(body: bytes | bytearray, long_texts: Sequence[LongText] = ()) -> Any:
    """The JSON of a body. Raises `BadRequest` for half a character, and what `json.loads` raises."""
    mark = secrets.token_hex(16)  # nobody can have written it into the body
    texts = {f"{mark}{number}": _text(body, long) for number, long in enumerate(long_texts)}
    rest, at = bytearray(), 0
    for name, long in zip(texts, long_texts, strict=True):
        rest += memoryview(body)[at : long.start]
        rest += name.encode()
        at = long.end
    rest += memoryview(body)[at:]
    try:
        found = _loaded(rest)
    except json.JSONDecodeError as error:
        raise _not_json(error.msg, _before_cutting(_byte(error), long_texts, len(mark))) from error
    return _with_texts(found, texts) if texts else found


def _before_cutting(position: int, long_texts: Sequence[LongText], mark: int) -> int:
    """Where in the body that is which stands there in the rest."""
    for number, long in enumerate(long_texts):
        if position < long.start:
            break
        position += long.end - long.start - mark - len(str(number))
    return position


def _byte(error: json.JSONDecodeError) -> int:
    """Where it was found, in bytes."""
    return len(error.doc[: error.pos].encode())


def _not_json(message: str, position: int) -> json.JSONDecodeError:
    """As the parser says it, without a copy of the whole text to count its lines in."""
    return json.JSONDecodeError(message, "", position)


def _parsed_by(body: bytes | bytearray, structure: Structure | None) -> Any:
    """A body that was not called JSON when it came is counted now."""
    if structure is None:
        structure = Structure()
        for at in range(0, len(body), PIECE_BYTES):
            structure.feed(bytes(body[at : at + PIECE_BYTES]))
    if structure.unfinished is not None:
        raise _not_json("Unterminated string starting at", structure.unfinished)
    return parsed(body, structure.long_texts)


def _text(body: bytes | bytearray, long: LongText) -> str:
    """Pieces appended, for which Python grows the text in place: `join` would copy the whole in one call."""
    if not long.is_plain:  # bounded, and pairs of `\\u` are not to be parted
        return _decoded(body, long.start, long.end)
    text = ""
    for piece in _pieces(body, long):
        text += piece
    return text


def _pieces(body: bytes | bytearray, long: LongText) -> Iterator[str]:
    at = long.start
    while at < long.end:
        stop = min(at + PIECE_BYTES, long.end)
        stop -= _ends_in_an_escape(body[at:stop])
        yield _decoded(body, at, stop)
        at = stop


def _decoded(body: bytes | bytearray, start: int, stop: int) -> str:
    try:
        return cast(str, _loaded(b"".join((b'"', body[start:stop], b'"'))))
    except json.JSONDecodeError as error:
        raise _not_json(error.msg, start - 1 + _byte(error)) from error


def _ends_in_an_escape(piece: bytes | bytearray) -> bool:
    """Whether the last backslash belongs to what comes next."""
    return (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1


def _with_texts(found: Any, texts: dict[str, str]) -> Any:
    """What was parsed, with the long texts in their places."""
    if isinstance(found, str):
        return texts.get(found, found)
    if isinstance(found, list):
        return [_with_texts(value, texts) for value in found]
    if isinstance(found, dict):
        return {texts.get(name, name): _with_texts(value, texts) for name, value in found.items()}
    return found


def _loaded(body: bytes | bytearray) -> Any:
    """What `json.loads` makes of a piece of JSON. Raises `BadRequest` for half a character, too.

    That one makes text of it first: with one character of four bytes in it, one of four times its size.
    """
    found: Any = _first_read(body)
    if b"\\u" in body and _SURROGATE.search(body):
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise BadRequest(
                "A text in the JSON holds half a character (a lone surrogate).", "Send whole characters."
            ) from error
    return found


def _first_read(body: bytes | bytearray) -> Any:
    if len(body) > PLAIN_JSON_BYTES or not body.isascii():
        with suppress(ValueError):
            return from_json(body)
    return json.loads(body)
