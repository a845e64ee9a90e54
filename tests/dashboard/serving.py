"""The routes of files behind a real HTTP server in this process, and a browser that is only a socket."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from dashboard.browser import COOKIE, BrowserCookie, browser_of
from dashboard.export_route import ROUTES

WORD = "w" * 43
PATIENCE_S = 20
# Closed when the server is.
_opened: list[http.client.HTTPConnection | http.client.HTTPResponse | socket.socket] = []


def browser_name(word: str = WORD) -> str:
    found = browser_of({COOKIE: word})
    assert found is not None
    return found


@contextmanager
def served() -> Iterator[int]:
    """The port of a server that answers as ours does; Streamlit compresses what it can."""
    app = Starlette(routes=list(ROUTES), middleware=[Middleware(BrowserCookie), Middleware(GZipMiddleware)])
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until(lambda: server.started, "the server starts")
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            while _opened:
                _opened.pop().close()
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "the server did not end"


def until(is_so, what: str) -> None:  # type: ignore[no-untyped-def]  # anything that can be called
    """Wait for something; what is asserted is that it comes, not when."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"it does not come: {what}"
        time.sleep(0.005)


def get(
    port: int, path: str, *, word: str | None = WORD, method: str = "GET", patience_s: float = PATIENCE_S
) -> http.client.HTTPResponse:
    """Ask as a browser with this word in its cookie does. The body is still to be read."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience_s)
    headers = {"Accept-Encoding": "gzip"} | ({"Cookie": f"{COOKIE}={word}"} if word else {})
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    _opened.extend((answer, connection))
    return answer


def raw(port: int, path: str, *, version: str = "1.1") -> socket.socket:
    """The same as bytes on a socket, for those who leave."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    _opened.append(connection)
    connection.sendall(f"GET {path} HTTP/{version}\r\nHost: localhost\r\nCookie: {COOKIE}={WORD}\r\n\r\n".encode())
    return connection
