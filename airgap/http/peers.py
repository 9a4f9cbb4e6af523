"""Machines that a setting names: by address, by network, or by host name, which is looked up when needed.

Containers get new addresses, so a name is asked for again when a stranger comes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable

LookUp = Callable[[str], Awaitable[set[str]]]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Peers:
    """The machines of one setting."""

    def __init__(self, entries: tuple[str, ...], look_up: LookUp | None = None, seconds: float = 5.0) -> None:
        """`look_up` gives a host's addresses; it is asked at most every so many `seconds`."""
        found = {entry: network_of(entry) for entry in entries}
        self.networks = [network for network in found.values() if network is not None]
        self._names = [entry for entry, network in found.items() if network is None]
        self._look_up = look_up or addresses_of
        self._seconds = seconds
        self._looked_up = -seconds
        self.known: frozenset[str] = frozenset()
        """The addresses behind the names, as they were last."""

    async def has(self, address: str) -> bool:
        """Whether the machine at this address is one of them."""
        network = network_of(address)
        if network is None:
            return False
        if any(network.version == other.version and network.subnet_of(other) for other in self.networks):  # type: ignore[arg-type]
            return True
        if self._names and address not in self.known:
            await self._ask()
        return address in self.known

    async def _ask(self) -> None:
        if time.monotonic() - self._looked_up < self._seconds:
            return
        self._looked_up = time.monotonic()
        found = await asyncio.gather(*map(self._look_up, self._names))
        self.known = frozenset().union(*found)


def network_of(entry: str) -> Network | None:
    """The network, or the one address, that is written here; None for a name."""
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
    mapped = network.network_address.ipv4_mapped if network.version == 6 else None
    return ipaddress.ip_network(mapped) if mapped else network


async def addresses_of(name: str) -> set[str]:
    """The addresses of a host; none while it is not known."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {str(entry[4][0]) for entry in found}
