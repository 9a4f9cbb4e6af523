"""Servers that misbehave as real ones do: bytes on a socket, as a script says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Reply = Callable[["Peer", asyncio.StreamWriter, dict[str, Any]], Any]


@dataclass
class Peer:
    """A chat completions server; `replies` are used up one by one, the last one stays."""

    replies: list[Reply]
    owner: str = "vllm"
    port: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    open_requests: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, path, _ = head[0].split()
            if path == "/v1/models":
                answer(writer, 200, {"data": [{"id": "deepseek-ocr", "owned_by": self.owner}]})
            elif method == "POST":
                self.headers.append(headers)
                self.bodies.append(json.loads(body))
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                self.open_requests += 1
                try:
                    await reply(self, writer, self.bodies[-1])
                finally:
                    self.open_requests -= 1
            else:
                answer(writer, 404, {})
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*replies: Reply, owner: str = "vllm", port: int = 0) -> AsyncIterator[Peer]:
    peer = Peer(list(replies), owner)
    server = await asyncio.start_server(peer.handle, "127.0.0.1", port)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()


def answer(writer: asyncio.StreamWriter, status: int, body: Any, **headers: str) -> None:
    data = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(data)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + data)


def start_stream(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")


def event(writer: asyncio.StreamWriter, body: Any) -> None:
    writer.write(f"data: {json.dumps(body)}\n\n".encode())


def words(*texts: str, reason: str | None = "stop") -> Reply:
    """A whole answer, unless `reason` is None: then the connection ends in the middle."""

    async def reply(peer: Peer, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        start_stream(writer)
        for text in texts:
            event(writer, {"choices": [{"delta": {"content": text}, "finish_reason": None}]})
        if reason is not None:
            event(writer, {"choices": [{"delta": {}, "finish_reason": reason}]})
            event(writer, {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": len(texts)}})
            writer.write(b"data: [DONE]\n\n")

    return reply


def status(code: int, **headers: str) -> Reply:
    async def reply(peer: Peer, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        answer(writer, code, {"error": {"message": "no"}}, **headers)

    return reply


def raw(data: bytes) -> Reply:
    """A stream of these bytes."""

    async def reply(peer: Peer, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        start_stream(writer)
        writer.write(data)

    return reply


async def hang_up(peer: Peer, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
    """Nothing, and the connection is closed."""


async def hang(peer: Peer, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
    """The head of an answer, and then nothing until the client goes."""
    start_stream(writer)
    await writer.drain()
    while not writer.is_closing():
        writer.write(b": still here\n\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def babble(peer: Peer, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
    """The same words again until the client goes."""
    start_stream(writer)
    while not writer.is_closing():
        event(writer, {"choices": [{"delta": {"content": "the same words once more. " * 8}}]})
        await writer.drain()
        await asyncio.sleep(0)
