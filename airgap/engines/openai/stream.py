"""Chat completions as they come from a server: the stream of events, and what an event says.

What another server sends is not trusted: every line is bounded, and whatever is not as OpenAI's API has it
becomes an `EngineFailed`. Knows httpx's responses; must not know requests, prompts or engines.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import httpx

from airgap.core.document import Usage
from airgap.core.errors import EngineFailed, PageTimeout

log = logging.getLogger(__name__)

_MAX_EVENT = 1 << 20
_MAX_BODY = 1 << 20
_KIND = re.compile(r"(?=.{1,40}$)[A-Za-z]+(_[a-z]+)*")


class until:
    """`asyncio.timeout` to a time of `time.monotonic`, as `PageTimeout`."""

    def __init__(self, deadline: float) -> None:
        self._timeout = asyncio.timeout(max(0.0, deadline - time.monotonic()))

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self._timeout.__aexit__(*error)
        except TimeoutError as late:
            raise PageTimeout("The other server did not read the page in time.") from late


async def bounded_body(response: httpx.Response) -> bytes:
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _MAX_BODY:
            break
    return body[:_MAX_BODY]


async def server_sent(response: httpx.Response, deadline: float) -> AsyncGenerator[dict[str, Any], None]:
    """The JSON objects of an event stream. Raises `EngineFailed` for an error among them."""
    buffer = b""
    pieces = response.aiter_bytes()
    while True:
        async with until(deadline):
            piece = await anext(pieces, None)
        if piece is None:
            return
        *lines, buffer = (buffer + piece).replace(b"\r\n", b"\n").split(b"\n")
        if len(buffer) > _MAX_EVENT:
            raise EngineFailed("The other server sent an event without an end.")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                return
            yield _event(data)


def _event(data: bytes) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EngineFailed("The other server sent an event that is no JSON.") from error
    if not isinstance(event, dict) or "error" in event:
        log.warning("the other server sent an error (%s)", kind_of_error(data))
        raise EngineFailed("The other server broke while it was reading this page.")
    return event


def kind_of_error(body: bytes) -> str:
    """What may be logged of an error's body: its kind in one word. The rest may repeat a key or a text."""
    with suppress(ValueError, AttributeError, RecursionError):
        error = json.loads(body).get("error")
        kind = error.get("type") if isinstance(error, dict) else None
        if isinstance(kind, str) and _KIND.fullmatch(kind):
            return kind
    return f"{len(body)} bytes"


def _choice(event: dict[str, Any]) -> dict[str, Any]:
    choices = event.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def text_of(event: dict[str, Any]) -> str:
    delta = _choice(event).get("delta")
    content = delta.get("content") if isinstance(delta, dict) else None
    return content if isinstance(content, str) else ""


def finish_reason(event: dict[str, Any]) -> str | None:
    """`stop` or `length`. Raises `EngineFailed` for an end that is no answer."""
    reason = _choice(event).get("finish_reason")
    if reason in (None, "stop", "length"):
        return reason
    if reason == "repetition":  # vLLM's own net
        return "length"
    raise EngineFailed(f"The other server gave this page up ({str(reason)[:40]}).")


def usage_of(event: dict[str, Any]) -> Usage | None:
    usage = event.get("usage")
    if not isinstance(usage, dict):
        return None
    counts = [usage.get(key) for key in ("prompt_tokens", "completion_tokens")]
    prompt, completion = (count if isinstance(count, int) and count >= 0 else 0 for count in counts)
    return Usage(prompt_tokens=prompt, completion_tokens=completion)
