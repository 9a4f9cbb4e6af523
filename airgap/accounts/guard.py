"""The one place where a login or key is demanded: in front of every route, before a body is read.

What is not listed here as open is closed, so that a new route is guarded from its first day.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airgap.accounts.caller import ANONYMOUS, Caller
from airgap.accounts.service import Accounts
from airgap.core.errors import AirgapError, Unauthorized
from airgap.http.error_answers import error_response
from airgap.monitoring.web import KindOf

OPEN_PATHS = frozenset(
    {
        "/",
        "/health",
        "/healthz",
        "/readyz",
        "/ui",
        "/docs",
        "/docs/oauth2-redirect",
        "/redoc",
        "/api/docs",
        "/openapi.json",
        "/api/auth/token",
        "/api/auth/register",  # the route itself asks who may
    }
)
OPEN_PREFIXES = ("/static-offline-docs/", "/ui/")


class Guard:
    """Puts the caller on the request, or answers 401 or 429. `open_paths` are open besides those above."""

    def __init__(self, app: ASGIApp, accounts: Accounts, kind_of: KindOf, open_paths: frozenset[str]) -> None:
        self.app = app
        self.kind_of = kind_of
        self.accounts = accounts
        self.open_paths = OPEN_PATHS | open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no others yet, and none is to slip by
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        path = scope["path"]
        is_open = path in self.open_paths or path.startswith(OPEN_PREFIXES)
        try:
            caller = await self._caller(scope, required=not is_open)
        except AirgapError as error:
            await _refuse(error, scope, receive, send)
            return
        scope["caller"] = caller
        if trace := scope.get("trace"):
            trace.caller = f"{caller.id} {caller.name}" if caller is not ANONYMOUS else caller.id
        charged = 0

        async def charge() -> None:
            nonlocal charged
            if trace and (pages := trace.pages.total()) > charged:
                charged, new = pages, pages - charged
                await self.accounts.charge(caller, new)

        async def charging_send(message: Message) -> None:
            if not message.get("more_body", False) and message["type"] == "http.response.body":
                await charge()  # the next request of whoever has the whole answer finds it counted
            await send(message)

        try:
            await self.app(scope, receive, charging_send)
        finally:
            await charge()

    async def _caller(self, scope: Scope, *, required: bool) -> Caller:
        credential = credential_of(Headers(scope=scope))
        if credential is None:
            if required:
                raise Unauthorized("This route needs a login or an API key.")
            return ANONYMOUS
        try:
            caller = await self.accounts.identify(credential)
        except Unauthorized:
            if required:
                raise
            return ANONYMOUS
        if required:
            reads = bool(self.kind_of(scope["method"], scope["path"]))
            await self.accounts.admit(caller, reads=reads)
        return caller


def credential_of(headers: Headers) -> str | None:
    """The bearer token, or the key in `X-API-Key`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key") or None


async def _refuse(error: AirgapError, scope: Scope, receive: Receive, send: Send) -> None:
    response = error_response(error, str(scope.get("request_id", "")))
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    await response(scope, receive, send)
