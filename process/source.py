"""What a source of pages is, whatever file it comes from.

`pages.open_source` makes one. This module knows no file format.
"""

from __future__ import annotations

import copy
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from airgap.core.document import Line
from airgap.core.errors import PageOutOfRange, TooManyPages

FROM_TEXT_LAYER = "The text was taken from the PDF's own text layer."
LAYER_NOT_SOUND = "The PDF's text layer is missing or not sound; the page was read from its pixels."
DAMAGED = "The page's data are damaged; parts of it may be missing."


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost; names as in the settings."""

    max_image_pixels: int = 100_000_000
    pdf_max_pages: int = 5000
    pdf_over_max_pages: Literal["refuse", "first"] = "refuse"
    read_pdf: bool = True
    page_timeout_seconds: float = 30.0
    page_memory_mb: int = 2048
    image_timeout_seconds: float = 30.0
    image_memory_mb: int = 1280
    render_workers: int = 2


@dataclass(frozen=True, slots=True)
class PageImage:
    """One page as pixels.

    `number` is 1-based in the source; `image` is RGB; `width_pt` and `height_pt` are points where
    the source has them. `blank` says that nothing stands out from the paper. `text_lines` are the
    embedded text's, boxes in page pixels, where that was asked for and is sound.
    """

    number: int
    image: Image.Image
    width_pt: float | None = None
    height_pt: float | None = None
    blank: bool = False
    text_lines: tuple[Line, ...] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def damaged(self) -> bool:
        return DAMAGED in self.warnings


class OpenedFile:
    """A file under an id for the processes that read it; on the disk for as long as it is open."""

    def __init__(self, path: Path | bytes) -> None:
        self.id = uuid.uuid4().hex
        self.closed = False
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.path = (path if isinstance(path, Path) else self._written(path)).resolve()

    def _written(self, data: bytes) -> Path:
        self._folder = tempfile.TemporaryDirectory(prefix="airgap-")
        path = Path(self._folder.name) / "source"
        path.write_bytes(data)
        return path

    def close(self) -> None:
        """May be called twice."""
        self.closed = True
        if self._folder is not None:
            self._folder.cleanup()


class Source(ABC):
    """An opened file. A context manager; `render` and `image` block, and any thread may call them.

    `name` is a display name that is safe in a path, `filename` the sender's own with its folders, `path` the
    original file or its bytes,
    `page_count` the pages in it, and `numbers` those of them to be read; `notes` say where those are fewer
    than were asked for, and `left_out` how many of those PDF_MAX_PAGES kept from being read.
    """

    kind: Literal["image", "pdf"]
    opening: dict[str, Any]
    """What `pages.reopened` takes to open the file again, elsewhere: values of JSON."""
    takes_text = False
    """Whether a page may be its embedded text, with no picture read."""

    def __init__(self, path: Path | bytes, name: str, media_type: str, count: int, numbers: range) -> None:
        self.path = path
        self.name = name
        self.filename: str | None = None
        self.media_type = media_type
        self.page_count = count
        self.numbers: Sequence[int] = numbers
        self.notes: tuple[str, ...] = ()
        self.left_out = 0

    def read_bytes(self) -> bytes:
        """The original file, whole."""
        return self.path.read_bytes() if isinstance(self.path, Path) else self.path

    @abstractmethod
    def pixels(self, number: int) -> int:
        """About how many pixels page `number` will have, from what is known without drawing it."""

    @abstractmethod
    def render(self, number: int) -> PageImage:
        """Page `number` (1-based). Raises an `AirgapError` that is this page's alone."""

    @abstractmethod
    def image(self, number: int) -> Image.Image:
        """The pixels of `render(number)` again. Raises the same."""

    @abstractmethod
    def close(self) -> None:
        """Let go of all that was opened. May be called twice."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def each(self) -> list[Source]:
        """The pages to be read, each as a source of that page alone, good for as long as this is open."""
        views = []
        for number in self.numbers:
            view = copy.copy(self)
            view.numbers = range(number, number + 1)
            views.append(view)
        return views

    def choose(self, numbers: Sequence[int]) -> None:
        """Have these pages read and no others, in this order. Raises `PageOutOfRange`, `TooManyPages`."""
        missing = [number for number in numbers if number not in self.numbers]
        if missing or not numbers:
            raise PageOutOfRange(
                f"Page {missing[0]} was asked for; the document has {self.page_count}."
                if missing
                else "No page was asked for."
            )
        self.numbers = tuple(dict.fromkeys(numbers))

    def _check_number(self, number: int) -> None:
        if not 1 <= number <= self.page_count:
            raise PageOutOfRange(f"There is no page {number}: the document has {self.page_count}.")


def may_be_text(sources: Sequence[Source]) -> bool:
    """Whether these are one page that may be answered with its embedded text."""
    return len(sources) == 1 and sources[0].takes_text


@dataclass(frozen=True, slots=True)
class Span:
    """The pages that were asked for."""

    page_from: int | None
    page_to: int | None
    most: int
    over: Literal["refuse", "first"] = "refuse"

    def of(self, count: int) -> range:
        """The page numbers to read of `count`. An end past the document's is the document's.

        Raises `PageOutOfRange` or `TooManyPages`.
        """
        first, last = self._asked(count)
        if not 1 <= first <= min(last, count):
            raise PageOutOfRange(f"Pages {first} to {last} were asked for; the document has {count}.")
        last = min(last, count)
        if last - first + 1 > self.most:
            if self.over == "refuse":
                raise TooManyPages(f"{last - first + 1} pages were asked for; {self.most} are allowed.")
            last = first + self.most - 1
        return range(first, last + 1)

    def notes(self, count: int) -> tuple[str, ...]:
        """Why fewer pages are read than were asked for, in words; nothing where all are."""
        last_read, last_asked = self.of(count)[-1], self._asked(count)[1]
        past_the_end = f"Pages up to {last_asked} were asked for; the document has {count}."
        unread = (
            f"Pages {last_read + 1} to {min(last_asked, count)} were not read: PDF_MAX_PAGES={self.most}."
        )
        return (past_the_end,) * (last_asked > count) + (unread,) * (self.left_out(count) > 0)

    def left_out(self, count: int) -> int:
        """How many of the document's pages are past the most that are read, though asked for."""
        return min(self._asked(count)[1], count) - self.of(count)[-1]

    def _asked(self, count: int) -> tuple[int, int]:
        first = 1 if self.page_from is None else self.page_from
        return first, count if self.page_to is None else self.page_to
