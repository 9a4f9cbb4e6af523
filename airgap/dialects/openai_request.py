"""A chat request in OpenAI's words, as a prompt, pictures and options.

It knows no engine's answer and no HTTP.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from airgap.core.document import AnswerShape, ReadOptions
from airgap.core.errors import BadRequest, TooLarge
from airgap.dialects.inputs import plain_prompt
from airgap.dialects.markup import Filter, TokenFilter, Untouched, filter_for
from airgap.http.forms import (
    OpeningBody,
    checked_language,
    checked_max_tokens,
    checked_mode,
    checked_temperature,
)
from airgap.http.json_bodies import Word
from airgap.http.service import Service
from airgap.http.shapes import SHAPE_FIELDS, wanted_shape
from deepseek_ocr import NGRAM_RULES

MAX_IMAGES = 64
PROMPT_CHARS = 65_536
"""Most characters of a message's text, which engines take to pieces whole: more than any model here reads."""


class ImageUrl(BaseModel):
    url: str


class FilePart(BaseModel):
    """A document inside the message; `file_data` is a data URL."""

    model_config = ConfigDict(extra="allow")

    file_data: str
    filename: Word | None = None


class Part(BaseModel):
    """One piece of a message: text, or a picture or a document as a data URL."""

    model_config = ConfigDict(extra="allow")

    type: Word
    text: str | None = None
    image_url: ImageUrl | str | None = None
    file: FilePart | None = None

    def source(self) -> str | None:
        """Base64, a data URL or a URL, where the part is a picture or a document."""
        if self.type == "file" and self.file is not None:
            return self.file.file_data
        if self.type != "image_url" or not self.image_url:
            return None
        return self.image_url.url if isinstance(self.image_url, ImageUrl) else self.image_url


class Message(BaseModel):
    model_config = ConfigDict(extra="allow")

    role: Word
    content: str | list[Part] | None = None

    def text(self) -> str:
        """Raises `TooLarge`."""
        if isinstance(self.content, str):
            texts = [self.content]
        else:
            texts = [part.text for part in self.content or [] if part.type == "text" and part.text]
        if sum(map(len, texts)) > PROMPT_CHARS:
            raise TooLarge(
                f"The text of the message is longer than {PROMPT_CHARS:,} characters.",
                "Send less text; pictures and documents go into `image_url` and `file`.",
            )
        return "\n".join(texts)

    def images(self) -> list[str]:
        if not isinstance(self.content, list):
            return []
        return [source for part in self.content if (source := part.source())]


class StreamOptions(BaseModel):
    include_usage: bool = False


class NgramArguments(BaseModel):
    """The no-repeat rule, under the names that vLLM's servers take."""

    model_config = ConfigDict(extra="allow")

    ngram_size: int = Field(default=NGRAM_RULES["image"].ngram_size, ge=1, le=1000)
    window_size: int = Field(default=NGRAM_RULES["image"].window_size, ge=1, le=10_000)


class ChatRequest(OpeningBody):
    """OpenAI's fields, and ours: `mode`, `language`, `vllm_xargs`, and how PDFs are opened."""

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
    mode: Word | None = None
    language: Word | None = None

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

    def form(self) -> type[Filter]:
        """What the client is told of the model's output. Skipping special tokens skips no words."""
        if self.skip_special_tokens is False or self.shape() is not None:
            return Untouched
        found = filter_for(self.prompt() or "")
        return TokenFilter if self.skip_special_tokens and found is Untouched else found

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
            shape=self.shape(),
        )

    def shape(self) -> AnswerShape | None:
        """What the answer is to be held to. Raises `BadRequest`, `InvalidOption`."""
        return wanted_shape(self.model_extra or {})

    def ignored(self, service: Service) -> list[str]:
        """What of the request has no effect, in words."""
        warnings = []
        if self.model not in ("", service.engine.model):
            warnings.append(f"This server has no model {self.model!r}; {service.engine.model} answered.")
        if any(message.role in ("system", "developer") for message in self.messages):
            warnings.append("System messages have no effect on an OCR model.")
        extra = sorted((self.model_extra or {}).keys() - SHAPE_FIELDS)
        if extra:
            warnings.append(f"These fields have no effect here: {', '.join(extra)[:300]}.")
        return warnings
