"""`GET /v1/models` and `POST /v1/chat/completions`, as OpenAI's clients speak them.

An OCR model has no conversation: the last user message is the prompt, its pictures (or those of the
latest user message that has some) are what is read, and whatever else a request says is named in
`warnings`. Content is the model's raw output where the request shows that it knows the markup (its
prompt holds `<|grounding|>`, or `skip_special_tokens` is false), else the text without references.
"""

from __future__ import annotations

import functools
import json
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from PIL.Image import Image
from pydantic import BaseModel, ConfigDict, Field

from deepseek_ocr import GROUNDING, NGRAM_RULES
from dialects.inputs import fetcher_of, picture_of, plain_prompt
from dialects.live import Admitted, LiveResponse
from dialects.markup import MarkupFilter
from document import Page, ReadOptions, Usage
from engines.base import PageRead, check_capabilities
from errors import AirgapError, BadRequest, NotFound
from monitoring import trace
from ocr_utils import (
    ReadyService,
    Service,
    ServiceDep,
    checked_language,
    checked_max_tokens,
    checked_mode,
    checked_temperature,
    raise_if_failed,
    unless_gone,
)
from process.pipeline import Reader, in_order

router = APIRouter(prefix="/v1", tags=["openai"])

MAX_IMAGES = 64
BETWEEN_IMAGES = "\n\n"
_CHUNK = "chat.completion.chunk"


class ImageUrl(BaseModel):
    url: str


class Part(BaseModel):
    """One piece of a message: text, or a picture as a data URL."""

    model_config = ConfigDict(extra="allow")

    type: str
    text: str | None = None
    image_url: ImageUrl | str | None = None


class Message(BaseModel):
    model_config = ConfigDict(extra="allow")

    role: str
    content: str | list[Part] | None = None

    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or [] if part.type == "text" and part.text)

    def images(self) -> list[str]:
        if not isinstance(self.content, list):
            return []
        urls = [part.image_url for part in self.content if part.type == "image_url" and part.image_url]
        return [url.url if isinstance(url, ImageUrl) else url for url in urls]


class StreamOptions(BaseModel):
    include_usage: bool = False


class NgramArguments(BaseModel):
    """The no-repeat rule, under the names that vLLM's servers take."""

    model_config = ConfigDict(extra="allow")

    ngram_size: int = Field(default=NGRAM_RULES["image"].ngram_size, ge=1, le=1000)
    window_size: int = Field(default=NGRAM_RULES["image"].window_size, ge=1, le=10_000)


