"""What one API process spends on a token of vLLM's, without a GPU.

    .venv-vllm/bin/python -m benchmarks.api_process [--pages 100] [--tokens 300] [--rounds 3]

Made-up outputs of EngineCore, a token for each page a step, go through vLLM's own decoder, its output
processor and the queue of each request into `VllmEngine.read`. Prints microseconds of this thread's CPU
time a token, of the round with the least; encoding is the other process's and is left out. `all a token`
is what any page can ask for: a log-probability and an output for each token.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from airgap.core.document import ReadOptions
from airgap.engines.vllm.engine import VllmEngine
from airgap.settings.engines import EngineSettings
from tests import tiny_checkpoint

PAGE = (
    "<|ref|>text<|/ref|><|det|>[[100, {top}, 800, {bottom}]]<|/det|>\nThe quick brown fox jumps over the "
    "lazy dog near the river number {number}, while invoices of the year are sorted by hand and every clerk "
    "writes a line.\n\n"
)
PROMPT_IDS = [0, *[128815] * 903, 5, 6, 7]


class AsyncLlm:
    """The part of vLLM's `AsyncLLM` between its queues and its caller."""

    errored = False

    class renderer:
        @staticmethod
        async def render_cmpl_async(prompts: list[Any]) -> list[Any]:
            return prompts

    def __init__(self, tokenizer: Any) -> None:
        from vllm.v1.engine.output_processor import OutputProcessor

        self.processor = OutputProcessor(tokenizer, log_stats=True)

    async def generate(self, prompt: Any, params: Any, request_id: str) -> AsyncGenerator[Any, None]:
        from vllm.v1.engine import EngineCoreRequest
        from vllm.v1.engine.output_processor import RequestOutputCollector

        queue = RequestOutputCollector(params.output_kind, request_id)
        request = EngineCoreRequest(
            request_id=request_id,
            external_req_id=request_id,
            prompt_token_ids=PROMPT_IDS,
            mm_features=None,
            sampling_params=params,
            pooling_params=None,
            arrival_time=time.time(),
            lora_request=None,
            cache_salt=None,
            data_parallel_rank=None,
        )
        self.processor.add_request(request, None, queue=queue)
        finished = False
        while not finished:
            output = queue.get_nowait() or await queue.get()
            finished = output.finished
            yield output


class Engine(VllmEngine):
    """The engine without a model: `llm` answers, pages are not prepared. `change` is made to each request."""

    def __init__(self, llm: AsyncLlm, change: Callable[[Any], None]) -> None:
        super().__init__(EngineSettings(model_path=Path("/none"), data_dir=Path("/tmp"), num_workers=1))
        self._llm, self._change = llm, change
        self._process.current = lambda: llm  # type: ignore[method-assign]

    async def _prompt(self, *_: Any) -> None:
        return None

    def _sampling(self, options: ReadOptions) -> Any:
        params = super()._sampling(options)
        self._change(params)
        return params


@dataclass(frozen=True)
class Way:
    """One way to ask for pages."""

    name: str
    options: ReadOptions
    change: Callable[[Any], None] = lambda params: None


def everything(params: Any) -> None:
    params.logprobs, params.stream_interval = 0, 1


WAYS = (
    Way("all a token", ReadOptions(), everything),
    Way("nobody streams", ReadOptions()),
    Way("streamed", ReadOptions(live=True)),
    Way("confidence", ReadOptions(confidence=True)),
    Way("streamed, confidence", ReadOptions(live=True, confidence=True)),
)


