"""What a running server holds, and how a route gets at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Protocol

from fastapi import Depends, Request
from typing_extensions import TypedDict

from airgap.core.engine import Engine
from airgap.core.errors import EngineUnavailable
from config import Settings
from process.pages import Limits
from process.pipeline import Reader
from process.scratch import Scratch
from process.tasks import Tasks


class Part(Protocol):
    """What lives as long as the server does."""

    async def start(self) -> None:
        """Called once pages can be read. May go on for as long as the server lives."""
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
        self.parts: list[Part] = []

    def ready(self) -> tuple[bool, str]:
        """Whether pages can be read now, and if not, why."""
        if self.failure:
            return False, self.failure
        if not self.started:
            return False, f"the engine {self.engine.name} is starting"
        health = getattr(self.engine, "health", None)
        return health() if health else (True, "ready")

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
            page_timeout_seconds=settings.pdf_page_timeout_seconds,
            page_memory_mb=settings.pdf_page_memory_mb,
            image_timeout_seconds=settings.image_timeout_seconds,
            image_memory_mb=settings.image_memory_mb,
            render_workers=settings.workers,
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


def get_service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def get_ready_service(service: Annotated[Service, Depends(get_service)]) -> Service:
    service.require_ready()
    return service


ServiceDep = Annotated[Service, Depends(get_service)]
ReadyService = Annotated[Service, Depends(get_ready_service)]