class ChatRequest(BaseModel):
    """OpenAI's fields, and three of ours: `mode`, `language`, `vllm_xargs`."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(default="", max_length=300)
    messages: list[Message] = Field(min_length=1, max_length=200)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    skip_special_tokens: bool | None = None
    vllm_xargs: NgramArguments | None = None
    mode: str | None = None
    language: str | None = None

    def prompt(self) -> str | None:
        """The text of the last user message. Raises `BadRequest` where there is none."""
        return plain_prompt(self._user_messages()[-1].text())

    def images(self) -> list[str]:
        """The pictures of the latest user message that has some. Raises `BadRequest` for too many."""
        found = next((images for m in reversed(self._user_messages()) if (images := m.images())), [])
        if len(found) > MAX_IMAGES:
            raise BadRequest(f"{len(found)} images were sent.", f"Send at most {MAX_IMAGES} at once.")
        return found

    def _user_messages(self) -> list[Message]:
        users = [message for message in self.messages if message.role == "user"]
        if not users:
            raise BadRequest("There is no user message.", "Send a message with `role: user`.")
        return users

    def is_raw(self) -> bool:
        if self.skip_special_tokens is not None:
            return not self.skip_special_tokens
        return GROUNDING in (self.prompt() or "")

    def options(self, service: Service) -> ReadOptions:
        """Raises `InvalidOption` for values out of range."""
        if self.n not in (None, 1):
            raise BadRequest(f"`n` is {self.n}.", "One answer is given to a page: leave `n` out.")
        rule = self.vllm_xargs or NgramArguments()
        return ReadOptions(
            prompt=self.prompt(),
            mode=checked_mode(self.mode),
            language=checked_language(self.language),
            max_tokens=checked_max_tokens(self.max_completion_tokens or self.max_tokens, service.settings),
            temperature=checked_temperature(self.temperature),
            ngram_size=rule.ngram_size,
            window_size=rule.window_size,
        )

    def ignored(self, service: Service) -> list[str]:
        """What of the request has no effect, in words."""
        warnings = []
        if self.model not in ("", *_names(service)):
            warnings.append(f"This server has no model {self.model!r}; {service.engine.model} answered.")
        if any(message.role in ("system", "developer") for message in self.messages):
            warnings.append("System messages have no effect on an OCR model.")
        extra = sorted(self.model_extra or {})
        if extra:
            warnings.append(f"These fields have no effect here: {', '.join(extra)[:300]}.")
        return warnings


def _names(service: Service) -> tuple[str, ...]:
    """What clients may call the model."""
    return (service.engine.model,)


@router.get("/models", summary="The one model that is loaded")
async def models(service: ServiceDep) -> dict[str, Any]:
    return {"object": "list", "data": [_model(service, name) for name in _names(service)]}


@router.get("/models/{name:path}", summary="That model, by its name")
async def model(service: ServiceDep, name: str) -> dict[str, Any]:
    if name not in _names(service):
        raise NotFound(f"There is no model {name[:100]!r}.", "GET /v1/models lists what there is.")
    return _model(service, name)


def _model(service: Service, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": service.engine.name}


@router.post(
    "/chat/completions",
    summary="Read the pictures of a message",
    response_model=None,
    responses={200: {"content": {"application/json": {}, "text/event-stream": {}}}},
)
async def chat_completions(
    request: Request, service: ReadyService, body: ChatRequest, _: Admitted
) -> dict[str, Any] | Response:
    options = body.options(service)
    fetcher = fetcher_of(request)
    limit = service.settings.max_image_pixels
    images = [await picture_of(text, fetcher, limit) for text in body.images()]
    groups = _groups(service.reader, images)
    for group in groups:
        check_capabilities(service.engine.capabilities, len(group), options)
    answer = Answer(service.reader, groups, options, raw=body.is_raw(), warnings=body.ignored(service))
    if not body.stream:
        return await unless_gone(request, answer.whole())
    usage = body.stream_options is not None and body.stream_options.include_usage
    return LiveResponse(answer.chunks(include_usage=usage), media_type="text/event-stream")


def _groups(reader: Reader, images: list[Image]) -> list[list[Image]]:
    """What goes to the engine at once: everything where it takes that much, else picture by picture."""
    if len(images) <= reader.engine.capabilities.max_images:
        return [images]
    return [[image] for image in images]


class Answer:
    """One completion, whole or in chunks."""

    def __init__(
        self,
        reader: Reader,
        groups: list[list[Image]],
        options: ReadOptions,
        *,
        raw: bool,
        warnings: list[str],
    ) -> None:
        self._reader = reader
        self._groups = groups
        self._options = options
        self._raw = raw
        self._warnings = warnings
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": reader.engine.model,
        }

    async def whole(self) -> dict[str, Any]:
        """The body of an answer that is not streamed. A page that fails is the request's failure."""
        read = functools.partial(self._reader.read_page, options=self._options)
        pages: list[Page] = []
        async with aclosing(in_order(self._groups, read, self._reader.max_concurrency)) as stream:
            async for page in stream:
                raise_if_failed(page)
                pages.append(page)
                self._warnings.extend(page.warnings)
        texts = [page.raw if self._raw else MarkupFilter.clean(page.raw) for page in pages]
        message = {"role": "assistant", "content": BETWEEN_IMAGES.join(texts)}
        reason = _finish_reason([page.finish_reason for page in pages])
        return self._head | {
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
            "usage": _usage(sum((page.usage for page in pages), Usage())),
            "warnings": self._warnings,
        }

    async def chunks(self, *, include_usage: bool) -> AsyncGenerator[str, None]:
        """Server-sent events: one chunk per piece of text, then the reason, then the usage."""
        yield self._chunk({"role": "assistant", "content": ""})
        usage = Usage()
        reasons = []
        try:
            for index, group in enumerate(self._groups):
                if index:
                    yield self._chunk({"content": BETWEEN_IMAGES})
                markup = None if self._raw else MarkupFilter()
                async with aclosing(self._reader.stream(group, self._options)) as events:
                    async for event in events:
                        if isinstance(event, PageRead):
                            usage += event.usage
                            reasons.append(event.finish_reason)
                            self._warnings.extend(event.warnings)
                        elif text := (markup.feed(event.text) if markup else event.text):
                            yield self._chunk({"content": text})
                if markup and (rest := markup.flush()):
                    yield self._chunk({"content": rest})
                trace.note_page(self._reader.engine.name, "ok")
        except AirgapError as error:
            yield _event({"error": {"code": error.code, "message": error.message, "remedy": error.remedy}})
            return
        yield self._chunk({}, finish_reason=_finish_reason(reasons), warnings=self._warnings)
        if include_usage:
            yield _event(self._head | {"object": _CHUNK, "choices": [], "usage": _usage(usage)})
        yield "data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event(self._head | {"object": _CHUNK, "choices": [choice]} | more)


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _finish_reason(reasons: list[str]) -> Literal["stop", "length"]:
    """In OpenAI's words; a loop that was cut is an answer that was cut."""
    return "stop" if all(reason == "stop" for reason in reasons) else "length"


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
