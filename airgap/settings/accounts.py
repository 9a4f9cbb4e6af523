"""Logins, API keys, the database behind them and the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from airgap.settings.section import Section

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
    database_url: SecretStr | None = Field(
        None,
        description="`postgresql://user:password@host/name` for accounts and jobs, or `sqlite:///` and the "
        "path of a file for accounts, under DATA_DIR unless it begins with `/`. Unset: SQLite in DATA_DIR.",
    )
    audit_log: bool | None = Field(
        None, description="Keep the hash-chained audit log under DATA_DIR. Unset: where accounts are on."
    )

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
