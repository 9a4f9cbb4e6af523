"""Watching requests: metrics, one log line each, and the `/metrics` page.

It sits around the routes and knows them by their paths alone. Others, such as the audit log, are told
of each finished request that read something.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from fastapi import APIRouter, FastAPI, Response
from fastapi.params import Depends
from prometheus_fastapi_instrumentator import Instrumentator
from prometheus_fastapi_instrumentator.metrics import Info
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airgap.monitoring import metrics, trace

log = logging.getLogger("airgap_ocr.request")
router = APIRouter(tags=["system"])

Observer = Callable[[trace.Trace, int], Awaitable[None]]
"""Told of a request that read something, with the status of its answer."""

KindOf = Callable[[str, str], str]
"""Which kind of reading a method and a path ask for; empty for none."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE = "none"
"""What stands for every path that is no route's: a path is the client's own words."""

PROBES = frozenset({"/healthz", "/readyz", "/health", "/metrics", "/api/metrics"})
"""Asked every few seconds, and so not worth a line in the log."""


def install(
    app: FastAPI,
    kind_of: KindOf,
    *,
    enabled: bool,
    digests: bool,
    observers: tuple[Observer, ...] = (),
    guards: Sequence[Depends] = (),
) -> None:
    """Watch an application. `digests` asks for the SHA-256 of every file that is sent; `guards` stand
    before `/metrics`.
    """
    app.add_middleware(Watch, kind_of=kind_of, digests=digests, observers=observers)
    if enabled:
        Instrumentator(should_group_status_codes=False).add(_count).instrument(app)
        app.include_router(router, dependencies=guards)


def _count(info: Info) -> None:
    method = info.method if info.method in METHODS else "other"
    handler = str(getattr(info.request.scope.get("route"), "path", NO_ROUTE))
    metrics.HTTP_REQUESTS.labels(method, handler, handler, info.modified_status).inc()
    metrics.HTTP_SECONDS.labels(method, handler, handler).observe(info.modified_duration)


@router.get("/api/metrics", include_in_schema=False, response_class=Response)
@router.get(
    "/metrics",
    summary="Counters and timings for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def show_metrics() -> Response:
    return Response(await asyncio.to_thread(metrics.exposition), media_type=metrics.CONTENT_TYPE)


class Watch:
    """Give each request its trace, time it, and tell the observers how it ended."""

    def __init__(self, app: ASGIApp, kind_of: KindOf, digests: bool, observers: tuple[Observer, ...]) -> None:
        self.app = app
        self.kind_of = kind_of
        self.digests = digests
        self.observers = observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        kind = self.kind_of(scope["method"], scope["path"])
        current = trace.Trace(str(scope.get("request_id", "")), kind, digests=self.digests)
        trace.begin(current)
        scope["trace"] = current
        status = 499  # until an answer starts: the client has gone
        told = False

        async def tell() -> None:
            nonlocal told
            if not told and current.inputs:
                told = True
                for observe in self.observers:
                    await observe(current, status)

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif not message.get("more_body", False):
                await tell()  # whoever has the whole answer may rely on its being noted
            await send(message)

        started = time.monotonic()
        counted: AbstractContextManager[None] = metrics.request(kind) if kind else nullcontext()
        try:
            with metrics.HTTP_IN_FLIGHT.track_inprogress(), counted:
                await self.app(scope, receive, watched_send)
        except Exception:
            status = 500
            raise
        finally:
            _log(scope, current, status, time.monotonic() - started)
            await tell()


def _log(scope: Scope, current: trace.Trace, status: int, seconds: float) -> None:
    fields = {
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "seconds": round(seconds, 4),
        "caller": current.caller,
        "input_bytes": sum(entry.size for entry in current.inputs),
        "pages": dict(current.pages),
    }
    level = logging.DEBUG if scope["path"] in PROBES else logging.INFO
    log.log(level, "%s %s %d", scope["method"], scope["path"], status, extra={"fields": fields})
