"""`POST /api/ocr/image`, `/pdf` and `/document`: a page's text as it is read, one JSON frame a line.

    {"type": "start", "kind": "image"}
    {"type": "delta", "delta": "…"}
    {"type": "end", "usage": {…}}

    {"type": "start", "kind": "pdf", "pages": 2}
    {"type": "page_start", "page": 1}
    {"type": "page_delta", "page": 1, "delta": "…"}
    {"type": "page_end", "page": 1, "status": "ok", "usage": {…}}
    {"type": "end", "usage": {…}, "ledger": {…}}

Who asks for it with `pictures=true` gets a frame `{"type": "page_picture", "page": 1, "picture": "…",
"thumbnail": "…"}` (JPEG, base64) as each page begins, and with `detail=true` a `result`, the page's
blocks with their boxes and its Markdown, in the last frame of each page.

Deltas hold the model's markup of boxes where the prompt asks for it with `<|grounding|>`, or `raw=true`
does. Pages are read in parallel and their frames interleave; those of one page keep their order. What goes
wrong after the start is a frame `{"type": "error", "code", "message", "remedy"}`, with `page` where it
is one page's, and the stream goes on. The last frame is always `end`; a stream without it was cut off.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, File, Form, UploadFile
from fastapi.responses import StreamingResponse
from PIL.Image import Image

from airgap.core.document import Ledger, Page, ReadOptions, Usage
from airgap.core.engine import check_capabilities
from airgap.core.errors import AirgapError, InvalidPdf, UnsupportedMedia
from airgap.core.opening import FIRST_FRAME
from airgap.dialects.markup import Filter, filter_for
from airgap.exporters.json_export import LedgerJson, ledger_to_dict, page_to_dict
from airgap.exporters.markdown import page_markdown
from airgap.exporters.preview import THUMBNAIL_SIDE, to_preview
from airgap.http.forms import RAW, Crosscheck, FormOpening, FormOptions
from airgap.http.live import Admitted, LiveResponse, PageDelta, PageEvent, PageStarted, page_events
from airgap.http.opening import opened, with_picture
from airgap.http.responses import encode_base64
from airgap.http.service import ReadyService, Service
from airgap.http.uploads import display_name, saved_upload
from airgap.monitoring import trace
from deepseek_ocr import PROMPTS
from process.pages import Source
from process.sniff import sniff_file

router = APIRouter(prefix="/api/ocr", tags=["ndjson"])

MEDIA_TYPE = "application/x-ndjson; charset=utf-8"
_ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {"application/x-ndjson": {}}}}


@dataclass(frozen=True, slots=True)
class Extras:
    """What a client wants beside the text."""

    detail: bool
    pictures: bool
    raw: bool | None = None


def requested_extras(
    detail: Annotated[bool, Form(description="End each page with its `result`: blocks, boxes.")] = False,
    pictures: Annotated[bool, Form(description="Begin each page with its picture, a JPEG.")] = False,
    raw: Annotated[bool | None, Form(description=RAW)] = None,
) -> Extras:
    return Extras(detail, pictures, raw)


FormExtras = Annotated[Extras, Depends(requested_extras)]


async def sent_image(
    service: ReadyService,
    _: Admitted,
    file: Annotated[UploadFile, File(description="PNG, JPEG, WebP, TIFF, BMP, GIF, HEIC, AVIF, JPEG 2000.")],
) -> AsyncIterator[Source]:
    """The form's picture, open until the answer was sent."""
    async with saved_upload(file, service.uploads) as path:
        if sniff_file(path) == "pdf":
            raise UnsupportedMedia("A PDF was sent.", "Send it to /api/ocr/pdf.")
        async with opened(service, path, display_name(file), FIRST_FRAME) as source:
            yield source


