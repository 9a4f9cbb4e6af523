"""Settings from the environment, validated, frozen.

The settings themselves stand in `airgap/settings`, a section a module. Every setting has one name, in
capitals in the environment and in lower case there; a value that is unknown or malformed stops the start
with a message that names it. `docs/configuration.md` is made from them
(`python -m config > docs/configuration.md`) and a test holds the two together.

This module imports nothing heavy: no engine, no torch, no web framework.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from airgap.core.errors import ConfigurationError
from airgap.core.replaced_settings import adopted
from airgap.settings.accounts import AccountSettings
from airgap.settings.engines import BACKENDS, EngineSettings
from airgap.settings.files import FileSettings
from airgap.settings.jobs import JobSettings
from airgap.settings.serving import ServingSettings

__all__ = ["BACKENDS", "Settings", "load_settings", "require_data_dir", "to_markdown"]

SECTIONS = (ServingSettings, EngineSettings, FileSettings, JobSettings, AccountSettings)


class Settings(ServingSettings, EngineSettings, FileSettings, JobSettings, AccountSettings, BaseSettings):
    """All that a site can set. Empty variables count as unset."""

    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, extra="ignore", case_sensitive=False
    )

    @model_validator(mode="after")
    def _open_in_words(self) -> Settings:
        address = self.publish_address or "127.0.0.1"
        if address not in ("127.0.0.1", "::1", "localhost") and not (
            self.auth_enabled or self.allow_anonymous
        ):
            raise ValueError(
                f"PUBLISH_ADDRESS={address} opens the server to whoever reaches it: set AUTH_ENABLED=1 for "
                "accounts, or ALLOW_ANONYMOUS=1 where it is meant to be open"
            )
        return self

    @property
    def listen_address(self) -> str:
        """`host`, or this machine alone until somebody was asked for or let in."""
        return self.host or ("0.0.0.0" if self.auth_enabled or self.allow_anonymous else "127.0.0.1")

    @property
    def accounts_file(self) -> Path | None:
        """The SQLite file that DATABASE_URL names for the accounts."""
        return self.data_dir / self.accounts_file_name if self.accounts_file_name else None

    @property
    def reached_at(self) -> str:
        """The address that others come in by, as far as it is known."""
        return self.publish_address or self.listen_address


def load_settings(**overrides: Any) -> Settings:
    """Read the environment. Raises `ConfigurationError` naming every setting that is wrong."""
    try:
        return Settings(**{**adopted(os.environ), **overrides})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])).upper() or 'settings'}: {e['msg']} (got {e.get('input')!r})"
            if e["loc"]
            else e["msg"]
            for e in error.errors()
        )
        raise ConfigurationError(problems) from error


def require_data_dir(folder: Path) -> None:
    """Make DATA_DIR where it is missing. Raises `ConfigurationError` when nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        uid, gid = os.geteuid(), os.getegid()
        raise ConfigurationError(
            f"DATA_DIR {folder} cannot be written by user {uid}, group {gid}: {error.strerror}.",
            f"Give the folder or volume to that user (chown {uid}:{gid}), or name another in DATA_DIR.",
        ) from error


def to_markdown() -> str:
    """The text of docs/configuration.md."""
    rows = [
        "# Configuration",
        "",
        "Made from `airgap/settings` by `make docs`; do not edit. Every setting is an environment variable.",
        "",
        "| Variable | Default | Meaning |",
        "|---|---|---|",
    ]
    for name, field in _fields():
        default = field.default
        if isinstance(default, tuple):
            default = ",".join(default)
        shown = "" if default in (None, "") else f"`{int(default) if isinstance(default, bool) else default}`"
        rows.append(f"| `{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    """In the order of `SECTIONS`; pydantic's own begins with the last."""
    for section in SECTIONS:
        yield from section.model_fields.items()


if __name__ == "__main__":
    print(to_markdown(), end="")