async def measure(way: Way, tokenizer: Any, answers: Sequence[Sequence[int]]) -> dict[str, float]:
    """Microseconds a token: `decode`, `process` (vLLM's) and `read` (ours)."""
    from vllm.v1.engine import EngineCoreOutputs
    from vllm.v1.metrics.stats import IterationStats
    from vllm.v1.serial_utils import MsgpackDecoder, MsgpackEncoder

    llm = AsyncLlm(tokenizer)
    engine = Engine(llm, way.change)
    readers = [asyncio.create_task(drained(engine, way.options)) for _ in answers]
    for _ in range(5):  # until each has sent its request
        await asyncio.sleep(0)
    states = list(llm.processor.request_states.values())
    assert len(states) == len(answers)
    logprobs = states[0].logprobs_processor.num_logprobs is not None
    encoder, decoder = MsgpackEncoder(), MsgpackDecoder(EngineCoreOutputs)
    spent = {"decode": 0.0, "process": 0.0, "read": 0.0}
    for outputs in steps(answers, [state.request_id for state in states], logprobs):
        frames = [bytes(frame) for frame in encoder.encode(outputs)]
        begun = time.thread_time()
        decoded = decoder.decode(frames)
        processed = time.thread_time()
        llm.processor.process_outputs(decoded.outputs, decoded.timestamp, IterationStats())
        read = time.thread_time()
        for _ in range(3):
            await asyncio.sleep(0)
        ended = time.thread_time()
        spent["decode"] += processed - begun
        spent["process"] += read - processed
        spent["read"] += ended - read
    begun = time.thread_time()
    await asyncio.gather(*readers)
    spent["read"] += time.thread_time() - begun
    tokens = sum(len(answer) for answer in answers)
    return {part: seconds / tokens * 1e6 for part, seconds in spent.items()}


async def drained(engine: VllmEngine, options: ReadOptions) -> None:
    async with aclosing(engine.read([Image.new("RGB", (800, 1000))], options)) as events:
        async for _ in events:
            pass


def steps(answers: Sequence[Sequence[int]], names: Sequence[str], logprobs: bool) -> Iterator[Any]:
    """What EngineCore sends after each step, the next token of every answer in it."""
    from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, FinishReason
    from vllm.v1.outputs import LogprobsLists

    last = len(answers[0]) - 1
    for place, tokens in enumerate(zip(*answers, strict=True)):
        rows = LogprobsLists(
            np.array(tokens, np.int32)[:, None],
            np.full((len(tokens), 1), -0.01, np.float32),
            np.ones(len(tokens), np.int32),
        )
        yield EngineCoreOutputs(
            outputs=[
                EngineCoreOutput(
                    name,
                    [token],
                    new_logprobs=rows.slice_request(row, 1) if logprobs else None,
                    finish_reason=FinishReason.LENGTH if place == last else None,
                )
                for row, (name, token) in enumerate(zip(names, tokens, strict=True))
            ],
            timestamp=time.monotonic(),
        )


def answers_of(tokenizer: Any, pages: int, tokens: int) -> list[list[int]]:
    """Texts of blocks, no two alike, each of so many tokens."""
    numbers = random.Random(0)
    texts = (
        "".join(
            PAGE.format(top=top, bottom=top + 20, number=numbers.randrange(10**6))
            for top in range(0, 20 * (tokens // 40 + 1), 20)
        )
        for _ in range(pages)
    )
    found = [tokenizer(text, add_special_tokens=False).input_ids[:tokens] for text in texts]
    assert {len(ids) for ids in found} == {tokens}
    return found


def main() -> None:
    from transformers import AutoTokenizer

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint.make(Path(folder), weights=False))
    answers = answers_of(tokenizer, given.pages, given.tokens)
    found: dict[str, list[dict[str, float]]] = {way.name: [] for way in WAYS}
    for _ in range(given.rounds):
        for way in WAYS:
            found[way.name].append(asyncio.run(measure(way, tokenizer, answers)))
    for name, rounds in found.items():
        least = min(rounds, key=lambda parts: sum(parts.values()))
        total = sum(least.values())
        parts = ", ".join(f"{part} {micros:.1f}" for part, micros in least.items())
        print(f"{name:22} {total:5.1f} µs a token ({parts}): {1e6 / total:,.0f} tokens/s")


if __name__ == "__main__":
    os.environ |= {"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    main()