async def sent_document(
    service: ReadyService,
    _: Admitted,
    opening: FormOpening,
    file: Annotated[UploadFile, File(description="A PDF, a picture, a TIFF of several frames.")],
) -> AsyncIterator[Source]:
    """The form's file, whatever its kind, open until the answer was sent."""
    async with (
        saved_upload(file, service.uploads) as path,
        opened(service, path, display_name(file), opening) as source,
    ):
        yield source


async def sent_pdf(
    service: ReadyService,
    _: Admitted,
    opening: FormOpening,
    file: Annotated[UploadFile, File(description="A PDF.")],
) -> AsyncIterator[Source]:
    """The form's PDF, open until the answer was sent. Raises `InvalidPdf` for anything else."""
    async with saved_upload(file, service.uploads) as path:
        if sniff_file(path) != "pdf":
            raise InvalidPdf("The file is not a PDF.", "Send pictures to /api/ocr/image.")
        async with opened(service, path, display_name(file), opening) as source:
            yield source


@router.post(
    "/image", summary="One image, its text as it is read", response_class=StreamingResponse, responses=_ANSWER
)
async def stream_image(
    service: ReadyService,
    options: FormOptions,
    extras: FormExtras,
    source: Annotated[Source, Depends(sent_image)],
) -> StreamingResponse:
    return await _respond(service, source, options, extras, "image")


@router.post(
    "/pdf",
    summary="One PDF, the text of its pages as they are read",
    response_class=StreamingResponse,
    responses=_ANSWER,
)
async def stream_pdf(
    service: ReadyService,
    options: FormOptions,
    extras: FormExtras,
    source: Annotated[Source, Depends(sent_pdf)],
) -> StreamingResponse:
    return await _respond(service, source, options, extras, "pdf")


@router.post(
    "/document",
    summary="One file of any kind, the text of its pages as they are read, in the frames of `/pdf`",
    response_class=StreamingResponse,
    responses=_ANSWER,
)
async def stream_document(
    service: ReadyService,
    options: FormOptions,
    extras: FormExtras,
    source: Annotated[Source, Depends(sent_document)],
    crosscheck: Crosscheck = False,
) -> StreamingResponse:
    options = replace(options, crosscheck=crosscheck)
    return await _respond(service, source, options, extras, "pdf")


async def _respond(
    service: Service, source: Source, options: ReadOptions, extras: Extras, kind: Literal["image", "pdf"]
) -> StreamingResponse:
    check_capabilities(service.engine.capabilities, 1, options)
    await trace.promise_pages(len(source.numbers))
    events = page_events(service.reader, source, options)
    prompt = options.prompt or service.reader.defaults.prompt or PROMPTS["document"]
    account = Account(service, prompt, source, extras)
    frames = _image_frames(events, account) if kind == "image" else _pdf_frames(events, account)
    return LiveResponse(_lines(frames), media_type=MEDIA_TYPE)


