"""Several pages at once through one decoder: continuous batching in one thread.

A page that comes is put through the model by itself (prefill) and then decoded together with all others,
one token each per step. A page that ends or is cancelled leaves its row at once, and the next waiting page
takes it. The keys and values of all rows lie in one block (`slot_cache`).

Knows torch and transformers' cache protocol; knows nothing about prompts, pictures, text or asyncio.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from airgap.core.errors import AirgapError, EngineFailed, EngineUnavailable, InvalidOption
from airgap.engines.transformers.slot_cache import SlotCache
from deepseek_ocr import NgramRule
from process.ngram_norepeat import NgramIndex

log = logging.getLogger(__name__)

Inputs = TypeVar("Inputs", contravariant=True)


@dataclass(frozen=True, slots=True)
class Prefilled:
    """A page after its prompt: `logits` [vocabulary], `cache` of batch 1, `position` of the next token."""

    logits: Tensor
    cache: Cache
    position: int


class Decoder(Protocol[Inputs]):
    """A model as the batch sees it. All of it runs in the batch's thread."""

    eos_ids: frozenset[int]

    def encode(self, pages: Sequence[Inputs]) -> Sequence[Any]:
        """The pictures of several pages together; one result for each page."""
        ...

    def prefill(self, page: Inputs, encoded: Any) -> Prefilled: ...

    def decode(self, tokens: Tensor, positions: Tensor, cache: Cache, mask: Tensor) -> Tensor:
        """Logits [rows, vocabulary] after `tokens` [rows, 1] at `positions` [rows, 1].

        `mask` [rows, keys] is true where a key belongs to the row.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sampling:
    max_tokens: int
    temperature: float = 0.0
    rule: NgramRule | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """`logprob` is the model's own, before the n-gram rule and the temperature."""

    id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Finished:
    """`reason` is `stop` or `length`."""

    reason: str


Event = Token | Finished | AirgapError


