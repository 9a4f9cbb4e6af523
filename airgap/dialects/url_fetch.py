"""Fetching a file that a request names by URL: off unless the site says otherwise, and then fenced in.

A host must be on the site's list. Its name is looked up once, every address that comes back is
checked, and the connection goes to the very address that was checked, so that a second look-up cannot
bring another answer. Addresses that are not public must be on the list themselves. Every redirect
starts from the top. Size, time and the kind of content are bounded. This module knows nothing of
routes or engines.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx

from airgap.core.errors import EmptyFile, UploadTooLarge, UrlFetchFailed, UrlRefused
from config import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

MAX_REDIRECTS = 3
MAX_URL_CHARS = 2048

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_DOCUMENTATION = ipaddress.ip_network("3fff::/20")  # RFC 9637
_SPECIAL = (
    ipaddress.ip_network("192.0.0.0/24"),  # protocols' own, RFC 6890
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4, RFC 7526
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


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


class Fetcher:
    """Fetches what a request names by URL. `resolve` is replaced in tests."""

    def __init__(self, settings: Settings, resolve: Resolve = look_up) -> None:
        self._enabled = settings.allow_url_fetch
        self._allowed = AllowList(settings.url_fetch_allowlist)
        self._max_bytes = settings.max_upload_bytes
        self._max_mb = settings.max_upload_mb
        self._seconds = settings.url_fetch_timeout_seconds
        self._resolve = resolve

    async def fetch(self, url: str) -> bytes:
        """The bytes behind `url`. Raises `UrlRefused`, `UrlFetchFailed`, `UploadTooLarge`, `EmptyFile`."""
        if not self._enabled:
            raise UrlRefused("This server does not fetch URLs (ALLOW_URL_FETCH=0).")
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(url)
        except TimeoutError as error:
            raise UrlFetchFailed(f"The URL was not fetched within {self._seconds:g} s.") from error
        except httpx.HTTPError as error:
            raise UrlFetchFailed("The URL's host could not be reached, or broke off.") from error

    async def _follow(self, url: str) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            target = self._checked(url)
            address = await self._pinned(target)
            answer = await self._get(target, address)
            if isinstance(answer, bytes):
                return answer
            url = urljoin(url, answer)
        raise UrlFetchFailed(f"The URL redirects more than {MAX_REDIRECTS} times.")

    def _checked(self, url: str) -> httpx.URL:
        try:
            target = httpx.URL(url) if len(url) <= MAX_URL_CHARS else None
        except (httpx.InvalidURL, ValueError):
            target = None
        if target is None or target.scheme not in _DEFAULT_PORTS or not target.host:
            raise UrlRefused("Only proper http and https URLs are fetched.")
        if target.userinfo:
            raise UrlRefused("URLs with a user name or password are not fetched.")
        if not self._allowed.has_host(_canonical(target.host), _port(target), target.scheme):
            raise UrlRefused("The URL's host is not on this site's list.")
        return target

    async def _pinned(self, target: httpx.URL) -> Address:
        """The one address to connect to. One address that is not permitted condemns them all."""
        literal = _address(target.host)
        found = [literal] if literal else [_address(text) for text in await self._looked_up(target)]
        addresses = [address for address in found if address is not None]
        if not addresses:
            raise UrlFetchFailed("The URL's host is not known.")
        if not all(self._allowed.permits(address) for address in addresses):
            raise UrlRefused("The URL's host has an address that is not on this site's list.")
        return addresses[0]

    async def _looked_up(self, target: httpx.URL) -> list[str]:
        return await self._resolve(_canonical(target.host), _port(target))

    async def _get(self, target: httpx.URL, address: Address) -> bytes | str:
        """The content, or where a redirect points to."""
        host = f"[{address}]" if address.version == 6 else str(address)
        headers = {
            "Host": target.netloc.decode("ascii"),
            "Accept-Encoding": "identity",
            "User-Agent": "airgap",
        }
        extensions = {"sni_hostname": _canonical(target.host)}
        pinned = target.copy_with(host=host)
        async with (
            httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=self._seconds) as client,
            client.stream("GET", pinned, headers=headers, extensions=extensions) as response,
        ):
            if response.status_code in _REDIRECTS:
                return str(response.headers.get("location", ""))
            if response.status_code != 200:
                raise UrlFetchFailed(f"The URL's host answered with status {response.status_code}.")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise UrlFetchFailed("The URL's host sent compressed content, which was not asked for.")
            return await self._body(response)

    async def _body(self, response: httpx.Response) -> bytes:
        error = UploadTooLarge(f"The file behind the URL is larger than {self._max_mb} MiB.")
        declared = response.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            raise error
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._max_bytes:
                raise error
        if not body:
            raise EmptyFile("The file behind the URL is empty.")
        return bytes(body)


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
