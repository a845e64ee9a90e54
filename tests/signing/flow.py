"""A whole sign-in without a browser: to the identity provider and back, by its redirects."""

from __future__ import annotations

import time
import urllib.request
from http.cookiejar import CookieJar

from joserfc import jwt
from joserfc.jwk import OctKey

from tests.signing.cookies import SECRET

PATIENCE_S = 60


def cookies_after_sign_in(url: str) -> dict[str, str]:
    """What a browser keeps once the provider has sent it back. The button leads to an address that the secret signs."""
    asked = jwt.encode(
        {"alg": "HS256"}, {"provider": "default", "exp": int(time.time()) + 60}, OctKey.import_key(SECRET)
    )
    jar = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar), urllib.request.ProxyHandler({}))
    opener.open(f"{url}/auth/login?provider={asked}", timeout=PATIENCE_S).close()
    return {one.name: one.value or "" for one in jar}
