"""Accounts at work, without HTTP: who somebody is, how much they may, and what they may not."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from airgap.accounts import credentials, service
from airgap.accounts.caller import INSTALLATION, Caller
from airgap.accounts.credentials import CHECK_USER_ID, Tokens, derived_key, sha256
from airgap.accounts.service import Accounts
from airgap.core.errors import Conflict, InvalidOption, NotFound, QuotaExceeded, Unauthorized
from airgap.monitoring import metrics
from config import Settings
from tests.accounts.conftest import ADMIN, SECRET_KEY

Make = Any
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes servers' accounts over one database. Hashing is quick here, and their clocks stand still."""
    monkeypatch.setattr(credentials, "PasswordHasher", lambda: QUICK)
    opened: list[Accounts] = []

    def made(**settings: Any) -> Accounts:
        known = {"bootstrap_user": ADMIN[0], "bootstrap_pass": ADMIN[1], "secret_key": SECRET_KEY}
        settings = known | settings
        opened.append(Accounts(Settings(backend="fake", data_dir=tmp_path, auth_enabled=True, **settings)))
        for rates in (opened[-1]._rates, opened[-1]._attempts, opened[-1]._registrations):
            rates._clock = lambda: 0.0
        return opened[-1]

    yield made
    for accounts in opened:
        accounts.close()


def failures(reason: str) -> float:
    return float(metrics.LOGIN_FAILURES.labels(reason)._value.get())


async def admin_of(accounts: Accounts) -> Caller:
    issued, _, _ = await accounts.login(*ADMIN, "client")
    return await accounts.identify(issued)


async def test_the_administrator_is_made_once_and_counted(make: Make) -> None:
    before = metrics.USERS._value.get()
    first = make()
    assert metrics.USERS._value.get() == before + 1
    again = make(bootstrap_pass="another password of theirs")
    (user,) = await again.users()
    assert (user.id, user.name, user.role, user.active) == (1, ADMIN[0], "admin", True)
    await first.login(*ADMIN, "client")
    with pytest.raises(Unauthorized):
        await again.login(ADMIN[0], "another password of theirs", "client")


@pytest.mark.parametrize("missing", [{"bootstrap_user": None}, {"bootstrap_pass": None}])
async def test_without_a_name_or_a_password_nobody_is_made(make: Make, missing: dict[str, None]) -> None:
    assert await make(**missing).users() == []


async def test_a_login_lasts_as_long_as_the_site_says(make: Make) -> None:
    accounts = make(access_token_expire_minutes=7)
    issued, seconds, user = await accounts.login(*ADMIN, "client")
    assert (seconds, user.name) == (420, ADMIN[0])
    caller = await accounts.identify(issued)
    assert caller == Caller("user:1", ADMIN[0], "admin", 1)
    assert caller.is_admin
    assert not caller.is_anonymous
    assert caller.owns("user:1")
    assert not caller.owns("user:10")
    assert (caller.pages_per_day, caller.requests_per_minute, caller.account) == (None, None, "")


async def test_who_is_not_let_in_and_that_it_is_counted(make: Make) -> None:
    accounts = make()
    for name, password in ((ADMIN[0], "wrong"), ("nobody", ADMIN[1]), (ADMIN[0].upper(), ADMIN[1])):
        before = failures("password")
        with pytest.raises(Unauthorized, match="name or the password"):
            await accounts.login(name, password, "client")
        assert failures("password") == before + 1
    for credential in ("nonsense", "ocr_" + "0" * 16 + "_secret", "ocr_short", ""):
        before = failures("credential")
        with pytest.raises(Unauthorized):
            await accounts.identify(credential)
        assert failures("credential") == before + 1


async def test_names_and_passwords_are_looked_at_up_to_a_length(make: Make) -> None:
    accounts = make()
    await accounts.register("n" * 64, "a password of length", "user", "client")
    await accounts.login("n" * 64 + "and more", "a password of length", "client")
    assert (await accounts.label("n" * 64 + "x")).startswith("user:2 ")


