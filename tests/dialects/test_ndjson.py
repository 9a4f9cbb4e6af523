"""The NDJSON streams, frame for frame, with clients that read slowly or vanish."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from airgap.core.engine import Delta, PageRead
from process.turns import Turns
from tests.dialects.conftest import InProcess
from tests.dialects.drawing import TEXTS, pdf, png

Frame = dict[str, Any]


def frames_of(response: httpx.Response) -> list[Frame]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson; charset=utf-8"
    return [json.loads(line) for line in response.text.splitlines()]


def test_frames_of_an_image(api: httpx.Client) -> None:
    picture = png()
    frames = frames_of(
        api.post(
            "/api/ocr/image", files={"file": ("a.png", picture)}, data={"prompt": "Read.", "raw": "true"}
        )
    )
    assert frames[0] == {"type": "start", "kind": "image"}
    assert [frame["type"] for frame in frames[1:-1]] == ["delta", "delta"]
    text = "".join(frame["delta"] for frame in frames[1:-1])
    assert all(words in text for words in TEXTS)
    end = frames[-1]
    assert end["type"] == "end"
    assert end["usage"] == {
        "prompt_tokens": len("Read."),
        "completion_tokens": len(text),
        "prompt_chars": len("Read."),
        "completion_chars": len(text),
        "input_bytes": len(picture),
    }


def test_details_have_confidences_where_these_are_asked_for(api: httpx.Client) -> None:
    for asked, expected in (("false", None), ("true", 1.0)):
        fields = {"detail": "true", "confidence": asked}
        answer = api.post("/api/ocr/document", files={"file": ("a.png", png())}, data=fields)
        (page,) = [frame for frame in frames_of(answer) if frame["type"] == "page_end"]
        assert page["result"]["confidence"] == expected


def test_frames_of_a_pdf(api: httpx.Client) -> None:
    document = pdf(3)
    frames = frames_of(api.post("/api/ocr/pdf", files={"file": ("a.pdf", document)}))
    assert frames[0] == {"type": "start", "kind": "pdf", "pages": 3}
    check_complete(frames, 3)
    end = frames[-1]
    assert end["usage"].keys() == {
        "prompt_tokens",
        "completion_tokens",
        "prompt_chars",
        "completion_chars",
        "input_bytes",
        "pages",
    }
    assert end["usage"]["input_bytes"] == len(document)
    assert end["ledger"] == {"expected": 3, "ok": 3, "degraded": 0, "failed": 0}


def check_complete(frames: list[Frame], pages: int, rectangles: int = 2) -> None:
    """Every page begins, is read and ends, in this order, with its own text; nothing else is there."""
    assert [frames[0]["type"], frames[-1]["type"]] == ["start", "end"]
    of_page: dict[int, list[Frame]] = defaultdict(list)
    for frame in frames[1:-1]:
        of_page[frame["page"]].append(frame)
    assert sorted(of_page) == list(range(1, pages + 1))
    chars = 0
    for number, own in of_page.items():
        kinds = [frame["type"] for frame in own]
        assert kinds == ["page_start", *["page_delta"] * rectangles, "page_end"]
        text = "".join(frame["delta"] for frame in own[1:-1])
        assert [line.split()[0] for line in text.split("\n")[1::3]] == [str(20 + number)] * rectangles
        assert own[-1]["usage"]["completion_chars"] == len(text)
        chars += len(text)
    assert frames[-1]["usage"]["completion_chars"] == chars


def test_a_page_range(api: httpx.Client) -> None:
    data = {"page_from": "2", "page_to": "2", "dpi": "96"}
    frames = frames_of(api.post("/api/ocr/pdf", files={"file": ("a.pdf", pdf(3))}, data=data))
    assert {frame["page"] for frame in frames[1:-1]} == {2}


@pytest.mark.parametrize(
    ("path", "content", "status", "code"),
    [
        ("image", b"", 400, "empty_file"),
        ("image", b"no picture", 415, "unsupported_media"),
        ("image", pdf(1), 415, "unsupported_media"),
        ("pdf", png(), 400, "invalid_pdf"),
        ("pdf", b"%PDF-1.7 broken", 400, "invalid_pdf"),
    ],
)
def test_what_cannot_be_opened_is_refused_before_the_stream(
    api: httpx.Client, path: str, content: bytes, status: int, code: str
) -> None:
    answer = api.post(f"/api/ocr/{path}", files={"file": ("x", content)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_an_error_is_a_frame_and_the_stream_ends_properly(api: httpx.Client) -> None:
    frames = frames_of(api.post("/api/ocr/image", files={"file": ("a.png", png())}, data={"prompt": "fail"}))
    assert [frame["type"] for frame in frames] == ["start", "error", "end"]
    assert frames[1].keys() == {"type", "code", "message", "remedy"}
    assert frames[-1]["status"] == "failed"


def test_a_page_that_fails_costs_no_other(held: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    original = held.engine._pieces

    def pieces(images: Any, options: Any) -> Any:
        found = original(images, options)
        if found[0][0].split("\n")[1].startswith("22 "):
            raise RuntimeError("this page breaks the engine")
        return found

    monkeypatch.setattr(held.engine, "_pieces", pieces)
    frames = frames_of(httpx.post(f"{held.url}/api/ocr/pdf", files={"file": ("a.pdf", pdf(3))}))
    (error,) = [frame for frame in frames if frame["type"] == "error"]
    assert (error["page"], error["code"]) == (2, "engine_failed")
    assert frames[-1]["ledger"] == {"expected": 3, "ok": 2, "degraded": 0, "failed": 1}
    assert [frame["type"] for frame in frames if frame.get("page") == 2] == [
        "page_start",
        "error",
        "page_end",
    ]


def test_a_loop_is_cut_and_said(api: httpx.Client) -> None:
    frames = frames_of(api.post("/api/ocr/image", files={"file": ("a.png", png())}, data={"prompt": "loop"}))
    assert frames[-1]["status"] == "degraded"
    assert frames[-1]["finish_reason"] == "repetition"
    assert any("repeated itself" in warning for warning in frames[-1]["warnings"])


@pytest.mark.parametrize(("path", "content"), [("image", png()), ("pdf", pdf(1))])
def test_text_arrives_while_the_page_is_being_read(held: InProcess, path: str, content: bytes) -> None:
    """The engine goes on only when the client has its first delta: a buffering server would stop here."""
    held.engine.gate.clear()
    with httpx.stream("POST", f"{held.url}/api/ocr/{path}", files={"file": ("x", content)}) as response:
        lines = response.iter_lines()
        seen: list[Frame] = []
        while not any("delta" in frame for frame in seen):
            seen.append(json.loads(next(lines)))
        assert held.engine.running == 1
        held.engine.gate.set()
        seen += [json.loads(line) for line in lines]
    assert seen[-1]["type"] == "end"


@pytest.mark.parametrize(("path", "content"), [("image", png()), ("pdf", pdf(5))])
def test_a_client_that_leaves_stops_the_work(held: InProcess, path: str, content: bytes) -> None:
    held.engine.gate.clear()
    with httpx.stream("POST", f"{held.url}/api/ocr/{path}", files={"file": ("x", content)}) as response:
        lines = response.iter_lines()
        next(lines)
        held.wait_until(lambda: held.engine.running > 0)
    held.wait_until(held.is_idle)
    assert not held.engine.gate.is_set()


def test_a_client_that_leaves_a_chat_stops_the_work(held: InProcess) -> None:
    held.engine.gate.clear()
    body = {"messages": [{"role": "user", "content": "x"}], "stream": True}
    with httpx.stream("POST", f"{held.url}/v1/chat/completions", json=body) as response:
        lines = response.iter_lines()
        next(lines)
        held.wait_until(lambda: held.engine.running > 0)
    held.wait_until(held.is_idle)


@pytest.mark.slow
def test_twenty_documents_at_once_with_clients_that_dawdle_or_vanish(held: InProcess) -> None:
    pages, rectangles = 6, 5
    document = pdf(pages, rectangles)

    def read(client: int) -> list[Frame] | None:
        files = {"file": ("a.pdf", document)}
        seen: list[Frame] = []
        with httpx.stream("POST", f"{held.url}/api/ocr/pdf", files=files, timeout=120) as response:
            for line in response.iter_lines():
                seen.append(json.loads(line))
                if client % 4 == 3 and len(seen) == 3 + client:
                    return None
                if client % 4 == 2:
                    time.sleep(0.01)
        return seen

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(read, range(20)))
    stayed = [answer for answer in answers if answer is not None]
    assert len(stayed) == 15
    for frames in stayed:
        check_complete(frames, pages, rectangles)
    held.wait_until(held.is_idle)


def test_a_slow_client_does_not_hold_the_engine(held: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who takes nothing lets others pass: the engine is free although his answer is not sent."""
    held.service.reader._slots = Turns(1)
    original = held.engine._read

    async def read(images: Any, options: Any) -> AsyncIterator[Delta | PageRead]:
        if options.prompt != "much":
            async for event in original(images, options):
                yield event
            return
        for _ in range(32):  # more than a connection's buffers hold
            await asyncio.sleep(0)
            yield Delta("x" * 1_000_000)
        yield PageRead("", ())

    monkeypatch.setattr(held.engine, "_read", read)
    much: dict[str, Any] = {"files": {"file": ("a.png", png())}, "data": {"prompt": "much"}}
    with httpx.stream("POST", f"{held.url}/api/ocr/image", timeout=120, **much) as sleeping:
        assert sleeping.status_code == 200
        check_complete(
            frames_of(httpx.post(f"{held.url}/api/ocr/pdf", files={"file": ("b", pdf(2))}, timeout=60)), 2
        )
        held.wait_until(lambda: held.service.reader.requests == 1)
        length = sum(len(json.loads(line).get("delta", "")) for line in sleeping.iter_lines())
    assert length == 32_000_000


def test_a_plain_prompt_gets_no_markup(api: httpx.Client) -> None:
    frames = frames_of(api.post("/api/ocr/image", files={"file": ("a.png", png())}, data={"prompt": "Read."}))
    assert "".join(f.get("delta", "") for f in frames).split("\n\n") == [*TEXTS, ""]


def test_a_range_past_the_end_is_said(api: httpx.Client) -> None:
    answer = api.post("/api/ocr/pdf", files={"file": ("a.pdf", pdf(2))}, data={"page_to": "5"})
    end = frames_of(answer)[-1]
    assert (end["ledger"]["ok"], end["warnings"]) == (
        2,
        ["Pages up to 5 were asked for; the document has 2."],
    )
