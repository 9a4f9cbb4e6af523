"""The nouns: what a page is and what was read on it.

Every other module speaks in these types. This one knows nothing about models, engines, HTTP, files
or libraries; it imports the standard library alone.

Coordinates are pixels of the page as its sender sees it: top-left origin, x to the right, y down,
`x0 <= x1`, `y0 <= y1`, inside the page. For an image that is the picture after its EXIF
orientation, for a PDF the page as a viewer shows it, rendered at the chosen resolution. Whatever an
engine turned, straightened or scaled in order to read is undone before a `Box` is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

Furniture = Literal["keep", "drop"]
PageStatus = Literal["ok", "degraded", "failed"]
Mode = Literal["tiny", "small", "base", "large", "gundam"]
Fill = Literal["auto", "off"]

FIGURE_LABELS = frozenset({"image", "figure", "picture", "chart", "photo", "seal", "stamp"})
"""Labels of blocks that are kept as pictures."""

UNREADABLE = "unreadable"
"""Label of blocks without text: an engine found a line there and could not read it."""

MODES: tuple[Mode, ...] = ("tiny", "small", "base", "large", "gundam")


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle in page pixels."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return self.width * self.height

    def union(self, other: Box) -> Box:
        return Box(
            min(self.x0, other.x0),
            min(self.y0, other.y0),
            max(self.x1, other.x1),
            max(self.y1, other.y1),
        )

    @classmethod
    def around(cls, boxes: Iterable[Box]) -> Box:
        """The smallest box that holds all of `boxes`, of which there is one at least."""
        return reduce(cls.union, boxes)

    def rounded(self) -> tuple[int, int, int, int]:
        """Whole pixels `(x0, y0, x1, y1)`, at least one pixel wide and high."""
        x0, y0 = int(self.x0), int(self.y0)
        return x0, y0, max(x0 + 1, round(self.x1)), max(y0 + 1, round(self.y1))


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line of text, from engines that know lines."""

    text: str
    box: Box
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of layout in reading order.

    `label` is an open vocabulary: title, sub_title, text, table, image, equation, *_caption, ….
    `text` is Markdown; a table is HTML; an image is empty. `boxes` may be empty when the model
    gave none (a prompt without grounding). `engine` is set where another than the page's read it, to fill
    what that one left out.
    """

    label: str
    text: str
    boxes: tuple[Box, ...] = ()
    confidence: float | None = None
    lines: tuple[Line, ...] = ()
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a read cost. Tokens are the engine's own; an engine without tokens says about how many."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    image_tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.image_tokens + other.image_tokens,
            self.seconds + other.seconds,
        )


def reading_counts(prompt: str | None, blocks: tuple[Block, ...], usage: Usage) -> dict[str, int]:
    """What one reading was asked and gave, in tokens and characters."""
    return {
        "prompt_chars": len(prompt or ""),
        "completion_chars": sum(len(block.text) for block in blocks),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }


@dataclass(frozen=True, slots=True)
class PageError:
    """Why a page failed, in the words of `airgap.core.errors`."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A number or a name that two engines read differently; empty where one of them read nothing there.

    `kind` is `number` or `name`, `engine` the one that was asked besides.
    """

    kind: Literal["number", "name"]
    reading: str
    other_reading: str
    engine: str
    box: Box | None = None
    other_box: Box | None = None


ReviewKind = Literal["unread", "disagreement", "doubt"]
ReviewDecision = Literal["accepted", "corrected"]


@dataclass(frozen=True, slots=True)
class Review:
    """What a person decided about a place that the machine could not vouch for.

    `kind` says why it was one: not read, read differently by two engines, or read without being sure.
    `reviewed_by` is None where nobody gave a name; `reviewed_at` is ISO 8601, in UTC.
    """

    kind: ReviewKind
    decision: ReviewDecision
    reviewed_by: str | None
    reviewed_at: str
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page and everything read on it.

    `number` is 1-based and counts in the source, whatever range was asked for. `width` and `height`
    are page pixels (0 when the page could not even be opened). `raw` is the engine's output,
    untouched. `width_pt` and `height_pt` are the size in points (1/72 inch) where the source has
    one, as PDF pages do. `engine` and `model` are set where another than the document's first choice
    read the page; `mode` is the one in which a model read it. `disagreements` is None where no second
    engine was asked. `unread` are places with ink that looks like text and that nothing read accounts for,
    top to bottom; `coverage` is the share (0–1) of such ink that is accounted for, None where the page was
    not looked at or the engine gives no places. `furniture` says whether Markdown and plain text are to
    hold running headers and footers, page numbers and marks in the margin.
    """

    number: int
    width: int
    height: int
    status: PageStatus = "ok"
    blocks: tuple[Block, ...] = ()
    raw: str = ""
    finish_reason: str = "stop"
    usage: Usage = field(default_factory=Usage)
    warnings: tuple[str, ...] = ()
    error: PageError | None = None
    width_pt: float | None = None
    height_pt: float | None = None
    engine: str | None = None
    model: str | None = None
    mode: Mode | None = None
    disagreements: tuple[Disagreement, ...] | None = None
    unread: tuple[Box, ...] = ()
    coverage: float | None = None
    furniture: Furniture = "keep"
    reviews: tuple[Review, ...] = ()

    @property
    def confidence(self) -> float | None:
        """Mean block confidence, weighted by length of text; None where no block has one."""
        known = [(b.confidence, max(1, len(b.text))) for b in self.blocks if b.confidence is not None]
        total = sum(weight for _, weight in known)
        return sum(c * weight for c, weight in known) / total if total else None


