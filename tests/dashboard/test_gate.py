"""What every request passes: whose header is believed, what browsers are told, and where sign-in leads back to."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.types import Receive, Scope, Send
from websockets.sync.client import connect

from dashboard import gate
from dashboard.admission import Admission, Oidc, Provider
from dashboard.gate import RETURN_COOKIE, Gate
from queries.access_book import AccessBook, NoRules
from queries.settings import Settings
from tests.dashboard.serving import until
from tests.signing.cookies import SECRET, USER, claims_of, cookie
from tests.signing.provider import CLIENT_ID

ORIGIN = "https://dashboard.example.com"
HEADER = "X-Forwarded-Email"
LOCAL = {"trusted_proxies": "127.0.0.1"}


def admission(mode: str, origin: str = ORIGIN, **settings: Any) -> Admission:
    proxies = Settings(**settings).trusted_proxies if settings else ()
    oidc = Oidc(origin, (Provider("default", CLIENT_ID),), SECRET)
    return Admission(
        mode,  # type: ignore[arg-type]  # one of two
        AccessBook(NoRules(), remembers_s=3600),
        12 * 3600.0,
        header=HEADER.lower(),
        proxies=proxies,
        read_oidc=lambda: oidc,
    )


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def install(one: Admission | None) -> None:
        monkeypatch.setattr(gate, "installed", lambda: SimpleNamespace(admission=one))

    return install


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Says which headers came through."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": json.dumps(_seen(scope))})
        await send({"type": "websocket.close"})
        return
    await JSONResponse(_seen(scope))(scope, receive, send)


def _seen(scope: Scope) -> list[list[str]]:
    return [[key.decode(), value.decode()] for key, value in scope["headers"] if b"email" in key.lower()]


@contextmanager
def served(app: Any, **options: Any) -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, **options)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until(lambda: server.started, "the server starts")
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


def asked(port: int, *headers: str) -> Any:
    """The headers that came through, of a request with these lines."""
    lines = ["GET /x HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_a_header_counts_from_the_proxy_and_from_nobody_else(installed: Any) -> None:
    installed(admission("header", **LOCAL))
    with served(Gate(echo)) as port:
        assert asked(port, f"{HEADER}: ada@example.com") == [[HEADER.lower(), "ada@example.com"]]
        assert asked(port, f"{HEADER}: ada@example.com", f"{HEADER}: admin@example.com") == []
        assert asked(port, f"{HEADER}: ada@example.com", "x_forwarded_email: admin@example.com") == []
        with connect(f"ws://127.0.0.1:{port}/", additional_headers={HEADER: "ada@example.com"}, proxy=None) as ws:
            assert json.loads(ws.recv(20)) == [[HEADER.lower(), "ada@example.com"]]
    installed(admission("header", trusted_proxies="10.0.0.5"))
    with served(Gate(echo)) as port:
        assert asked(port, f"{HEADER}: ada@example.com") == []
        assert asked(port, "X_FORWARDED_EMAIL: ada@example.com") == []
        with connect(f"ws://127.0.0.1:{port}/", additional_headers={HEADER: "ada@example.com"}, proxy=None) as ws:
            assert json.loads(ws.recv(20)) == []


@pytest.mark.parametrize("claimed", ["10.0.0.5", "10.0.0.5:1234", "1.2.3.4, 10.0.0.5", "10.0.0.5, 1.2.3.4"])
def test_an_address_that_a_request_only_claims_to_come_from_is_not_believed(installed: Any, claimed: str) -> None:
    """uvicorn puts what X-Forwarded-For says in place of the address, when somebody on this machine sends it."""
    installed(admission("header", trusted_proxies="10.0.0.5"))
    with served(Gate(echo), proxy_headers=True, forwarded_allow_ips="*") as port:
        assert asked(port, f"X-Forwarded-For: {claimed}", f"{HEADER}: ada@example.com") == []
        more = {"X-Forwarded-For": claimed, HEADER: "ada@example.com"}
        with connect(f"ws://127.0.0.1:{port}/", additional_headers=more, proxy=None) as ws:
            assert json.loads(ws.recv(20)) == []


def test_the_proxy_is_believed_whoever_it_says_it_forwards_for(installed: Any) -> None:
    installed(admission("header", **LOCAL))
    with served(Gate(echo), proxy_headers=True) as port:
        assert asked(port, "X-Forwarded-For: 8.8.8.8", f"{HEADER}: a@example.com") == [
            [HEADER.lower(), "a@example.com"]
        ]


def test_what_is_not_believed_is_logged_once_without_the_address_it_named(installed: Any, caplog: Any) -> None:
    gate._TOLD_ADDRESSES.clear()
    one = admission("header", trusted_proxies="10.0.0.5")
    scope = {"type": "http", "headers": [(HEADER.lower().encode(), b"ada@example.com")], "client": ("9.9.9.9", 1)}
    for _ in range(3):
        gate._believed(scope, None, one)  # type: ignore[arg-type]  # no connection
    assert [record.getMessage().partition("and is")[2] for record in caplog.records] == [" not believed: 9.9.9.9"]
    assert "ada@" not in caplog.text


def answered(app: Any, path: str, *, query: str = "", cookies: dict[str, str] | None = None) -> tuple[int, list[Any]]:
    """Status and headers of what the gate lets through."""
    sent: list[Any] = []
    kept = "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"cookie", kept.encode())] if kept else [],
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    # A thread of its own: browser tests before this one leave a loop that runs.
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(asyncio.run, Gate(app)(scope, receive, send)).result()
    headers = [(key.decode(), value.decode("latin-1")) for key, value in sent[0]["headers"]]
    return sent[0]["status"], headers


def test_pages_may_not_be_framed_by_others_and_leak_no_address(installed: Any) -> None:
    for one in (None, admission("oidc"), admission("header", **LOCAL)):
        installed(one)
        headers = dict(answered(HTMLResponse("<p>"), "/tenant")[1])
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert (headers["referrer-policy"], headers["x-content-type-options"]) == ("same-origin", "nosniff")


@pytest.mark.parametrize(("origin", "is_secure"), [(ORIGIN, True), ("http://127.0.0.1:8501", False)])
def test_the_sign_in_cookie_lasts_as_long_as_a_sign_in_and_keeps_to_https(
    installed: Any, origin: str, is_secure: bool
) -> None:
    installed(admission("oidc", origin))
    response = RedirectResponse("/", 302)
    response.set_cookie(USER, "v", max_age=30 * 86_400, httponly=True, samesite="lax")
    response.set_cookie(f"{USER}_tokens", "v", max_age=30 * 86_400, httponly=True, samesite="lax")
    response.delete_cookie(f"{USER}_1")
    response.set_cookie("other", "v", max_age=5)
    told = [value for name, value in answered(response, "/oauth2callback")[1] if name == "set-cookie"]
    for one in told[:2]:
        assert "Max-Age=43200" in one
        assert "HttpOnly" in one
        assert ("; Secure" in one) == is_secure
    assert "Max-Age=0" in told[2]
    assert told[3].startswith("other=v") and "Max-Age=5" in told[3] and "Secure" not in told[3]  # noqa: PT018


def set_return(headers: list[Any]) -> str | None:
    found = [value for name, value in headers if name == "set-cookie" and value.startswith(RETURN_COOKIE)]
    return found[0].partition("=")[2].partition(";")[0] if found else None


def test_a_deep_link_is_where_sign_in_leads(installed: Any) -> None:
    installed(admission("oidc"))
    _, headers = answered(HTMLResponse("<p>"), "/tenant", query="tenant=org_1&period=Last+7+days")
    asked_for = set_return(headers)
    assert asked_for == "/tenant?tenant=org_1&period=Last+7+days"
    _, headers = answered(RedirectResponse("/", 302), "/oauth2callback", cookies={RETURN_COOKIE: asked_for})
    assert dict(headers)["location"] == asked_for
    assert set_return(headers) == "", "once"


def test_whoever_has_signed_in_is_led_nowhere(installed: Any) -> None:
    installed(admission("oidc"))
    kept = {USER: cookie(claims_of("ada@example.com"), ORIGIN)}
    assert set_return(answered(HTMLResponse("<p>"), "/tenant", cookies=kept)[1]) is None
    assert set_return(answered(HTMLResponse("<p>"), "/")[1]) is None
    assert set_return(answered(JSONResponse({}), "/tenant")[1]) is None


BAD = ["//evil.org", "/\\evil.org", "https://evil.org", "/../x", "/a/b", "javascript:alert(1)", "", "/a b", "/a;b",
       "/tenant?x=1\r\nSet-Cookie: a=b", "/" + "x" * 2_000, "///evil.org", "/%2f/evil.org", "/a\x00", "/ä"]  # fmt: skip


@pytest.mark.parametrize("address", BAD)
def test_nobody_is_led_anywhere_else(installed: Any, address: str) -> None:
    installed(admission("oidc"))
    assert not gate._is_page_address(address)
    _, headers = answered(RedirectResponse("/", 302), "/oauth2callback", cookies={RETURN_COOKIE: address})
    assert dict(headers)["location"] in ("/", "/a"), "of a cookie, what stands before a semicolon"


@given(st.text(max_size=60))
def test_what_leads_back_is_always_a_page_of_ours(text: str) -> None:
    for address in (text, f"/{text}", f"/tenant?{text}"):
        if gate._is_page_address(address):
            assert address.startswith("/")
            assert not address.startswith("//")
            assert address.isascii()
            assert not set(address) & set(' ;,"\\\r\n\t\x00')


def test_pictures_and_small_files_are_not_for_somebody_unknown(installed: Any) -> None:
    for one in (admission("oidc"), admission("header", **LOCAL)):
        installed(one)
        assert answered(HTMLResponse("secret"), "/media/abc.csv")[0] == 403
        mine = {USER: cookie(claims_of("ada@example.com"), ORIGIN)}
        assert answered(HTMLResponse("secret"), "/media/abc.csv", cookies=mine)[0] == 403, "without a role"
        assert answered(HTMLResponse("a font"), "/static/media/abc.woff2")[0] == 200
    installed(None)
    assert answered(HTMLResponse("x"), "/media/abc.csv")[0] == 200


def test_the_gate_stands_before_the_real_program() -> None:
    from dashboard.server import app

    assert next(iter(app._user_middleware)).cls is Gate
