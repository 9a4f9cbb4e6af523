"""A database that is away: gone, stopped, locked, or on a disk that cannot be written."""

from __future__ import annotations

import logging

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from airgap.core.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

AWAY = (OperationalError, InterfaceError, NoConnection)
"""What SQLAlchemy raises then. Each call has its own connection, so that the next one may find it back."""

RETRY_SECONDS = 5

_FULL = ("SQLITE_FULL", "SQLITE_READONLY")


def away(error: Exception) -> DatabaseUnavailable:
    """What a request is told; the log says what the database said, without the statement."""
    log.error("the database is away: %s", said_by(error))
    return DatabaseUnavailable("The server's database does not answer.", retry_after=RETRY_SECONDS)


def said_by(error: Exception) -> str:
    """What the database said, in a line."""
    return (str(getattr(error, "orig", error)).splitlines() or [""])[0][:300]


def is_full(error: BaseException) -> bool:
    """Whether the database says that its disk takes nothing more: it is full, or has become read-only."""
    return str(getattr(getattr(error, "orig", None), "sqlite_errorname", "")).startswith(_FULL)
