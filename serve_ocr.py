"""The entrypoint: settings → engine → routes.

A site mounts and edits this file to make the service its own: add a router to `FEATURES`, a
middleware in `create_app`, another default in `load_settings(...)`. It holds no reading, no parsing
and no format; those are in the files it names.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import uvicorn
from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline

from airgap.accounts.caller import security
from airgap.core.errors import AirgapError
from airgap.core.replaced_settings import remarks
from airgap.core.version import VERSION
from airgap.engines.start_line import settings_of
from airgap.engines.table import EngineChoice, choose_engine, create_engine
from airgap.http import edge, system_routes
from airgap.http.features import Feature, Kinds, mount
from airgap.http.openness import may_see_metrics, warnings_of
from airgap.http.protocol import BoundedProtocol
from airgap.http.service import Service
from airgap.monitoring import logs, web
from config import Settings, load_settings, require_data_dir
from process.allocator import give_memory_back, hide_from_others, spare_what_stays
from process.defaults import Defaults
from process.pipeline import RENDER_AHEAD, Reader
from process.second_reader import SecondReader
from process.work import Work

log = logging.getLogger("airgap_ocr")

# What this server can do. A feature that fails to load is off, says why on `/`, and hurts no other.
FEATURES = {
    "image": Feature("ocr_routes", "image", ("/generate", "/generate_with_file", "/ocr")),
    "pdf": Feature("pdf_routes", "pdf", ("/pdf",), switch="enable_pdf_support"),
    "batch": Feature("batch_routes", "batch", ("/batch",)),
    "jobs": Feature(
        "airgap.jobs.routes", "job", ("/jobs",), kinds={"/jobs/{job_id}/cancel": ""}, switch="enable_jobs"
    ),
    "ndjson_by_other_names": Feature(
        "airgap.dialects.ndjson_names", "image", (), kinds={"/ocr/pdf": "pdf"}
    ),  # before `json`, which has a route of the same path
    "json": Feature("airgap.dialects.json_api", "image", ("/ocr/pdf",), kinds={"/ocr/pdf": "pdf"}),
    "ndjson": Feature(
        "airgap.dialects.ndjson",
        "image",
        ("/api/ocr",),
        kinds={"/api/ocr/pdf": "pdf", "/api/ocr/document": "pdf"},
    ),
    "external_loader": Feature("airgap.dialects.external_loader", "pdf", ("/process",)),
    "tika": Feature(
        "airgap.dialects.tika",
        "pdf",
        ("/tika", "/rmeta", "/meta", "/detect", "/version"),
        kinds={"/meta": "", "/detect": ""},
    ),
    "files": Feature("airgap.dialects.files_api", "", ("/v1/files",)),
    "mistral": Feature("airgap.dialects.mistral_ocr", "pdf", ("/v1/ocr",)),
    "azure": Feature(
        "airgap.dialects.azure",
        "job",
        ("/documentintelligence",),
        kinds={"/documentintelligence/documentModels/{model}/analyzeResults": ""},
        switch="enable_jobs",
    ),
    "docling": Feature(
        "airgap.dialects.docling",
        "pdf",
        ("/v1/convert", "/v1/status", "/v1/result", "/v1/chunk"),
        kinds={
            "/v1/convert/file/async": "job",
            "/v1/convert/source/async": "job",
            "/v1/chunk/hierarchical/file/async": "job",
            "/v1/chunk/hierarchical/source/async": "job",
            "/v1/chunk/hybrid": "",
        },
    ),
    "mineru": Feature("airgap.dialects.mineru", "pdf", ("/file_parse",)),
    "marker": Feature("airgap.dialects.marker", "pdf", ("/marker",)),
    "paddlex": Feature("airgap.dialects.paddlex", "pdf", ("/layout-parsing",)),
    "openai": Feature("airgap.dialects.openai_api", "chat", ("/v1",)),
    "extract": Feature("airgap.dialects.extract", "pdf", ("/extract",)),
    "export": Feature("airgap.http.export_routes", "", ("/export",)),
    "web": Feature("airgap.http.page_routes", "", ("/ui",)),
}


def create_app(settings: Settings | None = None) -> FastAPI:
    """The whole server. Raises `ConfigurationError` when the settings or the engine cannot be."""
    settings = settings or load_settings()
    service = create_service(settings)
    app = FastAPIOffline(
        title="Airgap OCR",
        version=VERSION,
        description="Images, PDFs and batches to Markdown, JSON, boxes and searchable PDF; fully offline.",
        lifespan=_lifespan,
        responses=edge.ERRORS,
    )
    app.state.service = service
    app.include_router(system_routes.router)
    kinds = mount(app, service, FEATURES, security(settings.auth_enabled))
    observers = _install_accounts(app, service, kinds)
    web.install(
        app,
        kinds,
        enabled=settings.metrics_enabled,
        digests=app.state.audit is not None,
        observers=observers,
        guards=[Depends(may_see_metrics)],
    )
    edge.install(app, settings)
    for warning in warnings_of(settings):
        log.warning("%s", warning)
    return app


def _install_accounts(app: FastAPI, service: Service, kinds: Kinds) -> tuple[web.Observer, ...]:
    """Accounts and the audit log, where the site wants them. What is off is not even imported."""
    settings = service.settings
    service.features["accounts"] = None if settings.auth_enabled else "AUTH_ENABLED=0"
    if not (settings.auth_enabled or settings.audit_log):
        app.state.audit = None
        return ()
    from airgap.accounts.install import install

    return install(app, settings, service.engine, kinds)


def create_service(settings: Settings) -> Service:
    """The engine of the settings' choice, not started yet, and the reader around it."""
    choice = choose_engine(settings)
    log.info("engine %s (%s)", choice.name, choice.reason)
    for remark in remarks(os.environ, choice.name.split(",")):
        log.warning("%s", remark)
    engine = create_engine(settings, choice)
    defaults = Defaults(settings.llm_prompt, settings.default_mode)
    places = settings.max_concurrency or engine.max_concurrency
    budget = settings.pixel_budget_megapixels
    reader = Reader(
        engine,
        defaults,
        max_concurrency=settings.max_concurrency,
        max_queue=settings.max_queue,
        page_timeout=settings.page_timeout_seconds,
        second=_second_reader(settings),
        work=Work(
            workers=settings.workers,
            pages=places + RENDER_AHEAD,
            pixels=budget * 1_000_000 if budget else None,
        ),
    )
    return Service(settings, engine, reader, choice.reason)