@dataclass(frozen=True, slots=True)
class Ledger:
    """The account of a document's pages: `expected == ok + degraded + failed`, always.

    `left_out` are further pages that the site's limit kept from being read; they are not expected.
    """

    expected: int
    ok: int
    degraded: int
    failed: int
    left_out: int = 0

    def __post_init__(self) -> None:
        if self.expected != self.ok + self.degraded + self.failed:
            raise ValueError(f"a page is unaccounted for: {self}")

    @classmethod
    def of(cls, pages: Iterable[Page], left_out: int = 0) -> Ledger:
        counts = {"ok": 0, "degraded": 0, "failed": 0}
        for page in pages:
            counts[page.status] += 1
        return cls(sum(counts.values()), **counts, left_out=left_out)


@dataclass(frozen=True, slots=True)
class Document:
    """The pages of one source, in order, none left out.

    `language` is the hint as it was understood. `notes` are warnings about the whole, such as pages that
    were asked for and are not there. `left_out` are pages that PDF_MAX_PAGES kept from being read.
    `filename` is what the sender calls the source, with the folders that were named; only ever shown.
    """

    pages: tuple[Page, ...]
    engine: str
    model: str
    mode: str | None = None
    language: str | None = None
    notes: tuple[str, ...] = ()
    left_out: int = 0
    filename: str | None = None

    @property
    def ledger(self) -> Ledger:
        return Ledger.of(self.pages, self.left_out)

    @property
    def usage(self) -> Usage:
        return sum((page.usage for page in self.pages), Usage())

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes, and each page's warnings, named by page where there is more than one."""
        several = len(self.pages) > 1
        return self.notes + tuple(
            f"page {page.number}: {warning}" if several else warning
            for page in self.pages
            for warning in page.warnings
        )


ShapeKind = Literal["json", "json_object", "regex", "choice", "grammar"]
SHAPE_KINDS: tuple[ShapeKind, ...] = ("json", "json_object", "regex", "choice", "grammar")


@dataclass(frozen=True, slots=True)
class AnswerShape:
    """What an answer must look like, for engines that can hold a model to it.

    `text` is a JSON schema, a regular expression, a JSON list of strings to choose from, or a grammar in
    EBNF; empty for `json_object`, which is any object.
    """

    kind: ShapeKind
    text: str = ""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How one page is to be read. None leaves the choice to the engine.

    `mode` is a DeepSeek-OCR resolution mode. `language` is a code such as `en`, `ru` or `zh-Hant`,
    a hint to engines that need one. `ngram_size` and `window_size` set the no-repeat rule; None is
    that of the kind of document.
    `confidence` asks an engine that would have to compute confidences for them; others give them anyway.
    `live` says that somebody takes the text while it is read; the reader sets it. `crosscheck` has a
    second engine read the page too, and is the reader's to heed; so is `fill`, by which places that were
    left out are read again, by the second engine where there is one. `furniture` is the page's.
    `shape` is what the raw answer is held to.
    """

    prompt: str | None = None
    mode: Mode | None = None
    language: str | None = None
    max_tokens: int | None = None
    temperature: float = 0.0
    ngram_size: int | None = None
    window_size: int | None = None
    crosscheck: bool = False
    confidence: bool = False
    live: bool = False
    fill: Fill = "auto"
    furniture: Furniture = "keep"
    shape: AnswerShape | None = None
