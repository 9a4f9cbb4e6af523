"""The adapters of the n-gram rule, on vLLM's and transformers' real base classes and loaders."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("vllm", reason="needs the environment of `make test-vllm`")

import numpy as np
import torch
from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.model_executor.models.deepseek_ocr import NoRepeatNGramLogitsProcessor as Upstream
from vllm.v1.sample.logits_processor import (
    BatchUpdate,
    MoveDirectionality,
    cached_load_custom_logitsprocs,
    validate_logits_processors_parameters,
)
from vllm.v1.worker.gpu.sample.logits_processor import (
    LogitsContext,
    LogitsProcRequestState,
    build_custom_logits_processors,
    build_custom_logits_processors_params_validator,
)

from airgap.engines.transformers.ngram import NoRepeatNgram as TransformersNgram
from airgap.engines.vllm.ngram import NoRepeatNgramV1, NoRepeatNgramV2
from deepseek_ocr import NgramRule
from process.ngram_norepeat import banned_tokens

NAME = "airgap.engines.vllm.ngram:NoRepeatNgram"
CASES = json.loads((Path(__file__).parent.parent / "data" / "reference" / "ngram.json").read_text())
VOCABULARY = 50
PROMPT = [3, 1, 3, 1, 3]
CONFIG: Any = SimpleNamespace(speculative_config=None)


def params(case: dict[str, Any] | None) -> SamplingParams:
    if case is None:
        return SamplingParams()
    extra = {name: case[name] for name in ("ngram_size", "window_size")}
    return SamplingParams(extra_args=extra | {"whitelist_token_ids": case["whitelist"]})


def forbidden(logits: torch.Tensor) -> list[set[int]]:
    return [set(torch.nonzero(row == -torch.inf).flatten().tolist()) for row in logits]


def v1_processor() -> NoRepeatNgramV1:
    (loaded,) = cached_load_custom_logitsprocs((NAME,))
    processor = loaded(CONFIG, torch.device("cpu"), False)
    assert isinstance(processor, NoRepeatNgramV1)
    return processor


class States:
    """The buffers of the V2 runner's requests, on the CPU."""

    def __init__(self, slots: int, length: int) -> None:
        self.device = torch.device("cpu")
        self.max_num_reqs = slots
        self.vocab_size = VOCABULARY
        self.all_token_ids = SimpleNamespace(gpu=torch.zeros(slots, length, dtype=torch.int32))
        counts = (SimpleNamespace(gpu=torch.zeros(slots, dtype=torch.int32)) for _ in range(3))
        self.prompt_len, self.prefill_len, self.total_len = counts

    def put(self, slot: int, output: list[int]) -> None:
        tokens = PROMPT + output
        self.all_token_ids.gpu[slot, : len(tokens)] = torch.tensor(tokens, dtype=torch.int32)
        self.prompt_len.gpu[slot] = self.prefill_len.gpu[slot] = len(PROMPT)
        self.total_len.gpu[slot] = len(tokens)


def v2_processor(states: States) -> NoRepeatNgramV2:
    (processor,) = build_custom_logits_processors(CONFIG, states, False, [NAME])
    assert isinstance(processor, NoRepeatNgramV2)
    assert isinstance(processor._states, LogitsProcRequestState)
    return processor


def context(slots: list[int]) -> LogitsContext:
    rows = torch.tensor(slots, dtype=torch.int32)
    nothing = torch.zeros(len(slots), dtype=torch.int32)
    return LogitsContext(rows, rows, np.array(slots), nothing, nothing, nothing, np.array(slots))


# --- V1 ----------------------------------------------------------------------------------------------


def test_v1_agrees_with_the_authors_in_one_batch() -> None:
    processor = v1_processor()
    added = [(i, params(case), PROMPT, case["output_ids"]) for i, case in enumerate(CASES)]
    processor.update_state(BatchUpdate(len(CASES), removed=[], added=added, moved=[]))
    logits = processor.apply(torch.zeros(len(CASES), VOCABULARY))
    assert forbidden(logits) == [set(case["banned"]) for case in CASES]
    assert not processor.is_argmax_invariant()


def test_v1_follows_growing_outputs_that_move_in_the_batch() -> None:
    processor, output, other = v1_processor(), [1, 2, 3], [5, 5, 5]
    case = {"ngram_size": 3, "window_size": 20, "whitelist": []}
    added = [(0, params(case), PROMPT, output), (1, params(None), PROMPT, other)]
    processor.update_state(BatchUpdate(2, removed=[], added=added, moved=[]))
    for token in [1, 2, 3, 1, 2]:
        output.append(token)
        expected = [banned_tokens(output, 3, 20), set()]
        assert forbidden(processor.apply(torch.zeros(2, VOCABULARY))) == expected
    processor.update_state(BatchUpdate(2, [], [], [(0, 1, MoveDirectionality.SWAP)]))
    assert forbidden(processor.apply(torch.zeros(2, VOCABULARY))) == [set(), {3}]
    processor.update_state(BatchUpdate(1, [1], [], []))
    assert forbidden(processor.apply(torch.zeros(2, VOCABULARY))) == [set(), set()]


