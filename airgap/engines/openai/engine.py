"""Any server that speaks OpenAI's chat completions: `vllm serve`, llama.cpp's server, another of ours.

The page goes out as a PNG data URL, the answer comes back as server-sent events. What kind of server it is
decides what may be asked beyond OpenAI's fields: vLLM takes the n-gram rule and keeps special tokens, ours
takes modes and languages too. Only `base_url` is ever connected to; proxies of the environment are not used.

A request that fails before its first word is tried again, with growing and random pauses. A server that
keeps failing is left alone for a while (`airgap.engines.openai.circuit_breaker`).
"""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import random
import ssl
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

import httpx
from PIL.Image import Image

from airgap.core.document import SHAPE_KINDS, ReadOptions, Usage
from airgap.core.engine import Capabilities, Delta, Events
from airgap.core.errors import (
    AirgapError,
    ConfigurationError,
    EngineBusy,
    EngineFailed,
    EngineUnavailable,
    PageTimeout,
)
from airgap.engines.answer import Answer
from airgap.engines.openai.circuit_breaker import CircuitBreaker
from airgap.engines.openai.shapes import SHAPES, shape_fields
from airgap.engines.openai.stream import (
    bounded_body,
    finish_reason,
    kind_of_error,
    server_sent,
    text_of,
    until,
    usage_of,
)
from airgap.models import qwen_vl
from airgap.models.deepseek_grammar import IMAGE, Parsed, parse
from airgap.settings.engines import EngineSettings
from deepseek_ocr import SKIP_SPECIAL_TOKENS, WHITELIST_TOKEN_IDS, ngram_rule, proper_prompt

log = logging.getLogger(__name__)

Server = Literal["vllm", "llama.cpp", "airgap-ocr", "other"]

_BUSY = frozenset({429, 503})
_TRANSIENT = frozenset({408, 425, 500, 502, 504}) | _BUSY
_GENERIC_PROMPT = "Convert the document to markdown."


@dataclass(frozen=True, slots=True)
class Patience:
    """How a server that fails is tried again. Times are in seconds."""

    connect_timeout: float = 5.0
    attempts: int = 4
    first_pause: float = 0.5
    longest_pause: float = 15.0
    failures_to_open: int = 5
    open_seconds: float = 30.0


