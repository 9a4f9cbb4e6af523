"""DeepSeek-OCR and Qwen-VL in native PyTorch, in this process: the engine for any GPU, or for a patient CPU.

Pages are prepared on threads, decoded together by one thread (`transformers_batch`), and come back to the
event loop token by token. torch and transformers are imported when the engine starts, after the environment
was set for work offline; no code of a model's folder is ever imported.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from PIL.Image import Image
from PIL.Image import new as new_image

from airgap.core.document import Mode, ReadOptions, Usage
from airgap.core.engine import Capabilities, Delta, Events
from airgap.core.errors import AirgapError, ConfigurationError, EngineBusy, EngineUnavailable
from airgap.engines.answer import Answer
from airgap.engines.model_folder import ModelFolder, manifest_digest, verify
from airgap.engines.offline_environment import set_offline_environment
from airgap.settings.engines import EngineSettings
from deepseek_ocr import ngram_rule

if TYPE_CHECKING:
    from airgap.engines.transformers.batch import Batch, Event, Sampling

log = logging.getLogger(__name__)

ROWS_ON_CPU = 4
_MEMORY_SHARE_ON_CPU = 0.5


class TransformersEngine:
    name = "transformers"

    def __init__(self, settings: EngineSettings, *, shutdown_seconds: float = 10.0) -> None:
        """Raises `ConfigurationError` where MODEL_PATH is not set."""
        self.settings = settings
        self.model = settings.model_id
        self.device: str = settings.torch_device
        self.max_concurrency = settings.max_concurrency or 16
        self._model_path = settings.model_folder
        self._shutdown_seconds = shutdown_seconds
        self.capabilities = Capabilities(supports_modes=True, max_images=1, text_only=True)
        self.folder: ModelFolder | None = None
        self.attention = ""
        self._decoder: Any = None
        self._batch: Batch | None = None
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="prepare")
        self._active = 0
        self._page_seconds = 1.0

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Verify the model's folder and load it.

        Raises `ConfigurationError` for a folder that is not right, `EngineUnavailable` where the libraries
        or the device are not there.
        """
        missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
        if missing:
            raise EngineUnavailable(
                f"{' and '.join(missing)} not installed.",
                "pip install -r requirements-gpu.txt, or choose another BACKEND.",
            )
        self.folder = await asyncio.to_thread(verify, self._model_path)
        log.info("%s", self.folder.summary())
        for note in self.folder.warnings:
            log.warning("model folder: %s", note)
        set_offline_environment(self.settings.data_dir / "cache")
        try:
            await asyncio.to_thread(self._load, self.folder)
        except AirgapError:
            raise
        except Exception as error:
            log.exception("the model was not loaded")
            raise EngineUnavailable(
                f"The model was not loaded: {type(error).__name__}: {_first_line(error)}",
                "The server's log has the whole error; too little memory shows as an allocation that failed.",
            ) from error

    def _load(self, folder: ModelFolder) -> None:
        import torch

        from airgap.engines.transformers.batch import Batch
        from airgap.engines.transformers.models import settle_flash_attention

        settings, placement = self.settings, self._placement()
        self.device = placement.device.type
        started = time.monotonic()
        self._decoder = self._make_decoder(folder, placement)
        with torch.inference_mode():
            self.attention = settle_flash_attention(
                self._decoder, settings.use_flash_attention, placement, self._trial
            )
        rows = self._rows()
        self.max_concurrency = rows
        self.capabilities = Capabilities(
            supports_modes=self._decoder.supports_modes, max_images=1, text_only=True
        )
        self._batch = Batch(
            self._decoder, max_rows=rows, max_length=settings.max_model_len, device=placement.device
        )
        seconds = time.monotonic() - started
        log.info("loaded on %s in %.1f s; %s; %d pages at once", self.device, seconds, self.attention, rows)

    def _placement(self) -> Any:
        import torch

        from airgap.engines.transformers.models import DTYPES, Placement

        wanted, has_cuda = self.settings.torch_device, torch.cuda.is_available()
        if wanted == "cuda" and not has_cuda:
            raise EngineUnavailable(
                "PyTorch sees no CUDA GPU.", "Check the driver, or set TORCH_DEVICE=auto."
            )
        device = torch.device("cuda" if has_cuda and wanted != "cpu" else "cpu")
        dtype = DTYPES[self.settings.torch_dtype]
        vision = torch.float32 if self.settings.vision_dtype == "fp32" else dtype
        return Placement(device, dtype, vision)

    def _make_decoder(self, folder: ModelFolder, placement: Any) -> Any:
        if folder.quantization:
            raise ConfigurationError(
                f"The weights in MODEL_PATH are quantised ({folder.quantization}).",
                "Use BACKEND=vllm, which reads them, or the published weights.",
            )
        if folder.family == "qwen-vl":
            from airgap.engines.transformers.qwen import QwenDecoder

            return QwenDecoder(folder, placement)
        from airgap.engines.transformers.models import DeepseekDecoder

        return DeepseekDecoder(folder, placement, max_crops=self.settings.max_crops)

    def _trial(self) -> None:
        """A blank page and two tokens: makes what the first page would otherwise wait for."""
        import torch

        from airgap.engines.transformers.slot_cache import SlotCache

        decoder = self._decoder
        page = decoder.inputs(new_image("RGB", (64, 64), "white"), ReadOptions(mode="tiny"))
        (encoded,) = decoder.encode([page])
        prefilled = decoder.prefill(page, encoded)
        device = prefilled.logits.device
        cache = SlotCache()
        for row in range(2):
            cache.put(row, prefilled.cache, len(page.ids))
        mask = cache.aim([len(page.ids)] * 2, device)
        tokens = prefilled.logits.argmax().reshape(1, 1).expand(2, 1)
        positions = torch.full((2, 1), prefilled.position, device=device)
        decoder.decode(tokens, positions, cache, mask)

    def _rows(self) -> int:
        """How many pages fit, each at its longest, into the memory that is left."""
        per_page = self._decoder.cache_bytes_per_token * self.settings.max_model_len
        fit = max(1, int(self._free_bytes() // per_page))
        if self.settings.max_concurrency is None:
            return min(fit, 100 if self.device == "cuda" else ROWS_ON_CPU)
        if fit < self.settings.max_concurrency:
            log.warning(
                "MAX_CONCURRENCY=%d, but memory holds %d pages of MAX_MODEL_LEN=%d tokens at once",
                self.settings.max_concurrency,
                fit,
                self.settings.max_model_len,
            )
        return min(fit, self.settings.max_concurrency)

    def _free_bytes(self) -> float:
        import torch

        if self.device == "cuda":
            free, total = torch.cuda.mem_get_info()
            return max(0.0, float(free - (1 - self.settings.gpu_mem_utilization) * total))
        return _MEMORY_SHARE_ON_CPU * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    async def close(self) -> None:
        """Stop the decoding and give the memory back."""
        batch, self._batch = self._batch, None
        if batch is not None:
            await asyncio.to_thread(batch.close, self._shutdown_seconds)
        self._decoder = None
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def model_digest(self) -> str | None:
        """SHA-256 of the folder's manifest, which lists that of every file; None where there is none."""
        return manifest_digest(self._model_path)

    def health(self) -> tuple[bool, str]:
        """Whether pages can be read now, and why not."""
        running = self._batch is not None and self._batch.alive
        return (True, "ready") if running else (False, "the engine is not running")

    # --- reading ---------------------------------------------------------------------------------

    async def read(self, images: Sequence[Image], options: ReadOptions) -> Events:
        """See `airgap.core.engine.Engine`. Raises `EngineUnavailable`, `EngineBusy`, `InvalidOption` and
        `EngineFailed`."""
        if self._batch is None:
            raise EngineUnavailable("The engine is not running.")
        self._admit()
        started = time.monotonic()
        self._active += 1
        try:
            async with aclosing(self._read(self._batch, images, options)) as events:
                async for event in events:
                    yield event
            self._page_seconds += 0.1 * (time.monotonic() - started - self._page_seconds)
        finally:
            self._active -= 1

    def _admit(self) -> None:
        if self._active >= self.max_concurrency + self.settings.max_queue:
            wait = self._page_seconds * self.settings.max_queue / self.max_concurrency
            raise EngineBusy(
                f"{self._active} pages are being read or waiting.", retry_after=min(60, max(1, round(wait)))
            )

    async def _read(self, batch: Batch, images: Sequence[Image], options: ReadOptions) -> Events:
        from tokenizers.decoders import DecodeStream

        image = images[0] if images else None
        options = _with_mode(options, self.settings.default_mode)
        work = partial(self._decoder.inputs, image, options)
        page = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        answer, finish_reason = Answer(), "stop"
        decoder = self._decoder
        stream = DecodeStream(skip_special_tokens=False)
        held: list[tuple[str, float]] = []
        async with aclosing(_events(batch, page, self._sampling(options))) as events:
            async for event in events:
                if isinstance(event, str):
                    finish_reason = event
                    break
                text = stream.step(decoder.tokenizer, event.id)
                held.append((decoder.tokenizer.id_to_token(event.id) or "", event.logprob))
                if text:
                    answer.add(text, held)
                    held = []
                    yield Delta(text)
                if answer.looped:
                    break
        if held:  # the bytes of a character that was cut off
            answer.trace.add("", held)
        answer.finish()
        usage = Usage(len(page.ids), len(answer.trace.logprobs), page.image_tokens)
        width, height = image.size if image is not None else (1, 1)
        parse = partial(decoder.parse, page, width=width, height=height)
        yield answer.page_read(parse, finish_reason, usage)

    def _sampling(self, options: ReadOptions) -> Sampling:
        from airgap.engines.transformers.batch import Sampling

        most = self.settings.max_new_tokens
        return Sampling(
            max_tokens=min(options.max_tokens or most, most),
            temperature=options.temperature,
            rule=replace(ngram_rule(options), whitelist=self._decoder.whitelist),
        )


async def _events(batch: Batch, page: Any, sampling: Sampling) -> AsyncGenerator[Any, None]:
    """The `Token`s of a page, then the reason of its end as a string. Leaving early frees its row."""
    from airgap.engines.transformers.batch import Finished, Job

    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Event] = asyncio.Queue()

    def emit(event: Event) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            loop.call_soon_threadsafe(queue.put_nowait, event)

    job = Job(page, len(page.ids), sampling, emit)
    batch.submit(job)
    try:
        while True:
            event = await queue.get()
            if isinstance(event, AirgapError):
                raise event
            if isinstance(event, Finished):
                yield event.reason
                return
            yield event
    finally:
        job.cancel()


def _with_mode(options: ReadOptions, mode: Mode) -> ReadOptions:
    return options if options.mode else replace(options, mode=mode)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")[:300]
