"""The one place where a login or key is demanded: in front of every route, before a body is read.

What is not listed here as open is closed, so that a new route is guarded from its first day.
"""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections import Counter

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airgap.accounts.caller import ANONYMOUS, Caller
from airgap.accounts.service import Accounts
from airgap.core.errors import AirgapError, Unauthorized
from airgap.db.away import AWAY, away
from airgap.http.error_answers import error_response
from airgap.monitoring.trace import Trace
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
        "/api/auth/oidc/login",
        "/api/auth/oidc/callback",
        "/api/auth/oidc/token",
        "/api/auth/register",  # the route itself asks who may
        "/auth/token",
        "/auth/register",
    }
)
KEY_HEADERS = ("x-api-key", "ocp-apim-subscription-key")
"""Ours, and that of Azure's clients."""

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
        trace = scope.get("trace") or Trace("")
        try:
            caller = await self._caller(scope, required=not is_open)
            charge = await self._begin_charge(caller, scope, trace)
        except AirgapError as error:
            await _refuse(error, scope, receive, send)
            return
        except AWAY as error:
            await _refuse(away(error), scope, receive, send)
            return
        scope["caller"] = caller
        trace.caller = f"{caller.id} {caller.name}" if caller is not ANONYMOUS else caller.id

        told = False

        async def tell() -> None:
            nonlocal told
            if not told and caller is not ANONYMOUS:
                told = True
                await self._note_usage(caller, trace)

        async def settling_send(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                # The next request of whoever has the whole answer finds it counted.
                if charge:
                    await self.accounts.settle(charge, trace.pages.total())
                await tell()
            await send(message)

        try:
            await self.app(scope, receive, settling_send)
        finally:
            if charge:
                await asyncio.shield(self.accounts.settle(charge, trace.pages.total()))
            await asyncio.shield(tell())

    async def _note_usage(self, caller: Caller, trace: Trace) -> None:
        """What was read for a request; a job's pages follow as they are read."""
        pages = trace.pages.total()
        if not pages and trace.job is None:
            return
        counts = trace.read | Counter(pages=pages, input_bytes=sum(entry.size for entry in trace.inputs))
        await self.accounts.note_usage(caller.id, trace.kind, counts, trace.job)

    async def _begin_charge(self, caller: Caller, scope: Scope, trace: Trace) -> str:
        """Take the first page of a request that reads, and say how the others are taken.

        Returns the charge to be settled at its end; empty where nothing is counted. A job takes its pages
        once they are known.
        """
        kind, limit = self.kind_of(scope["method"], scope["path"]), caller.pages_per_day
        if not kind or limit is None:
            return ""
        if kind == "job":
            if not scope["path"].startswith("/jobs/"):  # those are about a job that was taken in before
                await self.accounts.require_pages_left(caller.account, limit)
            return ""
        charge = f"request:{uuid.uuid4().hex}"
        trace.take = functools.partial(self.accounts.take, charge, caller.account, limit)
        await trace.take(1)
        trace.taken = 1
        return charge

    async def _caller(self, scope: Scope, *, required: bool) -> Caller:
        credential = credential_of(Headers(scope=scope))
        if credential is None:
            if required:
                raise Unauthorized("This route needs a login or an API key.")
            return ANONYMOUS
        try:
            caller = await self.accounts.identify(credential)
        except (Unauthorized, *AWAY):  # a probe with a login is answered whatever the database does
            if required:
                raise
            return ANONYMOUS
        if required:
            await self.accounts.admit(caller)
        return caller


def credential_of(headers: Headers) -> str | None:
    """The bearer token, or the key in a header for keys; some clients call the scheme `token`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "token") and token.strip():
        return token.strip()
    return next((key for name in KEY_HEADERS if (key := headers.get(name))), None)


async def _refuse(error: AirgapError, scope: Scope, receive: Receive, send: Send) -> None:
    response = error_response(error, str(scope.get("request_id", "")))
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    await response(scope, receive, send)
