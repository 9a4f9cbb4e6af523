"""What a feature is, said once: its routes, what they read, whether it is there, and how it attaches.

The table of them is `FEATURES` in `serve_ocr.py`. Quotas and metrics ask `Kinds`, which is made from the
table, so that a route that stands in it is counted and admitted without saying so anywhere else.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from airgap.core.errors import FeatureDisabled
from airgap.http.service import Service

log = logging.getLogger(__name__)

_METHODS = ["GET", "POST", "PUT", "DELETE"]

Kind = Literal["image", "pdf", "batch", "chat", "job", ""]
"""What a request asks to have read; empty for nothing."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature that a server may have.

    `module` holds `router` and, where needed, `unavailable()`, which returns why the feature cannot be
    had, and `attach(app, service)`. `kind` is what its routes read, but for those under the paths in
    `kinds`; paths are as the routes spell them. `switch` names the setting that turns it off. Under
    `prefixes` a feature that is off answers `feature_disabled`.
    """

    module: str
    kind: Kind
    prefixes: tuple[str, ...]
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    switch: str | None = None

    def kind_of(self, route: str) -> Kind:
        """The kind of a route, by its path; the longest path in `kinds` that it lies under counts."""
        under = [path for path in self.kinds if route == path or route.startswith(f"{path}/")]
        return self.kinds[max(under, key=len)] if under else self.kind


class Kinds:
    """Which kind of reading a request asks for, by its method and path."""

    def __init__(self) -> None:
        self._routes: list[tuple[APIRoute, Kind]] = []

    def add(self, router: APIRouter, feature: Feature) -> None:
        """Take in a router's routes. Those that a GET reaches ask for nothing."""
        self._routes += [
            (route, feature.kind_of(route.path))
            for route in router.routes
            if isinstance(route, APIRoute) and "GET" not in route.methods
        ]

    def __call__(self, method: str, path: str) -> str:
        """The kind; empty where nothing is read, or the route is none of the table's."""
        for route, kind in self._routes:
            if method in route.methods and route.path_regex.match(path):
                return kind
        return ""


def mount(app: FastAPI, service: Service, features: Mapping[str, Feature], dependencies: list[Any]) -> Kinds:
    """Add every feature's routes and note in `service.features` which are off, and why.

    `dependencies` are put on each route. A feature that does not load is off and hurts no other.
    """
    kinds = Kinds()
    for name, feature in features.items():
        reason = _switched_off(feature, service)
        if reason is None:
            reason = _load(app, service, name, feature, dependencies, kinds)
        if reason is not None:
            app.include_router(_disabled(name, feature.prefixes, reason))
        service.features[name] = reason
    return kinds


def _switched_off(feature: Feature, service: Service) -> str | None:
    if feature.switch is None or getattr(service.settings, feature.switch):
        return None
    return f"{feature.switch.upper()}=0"


def _load(
    app: FastAPI, service: Service, name: str, feature: Feature, dependencies: list[Any], kinds: Kinds
) -> str | None:
    """Add a feature's routes. Returns None, or why they could not be added."""
    try:
        room = importlib.import_module(feature.module)
        reason: str | None = room.unavailable() if hasattr(room, "unavailable") else None
        if reason is not None:
            return reason
        if hasattr(room, "attach"):
            room.attach(app, service)
        app.include_router(room.router, dependencies=dependencies)
        kinds.add(room.router, feature)
    except Exception as error:
        log.exception("the feature %r is off", name)
        return f"{feature.module} does not load: {type(error).__name__}: {error}"
    return None


def _disabled(name: str, prefixes: tuple[str, ...], reason: str) -> APIRouter:
    """Routes that answer `feature_disabled` in the place of a feature that is off."""
    router = APIRouter()

    async def answer() -> None:
        raise FeatureDisabled(f"The feature {name!r} is off: {reason}.")

    for prefix in prefixes:
        for path in (prefix, f"{prefix}/{{rest:path}}"):
            router.add_api_route(
                path, answer, methods=["GET", "POST", "PUT", "DELETE"], include_in_schema=False
            )
    return router
