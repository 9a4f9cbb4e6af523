"""What a request's body may be, checked while it comes in and before anything of it is decoded.

Bytes, the time between two of them, what JSON may hold (see `json_bodies`), and the character set of a
form. This module knows no route and no field.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from email.message import Message as Header
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airgap.core.errors import AirgapError, BadRequest, RequestTimeout, UploadTooLarge
from airgap.http.error_answers import error_response
from airgap.http.json_bodies import STRUCTURE, Structure

OPEN_PREFIXES = ("/api/auth/", "/auth/")
OPEN_BODY_BYTES = 64 * 1024
"""Most bytes of a request to the routes that are open to those who have not logged in."""

BODY_SECONDS = 60.0
"""Longest time between two pieces of a request's body."""

_CHARSETS = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1"})


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
        if b"content-length" in headers and b"transfer-encoding" in headers:
            await _two_lengths(scope, receive, send)
            return
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
        structure = scope[STRUCTURE] = Structure() if _is_json(kind) else None
        await self.app(scope, _watched(receive, max_bytes, error, structure), send)

    def _bound(self, path: str) -> tuple[int, AirgapError]:
        if path.startswith(OPEN_PREFIXES):
            return OPEN_BODY_BYTES, UploadTooLarge(
                f"The request is larger than {OPEN_BODY_BYTES // 1024} KiB.",
                "Send the documented fields alone.",
            )
        return self.max_bytes, UploadTooLarge(f"The request is larger than {self.max_mb} MiB.")


async def _two_lengths(scope: Scope, receive: Receive, send: Send) -> None:
    """A gateway may go by the other one, and take for a body what is another request here (RFC 9112, 6.3)."""
    refusal = BadRequest("The request says twice how long it is.", "Send Content-Length or chunks, not both.")
    response = error_response(refusal, scope.get("request_id", ""))
    response.headers["Connection"] = "close"
    await response(scope, receive, send)


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


def _content_type(headers: dict[bytes, bytes]) -> Header:
    header = Header()
    header["content-type"] = headers.get(b"content-type", b"").decode("latin-1")
    return header


def _is_json(kind: Header) -> bool:
    subtype = kind.get_content_subtype()
    return kind.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))


def _is_form(kind: Header) -> bool:
    return kind.get_content_type() in ("multipart/form-data", "application/x-www-form-urlencoded")
