"""An issuer of logins that checks PKCE as a real one does, and lies where a test has it lie."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT = "airgap"


class LyingIssuer:
    """`description` and `claims` are laid over what it says honestly; None takes an entry out."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, auto_kid=True)
        self.sign_with: tuple[str, RSAKey | OctKey] = ("RS256", self.key)
        self.description: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.moved_to = ""
        self.asked: list[str] = []
        self.url = ""
        self._begun: dict[str, str] = {}

    def sign_in(self, url: str) -> str:
        """What a person's browser does at the address it was sent to. Returns the code."""
        self._begun = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        return "the-code"

    def answer(self, path: str, form: dict[str, list[str]]) -> tuple[int, Any]:
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            named = {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }
            return 200, named | self.description
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        if path == "/userinfo":
            return 200, self.userinfo
        return self._token(form)

    def _token(self, form: dict[str, list[str]]) -> tuple[int, Any]:
        digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        if self._begun.get("code_challenge_method") != "S256" or challenge != self._begun["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.url, "sub": "7", "aud": CLIENT, "iat": now, "exp": now + 60}
        claims |= {
            "nonce": self._begun["nonce"],
            "preferred_username": "alice",
            "groups": ["staff"],
        } | self.claims
        token = self._signed({name: value for name, value in claims.items() if value is not None})
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": token}

    def _signed(self, claims: dict[str, Any]) -> str:
        algorithm, key = self.sign_with
        if algorithm == "none":  # which no library writes
            parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
            return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."
        header = {"alg": algorithm, "kid": self.key.kid}
        return jwt.encode(header, claims, key, algorithms=[algorithm])


@contextmanager
def lying_issuer() -> Iterator[LyingIssuer]:
    issuer = LyingIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if issuer.moved_to:
                self.send_response(302)
                self.send_header("Location", issuer.moved_to)
                self.end_headers()
                return
            self._send(*issuer.answer(self.path, {}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._send(*issuer.answer(self.path, parse_qs(body)))

        def _send(self, status: int, found: Any) -> None:
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the test says what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
