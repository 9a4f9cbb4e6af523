"""What a page's reading leaves out: found, read again where that is asked for, and written on the page.

    blocks → ledger → places left out → a second look → blocks at their places → ledger → unread

Knows the ledger, pages, and something that reads pictures; must not know engines by name. Runs its
heavy steps on threads. The ledger is imported late: it needs OpenCV.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL.Image import Image

from airgap.core.document import UNREADABLE, Block, Box, Line, Page, ReadOptions
from airgap.core.engine import Engine, Events, PageRead
from airgap.core.errors import AirgapError
from airgap.monitoring import metrics
from process.layer_check import borne_out, samples
from process.left_out import insert_missing, left_out
from process.second_look import close_up, close_ups, insert
from process.second_reader import SecondReader
from process.work import in_turn

if TYPE_CHECKING:
    from process.ink_ledger import Account
    from process.marks import Survey

log = logging.getLogger(__name__)

Again = Callable[[Image], Awaitable[tuple[str, Sequence[Block]]]]
"""Reads a picture once more: the engine's name and its blocks. Raises `AirgapError`."""

MOST_MISSING = 0.6
"""Share of a paragraph's lines beyond which it does not lack some of them but says something else."""

MOST_CUT_OUT, _AROUND = 3, 8
"""Places that are read by themselves, not the whole page, and pixels around each."""

LEAST_TRANSCRIBED = 0.5
"""Share of a page's ink from which an answer to any prompt is held to be what the page says."""

NOT_COMPARED = (
    "The request has a prompt of its own and its answer does not show to be the page's text:"
    " it was not compared with the page's ink."
)
NOTHING_READ = "Nothing was read on this page, and nothing on it looks like writing."


@dataclass(frozen=True, slots=True)
class _Reading:
    """The blocks of a page, the places they account for (None: not known), and what was filled by whom.

    `missing` is what was not read within the places. `account` is their ledger where it has been taken.
    """

    blocks: tuple[Block, ...]
    places: list[Box] | None
    filled: int = 0
    by: str = ""
    missing: tuple[Box, ...] = ()
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class _Sight:
    """A page's picture, and the survey of its ink."""

    image: Image
    seen: Survey


Read = Callable[[Sequence[Image], ReadOptions], Awaitable[PageRead]]
"""Reads pictures with a server's first engine, within its bounds. Raises `AirgapError`."""


class Accountant:
    """Keeps the ledger of what `engine` reads; `prompt` is the one that has it read whole pages.

    An engine without prompts reads what it sees and writes nothing else: such a one looks again itself.
    What a model leaves out is for `second` to read; without one it is listed.
    """

    def __init__(self, engine: Engine, prompt: str | None, second: SecondReader | None, read: Read) -> None:
        self._engine = engine
        self._prompt = prompt
        self._second = second
        self._read = read

    async def account(self, page: Page, image: Image, options: ReadOptions) -> Page:
        """The page compared with its ink, and filled where the request lets it be.

        An answer to a prompt of the request's own is compared where it shows to be what the page says.
        """
        name = page.engine or self._engine.name
        again = self._again(options) if options.fill == "auto" else None
        if self._engine.capabilities.supports_prompt and options.prompt not in (None, self._prompt):
            return await account_for_answer(page, image, name, again)
        return await account_for(page, image, name, again)

    async def streamed(self, events: Events, image: Image, options: ReadOptions) -> Events:
        """The events of one picture's answer; its end says what `account` says of it. Nothing is filled.

        The engine's place is free again before the end is held against the page.
        """
        end = None
        async with aclosing(events):
            async for event in events:
                if isinstance(event, PageRead):
                    end = event
                    break
                yield event
        if end is not None:
            yield await self._held(end, image, options)

    async def _held(self, read: PageRead, image: Image, options: ReadOptions) -> PageRead:
        page = Page(1, *image.size, read.status, read.blocks, engine=read.engine)
        page = await self.account(page, image, replace(options, fill="off"))
        return replace(read, status=page.status, warnings=(*read.warnings, *page.warnings))

    async def is_blank(self, image: Image, options: ReadOptions) -> bool:
        """Whether a page without contrast has no writing either, for the ledger and for a detector."""
        page = await account_for(Page(1, *image.size), image, self._engine.name, None)
        if page.unread:
            return False
        again = self._again(options)
        return again is None or not any(block.text.strip() for block in (await again(image))[1])

    async def borne_out(
        self, blocks: tuple[Block, ...], image: Image, options: ReadOptions
    ) -> tuple[Block, ...] | None:
        """What of a PDF's own text is what its pixels show; None where that cannot be said of the page."""
        again, sampled = self._again(options), samples(blocks)
        if again is None or not sampled:
            return blocks
        everywhere = [line.box for block in blocks for line in block.lines]
        close = await in_turn(close_up, image, [line.box for _, line in sampled], everywhere)
        try:
            _, read = await again(close.picture)
        except AirgapError as error:
            log.warning("a text layer was not checked: %s", error.message)
            return None
        return borne_out(blocks, sampled, close.lines(read))

    def _again(self, options: ReadOptions) -> Again | None:
        async def first(image: Image) -> tuple[str, Sequence[Block]]:
            read = await self._read([image], replace(options, prompt=None, max_tokens=None))
            return read.engine or self._engine.name, read.blocks

        async def second(image: Image) -> tuple[str, Sequence[Block]]:
            assert self._second is not None
            name, read = await self._second.read(image, options)
            return name, read.blocks

        if not self._engine.capabilities.supports_prompt:
            return first
        return second if self._second is not None else None


