"""The site's issuer of logins: where it sends people to sign in, and what its answer says of them.

OpenID Connect with the authorization code flow and PKCE. It speaks to the issuer's own host alone: an
address elsewhere in the issuer's description is not followed, and neither is a redirect. Knows no accounts.

Source: OpenID Connect Core 1.0 and Discovery 1.0; RFC 6749, RFC 7636.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from airgap.core.errors import ConfigurationError, IssuerUnavailable, SignInFailed
from airgap.http.addresses import trusted

log = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
KEPT_SECONDS = 600.0
"""How long the issuer's description and keys are believed before they are asked for again."""
LEEWAY_SECONDS = 60
MAX_ANSWER_BYTES = 1 << 20
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a key that the issuer alone has; never `none`, nor one by a secret that we know as well."""

_OURS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")


class Issuer:
    """One issuer, and this server as its client. Its requests end after `ANSWER_SECONDS`."""

    def __init__(
        self, url: str, client_id: str, client_secret: str | None, scopes: str, ca_file: Path | None = None
    ) -> None:
        """Raises `ConfigurationError` for a `ca_file` that holds no certificates."""
        self.url = url
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = scopes
        try:
            self._verify = ssl.create_default_context(cafile=ca_file) if ca_file else trusted()
        except OSError as error:
            raise ConfigurationError(f"OIDC_CA_FILE cannot be used: {error.strerror or error}.") from error
        self._metadata: dict[str, Any] = {}
        self._keys: dict[str, Any] = {}
        self._asked = float("-inf")
        self._asking = asyncio.Lock()

    async def sign_in_url(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where a person signs in. Raises `IssuerUnavailable`."""
        metadata = await self._described()
        return str(
            prepare_grant_uri(
                metadata["authorization_endpoint"],
                self._client_id,
                "code",
                redirect_uri,
                self._scopes,
                state,
                nonce=nonce,
                code_challenge=create_s256_code_challenge(verifier),
                code_challenge_method="S256",
            )
        )

    async def claims(
        self, code: str, redirect_uri: str, nonce: str, verifier: str, wanted: tuple[str, ...]
    ) -> dict[str, Any]:
        """What the issuer says of whoever brought `code`.

        Claims in `wanted` that the ID token lacks are asked for. Raises `SignInFailed`, `IssuerUnavailable`.
        """
        metadata = await self._described()
        answer = await self._redeemed(metadata, code, redirect_uri, verifier)
        claims = await self._checked(str(answer.get("id_token", "")), nonce, answer)
        if "userinfo_endpoint" in metadata and any(name not in claims for name in wanted):
            headers = {"Authorization": f"Bearer {answer.get('access_token', '')}"}
            more = await self._json("GET", metadata["userinfo_endpoint"], headers=headers)
            if more.get("sub") != claims["sub"]:
                raise SignInFailed("The issuer's answers are about two different persons.")
            claims = more | claims
        return claims

    async def _redeemed(
        self, metadata: Mapping[str, Any], code: str, redirect_uri: str, verifier: str
    ) -> dict[str, Any]:
        uri, headers, body = ClientAuth(self._client_id, self._client_secret, self._method(metadata)).prepare(
            "POST",
            metadata["token_endpoint"],
            {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            prepare_token_request(
                "authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=verifier
            ),
        )
        return await self._json("POST", uri, headers=headers, content=body)

    def _method(self, metadata: Mapping[str, Any]) -> str:
        if self._client_secret is None:
            return "none"
        known = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return "client_secret_basic" if "client_secret_basic" in known else "client_secret_post"

    async def _checked(self, token: str, nonce: str, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The claims of an ID token that is the issuer's, for us and this sign-in. Raises `SignInFailed`."""
        try:
            decoded = await self._decoded(token)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": self.url},
                    "aud": {"essential": True, "value": self._client_id},
                },
                {"nonce": nonce, "client_id": self._client_id, "access_token": answer.get("access_token")},
            )
            claims.validate(leeway=LEEWAY_SECONDS)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            log.warning("the issuer's ID token is not valid: %s", type(error).__name__)
            raise SignInFailed("The issuer's answer is not valid.") from error
        return dict(claims)

    async def _decoded(self, token: str) -> jwt.Token:
        try:
            return self._verified(token)
        except (JoseError, ValueError):  # signed by a key that is newer than those we know
            await self._ask()
            return self._verified(token)

    def _verified(self, token: str) -> jwt.Token:
        return jwt.decode(token, KeySet.import_key_set(cast(Any, self._keys)), algorithms=ALGORITHMS)

    async def _described(self) -> dict[str, Any]:
        """The issuer's description of itself; with it come its keys."""
        async with self._asking:
            if time.monotonic() - self._asked > KEPT_SECONDS:
                await self._ask()
        return self._metadata

    async def _ask(self) -> None:
        metadata = await self._json("GET", get_well_known_url(self.url, external=True))
        if metadata.get("issuer") != self.url:
            raise IssuerUnavailable(
                f"What is at OIDC_ISSUER calls itself {str(metadata.get('issuer'))[:200]!r}."
            )
        missing = [name for name in _OURS[:3] if not isinstance(metadata.get(name), str)]
        elsewhere = [name for name in _OURS if name in metadata and not self._is_at_home(metadata[name])]
        if missing or elsewhere:
            raise IssuerUnavailable(
                f"The issuer's description names no {', '.join(missing)}."
                if missing
                else f"The issuer's {', '.join(elsewhere)} is on another host, which is not spoken to."
            )
        self._keys = await self._json("GET", metadata["jwks_uri"])
        self._metadata, self._asked = metadata, time.monotonic()

    def _is_at_home(self, url: object) -> bool:
        home, other = httpx.URL(self.url), httpx.URL(str(url))
        return (home.scheme, home.host, home.port) == (other.scheme, other.host, other.port)

    async def _json(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: str | None = None
    ) -> dict[str, Any]:
        """An answer of the issuer's. Raises `IssuerUnavailable`, or `SignInFailed` for a refusal."""
        try:
            async with (
                asyncio.timeout(ANSWER_SECONDS),
                httpx.AsyncClient(trust_env=False, follow_redirects=False, verify=self._verify) as client,
                client.stream(method, url, headers=headers, content=content) as answer,
            ):
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > MAX_ANSWER_BYTES:
                        raise IssuerUnavailable("The issuer's answer has no end.")
            if answer.status_code in (400, 401, 403) and method == "POST":
                raise SignInFailed("The issuer refused the sign-in.")
            found = httpx.Response(answer.raise_for_status().status_code, content=body).json()
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            log.warning("the issuer gave no proper answer: %s", type(error).__name__)
            raise IssuerUnavailable("The site's issuer of logins gives no proper answer.") from error
        if not isinstance(found, dict):
            raise IssuerUnavailable("The site's issuer of logins gives no proper answer.")
        return found
