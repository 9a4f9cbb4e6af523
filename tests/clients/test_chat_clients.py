"""Clients of OpenAI's protocol: openai, LiteLLM, LangChain, Dify's validation, zerox."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import KEY, Served, sample

PROMPT = "Free OCR."


def data_url(name: str, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(sample(name).read_bytes()).decode()}"


def picture_message() -> list[dict[str, Any]]:
    picture = {"type": "image_url", "image_url": {"url": data_url("english.png", "image/png")}}
    return [{"role": "user", "content": [{"type": "text", "text": PROMPT}, picture]}]


def words(text: str) -> list[str]:
    return text.replace("#", " ").split()


def expected(served: Served) -> list[str]:
    """The picture's words, whatever marks of Markdown stand between them."""
    return words(served.english["markdown"])


def test_openai(served: Served) -> None:
    from openai import OpenAI

    client = OpenAI(base_url=f"{served.url}/v1", api_key=KEY)
    (model,) = client.models.list().data
    answer = client.chat.completions.create(model=model.id, messages=picture_message())  # type: ignore[arg-type]
    assert words(answer.choices[0].message.content or "") == expected(served)
    assert answer.usage is not None
    stream: Any = client.chat.completions.create(
        model=model.id,
        messages=picture_message(),  # type: ignore[arg-type]
        stream=True,
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert words("".join(pieces)) == expected(served)


def test_openai_sends_a_pdf(served: Served) -> None:
    from openai import OpenAI

    client = OpenAI(base_url=f"{served.url}/v1", api_key=KEY)
    file = {"filename": "a.pdf", "file_data": data_url("booklet.pdf", "application/pdf")}
    content = [{"type": "text", "text": PROMPT}, {"type": "file", "file": file}]
    answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": content}])  # type: ignore[list-item, misc]
    text = answer.choices[0].message.content or ""
    assert "Gettysburg Address" in text
    assert len(words(text)) > 0.9 * len(words(served.booklet["text"]))


def test_openai_keeps_a_file(served: Served) -> None:
    from openai import OpenAI

    client = OpenAI(base_url=f"{served.url}/v1", api_key=KEY)
    with sample("booklet.pdf").open("rb") as file:
        kept = client.files.create(file=file, purpose="user_data")
    assert client.files.content(kept.id).read() == sample("booklet.pdf").read_bytes()
    assert client.files.delete(kept.id).deleted


def test_litellm(served: Served) -> None:
    import litellm

    how = {"api_base": f"{served.url}/v1", "api_key": KEY}
    answer = litellm.completion(model="openai/PP-OCRv6-small", messages=picture_message(), **how)
    assert words(answer.choices[0].message.content) == expected(served)
    document = {"type": "document_url", "document_url": data_url("booklet.pdf", "application/pdf")}
    read = litellm.ocr(model="mistral/mistral-ocr-latest", document=document, **how)
    assert [page.markdown for page in read.pages] == served.pages()


def test_langchain(served: Served) -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="PP-OCRv6-small", base_url=f"{served.url}/v1", api_key=KEY)
    assert words(str(model.invoke(picture_message()).content)) == expected(served)


DIFY = """
import sys
from dify_plugin.interfaces.model.openai_compatible.llm import OAICompatLargeLanguageModel as Model

url, key, stream = sys.argv[1:]
credentials = {"endpoint_url": url, "api_key": key, "mode": "chat", "stream_mode_auth": stream}
Model.validate_credentials(Model.__new__(Model), "PP-OCRv6-small", credentials)
"""


@pytest.mark.parametrize("stream", ["use", "not_use"])
def test_dify_takes_the_model(served: Served, stream: str) -> None:
    """In a process of its own: importing its plug-in replaces Python's sockets and threads."""
    command = [sys.executable, "-W", "ignore", "-c", DIFY, f"{served.url}/v1", KEY, stream]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]


def test_zerox(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyzerox import zerox

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("OPENAI_API_BASE", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, f"{served.url}/v1")
    read = asyncio.run(
        zerox(
            file_path=str(sample("booklet.pdf")),
            model="openai/gpt-4o",  # zerox asks LiteLLM's list whether a name stands for a model that sees
            output_dir=str(tmp_path),
            select_pages=[1, 2],
        )
    )
    assert len(read.pages) == 2
    for page, own in zip(read.pages, served.pages(), strict=False):
        assert set(words(own)[:8]) <= set(words(page.content))
