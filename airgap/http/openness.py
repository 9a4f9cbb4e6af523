"""Who may reach a server without accounts: this machine alone, until the site says otherwise in words.

Also against pages of other sites that a browser inside was tricked into sending here by a name of
theirs (DNS rebinding): without accounts the `Host` of a request must be one that nobody outside can
have, or one that the site lists.
"""

from __future__ import annotations

import ipaddress
import re
import socket

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from airgap.core.errors import Forbidden, UntrustedHost
from airgap.http.error_answers import error_response
from airgap.http.peers import Peers
from config import Settings

OPEN = (
    "Anybody who reaches this server may use it: accounts are off. AUTH_ENABLED=1 demands logins; "
    "ALLOW_ANONYMOUS=1 says that it is meant to be so, and ends this warning."
)
_NAME = re.compile(r"[a-z0-9._-]*")
_INSIDE = (".localhost", ".local", ".internal", ".home.arpa", ".svc")
"""Endings of names that are nobody's on the internet (RFC 6761, RFC 6762, RFC 8375), and Kubernetes' own."""


def warnings_of(settings: Settings) -> list[str]:
    """What the log, `/` and the page say of how open the server is."""
    said = settings.auth_enabled or settings.allow_anonymous
    return [] if said or is_loopback(settings.reached_at) else [OPEN]


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class TrustedHosts:
    """Refuse requests that name a host which the site does not know as its own."""

    def __init__(self, app: ASGIApp, names: tuple[str, ...], *, inside: bool) -> None:
        """`inside` takes any address and any name that can only be of this network, besides `names`."""
        self.app = app
        self._names = {name.lower() for name in names}
        self._inside = inside
        self._own = socket.gethostname().lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self.trusts(Headers(scope=scope).get("host", "")):
            error = UntrustedHost("The request names a host that is not this server's.")
            await error_response(error, str(scope.get("request_id", "")))(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def trusts(self, header: str) -> bool:
        """Whether a request with this `Host` may come in."""
        name = _name_of(header)
        if "*" in self._names or name in self._names:
            return True
        if any(known.startswith("*.") and name.endswith(known[1:]) for known in self._names):
            return True
        return self._inside and self._is_inside(name)

    def _is_inside(self, name: str) -> bool:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            inside = "." not in name or name.endswith(_INSIDE) or name == self._own
            return inside and _NAME.fullmatch(name) is not None
        return True


def _name_of(header: str) -> str:
    """The host of `host:port`, in small letters."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower().rstrip(".")


async def may_see_metrics(request: Request) -> None:
    """Raise `Forbidden` unless the request comes from METRICS_CLIENTS, or from somebody who is logged in."""
    peers: Peers = request.app.state.metrics_clients
    client = request.client.host if request.client else ""
    if "caller" in request.scope and request.scope["caller"].user_id is not None:
        return
    if not await peers.has(client):
        raise Forbidden(
            "The metrics are for the machines of METRICS_CLIENTS, and for those who are logged in.",
            "Ask from this machine, with a login or a key, or have the site add your address.",
        )
