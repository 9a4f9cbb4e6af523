"""Signing in at the site's issuer: from a browser that comes back with a code to an account of ours.

What must be remembered between going and coming back is in the browser, signed: any server of the site may
take it up. The nonce and PKCE's verifier follow from it under our own key, and are in nobody's hands.
Groups decide the role, at each sign-in anew.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from airgap.accounts.caller import Role
from airgap.accounts.credentials import derived_key
from airgap.accounts.issuer import Issuer
from airgap.accounts.limits import Rates
from airgap.accounts.service import Accounts
from airgap.accounts.store import User
from airgap.core.errors import Forbidden, QuotaExceeded, SignInFailed
from config import Settings

BEGUN_SECONDS = 600
"""How long a person may take at the issuer."""

ENDED_SECONDS = 60
"""How long the page may take to fetch the login."""

ATTEMPTS = 60
"""Sign-ins of one client in a minute."""


class SignIn:
    """See the module docstring. Raises `ConfigurationError` when the settings cannot be."""

    def __init__(self, settings: Settings, accounts: Accounts) -> None:
        assert settings.oidc_issuer is not None
        assert settings.oidc_client_id is not None
        secret = settings.oidc_client_secret
        self._settings = settings
        self._accounts = accounts
        self._key = derived_key(
            settings.secret_key.get_secret_value() if settings.secret_key else None, "oidc"
        )
        self._attempts = Rates()
        self.issuer = Issuer(
            settings.oidc_issuer,
            settings.oidc_client_id,
            secret.get_secret_value() if secret else None,
            settings.oidc_scopes,
            settings.oidc_ca_file,
        )

    async def begin(self, redirect_uri: str, client: str) -> tuple[str, str]:
        """Where the person is sent, and what the browser is to bring back.

        Raises `IssuerUnavailable`, `QuotaExceeded`.
        """
        if wait := self._attempts.take(client, ATTEMPTS):
            raise QuotaExceeded("Too many sign-ins were begun at once.", retry_after=wait)
        state = secrets.token_urlsafe(32)
        url = await self.issuer.sign_in_url(
            redirect_uri, state, self._from(state, "nonce"), self._from(state, "verifier")
        )
        return url, self._signed({"state": state}, "begun", BEGUN_SECONDS)

    async def end(
        self, answer: Mapping[str, str], brought: str | None, redirect_uri: str
    ) -> tuple[User, bool, str]:
        """Whose sign-in it was, whether the account is new, and what the browser fetches the login with.

        Raises `SignInFailed`, `IssuerUnavailable`, or `Forbidden` for somebody who may not come in.
        """
        state = str(self._opened(brought, "begun")["state"])
        if not hmac.compare_digest(state.encode(), answer.get("state", "").encode()):
            raise SignInFailed("The sign-in that came back is not the one that was begun here.")
        if "code" not in answer:
            raise SignInFailed("The issuer did not let the person in.")
        name_claim, groups_claim = self._settings.oidc_username_claim, self._settings.oidc_groups_claim
        claims = await self.issuer.claims(
            answer["code"],
            redirect_uri,
            self._from(state, "nonce"),
            self._from(state, "verifier"),
            (name_claim, groups_claim),
        )
        user, is_new = await self._accounts.of_subject(
            subject_of(self.issuer.url, str(claims["sub"])),
            str(claims.get(name_claim, "")),
            self._role(claims.get(groups_claim)),
            create=self._settings.oidc_create_users,
        )
        return user, is_new, self._signed({"sub": str(user.id)}, "ended", ENDED_SECONDS)

    async def login(self, brought: str | None) -> tuple[str, int]:
        """The login of whoever has just signed in, and its seconds. Raises `SignInFailed`, `Unauthorized`."""
        return await self._accounts.login_of(int(self._opened(brought, "ended")["sub"]))

    def _role(self, groups: object) -> Role:
        """Raises `Forbidden` for somebody in none of the groups that may come in."""
        names = (
            {groups} if isinstance(groups, str) else set(map(str, groups if isinstance(groups, list) else ()))
        )
        if names & set(self._settings.oidc_admin_groups):
            return "admin"
        if self._settings.oidc_user_groups and not names & set(self._settings.oidc_user_groups):
            raise Forbidden("None of this person's groups may use this server.")
        return "user"

    def _from(self, state: str, purpose: str) -> str:
        """43 characters that follow from `state`, and that nobody else can tell."""
        digest = hmac.digest(self._key, f"{purpose} {state}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _signed(self, values: dict[str, str], purpose: str, seconds: int) -> str:
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        return jwt.encode({**values, "aud": purpose, "exp": ends}, self._key, "HS256")

    def _opened(self, brought: str | None, purpose: str) -> dict[str, Any]:
        try:
            return jwt.decode(
                brought or "", self._key, ["HS256"], audience=purpose, options={"require": ["exp", "aud"]}
            )
        except jwt.InvalidTokenError as error:
            raise SignInFailed("This browser has begun no sign-in, or too long ago.") from error


def subject_of(issuer: str, sub: str) -> str:
    """What an account keeps of whose it is: `sub` is the issuer's own name of a person, for ever."""
    return hashlib.sha256(f"{issuer}\n{sub}".encode()).hexdigest()
