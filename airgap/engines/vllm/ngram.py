"""The no-repeat n-gram rule as a logits processor of vLLM 0.32, for both of its model runners.

Importing this module imports vLLM and torch: name it to vLLM, as
`logits_processors=["airgap.engines.vllm.ngram:NoRepeatNgram"]`, and import it nowhere else.

vLLM chooses a runner at start. The V1 runner wants subclasses of one base and keeps outputs in Python
lists; the V2 runner, which GPUs get, refuses those and wants subclasses of another, with outputs in
device memory. `NoRepeatNgram` passes for both and becomes the one that is asked for. A request carries
its rule in `SamplingParams.extra_args`; see `ngram_norepeat.rule_from_extra_args`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor
from vllm.v1.worker.gpu.sample.logits_processor import LogitsContext, LogitsProcRequestState
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as V2LogitsProcessor

from process.ngram_norepeat import MAX_WHITELIST, NgramIndex, rule_from_extra_args

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.sampling_params import SamplingParams


class _RequestRule:
    """One request's rule on the V1 runner: follows the output list that the runner keeps."""

    def __init__(self, index: NgramIndex) -> None:
        self._index = index

    def __call__(self, output_ids: list[int], logits: torch.Tensor) -> torch.Tensor:
        """Forbid tokens in `logits` [vocabulary], in place."""
        self._index.follow(output_ids)
        # Short of a token that is still being computed, what may follow it is not known.
        if len(self._index) == len(output_ids) and (banned := self._index.banned()):
            logits[list(banned)] = -torch.inf
        return logits


class NoRepeatNgramV1(AdapterLogitsProcessor):
    """For the V1 runner: an index per request, so that a step does not rescan the window."""

    @classmethod
    def validate_params(cls, params: SamplingParams) -> None:
        rule_from_extra_args(params.extra_args)

    def is_argmax_invariant(self) -> bool:
        return False

    def new_req_logits_processor(self, params: SamplingParams) -> _RequestRule | None:
        rule = rule_from_extra_args(params.extra_args)
        return _RequestRule(NgramIndex(rule)) if rule else None


class NoRepeatNgramV2(V2LogitsProcessor):
    """For the V2 runner: the rule as tensor operations over the whole batch, with no wait for the device.

    Outputs never leave device memory: reading them on the host would stall the runner's asynchronous
    steps. Rules sit in one row per request slot: n-gram size (0: no rule), window, whitelist (-1: none).
    """

    def __init__(self, vllm_config: VllmConfig, req_states: LogitsProcRequestState) -> None:
        if vllm_config.speculative_config is not None:
            raise ValueError("The no-repeat n-gram rule does not work with speculative decoding.")
        self._states = req_states
        self._rules = np.full((req_states.max_num_reqs, 2 + MAX_WHITELIST), -1, dtype=np.int64)
        self._rules[:, :2] = 0
        self._device_rules = torch.from_numpy(self._rules.copy()).to(req_states.device)
        self._changed = False

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        rule_from_extra_args(sampling_params.extra_args)

    def add_request(self, req_idx: int, sampling_params: SamplingParams) -> bool:
        rule = rule_from_extra_args(sampling_params.extra_args)
        applies = rule is not None and rule.ngram_size > 1
        if applies or self._rules[req_idx, 0]:
            self._changed = True
        self._rules[req_idx] = -1
        self._rules[req_idx, :2] = 0
        if rule is not None and applies:
            whitelist = sorted(rule.whitelist)
            self._rules[req_idx, :2] = rule.ngram_size, rule.window_size
            self._rules[req_idx, 2 : 2 + len(whitelist)] = whitelist
        return applies

    def apply_staged_writes(self) -> None:
        if self._changed:
            rules = torch.from_numpy(self._rules.copy())
            if self._states.device.type == "cuda":
                rules = rules.pin_memory()
            self._device_rules = rules.to(self._states.device, non_blocking=True)
            self._changed = False

    def apply(self, logits: torch.Tensor, ctx: LogitsContext) -> torch.Tensor:
        sizes = self._rules[ctx.idx_mapping_np, :2]
        sizes = sizes[sizes[:, 0] > 0]
        if not len(sizes):
            return logits
        slots = ctx.expanded_idx_mapping.long()
        prompt_len = self._states.prompt_len.gpu[slots].long()
        return forbid_repeats(
            logits,
            self._states.all_token_ids.gpu,
            slots,
            prompt_len,
            self._states.total_len.gpu[slots].long() - prompt_len,
            self._device_rules[slots],
            int(sizes[:, 0].max()),
            int(sizes[:, 1].max()),
        )


def forbid_repeats(
    logits: torch.Tensor,
    token_ids: torch.Tensor,
    slots: torch.Tensor,
    prompt_len: torch.Tensor,
    output_len: torch.Tensor,
    rules: torch.Tensor,
    max_ngram_size: int,
    max_window_size: int,
) -> torch.Tensor:
    """Set the forbidden tokens of every row of `logits` [rows, vocabulary] to -inf, in place.

    `token_ids` [slots, length] holds prompt and output; `slots`, `prompt_len` and `output_len` [rows]
    say where each row's output stands in it; `rules` [rows, 2 + whitelist] are n-gram size (0: none),
    window and whitelisted ids (-1: none). The maxima are upper bounds over the rows with a rule.
    """
    context = max_ngram_size - 1
    length = max_window_size + context
    offsets = torch.arange(-length, 0, device=logits.device)
    positions = output_len[:, None] + offsets  # in the output; negative before its start
    columns = (prompt_len[:, None] + positions).clamp(min=0)
    tokens = token_ids[slots[:, None], columns].long()

    # Row by row: does the `ngram_size - 1` tokens before each position equal the last ones of all?
    before = tokens.unfold(1, context, 1)[:, :-1]
    ngram_size, window = rules[:, :1], rules[:, 1:2]
    outside = torch.arange(-context, 0, device=logits.device) < 1 - ngram_size
    same = ((before == tokens[:, None, -context:]) | outside[:, None]).all(dim=-1)

    following = tokens[:, context:]
    starts = positions[:, context:] - (ngram_size - 1)
    within = (starts >= 0) & (starts >= output_len[:, None] - window) & (ngram_size > 0)
    allowed = (following[:, :, None] == rules[:, None, 2:]).any(dim=-1)
    limits = torch.where(same & within & ~allowed, -torch.inf, torch.inf).to(logits.dtype)
    # A minimum leaves what is not forbidden as it is, where an assignment would need to know how many.
    return logits.scatter_reduce_(1, following, limits, "amin")


class NoRepeatNgram(AdapterLogitsProcessor, V2LogitsProcessor):
    """The name to give vLLM: becomes `NoRepeatNgramV1` or `NoRepeatNgramV2` when a runner makes it."""

    def __new__(cls, vllm_config: VllmConfig, *args: Any) -> Any:
        """V1 passes the device and whether to pin memory, V2 its request states."""
        if len(args) == 1:
            return NoRepeatNgramV2(vllm_config, *args)
        return NoRepeatNgramV1(vllm_config, *args)

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        rule_from_extra_args(sampling_params.extra_args)
