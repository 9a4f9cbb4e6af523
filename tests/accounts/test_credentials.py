"""Passwords, tokens, keys and limits, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from airgap.accounts.credentials import (
    Passwords,
    Tokens,
    derived_key,
    new_key,
    read_keys_file,
    sha256,
    split_key,
)
from airgap.accounts.limits import MAX_ENTRIES, Rates
from airgap.core.errors import ConfigurationError, InvalidOption, Unauthorized

KEY = b"k" * 32


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords()


def test_passwords_are_hashed_with_argon2id_and_found_again(passwords: Passwords) -> None:
    stored = passwords.hash("correct horse")
    assert stored.startswith("$argon2id$")
    assert "correct" not in stored
    assert passwords.matches("correct horse", stored)
    assert not passwords.matches("correct horse ", stored)
    assert not passwords.matches("correct horse", None)
    assert not passwords.matches("correct horse", "no hash at all")
    assert not passwords.is_outdated(stored)


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_passwords_have_bounds(passwords: Passwords, password: str) -> None:
    with pytest.raises(InvalidOption):
        passwords.hash(password)


@pytest.mark.parametrize(
    "password",
    [
        "        ",
        "12345678",
        "87654321",
        "1234567890",
        "abcdefgh",
        "aaaaaaaa",
        "abababab",
        "abcdabcd",
        "password",
        "Password1!",
        "P@ssw0rd",
        "p4ssw0rd2024",
        "passwordpassword",
        "qwertyuiop",
        "QWERTZUI",
        "asdfghjk",
        "йцукенгш",
        "пароль123",
        "changeme",
        "admin1234",
        "alice.b1",
        "alice.balice.b",
        "  abc123  ",
    ],
)
def test_what_anybody_tries_first_is_no_password(passwords: Passwords, password: str) -> None:
    with pytest.raises(InvalidOption, match="first to be guessed"):
        passwords.hash(password, "Alice.B")


@pytest.mark.parametrize(
    "password", ["correct horse", "alice's password", "user2's pw", "Tr0ub4dor&3", "ключ от склада"]
)
def test_other_passwords_are_taken(passwords: Passwords, password: str) -> None:
    assert passwords.hash(password, "alice")


def test_a_token_says_who() -> None:
    tokens = Tokens(KEY, 5)
    assert tokens.read(tokens.issue(7, 3)) == (7, 3)
    assert tokens.seconds == 300


def forged(key: bytes | None = KEY, algorithm: str = "HS256", drop: str = "", **changes: object) -> str:
    now = datetime.now(UTC)
    claims = {"iss": "airgap-ocr", "sub": "7", "ver": 0, "iat": now, "exp": now + timedelta(minutes=5)}
    claims = {name: value for name, value in (claims | changes).items() if name != drop}
    return jwt.encode(claims, key or "", algorithm)


def test_the_forger_of_this_test_can_forge() -> None:
    assert Tokens(KEY, 5).read(forged()) == (7, 0)


@pytest.mark.parametrize(
    "token",
    [
        forged(exp=datetime.now(UTC) - timedelta(seconds=1)),
        forged(key=b"another key of thirty-two bytes!"),
        forged(key=None, algorithm="none"),
        forged(key=b"k" * 64, algorithm="HS512"),
        forged(iss="somebody else"),
        forged(sub="root"),
        *(forged(drop=claim) for claim in ("exp", "iat", "sub", "iss", "ver")),
        "",
        "a.b.c",
        "é",
    ],
)
def test_tokens_that_are_not_ours_or_not_any_more(token: str) -> None:
    with pytest.raises(Unauthorized):
        Tokens(KEY, 5).read(token)


def test_keys() -> None:
    made = new_key()
    parts = split_key(made.key)
    assert parts is not None
    assert parts[0] == made.id
    assert sha256(parts[1]) == made.secret_sha256
    assert len(parts[1]) >= 43
    assert made.key != new_key().key


@pytest.mark.parametrize("text", ["", "ocr_", "ocr_abc_def", "sk-abc", f"ocr_{'a' * 16}", f"ocr_{'a' * 16}_"])
def test_what_is_no_key(text: str) -> None:
    assert split_key(text) is None


@pytest.mark.parametrize("secret", [None, "", "short"])
def test_a_secret_key_is_needed_and_must_be_long(secret: str | None) -> None:
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        derived_key(secret, "login")


def test_each_use_of_the_secret_has_its_own_key() -> None:
    assert derived_key("x" * 32, "login") != derived_key("x" * 32, "audit")


def test_keys_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# machines\n\nscanner {sha256('the key')}  # hall\nprinter {sha256('other').upper()}\n")
    assert read_keys_file(path) == {sha256("the key"): "scanner", sha256("other"): "printer"}
    path.write_text("scanner the-key-itself\n")
    with pytest.raises(ConfigurationError, match="Line 1"):
        read_keys_file(path)
    with pytest.raises(ConfigurationError):
        read_keys_file(tmp_path / "missing")


def test_rates() -> None:
    now = 0.0
    rates = Rates(60, lambda: now)
    assert [rates.take("a", 3) for _ in range(4)] == [0, 0, 0, 20]
    assert rates.take("b", 3) == 0
    now = 19.9
    assert rates.take("a", 3) == 1
    now = 20.1
    assert rates.take("a", 3) == 0
    assert rates.take("a", 3) == 20
    rates.give_back("a", 3)
    assert rates.take("a", 3) == 0
    assert rates.take("a", 3) == 20
    now = 1e6
    assert [bool(rates.take("a", 3)) for _ in range(4)] == [False, False, False, True]


def test_no_more_is_given_back_than_there_was() -> None:
    rates = Rates(60, lambda: 0.0)
    for _ in range(5):
        rates.give_back("a", 3)
    assert [bool(rates.take("a", 3)) for _ in range(4)] == [False, False, False, True]


def test_rates_do_not_grow_for_ever() -> None:
    rates = Rates()
    for n in range(MAX_ENTRIES + 100):
        rates.take(str(n), 1)
    assert len(rates._buckets) == MAX_ENTRIES
