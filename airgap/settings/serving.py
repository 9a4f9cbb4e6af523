"""Where the server listens, who may reach it, what it logs and counts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airgap.settings.section import CommaSeparated, Section


class ServingSettings(Section):
    """The server's door."""

    host: str | None = Field(
        None,
        description="Address to listen on. Unset: 127.0.0.1, this machine alone, until AUTH_ENABLED=1 or "
        "ALLOW_ANONYMOUS=1; then 0.0.0.0.",
    )
    allow_anonymous: bool = Field(
        False, description="Anybody who reaches the server may use it without a login, and that is meant."
    )
    publish_address: str | None = Field(
        None,
        description="Where docker-compose.yml publishes the gateway; the server inside reads it to know how "
        "open it is. An address other than 127.0.0.1 needs AUTH_ENABLED=1 or ALLOW_ANONYMOUS=1.",
    )
    trusted_hosts: CommaSeparated = Field(
        (),
        description="Names under which the server is reached (`ocr.example.org`, `*.example.org`; `*` is "
        "any). Unset: with accounts any; without them addresses, names without a dot, and those that end in "
        "`.local`, `.internal`, `.home.arpa` or `.localhost`.",
    )
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    trusted_proxies: CommaSeparated = Field(
        (),
        description="Gateways whose `X-Forwarded-For` is believed: addresses, networks or host names, "
        "comma-separated. Unset: nobody's, and all behind one gateway count as one client.",
    )
    cors_allow_origins: CommaSeparated = Field(
        (), description="Origins whose pages may call this server, comma-separated; `*` for any."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much to log.")
    log_format: Literal["text", "json"] = Field(
        "text", description="`json` writes one object per line, each with its request id."
    )
    metrics_enabled: bool = Field(True, description="Answer `/metrics` for Prometheus.")
    metrics_clients: CommaSeparated = Field(
        ("127.0.0.1", "::1"),
        description="Who may ask for `/metrics` without a login: addresses, networks or host names.",
    )
    metrics_login: bool = Field(
        False, description="With accounts on, `/metrics` demands a login or key of everybody."
    )
    page_drafts: bool = Field(
        True,
        description="The page keeps what was read and corrected in the browser until it is cleared or its "
        "user logs out. 0: it keeps nothing there, and a reload loses it.",
    )
