"""Whose request it is that a gateway hands on: `X-Forwarded-For` and `-Proto` of trusted machines alone.

Without it all behind a gateway are one client, and one of them may lock out the others; with trust in
anybody's header, each request may name another client.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from airgap.http.peers import Peers


class Forwarded:
    """Put the client that a trusted gateway names on the request."""

    def __init__(self, app: ASGIApp, trusted: Peers) -> None:
        self.app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = (scope.get("client") or ("",))[0]
        if not await self._trusted.has(client):
            await self.app(scope, receive, send)
            return
        believed = [*map(str, self._trusted.networks), *self._trusted.known, client]
        layer = ProxyHeadersMiddleware(self.app, trusted_hosts=believed)  # type: ignore[arg-type]
        await layer(scope, receive, send)  # type: ignore[arg-type]
