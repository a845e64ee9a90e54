"""What every request passes before Streamlit sees it: whose header is believed, who may have pictures and small files,
what signing out ends, and what the browser is told about the page."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config, runtime
from streamlit.runtime.media_file_storage import MediaFileStorageError

from dashboard import entrance
from dashboard.admission import HEADER_CLAIM, USER_COOKIE, Admission
from dashboard.browser import browser_of
from dashboard.handed_out import HANDED_OUT
from dashboard.services import Services, installed
from queries.errors import UsageDashboardError

log = logging.getLogger(__name__)

_MEDIA, _SIGN_OUT, _BACK_FROM_PROVIDER = "/media/", "/auth/logout", "/oauth2callback"
# Which page somebody asked for who had to sign in first: there the provider's answer leads.
RETURN_COOKIE, _RETURN_S = "usage_dashboard_return", 600
_LONGEST_RETURN = 1_500
_PAGE_PATH = re.compile(r"/[a-z]*")
# Streamlit writes its own scripts and styles into the page, so these cannot be forbidden; being framed by others can.
_PAGE_HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'; object-src 'none'; base-uri 'self'; form-action 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_MAX_AGE = re.compile(r"; Max-Age=[1-9][0-9]*", re.IGNORECASE)
# So that a wrong proxy does not fill the log.
_TOLD_ADDRESSES: set[str] = set()
_MOST_TOLD = 100


class Gate:
    """The outermost of our middlewares."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # Pictures and fonts of Streamlit's own are under /static/media/.
        base = str(config.get_option("server.baseUrlPath") or "").strip("/")
        self._media = f"/{base}{_MEDIA}" if base else _MEDIA

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        services = installed()
        if scope["type"] not in ("http", "websocket") or services is None:
            await self._app(scope, receive, send)
            return
        admission = services.admission
        if admission is not None and admission.mode == "header":
            scope = _believed(scope, receive, admission)
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if admission is not None:
            if path.startswith(self._media) and not await _may_have(scope, admission):
                refusal = PlainTextResponse("This file is not yours. Open the dashboard and ask again.\n", 403)
                await refusal(scope, receive, send)
                return
            if path.endswith(_SIGN_OUT):
                await _end(scope, services, admission)
        await self._app(scope, receive, _sending(scope, send, admission))


def use_header(admission: Admission | None) -> None:
    """Let Streamlit keep the proxy's header with the session, so that no session is handed from one to another."""
    if admission is None or admission.mode != "header":
        return
    config.set_option("server.trustedUserHeaders", {admission.header: HEADER_CLAIM}, "the setting TRUSTED_HEADER")


