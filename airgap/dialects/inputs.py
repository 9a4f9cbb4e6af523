"""Files that come inside JSON: base64, data URLs, and URLs where the site fetches them.

What the dialects share on the way in. It knows no dialect's field names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeGuard

from fastapi import Request
from PIL.Image import Image as Picture

from airgap.core.errors import UnsupportedMedia, UrlFetchFailed
from airgap.dialects.url_fetch import Fetcher
from airgap.http.responses import on_thread
from airgap.http.service import Service
from airgap.http.uploads import decode_base64
from airgap.monitoring import trace
from deepseek_ocr import IMAGE
from process.image_process import IMAGE_KINDS, open_image
from process.pages import Source, open_source
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
        if not _is_readable(sniff_file(data)):
            raise UrlFetchFailed("What the URL leads to is neither a picture nor a PDF.")
    else:
        data = await on_thread(decode_base64, text)
    await on_thread(trace.note_input, data)
    return data


def _is_readable(kind: str | None) -> TypeGuard[str]:
    return kind == "pdf" or kind in IMAGE_KINDS


async def picture_of(text: str, fetcher: Fetcher, max_pixels: int) -> Picture:
    """The picture that `text` holds or names, upright RGB. Raises as `file_of` and `open_image` do."""
    data = await file_of(text, fetcher)
    image: Picture = await on_thread(open_image, data, max_pixels=max_pixels)
    return image


@asynccontextmanager
async def opened_document(
    service: Service,
    data: bytes,
    dpi: int = 144,
    page_from: int | None = None,
    page_to: int | None = None,
    password: str | None = None,
) -> AsyncIterator[Source]:
    """A file in memory as a source of pages, for the length of a block. Raises what `open_source` raises."""
    source = await on_thread(
        open_source,
        data,
        name="document",
        limits=service.limits,
        dpi=dpi,
        page_from=page_from,
        page_to=page_to,
        password=password,
    )
    try:
        yield source
    finally:
        await on_thread(source.close)


def opened_picture(service: Service, data: bytes) -> AbstractAsyncContextManager[Source]:
    """The first frame of a picture. Raises `UnsupportedMedia` for a PDF, whose route is another."""
    if sniff_file(data) == "pdf":
        raise UnsupportedMedia("A PDF was sent where a picture is expected.", "Send it to /ocr/pdf.")
    return opened_document(service, data, page_from=1, page_to=1)
