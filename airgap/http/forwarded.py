"""Whose request it is that a gateway hands on: `X-Forwarded-For` and `-Proto` of trusted addresses alone.

Without it all behind a gateway are one client, and one of them may lock out the others; with trust in
anybody's header, each request may name another client. A trusted gateway is named by its address, its
network, or its host name, which is looked up again when a stranger speaks: containers get new addresses.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

LookUp = Callable[[str], Awaitable[set[str]]]


class Forwarded:
    """Put the client that a trusted gateway names on the request."""

    def __init__(
        self, app: ASGIApp, trusted: tuple[str, ...], look_up: LookUp | None = None, seconds: float = 5.0
    ) -> None:
        """`look_up` gives a host's addresses; it is asked at most every so many `seconds`."""
        self.app = app
        self._addresses = look_up or addresses_of
        self._seconds = seconds
        self._fixed = [entry for entry in trusted if _is_network(entry)]
        self._names = [entry for entry in trusted if not _is_network(entry)]
        self._known: set[str] = set()
        self._looked_up = -seconds
        self._headers = self._believing(self._fixed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = (scope.get("client") or ("",))[0]
        if self._names and client not in self._known:
            await self._look_up()
        await self._headers(scope, receive, send)

    async def _look_up(self) -> None:
        if time.monotonic() - self._looked_up < self._seconds:
            return
        self._looked_up = time.monotonic()
        found = await asyncio.gather(*map(self._addresses, self._names))
        self._known = set().union(*found)
        self._headers = self._believing([*self._fixed, *self._known])

    def _believing(self, trusted: list[str]) -> ASGIApp:
        believing: ASGIApp = ProxyHeadersMiddleware(self.app, trusted_hosts=trusted)  # type: ignore[arg-type, assignment]
        return believing


def _is_network(entry: str) -> bool:
    try:
        ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
    return True


async def addresses_of(name: str) -> set[str]:
    """The addresses of a host; none while it is not known."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {str(entry[4][0]) for entry in found}