class _Transient(Exception):
    """A failure that may be gone at the next attempt."""

    def __init__(self, error: AirgapError, retry_after: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_after = retry_after


class OpenAiEngine:
    name = "openai"

    def __init__(self, settings: EngineSettings, patience: Patience | None = None) -> None:
        """Raises `ConfigurationError` where LLM_BASE_URL is not set, or is no address."""
        url = _address(settings.llm_base_url)
        self.settings = settings
        self.patience = patience or Patience()
        self.model = settings.llm_model or ""
        self.device = f"{url.hostname}:{url.port or {'http': 80, 'https': 443}[url.scheme]}"
        self.max_concurrency = settings.max_concurrency or 16
        self.capabilities = Capabilities(supports_modes=False, max_images=1, text_only=True)
        self.server: Server = "other"
        self.breaker = CircuitBreaker(self.patience.failures_to_open, self.patience.open_seconds)
        self._base = url.geturl().rstrip("/")
        # in a list, a server that hangs must leave time for the next engine to read the page
        self._page_timeout = settings.page_timeout_seconds / (2 if "," in settings.backend else 1)
        self._client: httpx.AsyncClient | None = None

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Ask the server what it is.

        Raises `EngineUnavailable` where it does not answer, or has not the model.
        """
        key, ca_file = self.settings.llm_api_key, self.settings.llm_ca_file
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        # Between two bytes the whole time of a page may pass: the prompt of a page takes its time.
        timeout = httpx.Timeout(self._page_timeout, connect=self.patience.connect_timeout)
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            timeout=timeout,
            limits=limits,
            trust_env=False,
            follow_redirects=False,
            verify=ssl.create_default_context(cafile=ca_file) if ca_file else True,
        )
        try:
            await self._introduce()
        except BaseException:
            await self.close()
            raise
        log.info("%s at %s, model %s", self.server, self.device, self.model)

    async def _introduce(self) -> None:
        listed = (await self._get_json(f"{self._base}/models")).get("data")
        models = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
        names = [str(entry.get("id", ""))[:200] for entry in models]
        if not names:
            raise EngineUnavailable(f"The server at {self.device} lists no model.", "Load a model there.")
        if self.settings.llm_model and self.settings.llm_model not in names:
            raise EngineUnavailable(
                f"The server at {self.device} has no model {self.settings.llm_model!r:.200}.",
                f"Set LLM_MODEL to one of: {', '.join(names)[:500]}.",
            )
        self.model = self.settings.llm_model or names[0]
        owner = str(models[names.index(self.model)].get("owned_by", ""))
        ours = await self._info_of_ours()
        self.server = self.settings.llm_server if self.settings.llm_server != "auto" else _kind(owner, ours)
        self.capabilities = replace(self.capabilities, shapes=SHAPES.get(self.server, ()))
        if ours and self.server == "airgap-ocr":
            self._take_over(ours)

    async def _info_of_ours(self) -> dict[str, Any]:
        """The answer of `/info` where the server is one of ours, else nothing."""
        root = self._base.removesuffix("/v1")
        try:
            if (await self._get_json(f"{root}/")).get("service") == "Airgap OCR":
                return await self._get_json(f"{root}/info")
        except AirgapError:
            pass  # another kind of server has no such page
        return {}

    def _take_over(self, info: dict[str, Any]) -> None:
        """Make its engine's capabilities ours."""
        engine = info.get("engine")
        if not isinstance(engine, dict):
            return
        languages = engine.get("languages")
        self.capabilities = Capabilities(
            supports_prompt=bool(engine.get("supports_prompt", True)),
            supports_modes=bool(engine.get("supports_modes")),
            shapes=tuple(kind for kind in SHAPE_KINDS if kind in (engine.get("shapes") or ())),
            max_images=1,
            text_only=bool(engine.get("text_only")),
            formulas="picture" if engine.get("formulas") == "picture" else "latex",
            languages=tuple(map(str, languages)) if isinstance(languages, list) else None,
        )
        if self.settings.max_concurrency is None and isinstance(engine.get("max_concurrency"), int):
            self.max_concurrency = max(1, min(256, engine["max_concurrency"]))

    async def _get_json(self, url: str) -> dict[str, Any]:
        assert self._client is not None
        try:
            response = await self._client.get(url, timeout=self.patience.connect_timeout)
        except (httpx.HTTPError, ssl.SSLError) as error:
            raise EngineUnavailable(
                f"The server at {self.device} does not answer ({type(error).__name__}).",
                "Start it, or correct LLM_BASE_URL; it must end where `/chat/completions` begins.",
            ) from error
        if response.status_code in (401, 403):
            raise EngineUnavailable(f"The server at {self.device} refuses the key.", "Correct LLM_API_KEY.")
        try:
            content = response.json() if response.is_success else None
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise EngineUnavailable(
                f"{urlsplit(url).path} at {self.device} answered {response.status_code} and no JSON object.",
                "Correct LLM_BASE_URL; it must end where `/chat/completions` begins.",
            )
        return content

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @property
    def model_digest(self) -> None:
        """The model lies on another machine."""
        return None

    def health(self) -> tuple[bool, str]:
        """Whether pages can be read now, and why not."""
        if self._client is None:
            return False, "the engine is not running"
        wait = self.breaker.seconds_left()
        if wait:
            return False, f"{self.device} failed too often; it is asked again in {wait:.0f} s"
        return True, "ready"

    # --- reading ---------------------------------------------------------------------------------

    async def read(self, images: Sequence[Image], options: ReadOptions) -> Events:
        """See `airgap.core.engine.Engine`. Raises `EngineUnavailable`, `EngineBusy`, `EngineFailed`,
        `PageTimeout` and `InvalidOption`."""
        if self._client is None:
            raise EngineUnavailable("The engine is not running.")
        image = images[0] if images else None
        deadline = time.monotonic() + self._page_timeout
        body = await asyncio.to_thread(self._body, image, options)
        answer, usage, reason = Answer(), Usage(), None
        async with aclosing(self._events(body, deadline)) as events:
            async for event in events:
                reason = finish_reason(event) or reason
                usage = usage_of(event) or usage
                text = text_of(event)
                if text:
                    answer.add(text)
                    yield Delta(text)
                if answer.looped:
                    break
        if reason is None and not answer.looped:
            raise EngineFailed("The other server ended its answer in the middle.")
        answer.finish()
        width, height = image.size if image is not None else (1, 1)
        yield answer.page_read(lambda raw: self._parse(raw, width, height), reason or "stop", usage)

    @property
    def is_qwen(self) -> bool:
        return qwen_vl.is_name(self.model)

    def _parse(self, raw: str, width: int, height: int) -> Parsed:
        if self.is_qwen:
            return qwen_vl.parse(raw, qwen_vl.geometry_of_name(self.model, width, height))
        return parse(raw, width, height)

    def _body(self, image: Image | None, options: ReadOptions) -> dict[str, Any]:
        most = self.settings.max_new_tokens
        content: list[dict[str, Any]] = [{"type": "text", "text": self._prompt(options)}]
        if image is not None:
            content.insert(0, {"type": "image_url", "image_url": {"url": _data_url(image)}})
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": min(options.max_tokens or most, most),
            "temperature": options.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if options.shape is not None:
            body |= shape_fields(options.shape)
        elif self.server in ("vllm", "airgap-ocr"):
            body["skip_special_tokens"] = SKIP_SPECIAL_TOKENS
            rule = ngram_rule(options)
            body["vllm_xargs"] = {
                "ngram_size": rule.ngram_size,
                "window_size": rule.window_size,
                "whitelist_token_ids": sorted(WHITELIST_TOKEN_IDS),
            }
        if self.server == "airgap-ocr":
            ours = {"mode": options.mode, "language": options.language}
            body |= {key: value for key, value in ours.items() if value is not None}
        return body

    def _prompt(self, options: ReadOptions) -> str:
        if self.is_qwen:
            return qwen_vl.prompt(options.prompt, options.language)
        prompt = proper_prompt(options.prompt).removeprefix(IMAGE).lstrip("\n")
        knows_grounding = self.server == "airgap-ocr" or "deepseek" in self.model.lower() or options.prompt
        return prompt if knows_grounding or self.server == "vllm" else _GENERIC_PROMPT

    # --- requests --------------------------------------------------------------------------------

    async def _events(self, body: dict[str, Any], deadline: float) -> AsyncGenerator[dict[str, Any], None]:
        """The chunks of a completion; attempts go on until the first has come."""
        for attempt in range(1, self.patience.attempts + 1):
            begun = False
            self.breaker.check(self.device)
            try:
                async with aclosing(self._attempt(body, deadline)) as events:
                    async for event in events:
                        begun = True
                        yield event
                self.breaker.succeeded()
                return
            except PageTimeout:
                self.breaker.failed()
                raise
            except _Transient as failure:
                self.breaker.failed()
                pause = self._pause(attempt, failure.retry_after)
                over = attempt == self.patience.attempts or time.monotonic() + pause >= deadline
                if begun or over:
                    raise failure.error from failure
                log.warning("%s: %s; attempt %d in %.1f s", self.device, failure, attempt + 1, pause)
                await asyncio.sleep(pause)

    def _pause(self, attempt: int, retry_after: float | None) -> float:
        """Anything up to a bound that doubles, so that many clients do not come back at once."""
        bound = min(self.patience.longest_pause, self.patience.first_pause * 2 ** (attempt - 1))
        return max(random.uniform(0, bound), min(retry_after or 0.0, self.patience.longest_pause))

    async def _attempt(self, body: dict[str, Any], deadline: float) -> AsyncGenerator[dict[str, Any], None]:
        """The chunks of one request. Raises `_Transient` where another may fare better."""
        assert self._client is not None
        request = self._client.build_request("POST", f"{self._base}/chat/completions", json=body)
        try:
            async with until(deadline):
                response = await self._client.send(request, stream=True)
            try:
                if response.status_code != 200:
                    await self._refused(response, deadline)
                async with aclosing(server_sent(response, deadline)) as events:
                    async for event in events:
                        yield event
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            if isinstance(error, httpx.ReadTimeout):
                raise PageTimeout(f"The server at {self.device} took too long.") from error
            raise _Transient(self._unreachable(error)) from error
        except httpx.TransportError as error:
            raise _Transient(self._unreachable(error)) from error

    def _unreachable(self, error: Exception) -> EngineUnavailable:
        return EngineUnavailable(f"The connection to {self.device} failed ({type(error).__name__}).")

    async def _refused(self, response: httpx.Response, deadline: float) -> None:
        status = response.status_code
        async with until(deadline):
            said = await bounded_body(response)
        log.warning("%s answered %d (%s)", self.device, status, kind_of_error(said))
        if status in _BUSY:
            wait = _seconds(response.headers.get("retry-after"))
            busy = EngineBusy(f"The server at {self.device} is busy.", retry_after=max(1, round(wait or 5)))
            raise _Transient(busy, wait)
        failure = EngineFailed(f"The server at {self.device} answered {status}.", _remedy(status))
        if status in _TRANSIENT:
            raise _Transient(failure)
        raise failure


def _kind(owner: str, ours: dict[str, Any]) -> Server:
    if ours:
        return "airgap-ocr"
    return {"vllm": "vllm", "llamacpp": "llama.cpp"}.get(owner, "other")  # type: ignore[return-value]


def _remedy(status: int) -> str | None:
    if status in (401, 403):
        return "Have the site correct LLM_API_KEY."
    if status in (400, 413, 422):
        return "The other server refused the page; its answer is in the log. A smaller page may pass."
    return None


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isascii() and header.isdigit() and len(header) < 6 else None


def _data_url(image: Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getbuffer()).decode('ascii')}"


def _address(base_url: str | None) -> SplitResult:
    """LLM_BASE_URL in its parts. Raises `ConfigurationError`."""
    if base_url is None:
        raise ConfigurationError(
            "BACKEND=openai reads on another server, and LLM_BASE_URL is not set.",
            "Set LLM_BASE_URL, such as http://gpu-box:8000/v1.",
        )
    url = urlsplit(base_url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigurationError(
            f"LLM_BASE_URL is {base_url[:80]!r}, which is no http or https address.",
            "Give the address up to the version, such as http://gpu-box:8000/v1.",
        )
    return url
