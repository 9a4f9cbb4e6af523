"""The embedded engine: PP-OCRv6 on the CPU, its models inside the rapidocr wheel, no download ever.

The stages that read a page are in this folder. This file fits them to the engine contract: pages
on threads, pieces as deltas in DeepSeek-OCR's grounding markup, cancellation, usage. It must not know
how a line is found or read. The event loop does nothing here but pass results on.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL.Image import Image

import deepseek_ocr
from airgap.core.document import Block, ReadOptions, Usage
from airgap.core.engine import Capabilities, Delta, Events, PageRead, check_capabilities
from airgap.core.errors import EngineFailed, EngineUnavailable

if TYPE_CHECKING:
    from airgap.engines.ppocr.layout_networks import LayoutNetworks
    from airgap.engines.ppocr.networks import Networks
    from airgap.engines.ppocr.reader import PageReader, ReadPiece
    from airgap.engines.ppocr.scripts import Tesseract
    from airgap.layout.quads import Picture

_STRIP_PIXELS = 4_000_000

BYTES_OF_A_TOKEN = 4
"""Of UTF-8, as the tokens of vision models have them on average. The engine has none of its own, and clients
set limits, and read usage, as for a model."""

DOUBTFUL = 0.75
"""Mean confidence of a page below which it is not called well read. Measured: 0.9 and more on 41 pages of
print that is read well; 0.6 to 0.75 on handwriting and on scripts that the networks do not know."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    networks: Networks
    layout: LayoutNetworks
    tesseract: Tesseract | None
    no_tesseract: str
    lines: Executor
    pages: ThreadPoolExecutor


@dataclass
class _Page:
    """What has been handed out of a page so far; `limit` in tokens, `size` in bytes."""

    width: int
    height: int
    limit: int | None
    raw: list[str] = field(default_factory=list)
    pieces: list[ReadPiece] = field(default_factory=list)
    size: int = 0
    finish_reason: str = "stop"

    @property
    def tokens(self) -> int:
        return math.ceil(self.size / BYTES_OF_A_TOKEN)

    def add(self, piece: ReadPiece) -> str:
        """The markup of a piece, cut where the limit falls."""
        text = piece.text.encode()
        if self.limit is not None and self.size + len(text) > self.limit * BYTES_OF_A_TOKEN:
            text = text[: self.limit * BYTES_OF_A_TOKEN - self.size]
            piece = replace(piece, text=text.decode(errors="ignore"))
            self.finish_reason = "length"
        markup = deepseek_ocr.to_markup(piece.label, piece.boxes, piece.text, self.width, self.height)
        self.size += len(text)
        self.raw.append(markup)
        self.pieces.append(piece)
        return markup


