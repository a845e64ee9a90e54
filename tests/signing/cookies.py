"""Sign-in cookies as Streamlit makes them, for people who need no identity provider."""

from __future__ import annotations

import json
import time
from typing import Any

from streamlit.web.server.starlette.starlette_app_utils import create_signed_value, generate_xsrf_token_string

from tests.signing.provider import CLIENT_ID

SECRET = "0123456789abcdef" * 4
USER = "_streamlit_user"
_NOW = int(time.time())


def claims_of(email: str, **more: Any) -> dict[str, Any]:
    """What an identity provider says of somebody who has signed in just before these tests; each time the same."""
    now = _NOW
    told = {"iss": "https://id.example.com", "sub": email, "aud": CLIENT_ID, "iat": now, "exp": now + 600}
    return {**told, "nonce": f"{email}-{now}", "email": email, "email_verified": True, **more}


def cookie(claims: dict[str, Any], origin: str, *, secret: str = SECRET, name: str = USER) -> str:
    """The value of the sign-in cookie of a deployment."""
    kept = {**claims, "origin": origin, "is_logged_in": True, "provider": "default"}
    return create_signed_value(secret, name, json.dumps(kept)).decode()


def xsrf() -> str:
    return generate_xsrf_token_string()
