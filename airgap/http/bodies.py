"""What a request's body may be, checked while it comes in and before anything of it is decoded.

Bytes, the time between two of them, how deep and how large JSON is nested, and the character set of a
form. JSON is parsed on a thread. This module knows no route and no field.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from email.message import Message as Header
from typing import Any, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airgap.core.errors import AirgapError, BadRequest, RequestTimeout, TooLarge, UploadTooLarge
from airgap.http.error_answers import error_response
from process.work import briefly

OPEN_PREFIXES = ("/api/auth/", "/auth/")
OPEN_BODY_BYTES = 64 * 1024
"""Most bytes of a request to the routes that are open to those who have not logged in."""

BODY_SECONDS = 60.0
"""Longest time between two pieces of a request's body."""

JSON_DEPTH = 64
JSON_TOKENS = 200_000
"""Most brackets, commas and strings of a JSON body: what its objects take in memory is bounded by them."""

JSON_TEXT_BYTES = 16 << 20
"""Most bytes of one JSON string that is not plain ASCII, as base64 is: in memory each of its characters takes
as much as the widest, up to four bytes."""

PLAIN_JSON_BYTES = 1 << 20
"""Most bytes of a JSON body of plain ASCII that Python's own parser reads: of large ones it holds the
interpreter's lock more than twice as long."""

_CHARSETS = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1"})
_TOKEN = re.compile(rb'["\[\]{},]')
_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class BodyLimit:
    """Refuse a body that is too large, too slow, or not of a form that is read here."""

    def __init__(self, app: ASGIApp, max_bytes: int, max_mb: int) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_mb = max_mb

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        max_bytes, error = self._bound(scope["path"])
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and (len(declared) > 18 or int(declared) > max_bytes):
            await error_response(error, scope.get("request_id", ""))(scope, receive, send)
            return
        kind = _content_type(headers)
        if kind.get_content_charset("").lower() not in _CHARSETS and _is_form(kind):
            refusal = BadRequest("The form's character set is not read here.", "Send the form as UTF-8.")
            await error_response(refusal, scope.get("request_id", ""))(scope, receive, send)
            return
        structure = Structure() if _is_json(kind) else None
        await self.app(scope, _watched(receive, max_bytes, error, structure), send)

    def _bound(self, path: str) -> tuple[int, AirgapError]:
        if path.startswith(OPEN_PREFIXES):
            return OPEN_BODY_BYTES, UploadTooLarge(
                f"The request is larger than {OPEN_BODY_BYTES // 1024} KiB.",
                "Send the documented fields alone.",
            )
        return self.max_bytes, UploadTooLarge(f"The request is larger than {self.max_mb} MiB.")


def _watched(
    receive: Receive, max_bytes: int, error: AirgapError, structure: Structure | None
) -> Callable[[], Coroutine[Any, Any, Message]]:
    seen = 0
    whole = False

    async def watched() -> Message:
        nonlocal seen, whole
        try:  # once the body is whole, all that comes is the client's going
            async with asyncio.timeout(None if whole else BODY_SECONDS):
                message = await receive()
        except TimeoutError as timeout:
            raise RequestTimeout(f"No more of the request came for {BODY_SECONDS:g} s.") from timeout
        piece = message.get("body", b"")
        whole = whole or not message.get("more_body", False)
        seen += len(piece)
        if seen > max_bytes:
            # A new one: an exception raised again keeps every traceback that it ever had.
            raise UploadTooLarge(error.message, error.remedy)
        if structure is not None:
            structure.feed(piece)
        return message

    return watched


class Structure:
    """The brackets and strings of JSON, counted piece by piece. What is not JSON is found out later."""

    def __init__(self) -> None:
        self._depth = 0
        self._tokens = 0
        self._in_string = False
        self._carried = b""
        self._length = 0
        self._is_plain = True

    def feed(self, piece: bytes) -> None:
        """Raises `TooLarge`."""
        data, at = self._carried + piece, 0
        self._carried = b""
        while at < len(data):
            at = self._string(data, at) if self._in_string else self._between(data, at)
        if self._tokens > JSON_TOKENS:
            raise TooLarge(f"The JSON has more than {JSON_TOKENS} brackets, commas and strings.")

    def _string(self, data: bytes, at: int) -> int:
        end = _STRING.match(data, at)
        self._measure(data[at : end.end() if end else at])
        at = end.end() if end else at
        if at < len(data) and data[at : at + 1] == b"\\":  # its other half comes with the next piece
            self._carried = b"\\"
            return len(data)
        self._in_string = at >= len(data)
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
        if not hasattr(self, "_json"):
            self._json = await briefly(parsed, await self.body())
        return self._json


class JsonRoute(APIRoute):
    """A route with a JSON body: `APIRouter(route_class=JsonRoute)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json


def parsed(body: bytes | bytearray) -> Any:
    """The JSON of a body. Raises `BadRequest` for half a character, and what `json.loads` raises."""
    found = _loaded(body)
    if b"\\u" in body and _SURROGATE.search(body):
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise BadRequest(
                "A text in the JSON holds half a character (a lone surrogate).", "Send whole characters."
            ) from error
    return found


def _loaded(body: bytes | bytearray) -> Any:
    """What `json.loads` makes of a body.

    That one makes text of it first: with one character of four bytes in it, one of four times its size.
    """
    if len(body) > PLAIN_JSON_BYTES or not body.isascii():
        with suppress(ValueError):
            return from_json(body)
    return json.loads(body)


def _content_type(headers: dict[bytes, bytes]) -> Header:
    header = Header()
    header["content-type"] = headers.get(b"content-type", b"").decode("latin-1")
    return header


def _is_json(kind: Header) -> bool:
    subtype = kind.get_content_subtype()
    return kind.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))


def _is_form(kind: Header) -> bool:
    return kind.get_content_type() in ("multipart/form-data", "application/x-www-form-urlencoded")
