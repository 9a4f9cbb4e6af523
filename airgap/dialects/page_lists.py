"""Lists of pages as other services write them, `0-4,7`, counted from 0."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from airgap.core.errors import InvalidOption
from airgap.core.opening import Opening
from airgap.http.opening import opened
from airgap.http.service import Service
from process.pages import Source

MOST_PAGES = 100_000
"""Most pages that one list may name, and a number that no page has."""

_PART = re.compile(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?")


def page_numbers(pages: str | Sequence[int], field: str) -> tuple[int, ...]:
    """The pages that a request's `field` names, counted from 1, in its order. Raises `InvalidOption`."""
    ranges = _ranges(pages, field) if isinstance(pages, str) else [range(n, n + 1) for n in pages]
    if any(not 0 <= part.start < part.stop <= MOST_PAGES for part in ranges):
        raise InvalidOption(f"`{field}` holds a number that no document has.", "Pages count from 0.")
    if sum(map(len, ranges)) > MOST_PAGES:
        raise InvalidOption(f"`{field}` names more than {MOST_PAGES} pages.", "Name each page once.")
    return tuple(dict.fromkeys(number + 1 for part in ranges for number in part))


def _ranges(pages: str, field: str) -> list[range]:
    if len(pages) > MOST_PAGES:
        raise InvalidOption(f"`{field}` is too long.", "Name each page once.")
    return [_range(part, field) for part in pages.split(",")]


def _range(part: str, field: str) -> range:
    match = _PART.fullmatch(part)
    if match is None:
        raise InvalidOption(f"`{field}` holds {part[:20]!r}.", "Send numbers and ranges from 0: `0-4,7`.")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise InvalidOption(f"In `{field}` {part.strip()} ends before it begins.")
    return range(first, last + 1)


@asynccontextmanager
async def opened_at(
    service: Service, path: Path | bytes, name: str, opening: Opening, numbers: Sequence[int]
) -> AsyncIterator[Source]:
    """The file with these pages to be read, in this order, or all where there are none; as `opened`.

    Raises `PageOutOfRange` for a page that the document has not.
    """
    if numbers:
        opening = replace(opening, page_from=min(numbers), page_to=max(numbers))
    async with opened(service, path, name, opening) as source:
        if numbers:
            source.choose(numbers)
        yield source
