"""An answer that comes piece by piece: watched for loops, and made a `PageRead` at its end.

Shared by the engines that generate text. Knows the loop guard and log-probabilities; it must not know any
engine or model: how text becomes blocks is given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from airgap.core.document import PageStatus, Usage
from airgap.core.engine import PageRead
from airgap.engines.token_confidence import TokenTrace, with_confidence
from airgap.models.deepseek_grammar import Parsed
from process.loop_guard import LoopDetector, cut_loop

LOOP = "The engine began to repeat itself; the reading was stopped and the repetition cut out."

Parse = Callable[[str], Parsed]


@dataclass(slots=True)
class Answer:
    """What an engine has said about one page so far. `looped` means: stop it."""

    pieces: list[str] = field(default_factory=list)
    trace: TokenTrace = field(default_factory=TokenTrace)
    detector: LoopDetector = field(default_factory=LoopDetector)
    looped: bool = False

    def add(self, text: str, tokens: Sequence[tuple[str, float]] = ()) -> None:
        """Take in text with the `(text, log-probability)` of its tokens, where these are known."""
        self.pieces.append(text)
        if tokens:
            self.trace.add(text, tokens)
        self.looped = self.looped or self.detector.feed(text) is not None

    def finish(self) -> None:
        """Look for a loop once more at the end, where the last look may be some words back."""
        self.looped = self.looped or self.detector.check() is not None

    def page_read(
        self, parse: Parse, finish_reason: str, usage: Usage, warnings: tuple[str, ...] = ()
    ) -> PageRead:
        """The end of the page; with a loop cut out, and said so, where there was one."""
        raw = "".join(self.pieces)
        kept = raw
        status: PageStatus = "ok"
        if self.looped:
            kept, status, finish_reason = cut_loop(raw, certain=True), "degraded", "repetition"
            warnings = (*warnings, LOOP)
        parsed = parse(kept)
        known = bool(self.trace.logprobs)
        return PageRead(
            raw=raw,
            blocks=with_confidence(parsed.blocks, parsed.spans, self.trace) if known else parsed.blocks,
            finish_reason=finish_reason,
            usage=usage,
            confidence=self.trace.confidence(0, len(kept)) if known else None,
            warnings=(*warnings, *parsed.warnings),
            status=status,
        )
