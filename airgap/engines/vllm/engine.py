"""DeepSeek-OCR on vLLM, in this process, from local disk: the production engine.

`AsyncLLM` runs here; its EngineCore, where the model is, is a child process. Pages are prepared on
threads here (`process.image_process.prepare`) and cross as bytes. vLLM and torch are imported when the
engine starts, after the environment was set for work offline.

This is one engine, on one GPU or on the two that share a model (`tensor_parallel_size`); `replicas` makes
several side by side. `distributed_executor_backend="ray"` lets vLLM's own executor span nodes of a Ray
cluster that the site runs; the code and the model must lie at the same paths on each, with the folders of
`plugin.SEARCH_PATH` in PYTHONPATH.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import count
from typing import Any

from PIL.Image import Image
from PIL.Image import new as new_image

from airgap.core.document import SHAPE_KINDS, Mode, ReadOptions, Usage
from airgap.core.engine import Capabilities, Delta, PageRead
from airgap.core.errors import (
    AirgapError,
    ConfigurationError,
    EngineBusy,
    EngineFailed,
    EngineUnavailable,
    InvalidOption,
)
from airgap.engines.answer import Answer
from airgap.engines.model_folder import ModelFolder, manifest_digest, verify
from airgap.engines.offline_environment import set_offline_environment
from airgap.engines.qwen_pages import QwenFacts
from airgap.engines.vllm.fit import fitted
from airgap.engines.vllm.given_arguments import known_names, refuse_strangers
from airgap.engines.vllm.plugin import ARCHITECTURES, PLUGIN_NAME, SEARCH_PATH
from airgap.engines.vllm.process import EngineProcess
from airgap.engines.vllm.requests import sampling_params, tokens_of, usage_with
from airgap.engines.vllm.share import Share, whole
from airgap.models import qwen_vl
from airgap.models.deepseek_grammar import Parsed, parse
from airgap.settings.engines import EngineSettings
from deepseek_ocr import (
    IMAGE,
    SPECIAL_TOKEN_IDS,
    WHITELIST_TOKEN_IDS,
    proper_prompt,
)
from process.image_process import Prepared, prepare

log = logging.getLogger(__name__)

_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


class VllmEngine:
    name = "vllm"

    def __init__(
        self,
        settings: EngineSettings,
        share: Share | None = None,
        *,
        threads: ThreadPoolExecutor | None = None,
        shutdown_seconds: float = 10.0,
    ) -> None:
        """`share` is what this engine has of the server's GPUs and pages; None: all. `threads` prepare pages,
        and are the caller's to end; None: this engine has its own.

        Raises `ConfigurationError` where MODEL_PATH is not set.
        """
        self.settings = settings
        self.share = share or whole(settings)
        self.model = settings.model_id
        self.device = "cuda"
        self.max_concurrency = self.share.pages
        self._model_path = settings.model_folder
        self._shutdown_seconds = shutdown_seconds
        self.capabilities = Capabilities(
            supports_modes=True, max_images=1, text_only=True, shapes=SHAPE_KINDS
        )
        self.folder: ModelFolder | None = None
        self._fitted: dict[str, Any] = {}
        self._qwen: QwenFacts | None = None
        self._process = EngineProcess(self._make, self._check)
        self._owns_threads = threads is None
        self._threads = threads or ThreadPoolExecutor(settings.workers, thread_name_prefix="prepare")
        self._ids = count()
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._page_seconds = 1.0

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Verify the model's folder and load it.

        Raises `ConfigurationError` for a folder that is not right or arguments that vLLM does not know,
        `EngineUnavailable` where vLLM is not installed, cannot run on what GPUs there are, or does not start.
        """
        if find_spec("vllm") is None:
            raise EngineUnavailable(
                "vLLM is not installed.", "pip install -r requirements-gpu.txt, or choose another BACKEND."
            )
        set_offline_environment(
            self.settings.data_dir / "cache",
            search_path=SEARCH_PATH,
            plugins=[PLUGIN_NAME],
            one_host=self.settings.distributed_executor_backend != "ray",
        )
        if self.settings.vllm_engine_args:
            refuse_strangers(self.settings.vllm_engine_args, await asyncio.to_thread(known_names))
        self.folder = await asyncio.to_thread(verify, self._model_path)
        log.info("%s", self.folder.summary())
        for note in self.folder.warnings:
            log.warning("model folder: %s", note)
        modes = self.folder.family == "deepseek-ocr"
        self.capabilities = replace(self.capabilities, supports_modes=modes)
        if self.folder.family == "qwen-vl":
            self._qwen = QwenFacts.of(self.folder.path, self.folder.architecture)
        self._fitted = await asyncio.to_thread(fitted, self.folder, self.settings, self.share)
        try:
            await self._process.start()
        except AirgapError:
            raise
        except Exception as error:
            log.exception("vLLM did not start")
            raise EngineUnavailable(
                f"vLLM did not start: {type(error).__name__}: {_first_line(error)}",
                "The server's log has vLLM's own words; too little GPU memory shows as GPU_MEM_UTILIZATION.",
            ) from error

    def health(self) -> tuple[bool, str]:
        """Whether pages can be read now, and why not."""
        return self._process.health()

    @property
    def model_digest(self) -> str | None:
        """SHA-256 of the folder's manifest, which lists that of every file; None where there is none."""
        return manifest_digest(self._model_path)

    @property
    def restarts(self) -> int:
        """How often the engine process was made anew."""
        return self._process.restarts

    async def close(self) -> None:
        """Let what runs finish for `shutdown_seconds`, then stop it with the engine."""
        if self._process.state == "ready":
            try:
                async with asyncio.timeout(self._shutdown_seconds):
                    await self._idle.wait()
            except TimeoutError:
                log.warning("closing the engine on %d pages that are still being read", self._active)
        await self._process.close()
        if self._owns_threads:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _make(self) -> Any:
        """Build the `AsyncLLM`; blocks until the model is loaded."""
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.async_llm import AsyncLLM

        self.device = current_platform.device_type
        arguments = self._engine_args()
        if current_platform.is_cpu():  # there to test on: compiling would cost minutes and gain nothing
            arguments = {"enforce_eager": True, "skip_mm_profiling": True, **arguments, "device_ids": None}
        else:
            require_gpus(self.settings, current_platform.device_count())
        return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments), stat_loggers=self._stat_loggers())

    def _stat_loggers(self) -> list[Any] | None:
        """None for vLLM's own, which knows of no other engine in this process."""
        number, engines = self.share.number, self.settings.data_parallel_size
        if engines == 1:
            return None
        from airgap.engines.vllm.stats import stat_logger

        return [stat_logger(number, engines)]

    def _engine_args(self) -> dict[str, Any]:
        assert self.folder is not None
        settings = self.settings
        own_class = self.folder.family == "deepseek-ocr"
        architecture = ARCHITECTURES.get(self.folder.architecture, self.folder.architecture)
        return {
            "model": str(self.folder.path),
            "served_model_name": settings.model_id,
            "hf_overrides": {"architectures": [architecture]},
            "trust_remote_code": False,
            "load_format": "safetensors",
            "generation_config": "vllm",
            "dtype": _DTYPES[settings.torch_dtype],
            "gpu_memory_utilization": settings.gpu_mem_utilization,
            "kv_cache_dtype": settings.kv_cache_dtype,
            "quantization": settings.quantization,
            "tensor_parallel_size": settings.tensor_parallel_size,
            "device_ids": list(self.share.devices) or None,
            "distributed_executor_backend": settings.distributed_executor_backend,
            "max_model_len": settings.max_model_len,
            "max_num_seqs": self.share.pages,
            "max_num_batched_tokens": 8192,
            "limit_mm_per_prompt": {"image": 1},
            "mm_processor_kwargs": {"max_crops": settings.max_crops} if own_class else None,
            # no page comes twice, and hashing every page to find that out costs time
            "enable_prefix_caching": False,
            "mm_processor_cache_gb": 0,
            "logits_processors": ["airgap.engines.vllm.ngram:NoRepeatNgram"],
            **self._fitted,
            **settings.vllm_engine_args,
        }

    async def _check(self, llm: Any) -> None:
        """Refuse a tokenizer that starts a prompt otherwise than the model was trained on, and read a page.

        The first page makes kernels that the next ones reuse; it is not left to a user to wait for them.
        """
        tokenizer = llm.get_tokenizer()
        ids = tokenizer.encode(f"{IMAGE}\n")
        right = ids[:2] == [0, SPECIAL_TOKEN_IDS[IMAGE]] and tokenizer.decode(ids[2:]) == "\n"
        if self._qwen is None and not right:
            raise ConfigurationError(
                f"The tokenizer in MODEL_PATH turns the start of a prompt into {ids[:6]}.",
                "Use the tokenizer files and the config.json that came with the model.",
            )
        blank = new_image("RGB", (64, 64), "white")
        async for _ in self._outputs(
            llm, [blank], ReadOptions(mode=self.settings.default_mode, max_tokens=1)
        ):
            pass

    # --- reading ---------------------------------------------------------------------------------

    async def read(
        self, images: Sequence[Image], options: ReadOptions
    ) -> AsyncGenerator[Delta | PageRead, None]:
        """See `airgap.core.engine.Engine`. Raises `EngineUnavailable`, `EngineBusy`, `InvalidOption` and
        `EngineFailed`."""
        llm = self._process.current()
        self._admit()
        started = time.monotonic()
        self._active += 1
        self._idle.clear()
        try:
            async with aclosing(self._read(llm, images, options)) as events:
                async for event in events:
                    yield event
            self._page_seconds += 0.1 * (time.monotonic() - started - self._page_seconds)
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()

    def _admit(self) -> None:
        """Raise `EngineBusy` where the queue is full, with the time in which a place should be free."""
        if self._active >= self.max_concurrency + self.settings.max_queue:
            wait = self._page_seconds * self.settings.max_queue / self.max_concurrency
            raise EngineBusy(
                f"{self._active} pages are being read or waiting.", retry_after=min(60, max(1, round(wait)))
            )

    async def _read(
        self, llm: Any, images: Sequence[Image], options: ReadOptions
    ) -> AsyncGenerator[Delta | PageRead, None]:
        answer, usage, finish_reason = Answer(), Usage(), "stop"
        async with aclosing(self._outputs(llm, images, options)) as outputs:
            async for output in outputs:
                completion = output.outputs[0]
                answer.add(completion.text, tokens_of(completion))
                usage = usage_with(usage, output)
                if completion.finish_reason is not None:
                    finish_reason = completion.finish_reason
                    answer.looped = answer.looped or finish_reason == "repetition"
                    answer.finish()
                if completion.text:
                    yield Delta(completion.text)
                if answer.looped:
                    break
        width, height = images[0].size if images else (1, 1)
        yield answer.page_read(partial(self._parse, images, width, height), finish_reason, usage)

    def _parse(self, images: Sequence[Image], width: int, height: int, raw: str) -> Parsed:
        if self._qwen is None:
            return parse(raw, width, height)
        seen = self._qwen.seen(self._qwen.bounded(images[0])) if images else None
        return qwen_vl.parse(raw, qwen_vl.geometry(self._qwen.version, width, height, seen))

    async def _outputs(
        self, llm: Any, images: Sequence[Image], options: ReadOptions
    ) -> AsyncGenerator[Any, None]:
        """vLLM's outputs for one page, its errors as ours."""
        from vllm.exceptions import VLLMClientError, VLLMValidationError
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        request_id = f"page-{os.getpid()}-{next(self._ids)}"
        try:
            prompt = await self._prompt(llm, images, options, request_id)
            async with aclosing(llm.generate(prompt, self._sampling(options), request_id)) as outputs:
                async for output in outputs:
                    if output.outputs[0].finish_reason in ("abort", "error"):
                        raise EngineFailed("The engine gave this page up.")
                    yield output
        except EngineDeadError as error:
            raise EngineFailed("The engine died while it was reading this page.") from error
        except (VLLMValidationError, VLLMClientError) as error:
            raise InvalidOption(f"The engine refused the request: {_first_line(error)}") from error
        except EngineGenerateError as error:
            raise EngineFailed("The engine broke while it was reading this page.") from error

    async def _prompt(self, llm: Any, images: Sequence[Image], options: ReadOptions, request_id: str) -> Any:
        from vllm.renderers.inputs.preprocess import parse_model_prompt

        text = self._text(options, bool(images))
        if not images:
            prompt: dict[str, Any] = {"prompt": text}
        else:
            page = await self._prepared(images[0], options.mode or self.settings.default_mode)
            data = {"image": [page]}
            prompt = {"prompt": text, "multi_modal_data": data, "multi_modal_uuids": {"image": [request_id]}}
        (rendered,) = await llm.renderer.render_cmpl_async([parse_model_prompt(llm.model_config, prompt)])
        return rendered

    def _text(self, options: ReadOptions, image: bool) -> str:
        if self._qwen is not None:
            words = qwen_vl.prompt(options.prompt, options.language)
            return qwen_vl.chat(words, self._qwen.version, image=image)
        text = proper_prompt(options.prompt)
        return text if image else text.removeprefix(f"{IMAGE}\n")

    async def _prepared(self, image: Image, mode: Mode) -> Prepared | Image:
        if self._qwen is not None:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._qwen.bounded, image)
        if not self.capabilities.supports_modes:
            return image
        work = partial(prepare, image, mode, max_crops=self.settings.max_crops)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _sampling(self, options: ReadOptions) -> Any:
        whitelist = WHITELIST_TOKEN_IDS if self._qwen is None else ()
        return sampling_params(options, self.settings.max_new_tokens, whitelist)


def require_gpus(settings: EngineSettings, found: int) -> None:
    """Raise `ConfigurationError` where the engines want more GPUs than this process sees."""
    engines, wide = settings.data_parallel_size, settings.tensor_parallel_size
    if settings.distributed_executor_backend != "ray" and engines * wide > found:
        raise ConfigurationError(
            f"DATA_PARALLEL_SIZE={engines} with TENSOR_PARALLEL_SIZE={wide} wants {engines * wide} GPUs; "
            f"{found} can be seen.",
            "Lower them, or give the server more GPUs (CUDA_VISIBLE_DEVICES; `count` in docker-compose.yml).",
        )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")[:300]