async def account_for(page: Page, image: Image, engine: str, again: Again | None) -> Page:
    """`page`, as `engine` read it, with `unread` and `coverage`, and what `again` read in places left out."""
    from process.ink_ledger import is_placed, loose_places, take_account
    from process.marks import survey

    if again is None and not is_placed(page.blocks):
        return page
    seen = await in_turn(survey, image)
    page, reading = await _filled(page, _Sight(image, seen), engine, again)
    if reading.places is None:
        return page
    account = reading.account
    if account is None:
        loose = loose_places(page.blocks)
        account = await in_turn(take_account, seen, reading.places, reading.missing, loose)
    page = _with_account(page, account, engine)
    if not page.unread and not any(block.text.strip() or block.boxes for block in page.blocks):
        return replace(page, warnings=(*page.warnings, NOTHING_READ))
    return page


def _with_account(page: Page, account: Account, engine: str) -> Page:
    """What an engine says that it could not read is unread, whether it looks like writing or not."""
    read = [line.box for block in page.blocks for line in block.lines]
    named = [box for block in page.blocks if block.label == UNREADABLE for box in block.boxes]
    named = [box for box in named if not any(_is_in(other, [box]) for other in (*account.unread, *read))]
    unread = tuple(sorted((*account.unread, *named), key=lambda box: (box.y0, box.x0)))
    page = replace(page, unread=unread, coverage=account.coverage)
    if not unread:
        return page
    metrics.unread(engine, len(unread))
    return replace(page, status="degraded", warnings=(*page.warnings, unread_warning(page)))


async def account_for_answer(page: Page, image: Image, engine: str, again: Again | None) -> Page:
    """`page`, read with a prompt of the request's own, with `unread` and `coverage` if it transcribes.

    It does where it accounts for most of the page's ink, or has most of the lines that `again` reads.
    Otherwise it may answer a question, and only a warning says that nothing was compared. Its form is
    the request's: nothing is put into it.
    """
    from process.ink_ledger import is_placed, places_of, take_account

    account = None
    if is_placed(page.blocks):
        account = await in_turn(take_account, image, places_of(page.blocks))
    elif again is not None:
        account = await _account_of_text(page.blocks, image, again)
    if account is None or account.coverage < LEAST_TRANSCRIBED:
        return replace(page, warnings=(*page.warnings, NOT_COMPARED))
    return _with_account(page, account, engine)


async def _account_of_text(blocks: tuple[Block, ...], image: Image, again: Again) -> Account | None:
    """The lines that a text without places lacks; None where they are not known."""
    from process.ink_ledger import take_account

    try:
        _, read = await again(image)
    except AirgapError as error:
        log.warning("an answer was not compared with its page: %s", error.message)
        return None
    lines = [line for block in read for line in block.lines if line.text.strip()]
    lacking = {id(one.line) for one in await in_turn(left_out, blocks, lines)}
    return await in_turn(take_account, image, [line.box for line in lines if id(line) not in lacking])


def unread_warning(page: Page) -> str:
    """How much was not read, in words."""
    share = max(1, round(100 * (1 - (page.coverage or 0.0))))
    return (
        f"{share} % of the ink that looks like text was not read, in {_count(len(page.unread))};"
        " `unread` says where."
    )


async def _filled(page: Page, sight: _Sight, engine: str, again: Again | None) -> tuple[Page, _Reading]:
    """The page with what a second reading adds, or a warning why it adds nothing; and that reading."""
    try:
        reading = await _read_again(page.blocks, sight, again)
    except AirgapError as error:
        return await _not_filled(page, sight, error.message)
    except Exception as error:
        log.exception("reading places again broke")
        return await _not_filled(page, sight, f"the second reading broke ({type(error).__name__}).")
    if not reading.filled:
        return page, reading
    metrics.filled(engine, reading.filled)
    note = f"What {engine} left out in {_count(reading.filled)} was read by {reading.by} and put there."
    return replace(page, blocks=reading.blocks, warnings=(*page.warnings, note)), reading