def _second_reader(settings: Settings) -> SecondReader:
    """The CPU engine, for requests with `crosscheck`."""
    choice = EngineChoice("rapidocr", "crosscheck")
    return SecondReader(lambda: create_engine(settings, choice), timeout=settings.page_timeout_seconds)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the engine while the probes already answer; close it at the end."""
    service: Service = app.state.service
    await service.prepare()
    loading = asyncio.create_task(_start_engine(service))
    try:
        yield
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        await service.close()


async def _start_engine(service: Service) -> None:
    """Start the engine; when it cannot, say so and end the server rather than serve nothing."""
    name = service.engine.name
    try:
        await service.engine.start()
    except Exception as error:
        remedy = error.remedy if isinstance(error, AirgapError) else AirgapError.default_remedy
        service.failure = f"the engine {name} did not start: {error}"
        log.critical("%s. %s", service.failure, remedy, exc_info=not isinstance(error, AirgapError))
        signal.raise_signal(signal.SIGTERM)
        return
    service.reader.engine_started()
    for settle in service.when_started:
        settle()
    service.started = True
    log.info("ready: engine %s, model %s, device %s", name, service.engine.model, service.engine.device)
    service.start_parts()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop. Returns the exit code: 1 when the engine did not start, 2 for settings."""
    give_memory_back()
    hide_from_others()
    try:
        settings = settings_of(arguments)
        logs.configure(settings.log_level, settings.log_format)
        require_data_dir(settings.data_dir)
        app = create_app(settings)
        app.state.service.when_started.append(spare_what_stays)
    except AirgapError as error:
        print(f"{error.code}: {error.message}\n  {error.remedy}", file=sys.stderr)
        return 2
    uvicorn.run(
        app,
        host=settings.listen_address,
        port=settings.port,
        http=BoundedProtocol,
        proxy_headers=False,  # TRUSTED_PROXIES says whose are believed
        log_level=settings.log_level,
        log_config=None,
        access_log=False,
    )
    return 1 if app.state.service.failure else 0


def __getattr__(name: str) -> FastAPI:
    """`uvicorn serve_ocr:app` works, while importing this module starts nothing."""
    if name == "app":
        globals()["app"] = create_app()
        return globals()["app"]  # type: ignore[no-any-return]
    raise AttributeError(name)


if __name__ == "__main__":
    sys.exit(main())
