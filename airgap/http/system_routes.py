"""What the server says about itself: `/`, health, readiness, information.

Probes answer from memory: they touch no engine, no disk and no queue.
"""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from typing_extensions import TypedDict

from airgap.core.document import MODES
from airgap.core.version import VERSION
from airgap.engines.table import ENGINES
from airgap.exporters import EXPORTERS
from airgap.http.service import ServiceDep
from deepseek_ocr import PROMPTS

router = APIRouter(tags=["system"])
_STARTED = time.time()


@router.get("/", summary="What this is, and what of it works", response_model=dict[str, Any])
async def root(request: Request, service: ServiceDep) -> dict[str, Any] | RedirectResponse:
    """People's browsers, which ask for HTML, are sent to the page where there is one."""
    wants_page = "text/html" in request.headers.get("accept", "")
    if wants_page and service.features.get("web", "not loaded") is None:
        return RedirectResponse("/ui/")
    ready, why = service.ready()
    return {
        "service": "Airgap OCR",
        "version": VERSION,
        "engine": service.engine.name,
        "engine_reason": service.reason,
        "model": service.engine.model,
        "ready": ready,
        "status": why,
        "features": {
            name: {"available": reason is None, "reason": reason} for name, reason in service.features.items()
        },
        "docs": "/docs",
    }


class Health(TypedDict):
    """Status in one word; `reason` says more."""

    status: Literal["healthy", "unavailable"]
    ready: bool
    reason: str
    engine: str
    uptime_seconds: float


class Readiness(TypedDict):
    """Whether pages can be read now, by which engine, and why it was taken."""

    ready: bool
    reason: str
    engine: str
    engine_reason: str
    model: str


@router.get("/health", summary="Status in one word, with the engine's name")
async def health(service: ServiceDep) -> Health:
    ready, why = service.ready()
    return {
        "status": "healthy" if ready else "unavailable",
        "ready": ready,
        "reason": why,
        "engine": service.engine.name,
        "uptime_seconds": round(time.time() - _STARTED, 1),
    }


@router.get("/healthz", summary="The process is alive")
async def healthz() -> dict[str, str]:
    return {"status": "alive"}


@router.get("/readyz", summary="Pages can be read now: 200, else 503 with the reason")
async def readyz(service: ServiceDep, response: Response) -> Readiness:
    ready, why = service.ready()
    response.status_code = 200 if ready else 503
    return {
        "ready": ready,
        "reason": why,
        "engine": service.engine.name,
        "engine_reason": service.reason,
        "model": service.engine.model,
    }


@router.get("/info", summary="Model, engine, device and limits")
async def info(service: ServiceDep) -> dict[str, Any]:
    engine, settings, capabilities = service.engine, service.settings, service.engine.capabilities
    return {
        "version": VERSION,
        "engine": {
            "name": engine.name,
            "model": engine.model,
            "device": engine.device,
            "max_concurrency": service.reader.max_concurrency,
            "supports_prompt": capabilities.supports_prompt,
            "supports_modes": capabilities.supports_modes,
            "max_images": capabilities.max_images,
            "text_only": capabilities.text_only,
            "languages": capabilities.languages,
        },
        "engines": sorted(ENGINES),
        "modes": list(MODES),
        "default_mode": settings.default_mode,
        "prompts": dict(PROMPTS),
        "outputs": sorted(EXPORTERS),
        "limits": {
            "max_upload_mb": settings.max_upload_mb,
            "max_image_pixels": settings.max_image_pixels,
            "pdf_max_pages": settings.pdf_max_pages,
            "max_new_tokens": settings.max_new_tokens,
            "page_timeout_seconds": settings.page_timeout_seconds,
            "max_queue": settings.max_queue,
        },
        "load": {"requests": service.reader.requests, "cores": len(os.sched_getaffinity(0))},
        "software": {"python": platform.python_version(), "fastapi": metadata.version("fastapi")},
    }