@dataclass(eq=False, slots=True)
class Job:
    """A page on its way. `emit` is called in the batch's thread; `cancel` may be from any."""

    inputs: Any
    prompt_tokens: int
    sampling: Sampling
    emit: Callable[[Event], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass(eq=False, slots=True)
class _Row:
    job: Job
    length: int  # keys in the cache
    position: int  # of the next token
    token: int = -1
    count: int = 0
    index: NgramIndex | None = field(default=None)


class Batch:
    """The thread, its rows and the pages that wait for one."""

    def __init__(
        self, decoder: Decoder[Any], *, max_rows: int, max_length: int, device: torch.device
    ) -> None:
        self._decoder = decoder
        self._max_rows = max_rows
        self._max_length = max_length
        self._device = device
        self._cache = SlotCache()
        self._rows: list[_Row] = []
        self._waiting: deque[Job] = deque()
        self._short_of_memory = False
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="transformers", daemon=True)
        self._thread.start()

    @property
    def widest(self) -> int:
        """Rows at this moment; for tests and metrics."""
        return len(self._rows)

    @property
    def alive(self) -> bool:
        """Whether pages can be submitted."""
        return not self._closing

    def submit(self, job: Job) -> None:
        """Queue a page. Its events come to `job.emit`; the last is `Finished` or an error."""
        with self._changed:
            if self._closing:
                raise EngineUnavailable("The engine is closing.")
            self._waiting.append(job)
            self._changed.notify()

    def close(self, seconds: float) -> None:
        """Stop after the step that runs; what is still being read ends in `EngineUnavailable`."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(seconds)

    # --- the thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                while self._wait():
                    self._leave([row for row in self._rows if row.job.cancelled])
                    self._admit()
                    if self._rows:
                        self._guarded_step()
        except Exception:
            log.exception("the decoding thread broke")
        finally:
            self._end()

    def _end(self) -> None:
        """Take no more pages, and tell those that are here."""
        with self._changed:
            self._closing = True
        for job in [*(row.job for row in self._rows), *self._waiting]:
            job.emit(EngineUnavailable("The engine was closed while it was reading this page."))
        self._rows.clear()
        self._waiting.clear()
        self._cache.drop()

    def _wait(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._rows or self._waiting)
            return not self._closing

    def _admit(self) -> None:
        """Take pages in while there are rows; their pictures go through the towers together."""
        jobs: list[Job] = []
        with self._changed:
            while self._waiting and len(self._rows) + len(jobs) < self._max_rows and self._may_grow():
                job = self._waiting.popleft()
                if not job.cancelled:
                    jobs.append(job)
        if not jobs:
            return
        try:
            encoded = self._decoder.encode([job.inputs for job in jobs])
        except Exception as error:
            self._refuse(jobs, error)
            return
        for job, features in zip(jobs, encoded, strict=True):
            try:
                self._enter(job, self._decoder.prefill(job.inputs, features))
            except Exception as error:
                self._refuse([job], error)

    def _may_grow(self) -> bool:
        return not (self._short_of_memory and self._rows)

    def _refuse(self, jobs: Sequence[Job], error: Exception) -> None:
        """Where memory ran out and rows will become free, wait for these; else the pages have failed."""
        if isinstance(error, torch.OutOfMemoryError) and (self._rows or len(jobs) > 1):
            log.warning("out of memory with %d pages under way: waiting for one to end", len(self._rows))
            self._short_of_memory = True
            if not self._rows:  # several at once were too many: one by one
                self._max_rows = max(1, len(jobs) // 2)
            with self._changed:
                self._waiting.extendleft(reversed(jobs))
            return
        for job in jobs:
            job.emit(_as_ours(error))

    def _enter(self, job: Job, page: Prefilled) -> None:
        row = _Row(job, job.prompt_tokens, page.position)
        rule = job.sampling.rule
        row.index = NgramIndex(rule) if rule is not None else None
        if job.prompt_tokens >= self._max_length:
            raise InvalidOption(
                f"The prompt takes {job.prompt_tokens} tokens of {self._max_length}.",
                "Shorten the prompt, or choose a mode with fewer tokens.",
            )
        self._cache.put(len(self._rows), page.cache, row.length)
        self._rows.append(row)
        self._take([row], page.logits[None])

    def _guarded_step(self) -> None:
        try:
            self._step()
        except Exception as error:
            log.exception("a step of %d pages broke", len(self._rows))
            rows, self._rows = self._rows, []
            self._cache.drop()
            for row in rows:
                row.job.emit(_as_ours(error))

    def _step(self) -> None:
        rows = list(self._rows)
        mask = self._cache.aim([row.length for row in rows], self._device)
        tokens = torch.tensor([[row.token] for row in rows], device=self._device)
        positions = torch.tensor([[row.position] for row in rows], device=self._device)
        logits = self._decoder.decode(tokens, positions, self._cache, mask)
        for row in rows:
            row.length += 1
            row.position += 1
        self._take(rows, logits)

    def _take(self, rows: Sequence[_Row], logits: Tensor) -> None:
        """Choose the next token of each row and say so; rows that have ended leave."""
        logits = logits.float()
        ids = _choose(_forbidden(rows, logits), [row.job.sampling.temperature for row in rows])
        logprobs = torch.log_softmax(logits, dim=-1).gather(1, ids[:, None])[:, 0]
        ended = []
        for row, token, logprob in zip(rows, ids.tolist(), logprobs.tolist(), strict=True):
            row.token = token
            row.count += 1
            if token in self._decoder.eos_ids:
                row.job.emit(Finished("stop"))
                ended.append(row)
                continue
            row.job.emit(Token(token, logprob))
            if row.index is not None:
                row.index.append(token)
            if row.count >= row.job.sampling.max_tokens or row.length + 1 >= self._max_length:
                row.job.emit(Finished("length"))
                ended.append(row)
        self._leave(ended)

    def _leave(self, rows: Sequence[_Row]) -> None:
        """Close the gaps with the last rows."""
        for row in rows:
            place, last = self._rows.index(row), len(self._rows) - 1
            if place != last:
                self._cache.move(last, place)
                self._rows[place] = self._rows[last]
            self._rows.pop()
        if rows:
            self._short_of_memory = False
            if not self._rows:
                self._cache.drop()


def _forbidden(rows: Sequence[_Row], logits: Tensor) -> Tensor:
    """The logits with what the n-gram rule forbids at minus infinity; a new tensor where it forbids."""
    banned = [(i, sorted(row.index.banned())) for i, row in enumerate(rows) if row.index is not None]
    if not any(ids for _, ids in banned):
        return logits
    logits = logits.clone()
    for i, ids in banned:
        logits[i, ids] = -torch.inf
    return logits


def _choose(logits: Tensor, temperatures: Sequence[float]) -> Tensor:
    best = logits.argmax(dim=-1)
    if not any(temperatures):
        return best
    warm = torch.tensor(temperatures, device=logits.device)
    scaled = logits / warm.clamp(min=1e-4)[:, None]
    drawn = torch.multinomial(torch.softmax(scaled, dim=-1), 1)[:, 0]
    return torch.where(warm > 0, drawn, best)


def _as_ours(error: Exception) -> AirgapError:
    if isinstance(error, AirgapError):
        return error
    if isinstance(error, torch.OutOfMemoryError):
        return EngineFailed("The page needs more memory than the device has.", "Send it in a smaller mode.")
    log.error("the engine broke", exc_info=error)
    return EngineFailed("The engine broke while it was reading this page.")
