"""What a request that is silent gets. It knows neither pages nor engines."""

from __future__ import annotations

from dataclasses import dataclass, replace

from airgap.core.document import Mode, ReadOptions


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a request that is silent gets, and the bounds of one that is not."""

    prompt: str | None
    mode: Mode
    max_tokens: int

    def complete(self, options: ReadOptions) -> ReadOptions:
        """The options with nothing left open that is said here."""
        return replace(
            options,
            prompt=options.prompt or self.prompt,
            mode=options.mode or self.mode,
            max_tokens=options.max_tokens or self.max_tokens,
        )
