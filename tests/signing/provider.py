"""An identity provider of the tests' own: OpenID Connect on a local port, for one person at a time."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "usage-dashboard", "a-secret-of-the-tests"


class Provider:
    """Who signs in is `person`; what is said of them can be spoiled by `spoil`, and signed by another key."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.signs_with = self.key
        self.person: dict[str, Any] = {}
        self.spoil: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.signed_out = 0
        self.codes: dict[str, dict[str, Any]] = {}
        self.url = ""

    @property
    def metadata(self) -> str:
        return f"{self.url}/.well-known/openid-configuration"

    def is_ada(self, **claims: Any) -> None:
        self.person = {"sub": "ada", "email": "ada@example.com", "email_verified": True, **claims}
        self.spoil, self.signs_with = (lambda told: told), self.key

    def answer(self, path: str, asked: dict[str, str]) -> tuple[int, str | dict[str, Any]]:
        """Status and, for 302, where to; else what is said."""
        match path:
            case "/.well-known/openid-configuration":
                return 200, {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/jwks",
                    "end_session_endpoint": f"{self.url}/end",
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "code_challenge_methods_supported": ["S256"],
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                }
            case "/jwks":
                return 200, {"keys": [self.key.as_dict(private=False)]}
            case "/authorize":
                code = secrets.token_urlsafe(8)
                self.codes[code] = {**self.person, "nonce": asked["nonce"]}
                return 302, f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
            case "/token":
                return 200, self._token(self.codes.pop(asked["code"]))
            case "/end":
                self.signed_out += 1
                return 302, asked["post_logout_redirect_uri"]
        return 404, {}

    def _token(self, person: dict[str, Any]) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 600, **person}
        token = jwt.encode({"alg": "RS256", "kid": "one"}, self.spoil(claims), self.signs_with)
        return {"access_token": secrets.token_urlsafe(8), "token_type": "Bearer", "expires_in": 600, "id_token": token}


@contextmanager
def provided() -> Iterator[Provider]:
    """A provider on a free port."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self._say(*provider.answer(parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            self._say(*provider.answer(self.path, {k: v[0] for k, v in parse_qs(body).items()}))

        def _say(self, status: int, said: str | dict[str, Any]) -> None:
            body = b"" if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            if isinstance(said, str):
                self.send_header("Location", said)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
