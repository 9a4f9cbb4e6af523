"""Several engines in order of preference, for a `BACKEND` with commas: the first that can read does.

A page that an engine fails on, or cannot take now, goes to the next; an engine that is well again gets the
next page. Nothing of that is silent: the page carries a warning and the name of the engine that read it,
`/readyz` says which engine reads and why, the log and a metric count it.

Knows the engine contract alone, no engine by name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from PIL.Image import Image

from airgap.core.document import ReadOptions
from airgap.core.engine import Capabilities, Delta, Engine, Events, PageRead, check_capabilities
from airgap.core.errors import AirgapError, BadRequest, EngineFailed, EngineUnavailable, InvalidOption
from airgap.engines.member import START_AGAIN_SECONDS, Member
from airgap.monitoring import metrics

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Member(Member):
    slots: asyncio.Semaphore = field(default_factory=asyncio.Semaphore)

    async def start(self) -> bool:
        """An engine may know only then how many pages it takes at once."""
        if await super().start():
            self.slots = asyncio.Semaphore(self.engine.max_concurrency)
        return self.started


class FallbackEngine:
    """Name, model, device and capabilities are those of the engine that would read a page now."""

    def __init__(
        self, engines: Sequence[Engine], *, start_again_seconds: float = START_AGAIN_SECONDS
    ) -> None:
        self._members = [_Member(engine, engine.name) for engine in engines]
        self._pause = start_again_seconds
        self._starting: list[asyncio.Task[None]] = []
        self._current = self._members[0]

    @property
    def current(self) -> Engine:
        """The engine that would read a page now; the first of the list when none could."""
        chosen = next((member for member in self._members if member.usable()[0]), self._members[0])
        if chosen is not self._current:
            why = "; ".join(self._problems())
            log.warning("engine %s reads now%s", chosen.engine.name, f" ({why})" if why else "")
            self._current = chosen
        return chosen.engine

    @property
    def name(self) -> str:
        return self.current.name

    @property
    def model(self) -> str:
        return self.current.model

    @property
    def device(self) -> str:
        return self.current.device

    @property
    def capabilities(self) -> Capabilities:
        return self.current.capabilities

    @property
    def model_digest(self) -> str | None:
        return self.current.model_digest

    @property
    def max_concurrency(self) -> int:
        """Of the widest: each engine is held to its own number here."""
        return max(member.engine.max_concurrency for member in self._members)

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the first engine that can be; the others go on being started beside the reading.

        Raises `EngineUnavailable`, with every engine's reason, where none can be started.
        """
        for place, member in enumerate(self._members):
            if await member.start():
                others = [other for other in self._members if not other.started]
                self._starting = [asyncio.create_task(other.keep_starting(self._pause)) for other in others]
                if place:
                    log.warning("engine %s reads: %s", member.engine.name, "; ".join(self._problems()))
                return
        raise EngineUnavailable(
            f"No engine of BACKEND could be started: {'; '.join(self._problems())}.",
            "Make one of them startable; the log has each one's remedy.",
        )

    async def close(self) -> None:
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        for member in self._members:
            await member.close()

    def _problems(self) -> list[str]:
        states = [(member.engine.name, *member.usable()) for member in self._members]
        return [f"{name}: {why}" for name, usable, why in states if not usable]

    def health(self) -> tuple[bool, str]:
        """Whether any engine can read now; which one does, and what is wrong with the others."""
        problems = self._problems()
        if len(problems) == len(self._members):
            return False, "; ".join(problems)
        if not problems:
            return True, f"ready: {self.name} reads"
        return True, f"ready: {self.name} reads, while {'; '.join(problems)}"

    # --- reading ---------------------------------------------------------------------------------

    async def read(self, images: Sequence[Image], options: ReadOptions) -> Events:
        """See `airgap.core.engine.Engine`. Raises what the last engine raised.

        An engine that fails after its first words cannot be replaced here, for those were handed out; the
        error then has `read_again` set, and a caller that handed nothing on may read the page again.
        """
        warnings: list[str] = []
        last: AirgapError = EngineUnavailable("No engine can read now.")
        passed = ""  # the engine that failed before
        for member, is_awaited in self._turns():
            name = member.engine.name
            if is_awaited:
                await member.settled()
            usable, why = member.usable()
            if not usable:
                warnings.append(f"The engine {name} is not available ({why}).")
                passed = passed or name
                continue
            try:
                check_capabilities(member.engine.capabilities, len(images), options)
                if passed:
                    metrics.fell_over(passed, name)
                    log.warning("a page goes from engine %s to %s: %s", passed, name, warnings[-1])
                async with aclosing(self._through(member, images, options, warnings)) as events:
                    async for event in events:
                        yield event
                return
            except (BadRequest, InvalidOption) as error:
                if not passed:
                    raise
                last = error
            except AirgapError as error:
                if getattr(error, "read_again", False):
                    raise
                last, passed = error, name
                warnings.append(f"The engine {name} could not read this page ({error.message}).")
        raise last

    def _turns(self) -> Iterator[tuple[_Member, bool]]:
        """The engines in order; then those that were starting, to be waited for where no other could read."""
        starting = []
        for member in self._members:
            if member.is_starting:
                starting.append(member)
            yield member, False
        for member in starting:
            yield member, True

    async def _through(
        self, member: _Member, images: Sequence[Image], options: ReadOptions, warnings: Sequence[str]
    ) -> AsyncGenerator[Delta | PageRead, None]:
        """One engine's events, its name on the end; `read_again` on an error after the first words."""
        engine, begun = member.engine, False
        try:
            async with member.slots, aclosing(engine.read(images, options)) as events:
                async for event in events:
                    if isinstance(event, PageRead):
                        note = (f"The engine {engine.name} read this page.",) if warnings else ()
                        yield replace(
                            event,
                            warnings=(*warnings, *note, *event.warnings),
                            engine=event.engine or engine.name,
                            model=event.model or engine.model,
                            capabilities=event.capabilities or engine.capabilities,
                        )
                    else:
                        begun = True
                        yield event
        except AirgapError as error:
            if begun:
                raise _again(error) from error
            raise
        except Exception as error:
            log.exception("the engine %s broke", engine.name)
            failure = EngineFailed(f"The engine {engine.name} broke; the server's log says how.")
            raise (_again(failure) if begun else failure) from error


def _again(error: AirgapError) -> AirgapError:
    error.read_again = True
    return error
