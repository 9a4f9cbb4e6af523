"""The tables as the queries know them are those that the migrations make, to the length of a name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_engine, text
from sqlalchemy.exc import IntegrityError

from airgap.accounts import page_counts, store
from airgap.accounts.store import ApiKey, Store
from tests.db.schema import known, made


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Store]:
    found = Store(None, tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize("metadata", [store._metadata, page_counts.metadata], ids=["accounts", "pages"])
def test_the_migrations_make_the_tables_that_are_asked(
    opened: Store, tmp_path: Path, metadata: MetaData
) -> None:
    assert (opened.users(), opened.keys(None), opened.counts.held("a")) == ([], [], 0)
    assert opened.counts.used("a", date(2026, 1, 1)) == 0
    expected = known(metadata)
    assert made(tmp_path / "accounts.sqlite", set(expected)) == expected


def test_a_new_user_is_active_and_made_now(opened: Store) -> None:
    before = datetime.now(UTC)
    user = opened.add_user("alice", "hash", "user")
    assert (user.id, user.active, user.token_version, user.password_hash) == (1, True, 0, "hash")
    assert abs(user.created_at.replace(tzinfo=UTC) - before) < timedelta(minutes=1)


def test_a_users_changes_touch_nobody_else(opened: Store) -> None:
    alice, bob = opened.add_user("alice", "h", "user"), opened.add_user("bob", "h", "admin")
    opened.set_password(alice.id, "new")
    opened.rehash(alice.id, "newer")
    found = opened.user(alice.id)
    assert found is not None
    assert (found.password_hash, found.token_version, found.active) == ("newer", 1, True)
    opened.deactivate(alice.id)
    ended = opened.user(alice.id)
    assert ended is not None
    assert (ended.active, ended.token_version) == (False, 2)
    assert opened.user(bob.id) == bob
    assert [user.name for user in opened.users()] == ["alice", "bob"]
    assert opened.user(99) is None


def key(key_id: str, user_id: int, made: datetime) -> ApiKey:
    return ApiKey(key_id, user_id, "ci", "f" * 64, None, None, made, None)


def test_keys_come_the_newest_last_and_are_revoked_one_by_one(opened: Store) -> None:
    alice = opened.add_user("alice", "h", "user")
    now = datetime.now(UTC)
    for key_id, age in (("b" * 16, 1), ("a" * 16, 2), ("c" * 16, 0)):
        opened.add_key(key(key_id, alice.id, now - timedelta(hours=age)))
    assert [found.id[0] for found in opened.keys(None)] == ["a", "b", "c"]
    assert opened.revoke_key("b" * 16, None)
    left = opened.keys(alice.id)
    assert [found.revoked_at is None for found in left] == [True, False, True]
    assert left[1].revoked_at is not None
    assert abs(left[1].revoked_at.replace(tzinfo=UTC) - now) < timedelta(minutes=1)
    assert opened.key_with_user("b" * 16) is None
    found = opened.key_with_user("c" * 16)
    assert found is not None
    assert (found[0], found[1]) == (left[2], alice)


def test_a_key_belongs_to_an_account_that_is_there(opened: Store) -> None:
    with pytest.raises(IntegrityError):
        opened.add_key(key("a" * 16, 99, datetime.now(UTC)))


def test_a_name_is_taken_once_and_the_error_holds_none(opened: Store) -> None:
    opened.add_user("alice", "h", "user")
    with pytest.raises(Exception, match="cannot be made") as caught:
        opened.add_user("alice", "h", "user")
    assert "alice" not in str(caught.value)


def test_a_database_of_release_0_1_0_counts_the_keys_of_a_user_together(tmp_path: Path) -> None:
    """Keys with a quota of their own keep a count of their own."""
    from airgap.accounts.migrations import STEPS

    engine = create_engine(f"sqlite:///{tmp_path / 'old.sqlite'}")
    with engine.begin() as connection:
        STEPS[0](connection)
        connection.execute(
            text("INSERT INTO users VALUES (7, 'alice', 'h', 'user', 1, 0, '2026-01-01 00:00:00')")
        )
        for key_id, own in (("a", "NULL"), ("b", "NULL"), ("c", "5")):
            values = f"'{key_id}', 7, 'n', 's', NULL, {own}, '2026-01-01 00:00:00', NULL"
            connection.execute(text(f"INSERT INTO api_keys VALUES ({values})"))
        for caller, day, pages in (
            ("key:a", "2026-01-01", 2),
            ("key:b", "2026-01-01", 3),
            ("key:b", "2026-01-02", 4),
            ("key:c", "2026-01-01", 1),
            ("key:file:x", "2026-01-01", 9),
        ):
            connection.execute(text(f"INSERT INTO page_counts VALUES ('{caller}', '{day}', {pages})"))
        STEPS[1](connection)
        counted = connection.execute(text("SELECT caller, day, pages FROM page_counts ORDER BY 1, 2")).all()
    engine.dispose()
    assert [tuple(row) for row in counted] == [
        ("key:c", "2026-01-01", 1),
        ("key:file:x", "2026-01-01", 9),
        ("user:7", "2026-01-01", 5),
        ("user:7", "2026-01-02", 4),
    ]
