"""Accounts at work: from credentials to a `Caller`, within limits. Database calls run on threads."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta

from airgap.accounts.caller import INSTALLATION, Caller, Role
from airgap.accounts.credentials import (
    CHECK_USER_ID,
    KEY_PREFIX,
    NewKey,
    Passwords,
    Tokens,
    derived_key,
    new_key,
    read_keys_file,
    same,
    sha256,
    split_key,
)
from airgap.accounts.limits import Rates
from airgap.accounts.store import ApiKey, Store, User
from airgap.accounts.usage import Usage
from airgap.core.errors import Conflict, Forbidden, InvalidOption, NotFound, QuotaExceeded, Unauthorized
from airgap.monitoring import metrics
from config import Settings

log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASHING_AT_ONCE = 2  # each takes 64 MiB
WRONG_PASSWORDS = 10
WRONG_PASSWORDS_SECONDS = 300.0
"""So many wrong passwords, of one client for one account, in so many seconds."""
_REGISTRATIONS = 30  # a minute, of one client
_CHARGES_DAYS = 400


class Accounts:
    """See the module docstring. Raises `ConfigurationError` when the settings cannot be."""

    def __init__(self, settings: Settings) -> None:
        secret = settings.secret_key.get_secret_value() if settings.secret_key else None
        self._settings = settings
        self._tokens = Tokens(
            derived_key(secret, "login"), settings.access_token_expire_minutes, settings.algorithm
        )
        self._label_key = derived_key(secret, "names")
        self._passwords = Passwords()
        self._file_keys = read_keys_file(settings.api_keys_file) if settings.api_keys_file else {}
        self._store = Store(settings.database_server, settings.data_dir, settings.accounts_file)
        self.usage = Usage(self._store.usage, settings.usage_days)
        self._rates = Rates()
        self._attempts = Rates(WRONG_PASSWORDS_SECONDS)
        self._registrations = Rates()
        self._hashing = asyncio.Semaphore(_HASHING_AT_ONCE)
        self._bootstrap()
        self._store.counts.forget(_today().date() - timedelta(days=_CHARGES_DAYS))
        metrics.USERS.inc(self._store.count_users())

    def close(self) -> None:
        self._store.close()

    def _bootstrap(self) -> None:
        name, password = self._settings.bootstrap_user, self._settings.bootstrap_pass
        if not name or not password or self._store.user_named(_checked_name(name)) is not None:
            return
        try:
            self._store.add_user(name, self._passwords.hash(password.get_secret_value(), name), "admin")
        except Conflict:  # another server that starts with us was first
            return
        log.info("made the administrator %s", name)

    # --- who is it ---------------------------------------------------------------------------------

    async def identify(self, credential: str) -> Caller:
        """The caller behind a bearer token or an API key. Raises `Unauthorized`."""
        try:
            if credential.startswith(KEY_PREFIX):
                return await self._by_key(credential)
            if (name := self._file_keys.get(sha256(credential))) is not None:
                caller_id = f"key:file:{name}"
                return self._key_caller(caller_id, name, None, None, None, caller_id)
            return await self._by_token(credential)
        except Unauthorized:
            metrics.LOGIN_FAILURES.labels("credential").inc()
            raise

    async def _by_token(self, token: str) -> Caller:
        user_id, version = self._tokens.read(token)
        if user_id == CHECK_USER_ID:
            return INSTALLATION
        user = await asyncio.to_thread(self._store.user, user_id)
        if user is None or not user.active or user.token_version != version:
            raise Unauthorized("The login is not valid, or has ended.")
        return _user_caller(user)

    async def _by_key(self, text: str) -> Caller:
        parts = split_key(text)
        found = await asyncio.to_thread(self._store.key_with_user, parts[0]) if parts else None
        # An unknown id takes the same steps, so that time tells nothing.
        stored = found[0].secret_sha256 if found else sha256("")
        matches = same(sha256(parts[1] if parts else ""), stored)
        if found is None or not matches or not found[1].active:
            raise Unauthorized("The API key is not valid, or was revoked.")
        key, user = found
        caller_id, name = f"key:{key.id}", f"{user.name}/{key.name}"
        account = caller_id if key.pages_per_day else f"user:{user.id}"
        return self._key_caller(caller_id, name, user.id, key.pages_per_day, key.requests_per_minute, account)

    def _key_caller(
        self,
        caller_id: str,
        name: str,
        user_id: int | None,
        pages: int | None,
        requests: int | None,
        account: str,
    ) -> Caller:
        return Caller(
            caller_id,
            name,
            "user",
            user_id,
            pages or self._settings.key_pages_per_day,
            requests or self._settings.key_requests_per_minute,
            account,
        )

    # --- how much ----------------------------------------------------------------------------------

    async def admit(self, caller: Caller) -> None:
        """Take one request from the caller's rate. Raises `QuotaExceeded` with the seconds to wait."""
        if caller.requests_per_minute and (wait := self._rates.take(caller.id, caller.requests_per_minute)):
            raise QuotaExceeded(
                f"This key may send {caller.requests_per_minute} requests a minute.", retry_after=wait
            )

    async def take(
        self, charge: str, account: str, limit: int | None, pages: int, *, in_all: bool = False
    ) -> None:
        """Take pages from an account's day before they are read, all or none; with `in_all` so that the
        charge holds that many in all. Raises `QuotaExceeded`.
        """
        if limit is None:
            return
        counts, day = self._store.counts, _today().date()
        take = counts.raise_to if in_all else counts.take
        if not await asyncio.to_thread(take, charge, account, day, pages, limit):
            held = await asyncio.to_thread(counts.held, charge)
            left = max(0, limit - await asyncio.to_thread(counts.used, account, day) + held)
            wanted = pages if in_all else pages + held
            raise QuotaExceeded(
                f"{wanted} pages are wanted, and {left} of the {limit} of today (UTC) are left.",
                retry_after=_seconds_left_today(),
            )

    async def take_again(self, charge: str, account: str, limit: int | None, pages: int) -> None:
        """Take pages that a charge has paid for once already. Raises `QuotaExceeded`."""
        if limit is not None and await asyncio.to_thread(self._store.counts.held, charge) > 0:
            await self.take(charge, account, limit, pages)

    async def require_pages_left(self, account: str, limit: int | None) -> None:
        """Raise `QuotaExceeded` where an account has used up its day."""
        if limit is not None and limit <= await asyncio.to_thread(
            self._store.counts.used, account, _today().date()
        ):
            raise QuotaExceeded(
                f"All of the {limit} pages of today (UTC) are used up.", retry_after=_seconds_left_today()
            )

    async def give_back(self, charge: str, pages: int) -> None:
        await asyncio.to_thread(self._store.counts.give_back, charge, pages)

    async def settle(self, charge: str, pages: int) -> None:
        """End a request's charge, which came to so many pages."""
        await asyncio.to_thread(self._store.counts.settle, charge, pages)

    async def note_usage(self, caller: str, kind: str, counts: Mapping[str, int], job: str | None) -> None:
        """Count what was read for a caller; see `usage`."""
        await self.usage.note(caller, kind, counts, job)

    async def callers_of(self, caller: Caller) -> list[str]:
        """Whose usage a caller may see: a key its own, a user that of their keys besides."""
        if caller.user_id is None or caller.id != f"user:{caller.user_id}":
            return [caller.id]
        return await asyncio.to_thread(self._store.callers_of, caller.user_id)

    # --- users -------------------------------------------------------------------------------------

    async def login(self, name: str, password: str, client: str) -> tuple[str, int, User]:
        """A token, its seconds and whose it is.

        Raises `Unauthorized`, the same for every reason, or `QuotaExceeded`.
        """
        user = await asyncio.to_thread(self._store.user_named, name[:64])
        right = await self._tried(f"{client} {name[:64]}", user, password)
        if user is None or not right or not user.active:
            metrics.LOGIN_FAILURES.labels("password").inc()
            raise Unauthorized(
                "The name or the password is wrong.", "Check both, and mind upper and lower case."
            )
        if self._passwords.is_outdated(user.password_hash):
            await self._rehash(user, password)
        return self._tokens.issue(user.id, user.token_version), self._tokens.seconds, user

    async def of_subject(self, subject: str, name: str, role: Role, *, create: bool) -> tuple[User, bool]:
        """The account of a person of the issuer's, with this role from now on, and whether it is new.

        Raises `Forbidden` for one that has ended, or that cannot be made.
        """
        user = await asyncio.to_thread(self._store.user_of, subject)
        is_new = user is None
        if user is None:
            user = await self._made_for(subject, name, role, create)
        elif user.role != role:
            await asyncio.to_thread(self._store.set_role, user.id, role)
        if not user.active:
            raise Forbidden("The account of this person has ended.")
        return user, is_new

    async def _made_for(self, subject: str, name: str, role: Role, create: bool) -> User:
        if not create:
            raise Forbidden("There is no account for this person.")
        try:
            user = await asyncio.to_thread(self._store.add_user, _checked_name(name), "", role, subject)
        except (Conflict, InvalidOption) as error:
            raise Forbidden(
                "No account can be made for this person: its name is taken, or is none for an account."
            ) from error
        metrics.USERS.inc()
        return user

    async def login_of(self, user_id: int) -> tuple[str, int]:
        """A token for somebody who was identified, and its seconds. Raises `Unauthorized`."""
        user = await asyncio.to_thread(self._store.user, user_id)
        if user is None or not user.active:
            raise Unauthorized("The login is not valid, or has ended.")
        return self._tokens.issue(user.id, user.token_version), self._tokens.seconds

    async def label(self, name: str) -> str:
        """What a log may call the account of this name; a name that is nobody's by a keyed digest."""
        user = await asyncio.to_thread(self._store.user_named, name[:64])
        if user is not None:
            return f"user:{user.id} {user.name}"
        return f"unknown:{hmac.new(self._label_key, name[:64].encode(), 'sha256').hexdigest()[:12]}"

    async def _tried(self, throttle: str, user: User | None, password: str) -> bool:
        """Whether the password is the user's. Raises `QuotaExceeded` after too many that were not.

        The attempt is taken before it is checked, so that many at once are no way round the limit; a good
        one is given back.
        """
        if wait := self._attempts.take(throttle, WRONG_PASSWORDS):
            raise QuotaExceeded("Too many passwords were wrong.", retry_after=wait)
        async with self._hashing:
            stored = user.password_hash if user else None
            right = await asyncio.to_thread(self._passwords.matches, password[:1024], stored)
        if right and user is not None and user.active:
            self._attempts.give_back(throttle, WRONG_PASSWORDS)
        return right

    async def register(self, name: str, password: str, role: Role, client: str) -> User:
        """Make an account. Raises `InvalidOption`, `Conflict`, or `QuotaExceeded` for too many."""
        if wait := self._registrations.take(client, _REGISTRATIONS):
            raise QuotaExceeded("Too many accounts were registered at once.", retry_after=wait)
        hashed = await self._hashed(password, name)
        user = await asyncio.to_thread(self._store.add_user, _checked_name(name), hashed, role)
        metrics.USERS.inc()
        return user

    async def change_password(self, caller: Caller, old: str, new: str) -> None:
        """Raises `Unauthorized` when the old one is wrong, and `QuotaExceeded` after too many of those."""
        user = await asyncio.to_thread(self._store.user, caller.user_id or 0)
        if not await self._tried(f"password of {caller.id}", user, old) or user is None:
            raise Unauthorized("The password is wrong.")
        await asyncio.to_thread(self._store.set_password, user.id, await self._hashed(new, user.name))

    async def deactivate(self, name: str) -> None:
        """End an account, its logins and its keys. Raises `NotFound`."""
        user = await asyncio.to_thread(self._store.user_named, name)
        if user is None:
            raise NotFound("There is no such account.")
        await asyncio.to_thread(self._store.deactivate, user.id)

    async def users(self) -> list[User]:
        return await asyncio.to_thread(self._store.users)

    async def _hashed(self, password: str, name: str) -> str:
        async with self._hashing:
            return await asyncio.to_thread(self._passwords.hash, password, name)

    async def _rehash(self, user: User, password: str) -> None:
        """The same password under newer parameters, unless it is one that is not taken any more."""
        with suppress(InvalidOption):
            await asyncio.to_thread(self._store.rehash, user.id, await self._hashed(password, user.name))

    # --- keys --------------------------------------------------------------------------------------

    async def make_key(
        self, user_id: int, name: str, requests_per_minute: int | None, pages_per_day: int | None
    ) -> NewKey:
        """A new key; this is the only time that it is known whole."""
        made = new_key()
        record = ApiKey(
            made.id,
            user_id,
            name,
            made.secret_sha256,
            requests_per_minute,
            pages_per_day,
            datetime.now(UTC),
            None,
        )
        await asyncio.to_thread(self._store.add_key, record)
        return made

    async def keys(self, caller: Caller) -> list[ApiKey]:
        """The caller's keys; an administrator sees all."""
        return await asyncio.to_thread(self._store.keys, None if caller.is_admin else caller.user_id or 0)

    async def revoke_key(self, caller: Caller, key_id: str) -> None:
        """Raises `NotFound` for a key that is not there, or not the caller's."""
        owner = None if caller.is_admin else caller.user_id or 0
        if not await asyncio.to_thread(self._store.revoke_key, key_id, owner):
            raise NotFound("There is no such key.")


def _user_caller(user: User) -> Caller:
    return Caller(f"user:{user.id}", user.name, user.role, user.id)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidOption(
            "The account's name has characters that it may not have.",
            "Use up to 64 letters, digits and . _ @ -, and begin with a letter or digit.",
        )
    return name


def _today() -> datetime:
    return datetime.now(UTC)


def _seconds_left_today() -> int:
    now = _today()
    midnight = datetime.combine(now.date() + timedelta(days=1), time.min, UTC)
    return max(1, int((midnight - now).total_seconds()))
