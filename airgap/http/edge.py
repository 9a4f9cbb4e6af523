"""The outermost layer of HTTP: request ids, body limits, errors as JSON, headers.

Nothing here knows what the routes do. Errors look the same everywhere:
`{"error": {"code", "message", "remedy"}, "request_id"}`, with `Retry-After` where it helps.
"""

from __future__ import annotations

import logging
import re
import uuid
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airgap.core.errors import AirgapError, BadRequest, InvalidOption
from airgap.db.away import AWAY, away
from airgap.http.bodies import BodyLimit
from airgap.http.error_answers import error_response
from airgap.http.forwarded import Forwarded
from airgap.http.openness import TrustedHosts
from airgap.http.peers import Peers
from airgap.http.room import Reservation, Room, is_full, no_room
from config import Settings

log = logging.getLogger(__name__)

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# The pages of /docs and /redoc hold inline scripts; whatever is in them, nothing external loads.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class ErrorDetail(BaseModel):
    """What is wrong, and what the sender can do about it."""

    code: str
    message: str
    remedy: str


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail
    request_id: str


ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorAnswer, "description": "The request cannot be answered as it is."},
    "5XX": {"model": ErrorAnswer, "description": "The server cannot answer now."},
}
"""For the description of the API: FastAPI's own would promise another body."""


def install(app: FastAPI, settings: Settings) -> None:
    """Put the layer around an application."""
    app.add_exception_handler(AirgapError, _airgap_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(OSError, _os_error)
    for kind in AWAY:
        app.add_exception_handler(kind, _database_away)
    app.add_middleware(Reservation, room=Room(settings.data_dir), refuse=error_response)
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes, max_mb=settings.max_upload_mb)
    if settings.cors_allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_allow_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    if settings.trusted_hosts or not settings.auth_enabled:
        app.add_middleware(TrustedHosts, names=settings.trusted_hosts, inside=not settings.auth_enabled)
    app.add_middleware(RequestContext)
    if settings.trusted_proxies:
        app.add_middleware(Forwarded, trusted=Peers(settings.trusted_proxies))
    app.state.metrics_clients = Peers(settings.metrics_clients)


def request_id_of(request: Request) -> str:
    return str(request.scope.get("request_id", ""))


async def _airgap_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AirgapError)
    return error_response(error, request_id_of(request))


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = "; ".join(f"`{_where(e['loc'])}`: {e['msg']}" for e in error.errors()[:5])
    return error_response(InvalidOption(problems or "The request is not valid."), request_id_of(request))


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location[1:]) or str(location[0])


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, AirgapError):  # raised while the body was being parsed
        return error_response(error.__cause__, request_id_of(request))
    if is_full(error.__cause__):
        return error_response(no_room(), request_id_of(request))
    kind = type("HttpError", (BadRequest,), {"status": error.status_code, "code": _code(error.status_code)})
    response = error_response(kind(str(error.detail)), request_id_of(request))
    response.headers.update(error.headers or {})
    return response


async def _os_error(request: Request, error: Exception) -> JSONResponse:
    """A full disk is said as such; everything else goes the way of the unexpected."""
    if not is_full(error):
        raise error
    log.error("request %s found no room on the disk: %s", request_id_of(request), error)
    return error_response(no_room(), request_id_of(request))


async def _database_away(request: Request, error: Exception) -> JSONResponse:
    return error_response(away(error), request_id_of(request))


def _code(status: int) -> str:
    return {404: "not_found", 405: "method_not_allowed"}.get(status, "invalid_request")


class RequestContext:
    """Give each request an id, put it and the safety headers on the answer, and log what broke."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        scope["request_id"] = request_id
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
                headers.setdefault("Referrer-Policy", "no-referrer")
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            log.exception("request %s broke", request_id)
            if started:
                raise
            error = AirgapError("The server broke while answering; its log says how.")
            await error_response(error, request_id)(scope, receive, send_with_headers)