class RapidOcrEngine:
    """Reads printed text in CJK, Latin and Greek, and with Tesseract in the scripts whose data it has.

    `num_workers`: threads that read lines, and pages at once; by default the cores this process may
    use. `languages`: codes such as `ru` that settle which Tesseract language reads a script that
    several share. `tessdata_dir`: Tesseract's language data, by default where Debian puts them.
    `formula_model`: a folder with a network that reads formulas; without one equations are pictures.
    """

    name = "rapidocr"
    device = "cpu"

    def __init__(
        self,
        num_workers: int | None = None,
        languages: Sequence[str] = (),
        tessdata_dir: str | None = None,
        formula_model: Path | None = None,
    ) -> None:
        self.model = "PP-OCRv6-small"
        self.model_digest: str | None = None  # SHA-256 over the networks' files, once they are loaded
        self.capabilities = Capabilities(
            supports_prompt=False,
            supports_modes=False,
            max_images=1,
            formulas="picture" if formula_model is None else "latex",
        )
        self._num_workers = num_workers or len(os.sched_getaffinity(0))
        self.max_concurrency = self._num_workers
        self._languages = tuple(languages)
        self._tessdata_dir = tessdata_dir
        self._formula_model = formula_model
        self._loaded: _Loaded | None = None
        self._cancellations: set[threading.Event] = set()

    async def start(self) -> None:
        """Load and warm up the networks, off the event loop.

        Raises `EngineUnavailable`, and `ConfigurationError` where formulas cannot be read as it was asked.
        """
        if self._loaded is None:
            self._loaded = await asyncio.to_thread(self._load)

    def _load(self) -> _Loaded:
        try:
            from airgap.engines.ppocr.formula_network import files_of
            from airgap.engines.ppocr.layout_networks import load_layout_networks
            from airgap.engines.ppocr.networks import load_networks, model_digest, model_directory
            from airgap.engines.ppocr.scripts import open_tesseract
        except ImportError as error:
            raise EngineUnavailable(
                f"The package {error.name}, which the CPU engine needs, cannot be imported.",
                "Install it: pip install -r requirements.txt",
            ) from error
        networks = load_networks(model_directory(), self._num_workers)
        formula_files = files_of(self._formula_model) if self._formula_model is not None else []
        self.model_digest = model_digest(model_directory(), formula_files)
        tesseract, no_tesseract = open_tesseract(self._tessdata_dir, self._languages)
        return _Loaded(
            networks,
            load_layout_networks(self._num_workers, formula_model=self._formula_model),
            tesseract,
            no_tesseract,
            ThreadPoolExecutor(self._num_workers, thread_name_prefix="ocr-line"),
            ThreadPoolExecutor(self.max_concurrency, thread_name_prefix="ocr-page"),
        )

    async def read(self, images: Sequence[Image], options: ReadOptions) -> Events:
        """Read one page: a delta per piece of layout, then the page. Closing the iterator stops the work."""
        check_capabilities(self.capabilities, len(images), options)
        loaded = self._loaded
        if loaded is None:
            raise EngineUnavailable("The CPU engine has not been started, or is closed.")
        started = time.monotonic()
        image = images[0]
        page = _Page(image.width, image.height, options.max_tokens)
        reader = self._reader(loaded, options)
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[ReadPiece | Exception | None] = asyncio.Queue()

        def put(item: ReadPiece | Exception | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(queue.put_nowait, item)

        self._cancellations.add(reader.cancelled)
        task = loaded.pages.submit(_read_page, reader, image, put)
        task.add_done_callback(lambda done: put(_closed()) if done.cancelled() else None)
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield Delta(page.add(item))
                if page.finish_reason == "length":
                    break
            yield _page_read(page, reader, time.monotonic() - started)
        finally:
            reader.cancelled.set()
            task.cancel()
            self._cancellations.discard(reader.cancelled)

    def _reader(self, loaded: _Loaded, options: ReadOptions) -> PageReader:
        from airgap.engines.ppocr.reader import PageReader

        return PageReader(
            loaded.networks,
            loaded.lines,
            loaded.tesseract,
            loaded.no_tesseract,
            options.language,
            loaded.layout,
        )

    def health(self) -> tuple[bool, str]:
        """Whether the networks are loaded."""
        return (True, "ready") if self._loaded else (False, "the networks are not loaded")

    async def close(self) -> None:
        """Stop what is being read and free the networks. May be called twice."""
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return
        for cancelled in list(self._cancellations):
            cancelled.set()
        await asyncio.to_thread(_shut_down, loaded)


def _shut_down(loaded: _Loaded) -> None:
    loaded.pages.shutdown(wait=True, cancel_futures=True)
    loaded.lines.shutdown(wait=True)
    if loaded.tesseract is not None:
        loaded.tesseract.close()


def bgr_of(image: Image) -> Picture:
    """The pixels (height, width, 3) of a picture of any mode, in OpenCV's order; in memory once."""
    import numpy as np

    picture = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        picture[top : top + rows] = np.asarray(strip.convert("RGB"))[..., ::-1]
    return picture


def _read_page(reader: PageReader, image: Image, put: Callable[[ReadPiece | Exception | None], None]) -> None:
    """Runs on a page thread: every piece, then None or the exception, goes to `put`."""
    try:
        picture = bgr_of(image)
        for piece in reader.read(picture):
            put(piece)
        put(None)
    except CancelledError:
        put(_closed())
    except Exception as error:
        failure = EngineFailed("The CPU engine failed on this page.")
        failure.__cause__ = error
        put(failure)


def _closed() -> EngineUnavailable:
    return EngineUnavailable("The CPU engine was closed before this page was read.")


def _page_read(page: _Page, reader: PageReader, seconds: float) -> PageRead:
    """The end of a page: the blocks of the markup, with the places and confidences the markup cannot hold."""
    raw = "".join(page.raw)
    parsed = deepseek_ocr.parse(raw, page.width, page.height)
    blocks = tuple(
        replace(
            block,
            text=_indent(piece.text) + block.text,
            boxes=piece.boxes,
            confidence=piece.confidence,
            lines=piece.lines,
        )
        for block, piece in zip(parsed.blocks, page.pieces, strict=True)
    )
    confidence = _mean_confidence(blocks)
    doubt = () if confidence is None or confidence >= DOUBTFUL else (unsure(confidence),)
    return PageRead(
        raw=raw,
        blocks=blocks,
        finish_reason=page.finish_reason,
        usage=Usage(completion_tokens=page.tokens, seconds=seconds),
        confidence=confidence,
        warnings=(*parsed.warnings, *reader.warnings, *doubt),
        status="degraded" if reader.degraded or doubt else "ok",
    )


def _indent(text: str) -> str:
    """The spaces before an item of a list, which the markup has no place for."""
    return text[: len(text) - len(text.lstrip(" "))]


def unsure(confidence: float) -> str:
    """What is said of a page that may well be misread."""
    return f"The page may be misread: the engine's mean confidence is {confidence:.2f}. Check it by eye."


def _mean_confidence(blocks: Sequence[Block]) -> float | None:
    known = [(block.confidence, len(block.text)) for block in blocks if block.confidence is not None]
    total = sum(length for _, length in known)
    return sum(value * length for value, length in known) / total if total else None