async def test_an_account_that_ended_is_let_in_no_more(make: Make) -> None:
    accounts = make()
    admin = await admin_of(accounts)
    await accounts.register("alice", "alice's password", "user", "client")
    issued, _, user = await accounts.login("alice", "alice's password", "client")
    key = await accounts.make_key(user.id, "ci", None, None)
    assert (await accounts.identify(key.key)).user_id == user.id
    await accounts.deactivate("alice")
    for credential in (issued, key.key):
        with pytest.raises(Unauthorized):
            await accounts.identify(credential)
    with pytest.raises(Unauthorized):
        await accounts.login("alice", "alice's password", "client")
    with pytest.raises(NotFound):
        await accounts.deactivate("nobody")
    with pytest.raises(Conflict):
        await accounts.register("alice", "another password", "user", "client")
    assert [found.id for found in await accounts.keys(admin)] == [key.id]


async def test_wrong_passwords_are_ten_of_a_client_for_an_account(make: Make) -> None:
    accounts = make()
    await accounts.register("alice", "alice's password", "user", "client")
    for _ in range(10):
        with pytest.raises(Unauthorized):
            await accounts.login("alice", "wrong", "client")
    with pytest.raises(QuotaExceeded, match="Too many passwords") as caught:
        await accounts.login("alice", "alice's password", "client")
    assert caught.value.retry_after == 30, "one more in 300 s / 10"
    await accounts.login("alice", "alice's password", "another client")
    await accounts.login(*ADMIN, "client")


async def test_right_passwords_are_given_back_and_those_of_an_ended_account_are_not(make: Make) -> None:
    accounts = make()
    await accounts.register("alice", "alice's password", "user", "client")
    for _ in range(11):
        await accounts.login("alice", "alice's password", "client")
    await accounts.deactivate("alice")
    for _ in range(10):
        with pytest.raises(Unauthorized):
            await accounts.login("alice", "alice's password", "client")
    with pytest.raises(QuotaExceeded):
        await accounts.login("alice", "alice's password", "client")


async def test_registrations_are_thirty_a_minute_of_a_client(make: Make) -> None:
    accounts = make()
    for number in range(30):
        with pytest.raises(InvalidOption):
            await accounts.register(f"user{number}", "short", "user", "client")
    with pytest.raises(QuotaExceeded, match="Too many accounts") as caught:
        await accounts.register("alice", "alice's password", "user", "client")
    assert caught.value.retry_after == 2
    before = metrics.USERS._value.get()
    made = await accounts.register("alice", "alice's password", "admin", "another client")
    assert (made.name, made.role, made.active) == ("alice", "admin", True)
    assert metrics.USERS._value.get() == before + 1


@pytest.mark.parametrize("name", ["a", "A1._@-", "x" * 64, "7up"])
async def test_names_that_an_account_may_have(make: Make, name: str) -> None:
    assert (await make().register(name, "a fine password", "user", "client")).name == name


@pytest.mark.parametrize("name", ["", "x" * 65, "_a", "two words", "a/b", "ä", "a\n"])
async def test_names_that_an_account_may_not_have(make: Make, name: str) -> None:
    accounts = make()
    with pytest.raises(InvalidOption):
        await accounts.register(name, "a fine password", "user", "client")
    assert len(await accounts.users()) == 1


async def test_a_new_password_ends_other_logins(make: Make) -> None:
    accounts = make()
    caller = await admin_of(accounts)
    issued, _, _ = await accounts.login(*ADMIN, "client")
    with pytest.raises(Unauthorized, match="The password is wrong"):
        await accounts.change_password(caller, "wrong", "a new password")
    with pytest.raises(InvalidOption, match="first to be guessed"):
        await accounts.change_password(caller, ADMIN[1], ADMIN[0] * 3)
    await accounts.change_password(caller, ADMIN[1], "a new password")
    with pytest.raises(Unauthorized):
        await accounts.identify(issued)
    await accounts.login(ADMIN[0], "a new password", "client")
    with pytest.raises(Unauthorized):
        await accounts.change_password(
            dataclasses.replace(caller, user_id=None), "a new password", "another one"
        )


async def test_guesses_at_the_old_password_are_counted_apart_from_logins(make: Make) -> None:
    accounts = make()
    caller = await admin_of(accounts)
    for _ in range(10):
        with pytest.raises(Unauthorized):
            await accounts.change_password(caller, "wrong", "a new password")
    with pytest.raises(QuotaExceeded):
        await accounts.change_password(caller, ADMIN[1], "a new password")
    await accounts.login(*ADMIN, "client")


