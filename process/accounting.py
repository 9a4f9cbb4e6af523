"""What a page's reading leaves out: found, read again where that is asked for, and written on the page.

    blocks → ledger → places left out → a second look → blocks at their places → ledger → unread

Knows the ledger, pages, and something that reads pictures; must not know engines by name. Runs its
heavy steps on threads. The ledger is imported late: it needs OpenCV.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from PIL.Image import Image

from airgap.core.document import Block, Line, Page
from airgap.core.errors import AirgapError
from airgap.monitoring import metrics
from process.left_out import insert_missing, left_out
from process.second_look import close_up, insert

log = logging.getLogger(__name__)

Again = Callable[[Image], Awaitable[tuple[str, Sequence[Block]]]]
"""Reads a picture once more: the engine's name and its blocks. Raises `AirgapError`."""

NOTHING_READ = "Nothing was read on this page, and nothing on it looks like writing."


async def account_for(page: Page, image: Image, engine: str, again: Again | None) -> Page:
    """`page`, as `engine` read it, with `unread` and `coverage`, and what `again` read in places left out."""
    if again is not None:
        page = await _filled(page, image, engine, again)
    from process.ink_ledger import is_placed, places_of, take_account

    if not is_placed(page.blocks):
        return page
    account = await asyncio.to_thread(take_account, image, places_of(page.blocks))
    page = replace(page, unread=account.unread, coverage=account.coverage)
    if account.unread:
        metrics.unread(engine, len(account.unread))
        return replace(page, status="degraded", warnings=(*page.warnings, unread_warning(page)))
    if not any(block.text.strip() or block.boxes for block in page.blocks):
        return replace(page, warnings=(*page.warnings, NOTHING_READ))
    return page


def unread_warning(page: Page) -> str:
    """How much was not read, in words."""
    share = max(1, round(100 * (1 - (page.coverage or 0.0))))
    count = len(page.unread)
    return (
        f"{share} % of the ink that looks like text was not read, in {count} place{'s' if count > 1 else ''};"
        " `unread` says where."
    )


async def _filled(page: Page, image: Image, engine: str, again: Again) -> Page:
    """The page with what a second reading adds, or with a warning why it adds nothing."""
    try:
        blocks, places, other = await _read_again(page.blocks, image, again)
    except AirgapError as error:
        return replace(page, warnings=(*page.warnings, f"Places left out were not read again: {error.message}"))
    except Exception as error:
        log.exception("reading places again broke")
        why = f"the second reading broke ({type(error).__name__})."
        return replace(page, warnings=(*page.warnings, f"Places left out were not read again: {why}"))
    if not places:
        return page
    metrics.filled(engine, places)
    note = f"{places} place{'s' if places > 1 else ''} that {engine} left out {'were' if places > 1 else 'was'} read by {other}."
    return replace(page, blocks=blocks, warnings=(*page.warnings, note))


async def _read_again(
    blocks: tuple[Block, ...], image: Image, again: Again
) -> tuple[tuple[Block, ...], int, str]:
    """The blocks with what was left out, in how many places, and who read it."""
    from process.ink_ledger import is_placed, places_of, take_account

    if not is_placed(blocks):
        name, other = await again(image)
        missing = left_out(blocks, _lines(other))
        return insert_missing(blocks, missing, name), len(missing), name
    account = await asyncio.to_thread(take_account, image, places_of(blocks))
    if not account.unread:
        return blocks, 0, ""
    close = await asyncio.to_thread(close_up, image, account.unread, places_of(blocks))
    name, read = await again(close.picture)
    found = close.blocks(read, name)
    return insert(blocks, found), len(found), name


def _lines(blocks: Sequence[Block]) -> list[Line]:
    return [line for block in blocks for line in block.lines]
