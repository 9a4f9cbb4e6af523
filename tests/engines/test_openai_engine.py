"""The engine for other servers: against our own, and against servers that fail as real ones do."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import fields
from typing import Any

import pytest
from PIL import Image
from pydantic import SecretStr

from airgap.core.document import SHAPE_KINDS, AnswerShape, ReadOptions
from airgap.core.engine import Delta, PageRead
from airgap.core.errors import ConfigurationError, EngineBusy, EngineFailed, EngineUnavailable, PageTimeout
from airgap.engines.openai.engine import OpenAiEngine, Patience
from airgap.settings.engines import EngineSettings
from tests.engines.peers import babble, hang, hang_up, raw, serving, status, words

KEY = SecretStr("k")
PAGE = Image.new("RGB", (64, 48), "white")
WHOLE = "<|ref|>text<|/ref|><|det|>[[0, 0, 999, 999]]<|/det|>\nHello"


@asynccontextmanager
async def started(url: str, **changes: Any) -> AsyncIterator[OpenAiEngine]:
    """`changes` are settings, or parts of `Patience`."""
    quick = {"first_pause": 0.001, "longest_pause": 0.01, "page_timeout_seconds": 30.0, **changes}
    patience = {field.name: quick.pop(field.name) for field in fields(Patience) if field.name in quick}
    engine = OpenAiEngine(EngineSettings(llm_base_url=url, **quick), Patience(**patience))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def read(engine: OpenAiEngine, image: Image.Image | None = PAGE, **options: Any) -> PageRead:
    images = [] if image is None else [image]
    async with aclosing(engine.read(images, ReadOptions(**options))) as events:
        found = [event async for event in events]
    *deltas, end = found
    assert isinstance(end, PageRead)
    assert "".join(delta.text for delta in deltas if isinstance(delta, Delta)) == end.raw
    return end


async def test_a_page_goes_out_and_its_blocks_come_back() -> None:
    async with (
        serving(words(WHOLE[:20], WHOLE[20:])) as peer,
        started(peer.url, llm_api_key=SecretStr("k")) as engine,
    ):
        end = await read(engine, max_tokens=99, ngram_size=20, window_size=50)
    assert end.raw == WHOLE
    assert end.finish_reason == "stop"
    assert (end.usage.prompt_tokens, end.usage.completion_tokens) == (7, 2)
    [block] = end.blocks
    assert block.text == "Hello"
    assert (block.boxes[0].x1, block.boxes[0].y1) == (64, 48)
    [body] = peer.bodies
    assert body["skip_special_tokens"] is False
    assert body["vllm_xargs"] == {
        "ngram_size": 20,
        "window_size": 50,
        "whitelist_token_ids": [128821, 128822],
    }
    assert (body["max_tokens"], body["temperature"], body["stream"]) == (99, 0.0, True)
    picture, text = body["messages"][0]["content"]
    assert text["text"] == "<|grounding|>Convert the document to markdown."
    data = base64.b64decode(picture["image_url"]["url"].removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(data)).size == PAGE.size
    assert peer.headers[0]["authorization"] == "Bearer k"


@pytest.mark.parametrize(
    ("owner", "shapes"),
    [("vllm", SHAPE_KINDS), ("llamacpp", ("json", "json_object")), ("somebody", ())],
)
async def test_a_shape_goes_to_servers_that_are_known_to_heed_it(owner: str, shapes: tuple[str, ...]) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    async with serving(words('{"a": ', '"b"}'), owner=owner) as peer, started(peer.url) as engine:
        assert engine.capabilities.shapes == shapes
        if not shapes:
            return
        end = await read(engine, shape=AnswerShape("json", json.dumps(schema)))
    assert end.raw == '{"a": "b"}'
    [body] = peer.bodies
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert "vllm_xargs" not in body


@pytest.mark.parametrize("owner", ["llamacpp", "somebody"])
async def test_other_servers_get_openai_s_own_fields_alone(owner: str) -> None:
    async with serving(words("x"), owner=owner) as peer, started(peer.url) as engine:
        await read(engine)
    assert not {"skip_special_tokens", "vllm_xargs", "mode", "language"} & set(peer.bodies[0])


@pytest.mark.parametrize("failure", [status(502), status(503), status(429, Retry_After="0"), hang_up])
async def test_what_passes_is_tried_again(failure: Any) -> None:
    async with serving(failure, failure, words("x")) as peer, started(peer.url) as engine:
        assert (await read(engine)).raw == "x"
        assert len(peer.bodies) == 3
        assert engine.health() == (True, "ready")


async def test_what_does_not_pass_is_not_tried_again() -> None:
    async with serving(status(400)) as peer, started(peer.url) as engine:
        with pytest.raises(EngineFailed, match="400"):
            await read(engine)
    assert len(peer.bodies) == 1


async def test_attempts_end() -> None:
    async with serving(status(503)) as peer, started(peer.url, attempts=3) as engine:
        with pytest.raises(EngineBusy) as caught:
            await read(engine)
        assert caught.value.retry_after == 5
    assert len(peer.bodies) == 3


async def test_a_server_that_keeps_failing_is_left_alone() -> None:
    async with (
        serving(status(502)) as peer,
        started(peer.url, attempts=1, failures_to_open=2, open_seconds=3600) as engine,
    ):
        for _ in range(2):
            with pytest.raises(EngineFailed):
                await read(engine)
        ready, why = engine.health()
        assert not ready
        assert "failed too often" in why
        with pytest.raises(EngineUnavailable, match="left alone"):
            await read(engine)
    assert len(peer.bodies) == 2


@pytest.mark.parametrize(
    "ending",
    [
        words("half a page", reason=None),
        words("half a page", reason="abort"),
        raw(b'data: {"choices": [{"delta": {"content": "half"}}]}\n\ndata: {"error": {"message": "x"}}\n\n'),
        raw(b"data: {not json\n\n"),
        raw(b"data: [1, 2]\n\n"),
        raw(b"data: " + b"x" * (1 << 21)),
    ],
)
async def test_half_an_answer_is_none(ending: Any) -> None:
    async with serving(ending) as peer, started(peer.url) as engine:
        with pytest.raises(EngineFailed):
            await read(engine)
    assert len(peer.bodies) == 1


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}\r\n\r\ndata: [DONE]\r\n',
        b': comment\nevent: x\ndata:{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n',
        b'data: {"choices": 7}\n\ndata: {"choices": [{"delta": null}]}\n\n'
        b'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}], "usage": "?"}\n\n',
    ],
)
async def test_streams_of_other_accents(stream: bytes) -> None:
    async with serving(raw(stream)) as peer, started(peer.url) as engine:
        assert (await read(engine)).raw == "a"


async def test_a_deadline_covers_the_whole_page() -> None:
    async with serving(hang) as peer, started(peer.url, page_timeout_seconds=0.3) as engine:
        with pytest.raises(PageTimeout):
            await read(engine)


async def test_a_server_that_hangs_is_left_alone_too() -> None:
    async with (
        serving(hang) as peer,
        started(peer.url, page_timeout_seconds=0.1, failures_to_open=2) as engine,
    ):
        for _ in range(2):
            with pytest.raises(PageTimeout):
                await read(engine)
        assert not engine.health()[0]


async def test_a_loop_is_stopped_there_and_cut_here() -> None:
    async with serving(babble) as peer, started(peer.url) as engine:
        end = await read(engine)
        assert end.finish_reason == "repetition"
        assert end.status == "degraded"
        assert sum(block.text.count("same words") for block in end.blocks) < 5
        async with asyncio.timeout(10):
            while peer.open_requests:
                await asyncio.sleep(0.01)


async def test_leaving_early_ends_the_request() -> None:
    async with serving(babble) as peer, started(peer.url) as engine:
        async with aclosing(engine.read([PAGE], ReadOptions())) as events:
            assert isinstance(await anext(events), Delta)
        async with asyncio.timeout(10):
            while peer.open_requests:
                await asyncio.sleep(0.01)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serving(words("x")) as peer, started(peer.url) as engine:
        assert (await read(engine)).raw == "x"


@pytest.mark.parametrize("url", ["", "gpu-box:8000", "file:///etc/passwd", "http://"])
def test_a_wrong_address_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match="LLM_BASE_URL"):
        OpenAiEngine(EngineSettings(llm_base_url=url))


async def test_a_server_that_is_not_there_or_has_not_the_model() -> None:
    async with serving(words("x")) as peer:
        with pytest.raises(EngineUnavailable, match="no model") as caught:
            async with started(peer.url, llm_model="another"):
                pass
        assert "deepseek-ocr" in caught.value.remedy
        with pytest.raises(EngineUnavailable, match="404"):
            async with started(f"{peer.url}/chat"):
                pass
        url = peer.url
    with pytest.raises(EngineUnavailable, match="does not answer"):
        async with started(url):
            pass


async def test_our_own_server_gives_its_capabilities(server: str) -> None:
    async with started(f"{server}/v1") as engine:
        assert engine.server == "airgap-ocr"
        assert engine.model == "fake"
        assert engine.capabilities.supports_modes
        page = Image.new("RGB", (300, 200), "white")
        page.paste("black", (40, 50, 140, 90))
        end = await read(engine, page, mode="base", language="en")
        assert [block.text for block in end.blocks] == ["40 50 140 90"]
        assert (await read(engine, None, prompt="only words")).raw == "only words"


@pytest.mark.slow
async def test_our_own_cpu_server_reads(cpu_server: str) -> None:
    from tests.engines.test_contract import page

    async with started(f"{cpu_server}/v1") as engine:
        assert not engine.capabilities.supports_prompt
        end = await read(engine, page())
        assert "quick brown fox" in end.raw