def test_v1_forbids_nothing_while_the_last_token_is_unknown() -> None:
    processor, output = v1_processor(), [1, 2, 1, -1]
    case = {"ngram_size": 2, "window_size": 20, "whitelist": []}
    processor.update_state(BatchUpdate(1, [], [(0, params(case), PROMPT, output)], []))
    assert forbidden(processor.apply(torch.zeros(1, VOCABULARY))) == [set()]
    output[-1] = 2
    assert forbidden(processor.apply(torch.zeros(1, VOCABULARY))) == [{1}]


# --- V2 ----------------------------------------------------------------------------------------------


def test_v2_agrees_with_the_authors_in_one_batch() -> None:
    states = States(len(CASES) + 1, 256)
    processor = v2_processor(states)
    for slot, case in enumerate(CASES):
        states.put(slot, case["output_ids"])
        assert processor.add_request(slot, params(case))
    processor.apply_staged_writes()
    order = list(range(len(CASES)))
    random.Random(1).shuffle(order)
    logits = processor.apply(torch.ones(len(CASES), VOCABULARY), context(order))
    assert forbidden(logits) == [set(CASES[slot]["banned"]) for slot in order]
    assert set(logits.unique().tolist()) == {1.0, -torch.inf}


def test_v2_agrees_with_the_rule_on_random_outputs_of_all_lengths() -> None:
    rng = random.Random(2)
    states = States(40, 128)
    processor = v2_processor(states)
    for _ in range(30):
        cases: list[tuple[Any, ...]] = []
        for slot in range(40):
            sizes = {"ngram_size": rng.randint(1, 6), "window_size": rng.randint(1, 40)}
            case = sizes | {"whitelist": rng.sample(range(4), rng.randint(0, 2))}
            output = [rng.randrange(rng.choice([1, 2, 4])) for _ in range(rng.randint(0, 100))]
            states.put(slot, output)
            processor.add_request(slot, params(case))
            cases.append((output, *case.values()))
        processor.apply_staged_writes()
        slots = rng.sample(range(40), rng.randint(1, 40))
        logits = processor.apply(torch.zeros(len(slots), VOCABULARY), context(slots))
        assert forbidden(logits) == [banned_tokens(*cases[slot]) for slot in slots]


def test_v2_forgets_the_rule_of_a_slots_last_request() -> None:
    states = States(2, 64)
    processor = v2_processor(states)
    states.put(0, [1, 2, 1, 2, 1])
    states.put(1, [1, 2, 1, 2, 1])
    case = {"ngram_size": 2, "window_size": 20, "whitelist": []}
    assert processor.add_request(0, params(case))
    assert not processor.add_request(1, params(None))
    processor.apply_staged_writes()
    assert forbidden(processor.apply(torch.zeros(2, VOCABULARY), context([1, 0]))) == [set(), {2}]
    assert not processor.add_request(0, params(None))
    assert processor.add_request(1, params(case | {"whitelist": [2]}))
    processor.apply_staged_writes()
    assert forbidden(processor.apply(torch.zeros(2, VOCABULARY), context([0, 1]))) == [set(), set()]


def test_v2_refuses_speculative_decoding() -> None:
    config: Any = SimpleNamespace(speculative_config=object())
    with pytest.raises(ValueError, match="speculative"):
        build_custom_logits_processors(config, States(1, 8), False, [NAME])


# --- both, and transformers --------------------------------------------------------------------------


def test_both_runners_refuse_a_rule_out_of_bounds_at_admission() -> None:
    good, bad = params(CASES[0]), SamplingParams(extra_args={"ngram_size": -1})
    validate = build_custom_logits_processors_params_validator([NAME])
    validate(good)
    validate_logits_processors_parameters([NAME], good)
    with pytest.raises(VLLMValidationError, match="ngram_size"):
        validate(bad)
    with pytest.raises(VLLMValidationError, match="ngram_size"):
        validate_logits_processors_parameters([NAME], bad)


def test_upstreams_own_processor_gives_the_same() -> None:
    for case in CASES:
        upstream = Upstream(case["ngram_size"], case["window_size"], set(case["whitelist"]))
        logits = upstream(case["output_ids"], torch.zeros(VOCABULARY))
        assert forbidden(logits[None]) == [set(case["banned"])]


def test_transformers_agrees_with_the_authors_step_by_step() -> None:
    for case in CASES[:40]:
        sizes, whitelist = (case["ngram_size"], case["window_size"]), frozenset(case["whitelist"])
        processor = TransformersNgram(NgramRule(*sizes, whitelist), len(PROMPT))
        output = case["output_ids"]
        twin = output[::-1]
        for length in range(len(output) + 1):
            ids = torch.tensor([PROMPT + output[:length], PROMPT + twin[:length]])
            scores = torch.zeros(2, VOCABULARY)
            expected = [banned_tokens(ids[:length], *sizes, whitelist) for ids in (output, twin)]
            assert forbidden(processor(ids, scores)) == expected
            assert not scores.any()
