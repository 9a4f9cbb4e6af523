"""A gateway known by its name keeps being believed when its address changes."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from airgap.http.forwarded import Forwarded
from airgap.http.peers import Peers


async def seen(layer: Forwarded, source: str, forwarded: str = "10.0.0.9") -> str:
    """Whose request the application sees."""
    headers = [(b"x-forwarded-for", forwarded.encode())]
    scope: Scope = {"type": "http", "client": (source, 1), "headers": headers, "scheme": "http"}
    layer.found = []  # type: ignore[attr-defined]
    await layer(scope, None, None)  # type: ignore[arg-type]
    return str(layer.found[0])  # type: ignore[attr-defined]


async def test_a_gateway_by_its_name() -> None:
    addresses = {"gateway": {"172.18.0.2"}}
    asked = []

    async def look_up(name: str) -> set[str]:
        asked.append(name)
        return addresses.get(name, set())

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        layer.found.append(scope["client"][0])  # type: ignore[attr-defined]

    layer = Forwarded(application, Peers(("gateway", "192.168.7.0/24"), look_up, seconds=0.0))
    assert await seen(layer, "172.18.0.2") == "10.0.0.9"
    assert await seen(layer, "172.18.0.3") == "172.18.0.3", "a stranger is believed nothing"
    assert await seen(layer, "192.168.7.20") == "10.0.0.9"
    assert await seen(layer, "172.18.0.2", "1.2.3.4, 10.0.0.9") == "10.0.0.9", "what the gateway saw itself"
    before = len(asked)
    assert await seen(layer, "172.18.0.2") == "10.0.0.9"
    assert len(asked) == before, "a known gateway is not looked up"
    addresses["gateway"] = {"172.18.0.7"}
    assert await seen(layer, "172.18.0.7") == "10.0.0.9"
    assert await seen(layer, "172.18.0.2") == "172.18.0.2", "its earlier address is somebody else's now"
