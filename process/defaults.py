"""What a request that is silent gets. It knows neither pages nor engines."""

from __future__ import annotations

from dataclasses import dataclass, replace

from airgap.core.document import Mode, ReadOptions


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a request that is silent gets.

    No bound of tokens: engines with tokens have theirs, and one without would end a full page early.
    """

    prompt: str | None
    mode: Mode

    def complete(self, options: ReadOptions) -> ReadOptions:
        """The options with nothing left open that is said here."""
        return replace(
            options,
            prompt=options.prompt or self.prompt,
            mode=options.mode or self.mode,
        )
