"""Fetching a file that a request names by URL: off unless the site says otherwise, and then fenced in.

Which hosts and addresses are asked is the business of `airgap.http.addresses`; every redirect starts there
from the top. Size, time and the kind of content are bounded. This module knows nothing of routes or engines.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urljoin

import httpx

from airgap.core.errors import EmptyFile, UploadTooLarge, UrlFetchFailed, UrlRefused
from airgap.http.addresses import Gate, Pinned, Resolve, look_up, trusted
from config import Settings

MAX_REDIRECTS = 3

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Fetcher:
    """Fetches what a request names by URL. `resolve` is replaced in tests."""

    def __init__(self, settings: Settings, resolve: Resolve = look_up) -> None:
        self._enabled = settings.allow_url_fetch
        self._gate = Gate(settings.url_fetch_allowlist, resolve)
        self._max_bytes = settings.max_upload_bytes
        self._max_mb = settings.max_upload_mb
        self._seconds = settings.url_fetch_timeout_seconds

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
            answer = await self._get(await self._gate.pinned(self._gate.checked(url)))
            if isinstance(answer, bytes):
                return answer
            url = urljoin(url, answer)
        raise UrlFetchFailed(f"The URL redirects more than {MAX_REDIRECTS} times.")

    async def _get(self, pinned: Pinned) -> bytes | str:
        """The content, or where a redirect points to."""
        headers = {**pinned.headers, "Accept-Encoding": "identity"}
        async with (
            httpx.AsyncClient(
                trust_env=False, follow_redirects=False, timeout=self._seconds, verify=trusted()
            ) as client,
            client.stream("GET", pinned.url, headers=headers, extensions=pinned.extensions) as response,
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
