"""Passwords, login tokens and API keys: how they are made and checked. No database, no HTTP.

Passwords are hashed with Argon2id under the library's parameters (RFC 9106). Logins are JWTs with an
expiry. An API key is `ocr_<id>_<secret>`: the id finds the record, the secret's SHA-256 is compared in
constant time; the secret has 256 random bits, which no table of hashes covers.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from airgap.accounts.weak_passwords import weakness
from airgap.core.errors import ConfigurationError, InvalidOption, Unauthorized

MIN_SECRET_CHARS = 32
MIN_PASSWORD_CHARS = 8
MAX_PASSWORD_CHARS = 256
KEY_PREFIX = "ocr_"
CHECK_USER_ID = 0  # no account has it: the installation, reading its test page

_ISSUER = "airgap-ocr"


def derived_key(secret_key: str | None, purpose: str) -> bytes:
    """A key of its own for each use of SECRET_KEY. Raises `ConfigurationError` for a missing or short one."""
    if not secret_key:
        raise ConfigurationError(
            "SECRET_KEY is not set, and AUTH_ENABLED needs it.",
            "Set it to 32 random characters or more, for instance from `openssl rand -hex 32`.",
        )
    if len(secret_key) < MIN_SECRET_CHARS:
        raise ConfigurationError(
            f"SECRET_KEY has fewer than {MIN_SECRET_CHARS} characters.",
            "Make one with `openssl rand -hex 32`.",
        )
    return hmac.digest(secret_key.encode(), purpose.encode(), "sha256")


class Passwords:
    """Hashes and checks. Every call takes tens of milliseconds of a core, found or not."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex())

    def hash(self, password: str, name: str = "") -> str:
        """Raises `InvalidOption` for a password that is too short, too long or among the first to be
        guessed for the account `name`.
        """
        if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
            raise InvalidOption(
                "The password is too short or too long.",
                f"Choose {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters.",
            )
        if reason := weakness(password, name):
            raise InvalidOption(
                f"The password is among the first to be guessed: {reason}.",
                "Choose several words that do not belong together, or let a password manager make one.",
            )
        return self._hasher.hash(password)

    def matches(self, password: str, stored: str | None) -> bool:
        """Whether the password is the one of `stored`. None, for no such user, takes as long."""
        try:
            return self._hasher.verify(stored or self._nobody, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, stored: str) -> bool:
        return self._hasher.check_needs_rehash(stored)


class Tokens:
    """Login tokens that say which user, until when, and under which version of the user's logins."""

    def __init__(self, key: bytes, minutes: int, algorithm: str = "HS256") -> None:
        self._key = key if algorithm == "HS256" else hmac.digest(key, algorithm.encode(), "sha512")
        self._algorithm = algorithm
        self.seconds = minutes * 60

    def issue(self, user_id: int, version: int) -> str:
        now = datetime.now(UTC)
        claims = {
            "iss": _ISSUER,
            "sub": str(user_id),
            "ver": version,
            "iat": now,
            "exp": now + timedelta(seconds=self.seconds),
        }
        return jwt.encode(claims, self._key, self._algorithm)

    def read(self, token: str) -> tuple[int, int]:
        """The user's id and the version. Raises `Unauthorized`."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[self._algorithm],
                issuer=_ISSUER,
                # A clock that was set back, or another server's that is behind, ends nobody's login.
                options={"require": ["exp", "iat", "sub", "iss", "ver"], "verify_iat": False},
            )
            return int(claims["sub"]), int(claims["ver"])
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise Unauthorized("The login is not valid, or has ended.") from error


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as its owner sees it once, and what is kept of it."""

    key: str
    id: str
    secret_sha256: str


def new_key() -> NewKey:
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    return NewKey(f"{KEY_PREFIX}{key_id}_{secret}", key_id, sha256(secret))


def split_key(text: str) -> tuple[str, str] | None:
    """The id and the secret, or None where `text` has not the form of our own keys."""
    key_id, separator, secret = text.removeprefix(KEY_PREFIX).partition("_")
    if not text.startswith(KEY_PREFIX) or not separator or len(key_id) != 16 or not secret:
        return None
    return key_id, secret


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Equality in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def read_keys_file(path: Path) -> dict[str, str]:
    """Names by SHA-256 of the keys in `path`. Raises `ConfigurationError` naming a line that is wrong."""
    names: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"API_KEYS_FILE cannot be read: {type(error).__name__}.") from error
    for number, line in enumerate(lines, 1):
        fields = line.split("#")[0].split()
        if not fields:
            continue
        if len(fields) != 2 or len(fields[1]) != 64 or not set(fields[1].lower()) <= set("0123456789abcdef"):
            raise ConfigurationError(
                f"Line {number} of API_KEYS_FILE is not `name sha256`.",
                "Write a name without spaces and the key's SHA-256: `printf %s KEY | sha256sum`.",
            )
        names[fields[1].lower()] = fields[0]
    return names
