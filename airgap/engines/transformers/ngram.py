"""The no-repeat n-gram rule as a logits processor of transformers.

Importing this module imports transformers and torch; only an engine that has loaded them should.
"""

from __future__ import annotations

from typing import cast

import torch
from transformers import LogitsProcessor

from deepseek_ocr import NgramRule
from process.ngram_norepeat import NgramIndex


class NoRepeatNgram(LogitsProcessor):
    """For one call of `generate`: the rule over what follows the first `prompt_length` tokens."""

    def __init__(self, rule: NgramRule, prompt_length: int) -> None:
        self._rule = rule
        self._prompt_length = prompt_length
        self._rows: list[NgramIndex] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Forbid tokens in `scores` [batch, vocabulary] after `input_ids` [batch, length]; a new tensor."""
        outputs = input_ids[:, self._prompt_length :].tolist()
        while len(self._rows) < len(outputs):
            self._rows.append(NgramIndex(self._rule))
        scores = cast("torch.FloatTensor", scores.clone())
        for row, (index, output) in enumerate(zip(self._rows, outputs, strict=False)):
            index.follow(output)
            if banned := index.banned():
                scores[row, list(banned)] = -torch.inf
        return scores
