"""Users and API keys in a database: SQLite in the data folder, or PostgreSQL.

It stores what it is given and checks no password and no right. Calls block: use threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from airgap.accounts.caller import Role
from airgap.accounts.migrations import STEPS
from airgap.accounts.page_counts import PageCounts
from airgap.accounts.usage import UsageEvents
from airgap.core.errors import ConfigurationError, Conflict
from airgap.db.migrations import upgrade
from airgap.db.opening import open_database, require_own_file

_metadata = MetaData()
_users = Table(
    "users",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("password_hash", String(200), nullable=False),
    Column("role", String(8), nullable=False),
    Column("active", Boolean, nullable=False, default=True),
    Column("token_version", Integer, nullable=False, default=0),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("subject", String(64), unique=True, index=True),
)
_keys = Table(
    "api_keys",
    _metadata,
    Column("id", String(16), primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("requests_per_minute", Integer),
    Column("pages_per_day", Integer),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
)


@dataclass(frozen=True, slots=True)
class User:
    """`token_version` goes up when all logins of the user are to end.

    `subject` says whose account it is at the site's issuer; None for one with a password of its own.
    """

    id: int
    name: str
    password_hash: str
    role: Role
    active: bool
    token_version: int
    created_at: datetime
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """`secret_sha256` is the hexadecimal SHA-256 of the secret half, which is kept nowhere."""

    id: str
    user_id: int
    name: str
    secret_sha256: str
    requests_per_minute: int | None
    pages_per_day: int | None
    created_at: datetime
    revoked_at: datetime | None


class Store:
    """The tables. Raises `ConfigurationError` when the database cannot be reached or made."""

    def __init__(self, url: str | None, data_dir: Path, file: Path | None = None) -> None:
        """`file` stands for `accounts.sqlite` in `data_dir` where there is no database server at `url`."""
        if file is not None:
            require_own_file(file)
        self._engine = open_database(url, file or data_dir / "accounts.sqlite")
        self.counts = PageCounts(self._engine)
        self.usage = UsageEvents(self._engine)
        try:
            upgrade(self._engine, "accounts", STEPS)
        except SQLAlchemyError as error:
            self._engine.dispose()
            raise ConfigurationError(
                f"The database of accounts cannot be used: {type(error).__name__}.",
                "Check DATABASE_URL and that the server may make tables, or unset it for SQLite.",
            ) from error

    def close(self) -> None:
        self._engine.dispose()

    def add_user(self, name: str, password_hash: str, role: Role, subject: str | None = None) -> User:
        """Raises `Conflict` when the name or the subject is taken. An empty hash is no password's."""
        row = {"name": name, "password_hash": password_hash, "role": role, "created_at": _now()}
        row["subject"] = subject
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(_users).values(row))
        except IntegrityError as error:
            raise Conflict("An account of this name cannot be made.") from error
        user = self.user_named(name)
        assert user is not None
        return user

    def user_named(self, name: str) -> User | None:
        return self._user(_users.c.name == name)

    def user(self, user_id: int) -> User | None:
        return self._user(_users.c.id == user_id)

    def user_of(self, subject: str) -> User | None:
        return self._user(_users.c.subject == subject)

    def set_role(self, user_id: int, role: Role) -> None:
        self._update_user(user_id, role=role)

    def users(self) -> list[User]:
        with self._engine.connect() as connection:
            return [_to_user(row) for row in connection.execute(select(_users).order_by(_users.c.id))]

    def count_users(self) -> int:
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(_users)).scalar_one()

    def set_password(self, user_id: int, password_hash: str) -> None:
        """Also ends all logins of the user."""
        self._update_user(user_id, password_hash=password_hash, token_version=_users.c.token_version + 1)

    def rehash(self, user_id: int, password_hash: str) -> None:
        """The same password under newer parameters; logins go on."""
        self._update_user(user_id, password_hash=password_hash)

    def deactivate(self, user_id: int) -> None:
        """The account stays, so that its name is never given to somebody else; its keys end with it, and
        what was read for it is forgotten."""
        self._update_user(user_id, active=False, token_version=_users.c.token_version + 1)
        self.usage.erase(self.callers_of(user_id))

    def callers_of(self, user_id: int) -> list[str]:
        """Under which names a user asks: their own, and those of their keys, revoked ones too."""
        return [f"user:{user_id}", *(f"key:{key.id}" for key in self.keys(user_id))]

    def add_key(self, key: ApiKey) -> None:
        values = {name: getattr(key, name) for name in ApiKey.__slots__}
        with self._engine.begin() as connection:
            connection.execute(insert(_keys).values(values))

    def key_with_user(self, key_id: str) -> tuple[ApiKey, User] | None:
        """A key that is not revoked, and its user, who may be inactive."""
        with self._engine.connect() as connection:
            query = select(_keys).where(_keys.c.id == key_id, _keys.c.revoked_at.is_(None))
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            user = connection.execute(select(_users).where(_users.c.id == row.user_id)).one()
            return ApiKey(*row), _to_user(user)

    def keys(self, user_id: int | None) -> list[ApiKey]:
        """One user's keys, or all, the newest last."""
        query = select(_keys).order_by(_keys.c.created_at)
        if user_id is not None:
            query = query.where(_keys.c.user_id == user_id)
        with self._engine.connect() as connection:
            return [ApiKey(*row) for row in connection.execute(query)]

    def revoke_key(self, key_id: str, user_id: int | None) -> bool:
        """Whether there was such a key, in use and of this user (any, for None)."""
        change = update(_keys).where(_keys.c.id == key_id, _keys.c.revoked_at.is_(None))
        if user_id is not None:
            change = change.where(_keys.c.user_id == user_id)
        with self._engine.begin() as connection:
            return connection.execute(change.values(revoked_at=_now())).rowcount == 1

    def _user(self, condition: Any) -> User | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(_users).where(condition)).one_or_none()
            return _to_user(row) if row else None

    def _update_user(self, user_id: int, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(_users).where(_users.c.id == user_id).values(**values))


def _to_user(row: Row[Any] | Sequence[Any]) -> User:
    return User(*row)


def _now() -> datetime:
    return datetime.now(UTC)
