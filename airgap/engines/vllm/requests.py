"""What vLLM is asked for one page, and what its outputs say. Imports vLLM only when asked."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from airgap.core.document import AnswerShape, ReadOptions, Usage
from deepseek_ocr import IMAGE, SKIP_SPECIAL_TOKENS, SPECIAL_TOKEN_IDS, ngram_rule

# The scheduler's own net under the text detector, for what becomes no text: a run of up to this many
# tokens, this often in a row. Set above all that the detector lets pass.
REPEATED_TOKENS = 16
REPEATED_TIMES = 256

# Tokens between two pieces of an answer: what a piece costs this process is spent per piece, not per token.
TOKENS_PER_PIECE = 16
TOKENS_PER_LIVE_PIECE = 4


def sampling_params(options: ReadOptions, max_new_tokens: int, whitelist: Collection[int]) -> Any:
    """vLLM's `SamplingParams`; `whitelist` are the tokens that the no-repeat rule lets pass."""
    from vllm import SamplingParams
    from vllm.sampling_params import RepetitionDetectionParams, RequestOutputKind

    return SamplingParams(
        temperature=options.temperature,
        max_tokens=min(options.max_tokens or max_new_tokens, max_new_tokens),
        skip_special_tokens=SKIP_SPECIAL_TOKENS,
        logprobs=0 if options.confidence else None,
        flat_logprobs=True,  # a handful of lists, where an object a token would keep the collector busy
        output_kind=RequestOutputKind.DELTA,
        stream_interval=TOKENS_PER_LIVE_PIECE if options.live else TOKENS_PER_PIECE,
        extra_args=None if options.shape else rule_arguments(options, whitelist),
        structured_outputs=structured(options.shape) if options.shape else None,
        repetition_detection=RepetitionDetectionParams(
            max_pattern_size=REPEATED_TOKENS, min_pattern_size=1, min_count=REPEATED_TIMES
        ),
    )


def rule_arguments(options: ReadOptions, whitelist: Collection[int]) -> dict[str, Any]:
    """The no-repeat rule. A shape has none: between them no token might be left to take."""
    rule = ngram_rule(options)
    return {
        "ngram_size": rule.ngram_size,
        "window_size": rule.window_size,
        "whitelist_token_ids": sorted(whitelist),
    }


def structured(shape: AnswerShape) -> Any:
    """vLLM's `StructuredOutputsParams`."""
    from vllm.sampling_params import StructuredOutputsParams

    value: Any = True if shape.kind == "json_object" else shape.text
    return StructuredOutputsParams(**{shape.kind: json.loads(value) if shape.kind == "choice" else value})


def tokens_of(completion: Any) -> list[tuple[str, float]]:
    """The `(text, log-probability)` of each new token; none where they were not asked for."""
    flat = completion.logprobs
    if flat is None:
        return []
    return [(flat.decoded_tokens[place] or "", flat.logprobs[place]) for place in flat.start_indices]


def usage_with(so_far: Usage, output: Any) -> Usage:
    """`so_far` and what this output adds to it."""
    completion_tokens = so_far.completion_tokens + len(output.outputs[0].token_ids)
    if so_far.prompt_tokens:
        return replace(so_far, completion_tokens=completion_tokens)
    prompt = output.prompt_token_ids or []
    return Usage(len(prompt), completion_tokens, prompt.count(SPECIAL_TOKEN_IDS[IMAGE]))