async def _lines(frames: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[str, None]:
    async with aclosing(frames):
        async for frame in frames:
            yield json.dumps(frame, ensure_ascii=False) + "\n"


class Account:
    """Adds up what the pages of one answer cost, and knows what else is to be told of them."""

    def __init__(self, service: Service, prompt: str, source: Source, extras: Extras) -> None:
        self._service = service
        self._source = source
        self._extras = extras
        self.pages = len(source.numbers)
        self._prompt_chars = len(prompt)
        self._input_bytes = source.path.stat().st_size if isinstance(source.path, Path) else len(source.path)
        self._filter = filter_for(prompt, raw=extras.raw)
        self._filters: defaultdict[int, Filter] = defaultdict(self._filter)
        self._completion_chars: Counter[int] = Counter()
        self.notes = source.notes
        self._usage = Usage()
        self._statuses: list[Page] = []

    def add_delta(self, delta: PageDelta) -> str:
        """What of it the client is told."""
        return self._counted(delta.number, self._filters[delta.number].feed(delta.text))

    def rest(self, page: Page) -> str:
        """What was held back of a page until its end."""
        held = self._filters.pop(page.number, None)
        return self._counted(page.number, held.flush()) if held else ""

    def _counted(self, number: int, text: str) -> str:
        self._completion_chars[number] += len(text)
        return text

    def add_page(self, page: Page) -> dict[str, int]:
        """Returns the page's own usage."""
        self._usage += page.usage
        self._statuses.append(replace(page, blocks=(), raw=""))
        return {
            "prompt_tokens": page.usage.prompt_tokens,
            "completion_tokens": page.usage.completion_tokens,
            "completion_chars": self._completion_chars[page.number],
        }

    async def pictures(self, number: int) -> AsyncIterator[dict[str, Any]]:
        """The frame with the page's picture, where asked for; none for a page that cannot be drawn."""
        if not self._extras.pictures:
            return
        try:
            picture = await with_picture(self._service, self._source, number, _picture_frame)
        except AirgapError:
            return  # the page itself fails with the same error, and says so
        yield {"type": "page_picture", "page": number, **picture}

    def detail(self, page: Page) -> dict[str, Any]:
        """All that was read on the page, where asked for."""
        if not self._extras.detail:
            return {}
        return {"result": page_to_dict(page) | {"markdown": page_markdown(page)}}

    def usage(self) -> dict[str, int]:
        return {
            "prompt_tokens": self._usage.prompt_tokens,
            "completion_tokens": self._usage.completion_tokens,
            "prompt_chars": self._prompt_chars * self.pages,
            "completion_chars": self._completion_chars.total(),
            "input_bytes": self._input_bytes,
        }

    def ledger(self) -> LedgerJson:
        return ledger_to_dict(Ledger.of(self._statuses, self._source.left_out))


def _picture_frame(image: Image) -> dict[str, Any]:
    return {
        "picture": encode_base64(to_preview(image)),
        "thumbnail": encode_base64(to_preview(image, THUMBNAIL_SIDE)),
        "width": image.width,
        "height": image.height,
    }


async def _image_frames(
    events: AsyncGenerator[PageEvent, None], account: Account
) -> AsyncGenerator[dict[str, Any], None]:
    yield {"type": "start", "kind": "image"}
    async with aclosing(events):
        async for event in events:
            if isinstance(event, PageStarted):
                async for frame in account.pictures(event.number):
                    yield frame
            elif isinstance(event, PageDelta):
                if text := account.add_delta(event):
                    yield {"type": "delta", "delta": text}
            else:
                page = event.page
                if text := account.rest(page):
                    yield {"type": "delta", "delta": text}
                account.add_page(page)
                if page.error:
                    yield {"type": "error"} | asdict(page.error)
                yield {"type": "end", "usage": account.usage()} | _outcome(page) | account.detail(page)


async def _pdf_frames(
    events: AsyncGenerator[PageEvent, None], account: Account
) -> AsyncGenerator[dict[str, Any], None]:
    yield {"type": "start", "kind": "pdf", "pages": account.pages}
    async with aclosing(events):
        async for event in events:
            if isinstance(event, PageStarted):
                yield {"type": "page_start", "page": event.number}
                async for frame in account.pictures(event.number):
                    yield frame
            elif isinstance(event, PageDelta):
                if text := account.add_delta(event):
                    yield {"type": "page_delta", "page": event.number, "delta": text}
            else:
                page = event.page
                if text := account.rest(page):
                    yield {"type": "page_delta", "page": page.number, "delta": text}
                cost = account.add_page(page)
                if page.error:
                    yield {"type": "error", "page": page.number} | asdict(page.error)
                frame = {"type": "page_end", "page": page.number, "usage": cost}
                yield frame | _outcome(page) | account.detail(page)
    usage = account.usage() | {"pages": account.pages}
    yield {"type": "end", "usage": usage, "ledger": account.ledger(), "warnings": list(account.notes)}


def _outcome(page: Page) -> dict[str, Any]:
    return {
        "status": page.status,
        "finish_reason": page.finish_reason,
        "warnings": list(page.warnings),
    }