async def _not_filled(page: Page, sight: _Sight, why: str) -> tuple[Page, _Reading]:
    from process.ink_ledger import is_placed

    page = replace(
        page, warnings=(*page.warnings, f"What was left out on the page was not read again: {why}")
    )
    if not is_placed(page.blocks):
        return page, _Reading(page.blocks, None)
    return page, await _read_again(page.blocks, sight, None)


async def _read_again(blocks: tuple[Block, ...], sight: _Sight, again: Again | None) -> _Reading:
    from process.ink_ledger import is_placed, loose_places, places_of, take_account

    places = places_of(blocks)
    if again is not None and not is_placed(blocks):
        return await _compared(blocks, places, sight.image, again)
    whole = await _completed(blocks, places, sight, again)
    if again is None:
        return whole
    account = await in_turn(take_account, sight.seen, places, whole.missing, loose_places(blocks))
    if not account.unread:
        return replace(whole, account=account)
    name, found = await _looked_at_again(sight.image, account.unread, places, again)
    if not (found or whole.filled):
        return replace(whole, account=account)
    blocks = insert(whole.blocks, found)
    missing = tuple(box for box in whole.missing if not any(_is_in(box, block.boxes) for block in found))
    return _Reading(blocks, places_of(blocks), whole.filled + len(found), name, missing)


async def _looked_at_again(
    image: Image, unread: Sequence[Box], places: Sequence[Box], again: Again
) -> tuple[str, list[Block]]:
    name, found = "", list[Block]()
    for close in await in_turn(lambda: list(close_ups(image, unread, places))):
        name, read = await again(close.picture)
        found += close.blocks(read, name)
    return name, found


async def _completed(
    blocks: tuple[Block, ...], places: list[Box], sight: _Sight, again: Again | None
) -> _Reading:
    """The blocks with the rows that their paragraphs lack, as a second reading has them."""
    from process.thin_text import SURE, thin_blocks

    thin = {one.index: one for one in await in_turn(thin_blocks, sight.seen, blocks)}
    if not thin:
        return _Reading(blocks, places)
    if again is None:
        sure = [box for one in thin.values() if one.sureness > SURE for box in one.places]
        return _Reading(blocks, places, missing=tuple(sure))
    name, lines = await _lines_of([blocks[index] for index in thin], sight.image, again)
    result, filled, missing = list[Block](), 0, list[Box]()
    for index, block in enumerate(blocks):
        if index not in thin:
            result.append(block)
            continue
        inside = [line for line in lines if _is_in(line.box, block.boxes)]
        lacking = await in_turn(left_out, (block,), inside)
        if len(lacking) > MOST_MISSING * len(inside):  # it says something else, such as a translation
            lacking = []
        elif thin[index].sureness > SURE:
            missing += [row for row in thin[index].places if not _is_in(row, [line.box for line in inside])]
        result += insert_missing((block,), lacking, name) if lacking else [block]
        filled += len(lacking)
    return _Reading(tuple(result), places, filled, name, tuple(missing))


async def _lines_of(blocks: Sequence[Block], image: Image, again: Again) -> tuple[str, list[Line]]:
    """What stands in the places of blocks, read once more: cut out where they are few, else the page."""
    boxes = [box for block in blocks for box in block.boxes]
    if len(boxes) > MOST_CUT_OUT:
        name, read = await again(image)
        return name, [line for block in read for line in block.lines]
    name, lines = "", list[Line]()
    for box in boxes:
        corners = _widened(box, image).rounded()
        name, read = await again(await in_turn(image.crop, corners))
        lines += [_shifted(line, *corners[:2]) for block in read for line in block.lines]
    return name, lines


def _widened(box: Box, image: Image) -> Box:
    return Box(
        max(0.0, box.x0 - _AROUND),
        max(0.0, box.y0 - _AROUND),
        min(float(image.width), box.x1 + _AROUND),
        min(float(image.height), box.y1 + _AROUND),
    )


def _shifted(line: Line, x: float, y: float) -> Line:
    box = line.box
    return replace(line, box=Box(box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y))


def _is_in(box: Box, places: Sequence[Box]) -> bool:
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    return any(place.x0 <= x <= place.x1 and place.y0 <= y <= place.y1 for place in places)


async def _compared(blocks: tuple[Block, ...], places: list[Box], image: Image, again: Again) -> _Reading:
    """A reading without places, against a second one of the whole page, which knows them."""
    name, read = await again(image)
    lines = [line for block in read for line in block.lines]
    missing = await in_turn(left_out, blocks, lines)
    filled = insert_missing(blocks, missing, name)
    return _Reading(filled, [*places, *(line.box for line in lines if line.text.strip())], len(missing), name)


def _count(places: int) -> str:
    return "1 place" if places == 1 else f"{places} places"
