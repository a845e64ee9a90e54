"""A webhook on this machine: a real HTTP server that keeps what it takes."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

SECRET = "secret-word"


class Webhook:
    """`answers` are the next statuses, 200 when there are none; `status` is for all after them."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.status = 200
        self.asked = 0
        self.took_one = threading.Event()
        self.url = ""

    @property
    def address(self) -> SecretStr:
        return SecretStr(self.url)

    @property
    def texts(self) -> list[str]:
        """Without the joiners that nobody sees."""
        return [str(one["text"]).replace("\u2060", "") for one in self.posted]

    def take(self, body: bytes) -> int:
        self.asked += 1
        status = self.answers.pop(0) if self.answers else self.status
        if status < 300:
            self.posted.append(json.loads(body))
            self.took_one.set()
        return status


@contextmanager
def webhook() -> Iterator[Webhook]:
    """One that runs, at an address with a secret in it."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = hook.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_port}/services/{SECRET}"
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
