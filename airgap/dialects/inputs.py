"""Files that come inside JSON: base64, data URLs, and URLs where the site fetches them.

What the dialects share on the way in. It knows no dialect's field names.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TypeGuard

from fastapi import Request

from airgap.core.errors import UnsupportedMedia, UrlFetchFailed
from airgap.core.opening import FIRST_FRAME
from airgap.dialects.url_fetch import Fetcher
from airgap.http.opening import opened
from airgap.http.responses import on_thread
from airgap.http.service import Service
from airgap.http.uploads import decode_base64
from airgap.monitoring import trace
from deepseek_ocr import IMAGE
from process.decode import IMAGE_KINDS
from process.pages import Source
from process.sniff import sniff_file


def fetcher_of(request: Request) -> Fetcher:
    """The server's one fetcher."""
    state = request.app.state
    if not hasattr(state, "fetcher"):
        state.fetcher = Fetcher(state.service.settings)
    fetcher: Fetcher = state.fetcher
    return fetcher


def plain_prompt(prompt: str | None) -> str | None:
    """A prompt without its one `<image>`, wherever it stands: the picture always goes first here."""
    if prompt is not None and prompt.count(IMAGE) == 1:
        prompt = prompt.replace(IMAGE, "")
    return (prompt or "").strip() or None


def is_url(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://"))


async def file_of(text: str, fetcher: Fetcher) -> bytes:
    """The bytes that `text` holds or names.

    Raises `InvalidBase64`, `EmptyFile`, and for URLs what `Fetcher.fetch` raises, or
    `UrlFetchFailed` where what came is neither a picture nor a PDF.
    """
    if is_url(text):
        data = await fetcher.fetch(text)
        if not is_readable(sniff_file(data)):
            raise UrlFetchFailed("What the URL leads to is neither a picture nor a PDF.")
    else:
        data = await on_thread(decode_base64, text)
    await on_thread(trace.note_input, data)
    return data


def is_readable(kind: str | None) -> TypeGuard[str]:
    """Whether a kind of `process.sniff` is a picture or a PDF."""
    return kind == "pdf" or kind in IMAGE_KINDS


def opened_picture(service: Service, data: bytes) -> AbstractAsyncContextManager[Source]:
    """The first frame of a picture. Raises `UnsupportedMedia` for a PDF, whose route is another."""
    if sniff_file(data) == "pdf":
        raise UnsupportedMedia("A PDF was sent where a picture is expected.", "Send it to /ocr/pdf.")
    return opened(service, data, "picture", FIRST_FRAME)
