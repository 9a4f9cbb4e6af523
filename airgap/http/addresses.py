"""Addresses that requests may name: a site's list of hosts and networks, and what is public.

A host must be on the list. Its name is looked up once, every address that comes back is checked, and the
connection goes to the very address that was checked, so that a second look-up cannot bring another answer.
Addresses that are not public must be on the list themselves. It sends nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

import httpx

from airgap.core.errors import UrlFetchFailed, UrlRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

MAX_URL_CHARS = 2048

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_DOCUMENTATION = ipaddress.ip_network("3fff::/20")  # RFC 9637
_SPECIAL = (
    ipaddress.ip_network("192.0.0.0/24"),  # protocols' own, RFC 6890
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4, RFC 7526
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@cache
def trusted() -> ssl.SSLContext:
    """Whose certificates are believed: the usual authorities. Reading their list takes 20 ms, each time."""
    return httpx.create_ssl_context(trust_env=False)


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a host, by the system's resolver."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UrlFetchFailed("The URL's host is not known.") from error
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One host of the list; a port of None stands for the scheme's own."""

    host: str
    port: int | None

    def fits(self, host: str, port: int, scheme: str) -> bool:
        if port != (self.port or _DEFAULT_PORTS[scheme]):
            return False
        if self.host.startswith("*."):
            return host.endswith(self.host[1:])
        return self.host in ("*", host)


class AllowList:
    """The hosts and networks that a site lets requests name."""

    def __init__(self, entries: tuple[str, ...]) -> None:
        self._hosts: list[_Entry] = []
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in entries:
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
                continue
            except ValueError:
                host, _, port = (
                    entry.rpartition(":") if entry.rpartition(":")[2].isdigit() else (entry, "", "")
                )
            self._hosts.append(_Entry(_canonical(host), int(port) if port else None))
            if (address := _address(host)) is not None:
                self._networks.append(ipaddress.ip_network(address))

    def has_host(self, host: str, port: int, scheme: str) -> bool:
        """Whether the site lets requests name this host."""
        if any(entry.fits(host, port, scheme) for entry in self._hosts):
            return True
        address = _address(host)
        return address is not None and port == _DEFAULT_PORTS[scheme] and self.has_address(address)

    def has_address(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def permits(self, address: Address) -> bool:
        """Whether a connection may go to `address`: it is public, or listed itself."""
        plain = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        address = plain or address
        return _is_public(address) or self.has_address(address)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A URL whose host stands for one checked address: what a request to it is made of."""

    url: httpx.URL
    headers: dict[str, str]
    extensions: dict[str, str]


class Gate:
    """Lets URLs through that a site's list permits. `resolve` is replaced in tests."""

    def __init__(self, entries: tuple[str, ...], resolve: Resolve = look_up) -> None:
        self._allowed = AllowList(entries)
        self._resolve = resolve

    def checked(self, url: str) -> httpx.URL:
        """The URL, where its host is on the list. Raises `UrlRefused`."""
        try:
            target = httpx.URL(url) if len(url) <= MAX_URL_CHARS else None
        except (httpx.InvalidURL, ValueError):
            target = None
        if target is None or target.scheme not in _DEFAULT_PORTS or not target.host:
            raise UrlRefused("Only proper http and https URLs are taken.")
        if target.userinfo:
            raise UrlRefused("URLs with a user name or password are not taken.")
        if not self._allowed.has_host(_canonical(target.host), _port(target), target.scheme):
            raise UrlRefused("The URL's host is not on this site's list.")
        return target

    async def pinned(self, target: httpx.URL) -> Pinned:
        """The one address to connect to. One address that is not permitted condemns them all.

        Raises `UrlRefused`, `UrlFetchFailed`.
        """
        literal = _address(target.host)
        found = [literal] if literal else [_address(text) for text in await self._looked_up(target)]
        addresses = [address for address in found if address is not None]
        if not addresses:
            raise UrlFetchFailed("The URL's host is not known.")
        if not all(self._allowed.permits(address) for address in addresses):
            raise UrlRefused("The URL's host has an address that is not on this site's list.")
        address = addresses[0]
        return Pinned(
            target.copy_with(host=f"[{address}]" if address.version == 6 else str(address)),
            {"Host": target.netloc.decode("ascii"), "User-Agent": "airgap"},
            {"sni_hostname": _canonical(target.host)},
        )

    async def _looked_up(self, target: httpx.URL) -> list[str]:
        return await self._resolve(_canonical(target.host), _port(target))


def _port(url: httpx.URL) -> int:
    return url.port or _DEFAULT_PORTS[url.scheme]


def _canonical(host: str) -> str:
    return host.lower().strip("[]").rstrip(".")


def _address(text: str) -> Address | None:
    """An IP address in its usual writing; anything else, such as `0x7f.1`, is a name to look up."""
    try:
        return ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _is_public(address: Address) -> bool:
    """Whether an address is somebody's on the internet, and stands for no other address.

    Of IPv6 that is global unicast (2000::/3, RFC 4291) alone: outside of it are site-local addresses,
    those that hold an IPv4 address (compatible, translated, NAT64), and what was never given out.
    """
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _SPECIAL)
    inside = address in _GLOBAL_UNICAST and address not in _DOCUMENTATION
    return inside and address.sixtofour is None and address.teredo is None
