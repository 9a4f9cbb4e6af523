"""Logins, API keys, the database behind them and the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from airgap.settings.section import CommaSeparated, Section

_SQLITE = ("sqlite:", "sqlite+aiosqlite:", "sqlite+pysqlite:")


class AccountSettings(Section):
    """Who is let in, and what is kept of it."""

    auth_enabled: bool = Field(False, description="Demand a login or an API key on every route that reads.")
    secret_key: SecretStr | None = Field(
        None, description="Signs logins and the audit log: 32 characters or more. Needed with AUTH_ENABLED."
    )
    algorithm: Literal["HS256", "HS384", "HS512"] = Field("HS256", description="How logins are signed.")
    access_token_expire_minutes: int = Field(60, ge=1, description="How long a login lasts.")
    registration: Literal["admin", "open"] = Field(
        "admin", description="Who may register accounts: administrators, or anybody who reaches the server."
    )
    bootstrap_user: str | None = Field(None, description="Administrator made at the start if missing.")
    bootstrap_pass: SecretStr | None = Field(None, description="The password of BOOTSTRAP_USER.")
    api_keys_file: Path | None = Field(
        None, description="Further API keys, one a line: `name sha256-of-the-key`, in hexadecimal."
    )
    key_requests_per_minute: int | None = Field(
        None, ge=1, description="Requests a minute of an API key that sets no rate of its own. Unset: any."
    )
    key_pages_per_day: int | None = Field(
        None, ge=1, description="Pages a day (UTC) of an API key that sets no quota of its own. Unset: any."
    )
    usage_days: int = Field(
        90,
        ge=0,
        le=3660,
        description="How long it is kept what was read for each account: counts alone. 0: not at all.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="`postgresql://user:password@host/name` for accounts and jobs, or `sqlite:///` and the "
        "path of a file for accounts, under DATA_DIR unless it begins with `/`. Unset: SQLite in DATA_DIR.",
    )
    audit_log: bool | None = Field(
        None, description="Keep the hash-chained audit log under DATA_DIR. Unset: where accounts are on."
    )

    password_login: bool = Field(
        True, description="Take names and passwords. Off: people sign in at OIDC_ISSUER alone."
    )
    oidc_issuer: str | None = Field(
        None,
        description="The site's issuer of logins (OpenID Connect), as it calls itself: "
        "`https://login.example.org/realms/site`. No other host is spoken to.",
    )
    oidc_client_id: str | None = Field(None, description="What the issuer calls this server.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="This server's secret at the issuer; none for a public client."
    )
    oidc_scopes: str = Field("openid profile", description="What is asked of the issuer.")
    oidc_username_claim: str = Field(
        "preferred_username", description="Which claim names the account that is made for a person."
    )
    oidc_groups_claim: str = Field("groups", description="Which claim lists a person's groups.")
    oidc_admin_groups: CommaSeparated = Field((), description="Who is in one of them is an administrator.")
    oidc_user_groups: CommaSeparated = Field(
        (), description="Who is in one of them may come in. None: all whom the issuer lets in."
    )
    oidc_create_users: bool = Field(True, description="Make an account at a person's first sign-in.")
    oidc_redirect_uri: str | None = Field(
        None,
        description="Where the issuer sends browsers back to, `https://HOST/api/auth/oidc/callback`. "
        "Unset: the host that the browser asked.",
    )
    oidc_ca_file: Path | None = Field(
        None, description="Certificates (PEM) that the issuer's own is checked against. Unset: certifi's."
    )

    @field_validator("oidc_issuer")
    @classmethod
    def _is_secure(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://unset")
        if not parts.hostname or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
            raise ValueError("is no address such as `https://login.example.org`")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("must be https: whoever is in between could let anybody in")
        return value

    @model_validator(mode="after")
    def _has_an_issuer(self) -> AccountSettings:
        if self.oidc_issuer and not (self.oidc_client_id and self.auth_enabled):
            raise ValueError("OIDC_ISSUER needs OIDC_CLIENT_ID, and AUTH_ENABLED=1")
        if self.auth_enabled and not (self.password_login or self.oidc_issuer):
            raise ValueError("PASSWORD_LOGIN=0 without OIDC_ISSUER lets nobody in")
        return self

    @field_validator("database_url")
    @classmethod
    def _names_a_file(cls, value: SecretStr | None) -> SecretStr | None:
        url = value.get_secret_value() if value else ""
        path = url.partition(":///")[2]
        if url.startswith(_SQLITE) and (not path or path.startswith(":memory:") or "?" in path):
            raise ValueError("a file is to be named, as in `sqlite:///accounts.sqlite`")
        return value

    @property
    def database_server(self) -> str | None:
        """DATABASE_URL where it is a server's; None for SQLite."""
        url = self.database_url.get_secret_value() if self.database_url else None
        return None if url is None or url.startswith(_SQLITE) else url

    @property
    def accounts_file_name(self) -> str | None:
        """The SQLite file of the accounts, as DATABASE_URL names it: under DATA_DIR where it is relative."""
        url = self.database_url.get_secret_value() if self.database_url else ""
        path = url.partition(":///")[2] if url.startswith(_SQLITE) else ""
        return path or None
