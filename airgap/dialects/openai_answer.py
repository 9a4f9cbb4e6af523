"""One completion in OpenAI's words, whole or as server-sent events.

It knows pictures and options, and nothing of requests or routes.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from typing_extensions import TypedDict

from airgap.core.document import Page, ReadOptions, Usage
from airgap.core.engine import Events, PageRead
from airgap.core.errors import AirgapError
from airgap.dialects.markup import Filter, answer_of
from airgap.http.responses import raise_if_failed
from airgap.monitoring import trace
from process.in_order import in_order
from process.pipeline import Reader
from process.source import Source, may_be_text

BETWEEN_IMAGES = "\n\n"
_CHUNK = "chat.completion.chunk"


class Tokens(TypedDict):
    """What a completion took."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Message(TypedDict):
    """What the model said; in a chunk, a piece of it."""

    role: Literal["assistant"]
    content: str


class Choice(TypedDict):
    """The one answer there is."""

    index: int
    message: Message
    logprobs: None
    finish_reason: Literal["stop", "length"]


class Head(TypedDict):
    """What a completion and each of its chunks begin with; `created` is in seconds since 1970."""

    id: str
    created: int
    model: str


class Completion(Head):
    """An answer that is not streamed."""

    object: Literal["chat.completion"]
    choices: list[Choice]
    usage: Tokens
    warnings: list[str]


class Answer:
    """One completion, whole or in chunks."""

    def __init__(
        self,
        reader: Reader,
        groups: list[list[Source]],
        options: ReadOptions,
        *,
        form: type[Filter],
        warnings: list[str],
    ) -> None:
        self._reader = reader
        self._groups = groups
        self._options = options
        self._form = form
        self._warnings = warnings
        self._head: Head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": reader.engine.model,
        }

    async def whole(self) -> Completion:
        """The body of an answer that is not streamed. A page that fails is the request's failure."""
        pages: list[Page] = []
        async with aclosing(in_order(self._groups, self._read, self._reader.max_concurrency)) as stream:
            async for page in stream:
                raise_if_failed(page)
                pages.append(page)
                self._warnings.extend(page.warnings)
        texts = [answer_of(page, self._form) for page in pages]
        reason = _finish_reason([page.finish_reason for page in pages])
        usage = sum((page.usage for page in pages), Usage())
        return self._completion(BETWEEN_IMAGES.join(texts), reason, usage)

    def fixed(self, text: str) -> Completion:
        """An answer for which nothing is read."""
        return self._completion(text, "stop", Usage())

    async def fixed_chunks(self, text: str) -> AsyncGenerator[str, None]:
        """The same as server-sent events."""
        yield self._chunk({"role": "assistant", "content": text})
        yield self._chunk({}, finish_reason="stop", warnings=self._warnings)
        yield "data: [DONE]\n\n"

    def _completion(self, text: str, reason: Literal["stop", "length"], usage: Usage) -> Completion:
        message: Message = {"role": "assistant", "content": text}
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
            "usage": _usage(usage),
            "warnings": self._warnings,
        }

    async def _read(self, group: list[Source]) -> Page:
        return await self._reader.together(group, self._options)

    async def _events(self, group: list[Source]) -> Events:
        async with (
            self._reader.pictures(group) as images,
            aclosing(self._reader.stream(images, self._options)) as events,
        ):
            async for event in events:
                yield event

    async def chunks(self, *, include_usage: bool) -> AsyncGenerator[str, None]:
        """Server-sent events: one chunk per piece of text, then the reason, then the usage."""
        yield self._chunk({"role": "assistant", "content": ""})
        reads: list[Page | PageRead] = []
        try:
            for index, group in enumerate(self._groups):
                if index:
                    yield self._chunk({"content": BETWEEN_IMAGES})
                async with aclosing(self._pieces(group, reads)) as pieces:
                    async for text in pieces:
                        yield self._chunk({"content": text})
        except AirgapError as error:
            yield _event({"error": {"code": error.code, "message": error.message, "remedy": error.remedy}})
            return
        self._warnings.extend(warning for read in reads for warning in read.warnings)
        reason = _finish_reason([read.finish_reason for read in reads])
        yield self._chunk({}, finish_reason=reason, warnings=self._warnings)
        if include_usage:
            usage = sum((read.usage for read in reads), Usage())
            yield _event({**self._head, "object": _CHUNK, "choices": [], "usage": _usage(usage)})
        yield "data: [DONE]\n\n"

    async def _pieces(self, group: list[Source], reads: list[Page | PageRead]) -> AsyncGenerator[str, None]:
        """The text of a page as it comes; how it ended is added to `reads` and counted."""
        if may_be_text(group):
            page = await self._read(group)
            raise_if_failed(page)
            reads.append(page)
            yield answer_of(page, self._form)
            return
        markup = self._form()
        try:
            async with aclosing(self._events(group)) as events:
                async for event in events:
                    if isinstance(event, PageRead):
                        reads.append(event)
                        trace.note_page(event.engine or self._reader.engine.name, event.outcome)
                    elif text := markup.feed(event.text):
                        yield text
        except Exception:
            trace.note_page(self._reader.engine.name, "failed")
            raise
        if rest := markup.flush():
            yield rest

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**self._head, "object": _CHUNK, "choices": [choice], **more})


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _finish_reason(reasons: list[str]) -> Literal["stop", "length"]:
    """In OpenAI's words; a loop that was cut is an answer that was cut."""
    return "stop" if all(reason == "stop" for reason in reasons) else "length"


def _usage(usage: Usage) -> Tokens:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
