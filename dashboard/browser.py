"""Which browser asks: a random word that each keeps in a cookie, which no script in it can read."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "usage_dashboard_browser"
# The page itself asks for this before its script runs.
_ASKED_BY_THE_PAGE = "/_stcore/host-config"
_WORD = re.compile(r"[A-Za-z0-9_-]{32,64}")


def browser_of(cookies: Mapping[str, str]) -> str | None:
    """What stands for the browser with these cookies in links and logs; its own word cannot be told from it. None for
    one without the cookie."""
    word = cookies.get(COOKIE)
    if not isinstance(word, str) or _WORD.fullmatch(word) is None:
        return None
    return hashlib.blake2b(word.encode(), digest_size=12).hexdigest()


def this_browser() -> str | None:
    """The browser behind the run of a page."""
    return browser_of(st.context.cookies)


class BrowserCookie:
    """Gives a browser that has none its cookie, together with the page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not _may_be_new(scope):
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = MutableHeaders(scope=message)
                if _is_page(scope, headers):
                    headers.append("set-cookie", _new_cookie(is_secure=scope.get("scheme") == "https"))
            await send(message)

        await self._app(scope, receive, sending)


def _may_be_new(scope: Scope) -> bool:
    """Whether this browser may have no cookie yet. Who follows a link from another site does not send the one that it
    has: the page's own first question tells."""
    headers = Headers(scope=scope)
    if browser_of(cookie_parser(headers.get("cookie", ""))) is not None:
        return False
    return headers.get("sec-fetch-site") != "cross-site"


def _is_page(scope: Scope, headers: Headers) -> bool:
    return headers.get("content-type", "").startswith("text/html") or scope["path"].endswith(_ASKED_BY_THE_PAGE)


def _new_cookie(*, is_secure: bool) -> str:
    cookie = f"{COOKIE}={secrets.token_urlsafe(32)}; Path=/; HttpOnly; SameSite=Strict"
    return f"{cookie}; Secure" if is_secure else cookie