async def test_a_password_under_older_parameters_is_hashed_anew_and_logins_go_on(make: Make) -> None:
    accounts = make()
    issued, _, _ = await accounts.login(*ADMIN, "client")
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts._store.rehash(1, weak.hash(ADMIN[1]))
    await accounts.login(*ADMIN, "client")
    (user,) = await accounts.users()
    assert not accounts._passwords.is_outdated(user.password_hash)
    assert (await accounts.identify(issued)).name == ADMIN[0]
    accounts._store.rehash(1, weak.hash("12345678"))
    await accounts.login(ADMIN[0], "12345678", "client")
    assert (await accounts.users())[0].password_hash.startswith("$argon2id$v=19$m=8,"), "not taken any more"


async def test_what_a_log_may_call_somebody(make: Make) -> None:
    accounts = make()
    assert await accounts.label(ADMIN[0]) == f"user:1 {ADMIN[0]}"
    unknown = await accounts.label("my password")
    assert unknown.startswith("unknown:")
    assert len(unknown) == len("unknown:") + 12
    assert unknown == await accounts.label("my password") != await accounts.label("my passwore")
    assert await make(secret_key="another" + SECRET_KEY).label("my password") != unknown


async def test_the_installation_itself_has_a_login_that_is_no_accounts(make: Make) -> None:
    accounts = make()
    issued = Tokens(derived_key(SECRET_KEY, "login"), 1).issue(CHECK_USER_ID, 0)
    assert await accounts.identify(issued) == INSTALLATION == Caller("installation", "check", "user")


# --- keys ----------------------------------------------------------------------------------------