def peer(scope: Scope, receive: Receive) -> str:
    """The address at the other end of the connection; empty when it has none. The server may have put what a header
    says in place of it, which anybody can write."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    found = transport.get_extra_info("peername") if transport is not None else scope.get("client")
    return str(found[0]) if isinstance(found, list | tuple) and found else ""


def _believed(scope: Scope, receive: Receive, admission: Admission) -> Scope:
    """The request with the trusted header as the proxy set it, or without it."""
    name = admission.header.encode()
    # Servers and proxies differ in what they make of an underscore.
    values = [value for key, value in scope["headers"] if key.lower().replace(b"_", b"-") == name]
    address = peer(scope, receive)
    kept = [(key, value) for key, value in scope["headers"] if key.lower().replace(b"_", b"-") != name]
    if len(values) == 1 and admission.believes(address):
        kept.append((name, values[0]))
    elif values and address not in _TOLD_ADDRESSES and len(_TOLD_ADDRESSES) < _MOST_TOLD:
        _TOLD_ADDRESSES.add(address)
        reason = "more than once in a request" if len(values) > 1 else "from an address that is not of TRUSTED_PROXIES"
        log.warning("the header %s came %s, and is not believed: %s", admission.header, reason, address or "no address")
    return {**scope, "headers": kept}


async def _may_have(scope: Scope, admission: Admission) -> bool:
    """Whether a small file was made for who asks for it, and they have a role still. Streamlit asks nobody."""
    identity = admission.of_request(_cookies(scope), Headers(scope=scope))
    if identity is None:
        return False
    try:
        if not await asyncio.to_thread(admission.grants, identity):
            return False
    except UsageDashboardError:
        return False
    data = _small_file(scope["path"].rpartition("/")[2])
    return data is not None and HANDED_OUT.is_for(data, identity.digest)


def _small_file(name: str) -> bytes | None:
    """What Streamlit would send; it has no public way to ask."""
    if not runtime.exists():
        return None
    storage: Any = runtime.get_instance().media_file_mgr._storage
    try:
        return bytes(storage.get_file(name).content)
    except MediaFileStorageError:
        return None


async def _end(scope: Scope, services: Services, admission: Admission) -> None:
    """Somebody signs out, in whichever way they came to this address."""
    cookies = _cookies(scope)
    identity = admission.of_request(cookies, Headers(scope=scope)) if admission.mode == "oidc" else None
    await asyncio.to_thread(entrance.ended, services, identity, browser_of(cookies))


def _sending(scope: Scope, send: Send, admission: Admission | None) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if headers.get("content-type", "").startswith("text/html"):
                for name, value in _PAGE_HEADERS.items():
                    headers.setdefault(name, value)
            if admission is not None and admission.mode == "oidc":
                _guard_cookies(message, admission)
                _lead_back(scope, message, headers, admission)
        await send(message)

    return sending


def _guard_cookies(message: MutableMapping[str, Any], admission: Admission) -> None:
    """Streamlit's sign-in cookie: no longer than a sign-in lasts, and over HTTPS only where there is HTTPS."""
    is_https = admission.read_oidc().is_https
    for number, (name, value) in enumerate(message["headers"]):
        cookie = value.decode("latin-1")
        if name.lower() != b"set-cookie" or not cookie.startswith(USER_COOKIE):
            continue
        cookie = _MAX_AGE.sub(f"; Max-Age={int(admission.lasts_s)}", cookie)
        if is_https and "; secure" not in cookie.lower():
            cookie += "; Secure"
        message["headers"][number] = (name, cookie.encode("latin-1"))


def _lead_back(scope: Scope, message: Message, headers: MutableHeaders, admission: Admission) -> None:
    """Streamlit leads everybody who has signed in to the first page: lead them to the one that they asked for."""
    cookies, path = _cookies(scope), scope["path"]
    if path.endswith(_BACK_FROM_PROVIDER):
        asked = cookies.get(RETURN_COOKIE, "")
        if message["status"] == 302 and _is_page_address(asked) and headers.get("location") == "/":
            headers["location"] = asked
            headers.append("set-cookie", f"{RETURN_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
        return
    is_page = scope["method"] == "GET" and headers.get("content-type", "").startswith("text/html")
    query = scope.get("query_string", b"").decode("latin-1")
    asked = f"{path}?{query}" if query else path
    if not is_page or asked == "/" or not _is_page_address(asked):
        return
    if admission.of_request(cookies, Headers(scope=scope)) is None:
        secure = "; Secure" if admission.read_oidc().is_https else ""
        kept = f"Path=/; Max-Age={_RETURN_S}; HttpOnly; SameSite=Lax{secure}"
        headers.append("set-cookie", f"{RETURN_COOKIE}={asked}; {kept}")


def _is_page_address(address: str) -> bool:
    """Whether it is a page of ours, in letters that may stand in a cookie: nobody is led anywhere else."""
    if not 0 < len(address) <= _LONGEST_RETURN or re.fullmatch(r"[!#-+\--:<-\[\]-~]+", address) is None:
        return False
    parts = urlsplit(address)
    return not parts.scheme and not parts.netloc and _PAGE_PATH.fullmatch(parts.path) is not None


def _cookies(scope: Scope) -> dict[str, str]:
    return cookie_parser("; ".join(Headers(scope=scope).getlist("cookie")))
