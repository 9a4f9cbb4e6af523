"""What a running server holds, and how a route gets at it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Protocol

from fastapi import Depends, Request
from typing_extensions import TypedDict

from airgap.core.engine import Engine
from airgap.core.errors import EngineUnavailable
from airgap.http.room import Disk
from airgap.http.supervisor import Supervisor
from config import Settings
from process.memory import memory_bytes
from process.pages import Limits
from process.pipeline import Reader
from process.scratch import Scratch
from process.tasks import Tasks

log = logging.getLogger(__name__)


class Part(Protocol):
    """What lives as long as the server does."""

    async def prepare(self) -> None:
        """Called before anything is started; what it raises stops the start."""
        ...

    async def start(self) -> None:
        """Called once pages can be read, and again when it breaks. May go on as long as the server lives."""
        ...

    def trouble(self) -> str | None:
        """What keeps it from its work now."""
        ...

    async def close(self) -> None:
        """Called while pages can still be read."""
        ...


class ServiceStatus(TypedDict):
    """Whether pages can be read now, the reason, and how many requests are being answered."""

    available: bool
    reason: str
    engine: str
    model: str
    requests: int


class Service:
    """What a running server holds: its settings, its engine and how that engine is doing."""

    def __init__(self, settings: Settings, engine: Engine, reader: Reader, reason: str) -> None:
        self.settings = settings
        self.engine = engine
        self.reader = reader
        self.reason = reason
        self.features: dict[str, str | None] = {}  # name → None when on, else why not
        self.started = False
        self.failure: str | None = None
        self.tasks = Tasks(
            workers=settings.export_workers,
            seconds=settings.export_timeout_seconds,
            memory_mb=settings.export_memory_mb,
        )
        self.scratch = Scratch(settings.data_dir / "uploads")
        self.disk = Disk(settings.data_dir)
        self.parts: list[Part] = []
        self.when_started: list[Callable[[], None]] = []
        """Called once, before the first page can be read."""
        self.supervisor = Supervisor()

    async def prepare(self) -> None:
        """Before anything is started: temporary files go to the scratch folder, and parts look around.

        Raises OSError or `AirgapError` where the server could not do its work.
        """
        tempfile.tempdir = str(self.scratch.path)
        try:
            for part in self.parts:
                if hasattr(part, "prepare"):  # a site's own part may be older
                    await part.prepare()
        except BaseException:
            await self.close()
            raise

    def start_parts(self) -> None:
        """Once pages can be read."""
        self.supervisor.watch("disk", self.disk.run)
        for part in self.parts:
            self.supervisor.watch(type(part).__name__.lower(), part.start)

    async def close(self) -> None:
        """Close everything, also where one part of it fails."""
        second = self.reader.second
        closing: list[Callable[[], Awaitable[None] | None]] = [
            self.supervisor.close,
            *(part.close for part in self.parts),
            self.engine.close,
            *([second.close] if second else []),
            self.tasks.close,
            self.reader.work.close,
            self._close_scratch,
        ]
        for close in closing:
            try:
                done = close()
                if done is not None:
                    await done
            except Exception:
                log.exception("%s failed while the server closed", getattr(close, "__qualname__", close))

    def _close_scratch(self) -> None:
        tempfile.tempdir = None
        self.scratch.close()

    def ready(self) -> tuple[bool, str]:
        """Whether pages can be read now, and if not, why."""
        if self.failure:
            return False, self.failure
        if not self.started:
            return False, f"the engine {self.engine.name} is starting"
        ready, reason = self.engine.health()
        troubles = [*self.supervisor.troubles.values(), *self._parts_in_trouble()]
        return (False, "; ".join(troubles)) if ready and troubles else (ready, reason)

    def _parts_in_trouble(self) -> list[str]:
        return [trouble for part in self.parts if hasattr(part, "trouble") and (trouble := part.trouble())]

    @property
    def uploads(self) -> Path:
        """Where uploads lie while they are read."""
        return self.scratch.path

    @property
    def limits(self) -> Limits:
        settings = self.settings
        return Limits(
            max_image_pixels=settings.max_image_pixels,
            pdf_max_pages=settings.pdf_max_pages,
            pdf_over_max_pages=settings.pdf_over_max_pages,
            read_pdf=settings.enable_pdf_support,
            page_timeout_seconds=settings.pdf_page_timeout_seconds,
            page_memory_mb=settings.pdf_page_memory_mb,
            image_timeout_seconds=settings.image_timeout_seconds,
            image_memory_mb=settings.image_memory_mb,
            render_workers=settings.num_workers or _render_workers(settings),
        )

    def status(self) -> ServiceStatus:
        """The answer of the `/…/status` routes."""
        ready, why = self.ready()
        return {
            "available": ready,
            "reason": why,
            "engine": self.engine.name,
            "model": self.engine.model,
            "requests": self.reader.requests,
        }

    def require_ready(self) -> None:
        """Raise `EngineUnavailable` unless pages can be read now."""
        ready, why = self.ready()
        if not ready:
            raise EngineUnavailable(f"No page can be read now: {why}.", retry_after=5)


def _render_workers(settings: Settings) -> int:
    """A core each, but no more than fit into the memory if each takes all that it may."""
    most = max(settings.pdf_page_memory_mb, settings.image_memory_mb) << 20
    return max(1, min(settings.workers, memory_bytes() // most))


def get_service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def get_ready_service(service: Annotated[Service, Depends(get_service)]) -> Service:
    service.require_ready()
    return service


ServiceDep = Annotated[Service, Depends(get_service)]
ReadyService = Annotated[Service, Depends(get_ready_service)]
