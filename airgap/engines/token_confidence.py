"""From the log-probability of each token to the confidence of each block.

A confidence is the geometric mean of the probabilities that the model gave the tokens of a text. This
module knows characters and numbers; it must not know any engine.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from airgap.core.document import Block


@dataclass(slots=True)
class TokenTrace:
    """Where each token's text ends in the answer so far, and how probable the token was."""

    ends: list[float] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    length: int = 0

    def add(self, text: str, tokens: Sequence[tuple[str, float]]) -> None:
        """Append a piece of the answer with the `(text, log-probability)` of its tokens.

        A character of several tokens comes out with its last one, so that the tokens' own texts need
        not add up to the piece; its characters are then shared out in proportion.
        """
        sizes = [len(token) for token, _ in tokens]
        total = sum(sizes)
        end = float(self.length)
        for size, (_, logprob) in zip(sizes, tokens, strict=True):
            end += size / total * len(text) if total else len(text) / len(sizes)
            # Shares of a piece may add up to a hair more than the piece.
            self.ends.append(min(end, self.length + len(text)))
            self.logprobs.append(logprob)
        self.length += len(text)

    def confidence(self, start: int = 0, end: int | None = None) -> float | None:
        """Of the characters from `start` to `end`; None where no token ends among them."""
        end = self.length if end is None else end
        first, last = bisect_right(self.ends, start), bisect_right(self.ends, end)
        inside = [logprob for logprob in self.logprobs[first:last] if math.isfinite(logprob)]
        return math.exp(min(0.0, sum(inside) / len(inside))) if inside else None


def with_confidence(
    blocks: Sequence[Block], spans: Sequence[tuple[int, int]], trace: TokenTrace
) -> tuple[Block, ...]:
    """The blocks with the confidence of their spans of text, `(start, end)` in the answer."""
    return tuple(
        replace(block, confidence=trace.confidence(start, end))
        for block, (start, end) in zip(blocks, spans, strict=True)
    )