async def test_a_key_is_its_users_and_no_administrators(make: Make) -> None:
    accounts = make(key_pages_per_day=11, key_requests_per_minute=22)
    admin = await admin_of(accounts)
    made = await accounts.make_key(1, "ci", None, None)
    caller = await accounts.identify(made.key)
    assert caller == Caller(f"key:{made.id}", f"{ADMIN[0]}/ci", "user", 1, 11, 22, "user:1")
    own = await accounts.make_key(1, "own", 5, 6)
    assert await accounts.identify(own.key) == Caller(
        f"key:{own.id}", f"{ADMIN[0]}/own", "user", 1, 6, 5, f"key:{own.id}"
    )
    for wrong in (made.key + "x", made.key[:-1], f"ocr_{own.id}_{made.key.split('_', 2)[2]}"):
        with pytest.raises(Unauthorized):
            await accounts.identify(wrong)
    found = {key.id: key for key in await accounts.keys(admin)}
    assert (found[own.id].name, found[own.id].requests_per_minute, found[own.id].pages_per_day) == (
        "own",
        5,
        6,
    )
    assert found[own.id].secret_sha256 == own.secret_sha256
    assert abs(found[own.id].created_at.replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_keys_are_seen_and_revoked_by_their_owner_and_by_an_administrator(make: Make) -> None:
    accounts = make()
    admin = await admin_of(accounts)
    callers = []
    for name in ("alice", "bob"):
        user = await accounts.register(name, f"{name}'s password", "user", "client")
        callers.append(Caller(f"user:{user.id}", name, "user", user.id))
    alice, bob = callers
    key = await accounts.make_key(alice.user_id or 0, "ci", None, None)
    assert [found.id for found in await accounts.keys(alice)] == [key.id]
    assert await accounts.keys(bob) == []
    assert await accounts.keys(dataclasses.replace(bob, user_id=None)) == []
    for stranger in (bob, dataclasses.replace(bob, user_id=None)):
        with pytest.raises(NotFound):
            await accounts.revoke_key(stranger, key.id)
    await accounts.revoke_key(alice, key.id)
    with pytest.raises(NotFound):
        await accounts.revoke_key(admin, key.id)
    other = await accounts.make_key(alice.user_id or 0, "ci", None, None)
    await accounts.revoke_key(admin, other.id)
    with pytest.raises(Unauthorized):
        await accounts.identify(other.key)


async def test_a_key_of_the_file_is_nobodys_account(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"scanner {sha256('the key')}\n")
    accounts = make(api_keys_file=file, key_pages_per_day=3)
    caller = await accounts.identify("the key")
    assert caller == Caller("key:file:scanner", "scanner", "user", None, 3, None, "key:file:scanner")


# --- how much ------------------------------------------------------------------------------------


async def test_requests_of_a_key_are_so_many_a_minute(make: Make) -> None:
    accounts = make()
    caller = Caller("key:a", "a", requests_per_minute=2)
    for _ in range(2):
        await accounts.admit(caller)
    with pytest.raises(QuotaExceeded, match="2 requests a minute") as caught:
        await accounts.admit(caller)
    assert caught.value.retry_after == 30
    await accounts.admit(Caller("key:b", "b", requests_per_minute=2))
    for _ in range(5):
        await accounts.admit(Caller("user:1", "u"))


async def test_pages_are_taken_all_or_none_and_the_day_says_when_to_come_back(make: Make) -> None:
    accounts = make()
    await accounts.take("a", "user:1", 6, 4)
    with pytest.raises(QuotaExceeded, match="3 pages are wanted, and 2 of the 6") as caught:
        await accounts.take("b", "user:1", 6, 3)
    left = service._seconds_left_today()
    assert left - 5 <= (caught.value.retry_after or 0) <= left + 5
    with pytest.raises(QuotaExceeded, match="7 pages are wanted, and 6 of the 6"):
        await accounts.take("a", "user:1", 6, 3)
    await accounts.take("b", "user:1", 6, 2)
    await accounts.take("any", "user:1", None, 1000)


async def test_a_charge_can_be_raised_to_what_is_wanted_in_all(make: Make) -> None:
    accounts = make()
    for _ in range(2):
        await accounts.take("job", "user:1", 6, 4, in_all=True)
    await accounts.take("other", "user:1", 6, 1)
    with pytest.raises(QuotaExceeded, match="6 pages are wanted, and 5 of the 6"):
        await accounts.take("job", "user:1", 6, 6, in_all=True)
    await accounts.take("job", "user:1", 6, 5, in_all=True)


async def test_pages_are_paid_for_again_only_where_they_were_paid_for(make: Make) -> None:
    accounts = make()
    await accounts.take_again("job", "user:1", 6, 5)
    await accounts.take("job", "user:1", 6, 1)
    await accounts.take_again("job", "user:1", None, 50)
    await accounts.take_again("job", "user:1", 6, 5)
    with pytest.raises(QuotaExceeded):
        await accounts.take_again("job", "user:1", 6, 1)


async def test_a_day_that_is_used_up_is_told_before_anything_is_sent(make: Make) -> None:
    accounts = make()
    await accounts.take("job", "user:1", 6, 5)
    await accounts.require_pages_left("user:1", 6)
    await accounts.require_pages_left("user:1", None)
    await accounts.take("job", "user:1", 6, 1)
    with pytest.raises(QuotaExceeded, match="All of the 6 pages") as caught:
        await accounts.require_pages_left("user:1", 6)
    assert (caught.value.retry_after or 0) > 0
    await accounts.give_back("job", 2)
    await accounts.require_pages_left("user:1", 6)
    await accounts.settle("job", 6)
    with pytest.raises(QuotaExceeded):
        await accounts.require_pages_left("user:1", 6)


def test_the_seconds_that_are_left_of_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    for now, left in (
        (datetime(2026, 2, 28, 23, 59, 50, tzinfo=UTC), 10),
        (datetime(2026, 2, 28, 0, 0, 0, tzinfo=UTC), 86400),
        (datetime(2026, 2, 28, 23, 59, 59, 900_000, tzinfo=UTC), 1),
    ):
        monkeypatch.setattr(service, "_today", lambda now=now: now)
        assert service._seconds_left_today() == left


async def test_charges_are_forgotten_after_four_hundred_days(make: Make) -> None:
    accounts = make()
    for name in ("old", "edge", "new"):
        await accounts.take(name, "user:1", 9, 1)
    today = datetime.now(UTC).date()
    with accounts._store._engine.begin() as connection:
        for name, age in (("old", 402), ("edge", 399)):
            change = text("UPDATE page_charges SET day = :day WHERE id = :id")
            connection.execute(change, {"day": (today - timedelta(days=age)).isoformat(), "id": name})
    again = make()
    held = [await asyncio.to_thread(again._store.counts.held, name) for name in ("old", "edge", "new")]
    assert held == [0, 1, 1]
