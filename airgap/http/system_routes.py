"""What the server says about itself: `/`, health, readiness, information.

Probes answer from memory: they touch no engine, no disk and no queue.
"""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from typing import Literal, NotRequired

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from typing_extensions import TypedDict

from airgap.core.document import MODES
from airgap.core.engine import Formulas
from airgap.core.languages import LANGUAGES
from airgap.core.opening import OPTIONS
from airgap.core.version import VERSION
from airgap.engines.table import ENGINES
from airgap.exporters import EXPORTERS, missing_library
from airgap.http.openness import warnings_of
from airgap.http.service import Service, ServiceDep
from deepseek_ocr import PROMPTS

router = APIRouter(tags=["system"])
_STARTED = time.time()
SECOND_ENGINE = "rapidocr"  # reads a page besides another engine


class Feature(TypedDict):
    """Whether a feature is on, and if not, why."""

    available: bool
    reason: str | None


class Root(TypedDict):
    """What this is, who reads, whether it can now, and what of it works."""

    service: str
    version: str
    engine: str
    engine_reason: str
    model: str
    ready: bool
    status: str
    features: dict[str, Feature]
    warnings: list[str]
    docs: str


@router.get("/", summary="What this is, and what of it works", response_model=Root)
async def root(request: Request, service: ServiceDep) -> Root | RedirectResponse:
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
        "warnings": warnings_of(service.settings),
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


@router.get("/api/docs", include_in_schema=False)
async def api_docs() -> RedirectResponse:
    """Where another server has its interactive documentation."""
    return RedirectResponse("/docs")


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
    if ready and service.disk.trouble:
        ready, why = False, service.disk.trouble
    response.status_code = 200 if ready else 503
    return {
        "ready": ready,
        "reason": why,
        "engine": service.engine.name,
        "engine_reason": service.reason,
        "model": service.engine.model,
    }


class EngineInfo(TypedDict):
    """What reads, and what can be asked of it; `languages` is null where it takes any.

    `shapes` are those that an answer can be held to, as by `response_format`. `formulas` says whether an
    equation is given as LaTeX or as a picture alone.
    """

    name: str
    model: str
    device: str
    max_concurrency: int
    supports_prompt: bool
    supports_modes: bool
    max_images: int
    text_only: bool
    languages: list[str] | None
    shapes: NotRequired[list[str]]
    formulas: NotRequired[Formulas]


class FormatInfo(TypedDict):
    """An output format. `available` is false where its library is not installed, as `reason` says.

    `needs_original`: it is made from the original file. `shows_figures`: with the original beside it, it
    holds the figures too.
    """

    name: str
    media_type: str
    suffix: str
    needs_original: bool
    shows_figures: bool
    available: bool
    reason: str | None


class ResolutionInfo(TypedDict):
    """Dots per inch that pages of a PDF are drawn at."""

    min: int
    max: int
    default: int


class PageInfo(TypedDict):
    """What the site lets the page do: `drafts`, keep results in the browser."""

    drafts: bool


class Info(TypedDict):
    """What this server is, can do and allows. `languages` are those that a hint may name.

    `expected_languages` are those that the site names in LANGUAGES.
    """

    version: str
    engine: EngineInfo
    engines: list[str]
    modes: list[str]
    default_mode: str
    prompts: dict[str, str]
    outputs: list[str]
    formats: list[FormatInfo]
    languages: list[str]
    expected_languages: list[str]
    dpi: ResolutionInfo
    crosscheck: bool
    page: PageInfo
    limits: dict[str, int | float]
    load: dict[str, int]
    software: dict[str, str]


def _resolution() -> ResolutionInfo:
    dpi = OPTIONS["dpi"]
    return {"min": dpi.least or 1, "max": dpi.most or dpi.default, "default": dpi.default}


@router.get("/info", summary="Model, engine, device, formats, languages and limits")
async def info(service: ServiceDep) -> Info:
    engine, settings = service.engine, service.settings
    return {
        "version": VERSION,
        "engine": _engine_info(service),
        "engines": sorted(ENGINES),
        "modes": list(MODES),
        "default_mode": settings.default_mode,
        "prompts": dict(PROMPTS),
        "outputs": sorted(EXPORTERS),
        "formats": [_format_info(name) for name in EXPORTERS],
        "languages": sorted(engine.capabilities.languages or LANGUAGES),
        "expected_languages": list(settings.languages),
        "dpi": _resolution(),
        "crosscheck": engine.name != SECOND_ENGINE,
        "page": {"drafts": settings.page_drafts},
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


def _engine_info(service: Service) -> EngineInfo:
    engine, capabilities = service.engine, service.engine.capabilities
    return {
        "name": engine.name,
        "model": engine.model,
        "device": engine.device,
        "max_concurrency": service.reader.max_concurrency,
        "supports_prompt": capabilities.supports_prompt,
        "supports_modes": capabilities.supports_modes,
        "max_images": capabilities.max_images,
        "text_only": capabilities.text_only,
        "languages": list(capabilities.languages) if capabilities.languages is not None else None,
        "shapes": list(capabilities.shapes),
        "formulas": capabilities.formulas,
    }


def _format_info(name: str) -> FormatInfo:
    exporter, missing = EXPORTERS[name], missing_library(name)
    return {
        "name": name,
        "media_type": exporter.media_type,
        "suffix": exporter.suffix,
        "needs_original": exporter.needs_source,
        "shows_figures": exporter.shows_figures,
        "available": missing is None,
        "reason": f"{missing} is not installed" if missing else None,
    }
