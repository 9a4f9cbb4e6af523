"""The tables, the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airgap.accounts.store import ApiKey, Store
from airgap.core.errors import ConfigurationError, Conflict


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("database") if request.param == "postgresql" else None


@pytest.fixture
def store(url: str | None, tmp_path: Path) -> Iterator[Store]:
    opened = Store(url, tmp_path)
    yield opened
    opened.close()


def key(user_id: int, name: str = "ci", key_id: str = "0123456789abcdef") -> ApiKey:
    return ApiKey(key_id, user_id, name, "f" * 64, 10, 20, datetime.now(UTC), None)


def test_users(store: Store) -> None:
    assert store.count_users() == 0
    user = store.add_user("alice", "hash", "admin")
    assert store.user_named("alice") == store.user(user.id) == user
    assert (user.role, user.active, user.token_version) == ("admin", True, 0)
    assert store.user_named("Alice") is None
    with pytest.raises(Conflict):
        store.add_user("alice", "other", "user")
    store.set_password(user.id, "new")
    changed = store.user(user.id)
    assert changed is not None
    assert (changed.password_hash, changed.token_version) == ("new", 1)
    store.deactivate(user.id)
    assert [(u.name, u.active) for u in store.users()] == [("alice", False)]


def test_keys(store: Store) -> None:
    alice, bob = store.add_user("alice", "h", "user"), store.add_user("bob", "h", "user")
    store.add_key(key(alice.id))
    found = store.key_with_user("0123456789abcdef")
    assert found is not None
    assert (found[0].name, found[0].pages_per_day, found[1].name) == ("ci", 20, "alice")
    assert store.key_with_user("f" * 16) is None
    assert [k.user_id for k in store.keys(None)] == [alice.id]
    assert store.keys(bob.id) == []
    assert not store.revoke_key("0123456789abcdef", bob.id)
    assert store.revoke_key("0123456789abcdef", alice.id)
    assert not store.revoke_key("0123456789abcdef", None)
    assert store.key_with_user("0123456789abcdef") is None
    assert store.keys(alice.id)[0].revoked_at is not None


def test_servers_that_start_together_make_one_schema(url: str | None, tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: Store(url, tmp_path), range(6)))
    stores[0].add_user("alice", "h", "user")
    assert all(store.count_users() == 1 for store in stores)
    for store in stores:
        store.close()


def test_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    Store(None, tmp_path).close()
    assert stat.S_IMODE((tmp_path / "accounts.sqlite").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "nonsense", "postgresql://airgap@127.0.0.1:1/x", "postgresql://h:port/x"]
)
def test_a_database_that_is_none_stops_the_start(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        Store(url, tmp_path)
