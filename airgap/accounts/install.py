"""Putting accounts and the audit log around an application: the one function that the server calls."""

from __future__ import annotations

from fastapi import FastAPI

from airgap.accounts import usage_routes
from airgap.accounts.audit import FOLDER, AuditLog
from airgap.accounts.caller import security
from airgap.accounts.credentials import derived_key
from airgap.accounts.guard import Guard
from airgap.accounts.login_audit import LoginAudit
from airgap.accounts.routes import other_names, router
from airgap.accounts.service import Accounts
from airgap.core.engine import Engine, who_reads
from airgap.http.service import Service
from airgap.monitoring.trace import Trace
from airgap.monitoring.web import KindOf, Observer
from config import Settings


def install(app: FastAPI, settings: Settings, engine: Engine, kind_of: KindOf) -> tuple[Observer, ...]:
    """What the settings ask for. Returns who is to be told of finished requests.

    Raises `ConfigurationError`.
    """
    app.state.audit = audit = open_audit_log(settings)
    if settings.auth_enabled:
        app.state.accounts = accounts = Accounts(settings)
        app.state.login_audit = logins = LoginAudit(audit, accounts)
        service: Service = app.state.service
        service.parts.append(logins)
        for room in (router, other_names, usage_routes.router, usage_routes.other_names):
            app.include_router(room, dependencies=security(True))
        _install_sign_in(app, settings, accounts)
        metrics_open = frozenset[str]() if settings.metrics_login else frozenset({"/metrics", "/api/metrics"})
        app.add_middleware(Guard, accounts=accounts, kind_of=kind_of, open_paths=metrics_open)
    return (_observer(audit, engine),) if audit else ()


def _install_sign_in(app: FastAPI, settings: Settings, accounts: Accounts) -> None:
    """Signing in at the site's issuer, where there is one. What is off is not even imported."""
    features = app.state.service.features
    features["password_login"] = None if settings.password_login else "PASSWORD_LOGIN=0"
    features["sign_in"] = None if settings.oidc_issuer else "OIDC_ISSUER is not set"
    if settings.oidc_issuer:
        from airgap.accounts import sign_in, sign_in_routes

        app.state.sign_in = sign_in.SignIn(settings, accounts)
        app.include_router(sign_in_routes.router)


def open_audit_log(settings: Settings) -> AuditLog | None:
    """The log, or None where the site keeps none. Raises `ConfigurationError` for a short SECRET_KEY."""
    wanted = settings.auth_enabled if settings.audit_log is None else settings.audit_log
    return audit_log(settings) if wanted else None


def audit_log(settings: Settings) -> AuditLog:
    """The log as it is or would be."""
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    return AuditLog(settings.data_dir / FOLDER, derived_key(secret, "audit") if secret else None)


def _observer(audit: AuditLog, engine: Engine) -> Observer:
    """Notes every finished request that sent something to be read."""

    async def note(trace: Trace, status: int) -> None:
        await audit.note(
            "read",
            trace.caller,
            request_id=trace.request_id,
            kind=trace.kind,
            inputs=[{"sha256": entry.sha256, "bytes": entry.size} for entry in trace.inputs],
            **({"job": trace.job} if trace.job else {}),
            **who_reads(engine),
            pages=dict(trace.pages),
            outcome=status,
        )

    return note
