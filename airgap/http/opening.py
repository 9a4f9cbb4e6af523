"""Files as sources of pages, opened in their turn and closed off the event loop.

Opening reads headers. What a picture shows is decoded later, when the budget lets it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from PIL.Image import Image

from airgap.core.errors import ImageTooLarge
from airgap.core.opening import WHOLE, Opening
from airgap.http.service import Service
from process.pages import Source, open_source
from process.sniff import sniff_file
from process.work import briefly

T = TypeVar("T")


@asynccontextmanager
async def opened(
    service: Service, path: Path | bytes, name: str, opening: Opening = WHOLE
) -> AsyncIterator[Source]:
    """The file, open for the length of a block. Raises as `open_source`."""
    work = service.reader.work
    source = await work.open(open_source, path, name=name, limits=service.limits, opening=opening)
    try:
        yield source
    finally:
        await briefly(source.close)


@asynccontextmanager
async def opened_together(
    service: Service, files: Sequence[bytes], opening: Opening
) -> AsyncIterator[list[Source]]:
    """The pages of one request's files, open for the length of a block: of pictures, the first frame."""
    async with AsyncExitStack() as stack:
        sources = [
            await stack.enter_async_context(opened(service, file, "picture", _of_kind(file, opening)))
            for file in files
        ]
        yield [page for source in sources for page in source.each()]


def _of_kind(file: bytes, opening: Opening) -> Opening:
    return opening if sniff_file(file) == "pdf" else opening.first_frame


def check_together(service: Service, sources: Sequence[Source]) -> None:
    """Raise `ImageTooLarge` unless the pictures may be in memory at once, to be read together."""
    pixels = sum(source.pixels(source.numbers[0]) for source in sources)
    most = service.settings.max_image_pixels
    if pixels > most:
        raise ImageTooLarge(
            f"The {len(sources)} pictures have {pixels:,} pixels; {most:,} are allowed at once.",
            "Send fewer at once, scale them down, or have the site raise MAX_IMAGE_PIXELS.",
        )


async def with_picture(service: Service, source: Source, number: int, use: Callable[[Image], T]) -> T:
    """What `use` makes of the pixels of a page, on a thread that draws, within the budget."""
    async with service.reader.work.hold(source.pixels(number)) as held:
        return await held.draw(lambda: use(source.image(number)))
