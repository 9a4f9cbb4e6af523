"""The official `openai` client against `/v1`, streaming and not, and what docling and Open WebUI send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from airgap.dialects.openai_request import PROMPT_CHARS
from tests.dialects.drawing import TEXTS, data_url, png

REMOTE = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}
OTHER = png(((500, 500, 599, 599),))


@pytest.fixture
def client(server: str) -> Iterator[openai.OpenAI]:
    with (
        openai.DefaultHttpxClient(trust_env=False) as http,
        openai.OpenAI(base_url=f"{server}/v1", api_key="none", http_client=http, max_retries=0) as client,
    ):
        yield client


def message(prompt: str | None, *images: bytes, role: str = "user") -> Any:
    parts = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in images]
    return {"role": role, "content": [*([{"type": "text", "text": prompt}] if prompt else []), *parts]}


def test_models(client: openai.OpenAI) -> None:
    (only,) = client.models.list().data
    assert client.models.retrieve(only.id).id == only.id == "fake"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


def test_an_answer(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="fake", messages=[message("Free OCR.", png())])
    (choice,) = answer.choices
    assert choice.message.content is not None
    assert choice.message.content.split("\n\n")[:2] == list(TEXTS)
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens > answer.usage.prompt_tokens > 0


def test_a_stream_says_the_same_piece_by_piece(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="fake", messages=[message("Free OCR.", png())])
    stream = client.chat.completions.create(
        model="fake",
        messages=[message("Free OCR.", png())],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(piece for piece in pieces if piece) == whole.choices[0].message.content
    assert sum(bool(piece) for piece in pieces) > 1
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage == whole.usage
    assert not chunks[-1].choices
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "asked", [{"prompt": "<|grounding|>OCR this image."}, {"extra": {"skip_special_tokens": False}}]
)
def test_who_knows_the_markup_gets_it(client: openai.OpenAI, asked: dict, stream: bool) -> None:
    answer = client.chat.completions.create(
        model="fake",
        messages=[message(asked.get("prompt", "Free OCR."), png())],
        extra_body=asked.get("extra", {}),
        stream=stream,
    )
    assert "<|ref|>text<|/ref|><|det|>[[20,20," in text_of(answer)


def text_of(answer: object) -> str:
    if isinstance(answer, openai.Stream):
        return "".join(chunk.choices[0].delta.content or "" for chunk in answer)
    return answer.choices[0].message.content  # type: ignore[attr-defined]


@pytest.mark.parametrize("stream", [False, True])
def test_several_images(client: openai.OpenAI, stream: bool) -> None:
    answer = client.chat.completions.create(
        model="fake", messages=[message("Free OCR.", png(), OTHER)], stream=stream
    )
    assert text_of(answer).split("\n\n")[:3] == [*TEXTS, "500 500 600 600"]


@pytest.mark.parametrize("stream", [False, True])
def test_more_images_than_the_engine_takes_at_once_go_one_by_one(client: openai.OpenAI, stream: bool) -> None:
    images = [png(((10 * n, 20, 10 * n + 5, 30),)) for n in range(1, 8)]
    answer = client.chat.completions.create(
        model="fake", messages=[message("Free OCR.", *images)], stream=stream
    )
    firsts = [line.split()[0] for line in text_of(answer).split("\n") if line.strip()]
    assert firsts == [str(10 * n) for n in range(1, 8)]


def test_text_alone(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="fake", messages=[{"role": "user", "content": "echo"}])
    assert answer.choices[0].message.content == "echo"


def test_a_conversation_reads_the_latest_pictures_with_the_last_prompt(client: openai.OpenAI) -> None:
    history = [
        {"role": "system", "content": "You are helpful."},
        message("Free OCR.", png()),
        {"role": "assistant", "content": "…"},
        message("Free OCR again.", OTHER),
        {"role": "assistant", "content": "…"},
        {"role": "user", "content": "<|grounding|>And with boxes?"},
    ]
    answer = client.chat.completions.create(model="fake", messages=history)
    assert "500 500 600 600" in (answer.choices[0].message.content or "")
    assert "<|det|>" in (answer.choices[0].message.content or "")
    warnings = answer.model_extra["warnings"]  # type: ignore[index]
    assert any("System messages" in warning for warning in warnings)


def test_what_has_no_effect_is_named(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o", messages=[message("Free OCR.", png())], seed=1, top_p=0.9
    )
    assert answer.model == "fake"
    warnings = " ".join(answer.model_extra["warnings"])  # type: ignore[index]
    assert "gpt-4o" in warnings
    assert "seed, top_p" in warnings


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"n": 2}, openai.BadRequestError),
        ({"max_tokens": 10**9}, openai.UnprocessableEntityError),
        ({"temperature": -1}, openai.UnprocessableEntityError),
        ({"messages": [{"role": "system", "content": "x"}]}, openai.BadRequestError),
        ({"messages": []}, openai.UnprocessableEntityError),
        ({"messages": [message("fail", png())]}, openai.InternalServerError),
        ({"messages": [{"role": "user", "content": [REMOTE]}]}, openai.PermissionDeniedError),
    ],
)
def test_errors_reach_the_client_as_its_own(
    client: openai.OpenAI, change: dict, error: type[Exception]
) -> None:
    request = {"model": "fake", "messages": [message("Free OCR.", png())]} | change
    with pytest.raises(error):
        client.chat.completions.create(**request)


def test_an_error_in_a_stream_reaches_the_client(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="fake", messages=[message("fail", png())], stream=True)
    with pytest.raises(openai.APIError, match="asked to fail"):
        list(stream)


def test_a_loop_that_was_cut_is_an_answer_that_was_cut(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="fake", messages=[message("loop", png())])
    assert answer.choices[0].finish_reason == "length"


def test_what_docling_sends(api: httpx.Client) -> None:
    """The body of docling's API options: picture first, then the prompt, parameters beside them."""
    picture = {"type": "image_url", "image_url": {"url": data_url(png())}}
    body = {
        "messages": [{"role": "user", "content": [picture, {"type": "text", "text": "Free OCR."}]}],
        "model": "fake",
        "max_tokens": 4096,
        "seed": 42,
        "skip_special_tokens": False,
    }
    answer = api.post("/v1/chat/completions", json=body).raise_for_status().json()
    # What docling's response class needs.
    assert answer.keys() >= {"id", "created", "choices", "usage"}
    assert answer["choices"][0]["message"]["content"].startswith("<|ref|>")


def test_what_open_webui_sends(api: httpx.Client) -> None:
    """Models are listed with the key as bearer; chats stream, with the model as it was listed."""
    headers = {"Authorization": "Bearer sk-none"}
    name = api.get("/v1/models", headers=headers).json()["data"][0]["id"]
    body = {"model": name, "stream": True, "messages": [message("Free OCR.", png())]}
    with api.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
    assert text.split("\n\n")[:2] == list(TEXTS)


@pytest.mark.parametrize("parts", [False, True])
def test_a_text_may_be_so_long_and_no_longer(api: httpx.Client, parts: bool) -> None:
    def answer(length: int) -> httpx.Response:
        text = "x" * length
        content = [{"type": "text", "text": text[1:]}, {"type": "text", "text": "x"}] if parts else text
        return api.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": content}]})

    assert answer(PROMPT_CHARS).status_code == 200
    refused = answer(PROMPT_CHARS + 1)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large")
    assert refused.json()["error"]["remedy"]
