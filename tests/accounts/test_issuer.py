"""What is believed of an issuer, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from joserfc.jwk import OctKey, RSAKey

from airgap.accounts.issuer import Issuer
from airgap.core.errors import IssuerUnavailable, SignInFailed
from tests.accounts.lying_issuer import CLIENT, LyingIssuer, lying_issuer

BACK = "http://127.0.0.1/api/auth/oidc/callback"
VERIFIER = "v" * 43


@pytest.fixture
def peer() -> Iterator[LyingIssuer]:
    with lying_issuer() as issuer:
        yield issuer


async def claims(peer: LyingIssuer, verifier: str = VERIFIER, wanted: tuple[str, ...] = ()) -> dict[str, Any]:
    issuer = Issuer(peer.url, CLIENT, "a secret", "openid")
    code = peer.sign_in(await issuer.sign_in_url(BACK, "state", "nonce", VERIFIER))
    return await issuer.claims(code, BACK, "nonce", verifier, wanted)


async def test_an_honest_issuer_is_believed(peer: LyingIssuer) -> None:
    found = await claims(peer)
    assert (found["sub"], found["preferred_username"], found["groups"]) == ("7", "alice", ["staff"])
    assert "/userinfo" not in peer.asked


async def test_a_code_alone_is_worth_nothing(peer: LyingIssuer) -> None:
    with pytest.raises(SignInFailed):
        await claims(peer, verifier="w" * 43)


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "somebody else"},
        {"aud": [CLIENT, "other"], "azp": "other"},
        {"iss": "https://other.example"},
        {"exp": 1_000_000_000},
        {"sub": None},
        {"at_hash": "AAAA"},
    ],
    ids=str,
)
async def test_an_id_token_for_another_is_not_taken(peer: LyingIssuer, lie: dict[str, Any]) -> None:
    peer.claims = lie
    with pytest.raises(SignInFailed):
        await claims(peer)


@pytest.mark.parametrize("algorithm", ["another key", "HS256", "none"])
async def test_a_signature_of_somebody_else_is_not_taken(peer: LyingIssuer, algorithm: str) -> None:
    if algorithm == "another key":
        peer.sign_with = ("RS256", RSAKey.generate_key(2048))
    else:
        peer.sign_with = (algorithm, OctKey.import_key(b"a secret that both know, or none" * 2))
    with pytest.raises(SignInFailed):
        await claims(peer)


async def test_a_new_key_is_asked_for(peer: LyingIssuer) -> None:
    issuer = Issuer(peer.url, CLIENT, None, "openid")
    await issuer.sign_in_url(BACK, "state", "nonce", VERIFIER)
    peer.key = RSAKey.generate_key(2048, auto_kid=True)
    peer.sign_with = ("RS256", peer.key)
    code = peer.sign_in(await issuer.sign_in_url(BACK, "state", "nonce", VERIFIER))
    assert (await issuer.claims(code, BACK, "nonce", VERIFIER, ()))["sub"] == "7"


async def test_what_a_token_lacks_is_asked_for_of_the_same_person(peer: LyingIssuer) -> None:
    peer.description = {"userinfo_endpoint": f"{peer.url}/userinfo"}
    peer.claims = {"groups": None}
    peer.userinfo = {"sub": "7", "groups": ["admins"]}
    assert (await claims(peer, wanted=("groups",)))["groups"] == ["admins"]
    peer.userinfo = {"sub": "8", "groups": ["admins"]}
    with pytest.raises(SignInFailed):
        await claims(peer, wanted=("groups",))


@pytest.mark.parametrize(
    "lie",
    [
        {"issuer": "https://other.example"},
        {"token_endpoint": "http://192.0.2.1/token"},
        {"jwks_uri": "http://127.0.0.1:1/keys"},
        {"userinfo_endpoint": "https://127.0.0.1/userinfo"},
        {"authorization_endpoint": "https://other.example/authorize"},
        {"authorization_endpoint": None},
    ],
    ids=str,
)
async def test_no_other_host_is_spoken_to(peer: LyingIssuer, lie: dict[str, Any]) -> None:
    peer.description = lie
    with pytest.raises(IssuerUnavailable):
        await claims(peer)
    assert set(peer.asked) <= {"/.well-known/openid-configuration"}


async def test_a_redirect_is_not_followed(peer: LyingIssuer) -> None:
    with lying_issuer() as elsewhere:
        peer.moved_to = f"{elsewhere.url}/.well-known/openid-configuration"
        with pytest.raises(IssuerUnavailable):
            await claims(peer)
        assert elsewhere.asked == []


async def test_an_issuer_that_is_away(nowhere: str) -> None:
    with pytest.raises(IssuerUnavailable):
        await Issuer(nowhere, CLIENT, None, "openid").sign_in_url(BACK, "state", "nonce", VERIFIER)
